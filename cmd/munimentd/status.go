package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// patience is how long a node may take to say how it is doing.
const patience = 10 * time.Second

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the running node of this home how it is doing",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.status(c.Context())
			if err != nil {
				return err
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
copies       %s
erasures     %s
free disk    %d MiB
version      %s
`, s.ChainId, s.Origin, hex.EncodeToString(s.Network), s.Height, time.Unix(0, s.BlockTime).UTC().Format(time.RFC3339),
				s.LogSize, s.CosignedSize, s.Validators, s.Peers, s.CatchingUp, s.RecordsHere, copies(s), erasures(s), s.FreeBytes>>20, s.Version)
			return nil
		},
	}
}

// erasures says in a line what the node claims of erasures and what waits.
func erasures(s *apiv1.StatusResponse) string {
	if s.Claim == "" {
		return "this node keeps no content"
	}
	line := fmt.Sprintf("level %s, %d pending", s.Claim, s.ErasuresPending)
	if len(s.Quarantined) > 0 {
		line += ", in quarantine: " + strings.Join(s.Quarantined, ", ") // rings, or records by their disposition
	}
	return line
}

// status asks how the node is doing.
func (o options) status(ctx context.Context) (s *apiv1.StatusResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = o.ask(ctx, func(ctx context.Context, node apiv1.OperatorsClient) (err error) {
		s, err = node.Status(ctx, &apiv1.StatusRequest{})
		return err
	})
	return s, err
}

// ask calls the node over the unix socket of the home, whose permissions are
// what protects it.
func (o options) ask(ctx context.Context, call func(context.Context, apiv1.OperatorsClient) error) error {
	if err := o.checkHome(); err != nil {
		return withCode(exitPrecondition, err)
	}
	const start = "no node runs in this home: start it with munimentd start --home %s"
	if _, err := os.Stat(o.node().Socket()); errors.Is(err, fs.ErrNotExist) {
		return withCode(exitUnavailable, fmt.Errorf(start, o.home))
	}
	// Dialled here, since the errors of gRPC hide why a socket does not answer.
	conn, err := net.DialTimeout("unix", o.node().Socket(), patience)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED): // left over from a node that was killed
		return withCode(exitUnavailable, fmt.Errorf(start, o.home))
	case err != nil:
		return withCode(exitUnavailable, fmt.Errorf("ask the node: %w", err))
	}
	conn.Close()
	client, err := grpc.NewClient("unix:"+o.node().Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	err = call(ctx, apiv1.NewOperatorsClient(client))
	return answered(err)
}

// answered gives what a call of the node came to. A node that refuses gives a
// reason, and its sentence says what went wrong; without one nobody has answered.
func answered(err error) error {
	s := status.Convert(err)
	reasoned := slices.ContainsFunc(s.Details(), func(detail any) bool {
		info, ok := detail.(*errdetails.ErrorInfo)
		return ok && info.Domain == "muniment"
	})
	code := exitError
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.InvalidArgument:
		code = exitUsage
	case codes.FailedPrecondition, codes.PermissionDenied, codes.NotFound, codes.AlreadyExists:
		code = exitPrecondition
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		code = exitUnavailable
		if !reasoned {
			return withCode(code, fmt.Errorf("the node does not answer: %s: look at its log", s.Message()))
		}
	}
	return withCode(code, errors.New(s.Message()))
}
