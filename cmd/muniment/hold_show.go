package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// holdInfo is a hold as the node tells of it.
type holdInfo struct {
	Index      uint64   `json:"index"`
	Office     string   `json:"office"` // that placed it
	Kind       string   `json:"kind"`
	Matter     string   `json:"matter"` // commitment in hex
	Day        string   `json:"day"`
	OpenIssues []uint32 `json:"open_issues"` // 0 is the action itself
	Scopes     []string `json:"scopes"`
	Records    []uint64 `json:"records,omitempty"`  // that were named when it was placed; hold show verifies them
	Released   uint64   `json:"released,omitempty"` // release entry
	ReleasedBy string   `json:"released_by,omitempty"`
}

func holdInfos(list []*apiv1.HoldInfo) []holdInfo {
	infos := make([]holdInfo, len(list))
	for i, h := range list {
		infos[i] = holdInfo{
			Index: h.Index, Office: printable(h.Office), Kind: printable(h.Kind), Matter: hex.EncodeToString(h.Matter), Day: dayText(record.Day(h.Day)),
			OpenIssues: append([]uint32{}, h.OpenIssues...), Scopes: []string{}, Released: h.Released, ReleasedBy: printable(h.ReleasedBy),
		}
		for _, scope := range h.Scopes {
			infos[i].Scopes = append(infos[i].Scopes, printable(scope))
		}
	}
	return infos
}

// state says in words whether a hold stands, and what its release waits for.
func (h *holdInfo) state() string {
	if h.Released != 0 {
		return fmt.Sprintf("released by %s, entry %d", h.ReleasedBy, h.Released)
	}
	issues, closed := h.OpenIssues, true
	if len(issues) > 0 && issues[0] == 0 {
		issues, closed = issues[1:], false
	}
	var waits []string
	if !closed {
		waits = append(waits, "the action is open")
	}
	if len(issues) > 0 {
		waits = append(waits, fmt.Sprintf("%s open: %s", counted(len(issues), "issue"), listText(issues)))
	}
	if len(waits) == 0 {
		return "stands; it can be released"
	}
	return "stands; " + strings.Join(waits, ", ")
}

func (p *program) holdListCommand() *cobra.Command {
	var of, department string
	all := false
	c := &cobra.Command{
		Use: "list", Short: "List the holds that stand", Args: exactly(0, "no arguments"),
		Example: "  muniment hold list\n  muniment hold list --record 42 --output json",
	}
	c.Flags().StringVar(&of, "record", "", "only the holds on this record, released ones too")
	c.Flags().BoolVar(&all, "all", false, "released holds too")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var r *reference
		if of != "" {
			parsed, err := parseReference(of)
			if err != nil {
				return err
			}
			r = &parsed
		}
		return p.showHolds(c.Context(), r, department, all)
	}
	return c
}

// showHolds lists the holds on a record, or all where of is nil.
func (p *program) showHolds(ctx context.Context, of *reference, department string, all bool) error {
	s, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.close()
	request := &apiv1.HoldsRequest{All: all}
	if of != nil {
		a, err := s.resolve(ctx, *of, department)
		if err != nil {
			return err
		}
		request.Record = a.ref()
	}
	holds, err := s.allHolds(ctx, request)
	if err != nil {
		return err
	}
	result := struct {
		Holds []holdInfo `json:"holds"`
	}{holdInfos(holds)}
	switch {
	case len(result.Holds) > 0:
	case of != nil:
		p.say("no hold covers the record, and none did")
	case all:
		p.say("there are no holds")
	default:
		p.say("no hold stands: --all lists released ones, too")
	}
	return p.show(result, func(w io.Writer) {
		for _, h := range result.Holds {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", h.Index, h.Kind, h.Office, h.Day, h.state(), strings.Join(h.Scopes, "; "))
		}
	})
}

// allHolds asks for every part of a list of holds.
func (s *session) allHolds(ctx context.Context, request *apiv1.HoldsRequest) ([]*apiv1.HoldInfo, error) {
	var all []*apiv1.HoldInfo
	for {
		part, err := staffCall(ctx, s, apiv1.RecordsStaffClient.Holds, request)
		if err != nil {
			return nil, err
		}
		all = append(all, part.Holds...)
		if !part.More || len(part.Holds) == 0 {
			return all, nil
		}
		request.After = part.Holds[len(part.Holds)-1].Index
	}
}

func (p *program) holdShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show HOLD", Short: "Show a hold: what it covers, and what its release waits for", Args: exactly(1, "one hold")}
	c.RunE = func(c *cobra.Command, args []string) error {
		hold, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		response, err := staffCall(c.Context(), s, apiv1.RecordsStaffClient.Holds, &apiv1.HoldsRequest{Hold: uint64(hold), All: true})
		if err != nil {
			return err
		}
		infos := holdInfos(response.Holds)
		if len(infos) != 1 || infos[0].Index != uint64(hold) {
			return failed(exitNotFound, "NOT_FOUND", "muniment hold list --all lists the holds", "there is no hold %d", hold)
		}
		h := infos[0]
		if err := s.namedBy(c.Context(), &h); err != nil {
			return err
		}
		return p.show(h, func(w io.Writer) {
			fmt.Fprintf(w, "hold\t%d\nkind\t%s\nplaced\t%s by %s\nmatter\t%s\nstate\t%s\n", h.Index, h.Kind, h.Day, h.Office, h.Matter, h.state())
			for _, scope := range h.Scopes {
				fmt.Fprintf(w, "covers\t%s\n", scope)
			}
			if len(h.Records) > 0 {
				fmt.Fprintf(w, "records\t%s, named when it was placed\n", listText(h.Records))
			}
		})
	}
	return c
}

// namedBy adds the records that the placement of a hold names, from its receipt.
func (s *session) namedBy(ctx context.Context, h *holdInfo) error {
	verdict, text, err := s.receipt(ctx, h.Index)
	if err != nil {
		return err
	}
	placed, ok := signedMessage(verdict, text).(*record.PlaceHold)
	if !ok {
		return notWhatWasSigned(verdict)
	}
	for _, i := range placed.Scope.Records {
		h.Records = append(h.Records, uint64(i))
	}
	return nil
}
