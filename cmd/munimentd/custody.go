package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func custodyCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "custody",
		Short: "How far this node's records are with the other custodians, and leaving a set",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(custodyStatusCommand(o), custodyLeaveCommand(o))
	return c
}

func custodyStatusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Which custodians have everything that this node keeps",
		Long: `Which custodians have everything that this node keeps, set by set.

The figures are of the last comparison with each. A custodian counts once it has
answered that it wants nothing of what is here now.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := o.status(c.Context())
			if err != nil {
				return err
			}
			all := setsOf(s)
			if o.output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(all)
			}
			all.print(c.OutOrStdout(), s)
			return nil
		},
	}
}

// custodySets is what munimentd custody status prints.
type custodySets struct {
	Sets    []custodySet `json:"sets"`
	Restart bool         `json:"restart"` // the node has another custodian key since it was started
}

type custodySet struct {
	Set        string        `json:"set"`
	Records    uint64        `json:"records"`
	Custodians uint32        `json:"custodians"`
	Complete   uint32        `json:"complete"`
	Peers      []custodyPeer `json:"peers"`
}

type custodyPeer struct {
	Custodian string `json:"custodian"`
	Node      string `json:"node"`
	Answered  string `json:"answered"` // RFC 3339; empty: not since the node was started
	Wants     uint64 `json:"wants"`
	Lacks     uint64 `json:"lacks"`
	Behind    bool   `json:"behind"` // something has changed here since it answered
	Trouble   string `json:"trouble"`
}

func setsOf(s *apiv1.StatusResponse) custodySets {
	all := custodySets{Sets: []custodySet{}, Restart: s.RestartForCustodianKey}
	for _, one := range s.Copies {
		set := custodySet{Set: one.Set, Records: one.Records, Custodians: one.Custodians, Complete: one.Complete, Peers: []custodyPeer{}}
		for _, p := range one.Peers {
			peer := custodyPeer{
				Custodian: hex.EncodeToString(p.Custodian), Node: p.Node, Wants: p.Wants, Lacks: p.Lacks, Behind: p.Behind, Trouble: p.Trouble,
			}
			if p.Known {
				peer.Answered = time.Unix(p.Answered, 0).UTC().Format(time.RFC3339)
			}
			set.Peers = append(set.Peers, peer)
		}
		all.Sets = append(all.Sets, set)
	}
	return all
}

func (a custodySets) print(w io.Writer, s *apiv1.StatusResponse) {
	records := s.RecordsHere
	switch {
	case s.RestartForCustodianKey:
		fmt.Fprintln(w, "the ledger registers another custodian key of this node: start it again, so that it keeps content under that one")
	case s.Claim == "":
		fmt.Fprintln(w, "this node keeps no content")
	case len(a.Sets) == 0 && records == 0:
		fmt.Fprintln(w, "this node shares no set with another custodian, and keeps no record")
	case len(a.Sets) == 0:
		fmt.Fprintln(w, "this node shares no set with another custodian: what it keeps is here alone")
	}
	for _, s := range a.Sets {
		fmt.Fprintf(w, "%-8s copies: %s, %d records here\n", s.Set, complete(s.Complete, s.Custodians), s.Records)
		for _, p := range s.Peers {
			fmt.Fprintf(w, "  custodian %.16s %s\n", p.Custodian, p.says())
		}
	}
}

// complete is how many custodians have everything.
func complete(n, all uint32) string {
	return fmt.Sprintf("%d of %d custodians have everything", n, all)
}

func (p custodyPeer) says() string {
	line := "has not answered since this node was started"
	if p.Answered != "" {
		line = "had everything"
		if p.Wants > 0 {
			line = fmt.Sprintf("lacked %d records", p.Wants)
		}
		line += " at " + p.Answered
		if p.Behind {
			line += ", before something changed here"
		}
	}
	if p.Lacks > 0 {
		line += fmt.Sprintf("; it has %d that this node lacks", p.Lacks)
	}
	if p.Trouble != "" {
		line += "; " + p.Trouble
	}
	return line
}

// copies says in a line how far the copies of each set are.
func copies(s *apiv1.StatusResponse) (line string) {
	for _, one := range s.Copies {
		if line != "" {
			line += "; "
		}
		line += one.Set + " " + complete(one.Complete, one.Custodians)
	}
	if s.RestartForCustodianKey {
		return "start this node again: it has another custodian key now"
	}
	if line == "" {
		return "this node shares no records with another custodian"
	}
	return line
}

func custodyLeaveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "leave SET",
		Short: "Hand over what this node keeps of a custodian set, destroy the keys here, and say so on the ledger",
		Long: `Hand over what this node keeps of a custodian set, destroy the keys here, and say
so on the ledger.

Nothing is destroyed before every other custodian of the set has answered that
it has everything. There is no way back but to be taken into the set again. When
the departure is on the ledger, the offices can decide on the set without this
custodian.`,
		Args: func(c *cobra.Command, args []string) error { return withCode(exitUsage, cobra.ExactArgs(1)(c, args)) },
		RunE: func(c *cobra.Command, args []string) error {
			var r *apiv1.LeaveCustodyResponse
			err := o.ask(c.Context(), func(ctx context.Context, node apiv1.OperatorsClient) (err error) {
				r, err = node.LeaveCustody(ctx, &apiv1.LeaveCustodyRequest{Set: args[0]})
				return err
			})
			if err != nil {
				return err
			}
			if o.output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"set": args[0], "departure": r.Departure, "index": r.Index})
			}
			how := "every record is with the other custodians"
			if r.Departure == "DESTROYED" {
				how = "nothing of it lives here"
			}
			fmt.Fprintf(c.OutOrStdout(), "left %s: %s, and the keys here are destroyed (%s, entry %d)\n", args[0], how, r.Departure, r.Index)
			return nil
		},
	}
}
