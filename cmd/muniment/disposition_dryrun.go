package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// The classes of a dry run.
const (
	classDue     = "due"
	classNotYet  = "not-yet"
	classHeld    = "held"
	classBlocked = "blocked"
)

// classOf says what a destruction would find, of records that are disposed of
// together or alone.
func classOf(i dueItem, alone bool) string {
	switch {
	case i.Standing == "due" && i.Alone && !alone:
		return classBlocked
	case i.Standing == "due":
		return classDue
	case i.Standing == "not-yet":
		return classNotYet
	case i.Standing == "held":
		return classHeld
	}
	return classBlocked
}

// dryTotals counts the records of a dry run by class.
type dryTotals struct {
	Records   int    `json:"records"`
	Due       int    `json:"due"`
	NotYet    int    `json:"not_yet"`
	Held      int    `json:"held"`
	Blocked   int    `json:"blocked"`
	LedgerDay string `json:"ledger_day"` // by which was judged
	LogSize   uint64 `json:"log_size"`
}

func (t *dryTotals) count(class string) {
	t.Records++
	switch class {
	case classDue:
		t.Due++
	case classNotYet:
		t.NotYet++
	case classHeld:
		t.Held++
	default:
		t.Blocked++
	}
}

// String says the totals in one line.
func (t dryTotals) String() string {
	return fmt.Sprintf("%s: %d due, %d not yet, %d held, %d blocked; by ledger day %s, %d entries",
		countText(t.Records), t.Due, t.NotYet, t.Held, t.Blocked, t.LedgerDay, t.LogSize)
}

func (p *program) dryRunCommand() *cobra.Command {
	var filter dueFilter
	var format string
	c := &cobra.Command{
		Use: "dry-run [RECORD...]", Short: "Show what a destruction would find: due, not yet, held or blocked, record by record",
		Long: "Lists the named records, or those that match, each as due, not yet (with the day), held (by which holds) or\n" +
			"blocked (why), and totals. Nothing is signed. RECORD is an entry index, a range of them as 40-59, or a CID.",
		Example: "  muniment disposition dry-run --department DPW --series DEMO-PLANS\n  muniment disposition dry-run 40-59",
	}
	filter.flags(c)
	c.Flags().StringSliceVar(&filter.standing, "standing", nil, "only where they stand so: "+strings.Join(standingNames(), ","))
	formatFlag(c, &format)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 && (filter.set() || len(filter.standing) > 0) {
			return usage("name records or give filters, not both")
		}
		request, err := filter.request()
		if err != nil {
			return err
		}
		if _, err := p.form(format); err != nil {
			return err // before anything is asked
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		records, err := s.recordList(c.Context(), args, "")
		if err != nil {
			return err
		}
		w, err := p.dueWriter(format, true)
		if err != nil {
			return err
		}
		totals, err := s.dryRun(c.Context(), request, records, func(i dueItem) error { return w.item(i) }, w.flush)
		if err != nil {
			return err
		}
		filter.doubt(p, totals.Records)
		return w.end(totals)
	}
	return c
}

// dryRun judges the named records, or, where none is named, those that match.
// Each is called with every item, flush after every part of the list.
func (s *session) dryRun(ctx context.Context, match *apiv1.DueRequest, records []record.Index, each func(dueItem) error, flush func() error) (dryTotals, error) {
	var totals dryTotals
	run := func(request *apiv1.DueRequest) error {
		judged, err := s.due(ctx, request, func(items []*apiv1.DueItem) error {
			for _, said := range items {
				item := dueItemOf(said)
				item.Class = classOf(item, len(records) == 1)
				totals.count(item.Class)
				if err := each(item); err != nil {
					return err
				}
			}
			return flush()
		})
		totals.LedgerDay, totals.LogSize = judged.LedgerDay, judged.LogSize
		return err
	}
	if len(records) == 0 {
		return totals, run(match)
	}
	for part := range slices.Chunk(records, record.MaxRecords) {
		request := &apiv1.DueRequest{}
		for _, i := range part {
			request.Records = append(request.Records, uint64(i))
		}
		if err := run(request); err != nil {
			return totals, err
		}
	}
	return totals, nil
}
