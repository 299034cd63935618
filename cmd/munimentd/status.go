package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the running node of this home how it is doing",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.status(c.Context())
			if err != nil {
				return withCode(exitUnavailable, fmt.Errorf("no node answers on %s: start it with munimentd start: %w", o.node().Socket(), err))
			}
			if o.output == "json" {
				text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(s)
				if err != nil {
					return err
				}
				var v any
				if err := json.Unmarshal(text, &v); err != nil { // protojson varies its spaces on purpose
					return err
				}
				return json.NewEncoder(c.OutOrStdout()).Encode(v)
			}
			fmt.Fprintf(c.OutOrStdout(), `chain        %s
origin       %s
network      %s
height       %d at %s
log          %d entries, %d cosigned
validators   %d, peers %d, catching up: %v
records here %d
free disk    %d MiB
version      %s
`, s.ChainId, s.Origin, hex.EncodeToString(s.Network), s.Height, time.Unix(0, s.BlockTime).UTC().Format(time.RFC3339),
				s.LogSize, s.CosignedSize, s.Validators, s.Peers, s.CatchingUp, s.RecordsHere, s.FreeBytes>>20, s.Version)
			return nil
		},
	}
}

// status asks over the unix socket of the home, whose permissions are what
// protects it.
func (o options) status(ctx context.Context) (*apiv1.StatusResponse, error) {
	conn, err := grpc.NewClient("unix:"+o.node().Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return apiv1.NewOperatorsClient(conn).Status(ctx, &apiv1.StatusRequest{})
}
