package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// proposeOptions is what the command line says of a proposal.
type proposeOptions struct {
	series, action, to string
	standing           int64
	due, dry           bool
	filter             dueFilter
}

// proposeResult is what disposition propose prints. A dry run has the same
// totals, and dispositions without an index.
type proposeResult struct {
	DryRun       bool              `json:"dry_run"`
	Series       string            `json:"series"`
	Action       string            `json:"action"`
	Dispositions []planned         `json:"dispositions"`
	Alone        []record.Index    `json:"alone"`   // due, and left out: to be proposed one by one
	Already      []alreadyProposed `json:"already"` // due, and left out: under an open disposition
	Blocked      []dueItem         `json:"blocked"` // of records named for a dry run: what stands against each
	Totals       proposeTotals     `json:"totals"`
	Standings    *dueTotals        `json:"standings,omitempty"` // with --due: where the records stand, due or not
	Refused      any               `json:"refused,omitempty"`   // what ended a proposal of several dispositions
}

// planned is a disposition that was proposed, or would be.
type planned struct {
	Index       int64        `json:"index,omitempty"`
	Transaction int64        `json:"transaction,omitempty"`
	Records     int          `json:"records"`
	First       record.Index `json:"first"`
	Last        record.Index `json:"last"`
	records     []record.Index
}

func plannedOf(records []record.Index) planned {
	return planned{Records: len(records), First: records[0], Last: records[len(records)-1], records: records}
}

type alreadyProposed struct {
	Record      record.Index `json:"record"`
	Disposition uint64       `json:"disposition"`
}

type proposeTotals struct {
	Records  int `json:"records"` // named, or due
	Proposed int `json:"proposed"`
	Alone    int `json:"alone"`
	Already  int `json:"already"`
	Blocked  int `json:"blocked"`
}

func (p *program) proposeDispositionCommand() *cobra.Command {
	var o proposeOptions
	c := &cobra.Command{
		Use: "propose --series CODE --action destroy|transfer|permanent (RECORD... | --due)", Short: "Propose, as the head of the department, what is to become of records",
		Long: "RECORD is an entry index, a range of them as 40-59, or a CID. With --due all records of the acting office that are\n" +
			"due are proposed, but for those that must be proposed one by one and those that are proposed already: these are\n" +
			"listed. More than 4,096 records become several dispositions. --dry-run prints the same and signs nothing.",
		Example: "  muniment disposition propose --series DEMO-PLANS --action destroy --due --dry-run\n" +
			"  muniment disposition propose --series DEMO-PLANS --action transfer --to ARCHIVE 40-59",
	}
	f := c.Flags()
	f.StringVar(&o.series, "series", "", "series of the records (required)")
	f.StringVar(&o.action, "action", "", "destroy, transfer or permanent (required)")
	f.StringVar(&o.to, "to", "", "office that takes custody over, with --action transfer")
	f.Int64Var(&o.standing, "standing", 0, "entry of a standing authorization that stands for the approvals")
	f.BoolVar(&o.due, "due", false, "what is due of the series, of the acting office")
	f.BoolVar(&o.dry, "dry-run", false, "print what would be proposed, sign nothing")
	f.StringVar(&o.filter.from, "from", "", "with --due: only records from this day on, as YYYY-MM-DD")
	f.StringVar(&o.filter.to, "through", "", "with --due: only records up to this day")
	if err := c.RegisterFlagCompletionFunc("action", cobra.FixedCompletions(actionNames(), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		template, err := o.message(args)
		if err != nil {
			return err
		}
		s, err := p.open(!o.dry)
		if err != nil {
			return err
		}
		defer s.close()
		plan, records, err := s.planDisposition(c.Context(), o, template, args)
		if err != nil {
			return err
		}
		if !o.dry {
			err = s.proposeDispositions(c.Context(), template, records, &plan)
		}
		if len(plan.Dispositions) == 0 && err != nil {
			return err
		}
		if f, ok := errors.AsType[*failure](err); ok {
			plan.Refused, f.result = f.result, nil // one result is printed
		}
		if shown := p.showPlan(plan); err == nil {
			err = shown
		}
		return err
	}
	return c
}

func actionNames() []string {
	var names []string
	for a := record.ActionDestroy; a < record.ActionRedact; a++ { // redact propose makes those
		names = append(names, strings.ToLower(a.String()))
	}
	return names
}

// message reads what is proposed of which records, but for the records.
func (o *proposeOptions) message(args []string) (record.ProposeDisposition, error) {
	series, err := parseCode("series", o.series)
	if err != nil {
		return record.ProposeDisposition{}, err
	}
	to, err := parseCode("office", o.to)
	if err != nil {
		return record.ProposeDisposition{}, err
	}
	action := record.Action(slices.Index(actionNames(), o.action) + 1)
	bounded := o.filter.from != "" || o.filter.to != ""
	switch {
	case series == "":
		err = usage("of which series? give --series CODE")
	case action == 0:
		err = usage("which action? give --action %s", strings.Join(actionNames(), "|"))
	case (to != "") != (action == record.ActionTransfer):
		err = usage("a transfer names the office that takes custody over with --to CODE, and nothing else does")
	case o.standing < 0:
		err = usage("%d is not an entry index", o.standing)
	case o.due == (len(args) > 0):
		err = usage("of which records? name them or give --due, not both")
	case bounded && !o.due:
		err = usage("days go with --due")
	}
	if err != nil {
		return record.ProposeDisposition{}, err
	}
	return record.ProposeDisposition{Series: series, Action: action, To: to, Standing: record.Index(o.standing)}, nil
}

// planDisposition finds the records to propose, and those that are left out.
func (s *session) planDisposition(ctx context.Context, o proposeOptions, m record.ProposeDisposition, args []string) (proposeResult, []record.Index, error) {
	plan := proposeResult{
		DryRun: o.dry, Series: string(m.Series), Action: m.Action.String(), Dispositions: []planned{}, Alone: []record.Index{},
		Already: []alreadyProposed{}, Blocked: []dueItem{},
	}
	var records []record.Index
	var err error
	if o.due {
		records, err = s.dueRecords(ctx, o, m.Series, &plan)
	} else {
		records, err = s.namedRecords(ctx, o, m.Action, args, &plan)
	}
	if err != nil {
		return proposeResult{}, nil, err
	}
	for part := range slices.Chunk(records, record.MaxRecords) {
		if o.dry {
			plan.Dispositions = append(plan.Dispositions, plannedOf(part))
			plan.Totals.Proposed += len(part)
		}
	}
	plan.Totals.Alone, plan.Totals.Already, plan.Totals.Blocked = len(plan.Alone), len(plan.Already), len(plan.Blocked)
	return plan, records, nil
}

// dueRecords lists what is due of a series of the acting office.
func (s *session) dueRecords(ctx context.Context, o proposeOptions, series record.Code, plan *proposeResult) ([]record.Index, error) {
	already, err := s.openRecords(ctx, series)
	if err != nil {
		return nil, err
	}
	filter := dueFilter{department: string(s.account.Office), series: string(series), from: o.filter.from, to: o.filter.to, standing: []string{"due"}}
	request, err := filter.request()
	if err != nil {
		return nil, err
	}
	var records []record.Index
	totals, err := s.due(ctx, request, func(items []*apiv1.DueItem) error {
		for _, item := range items {
			index := record.Index(item.Index)
			plan.Totals.Records++
			switch at, is := already[index]; {
			case is:
				plan.Already = append(plan.Already, alreadyProposed{index, at})
			case item.OneByOne:
				plan.Alone = append(plan.Alone, index)
			default:
				records = append(records, index)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	plan.Standings = &totals
	slices.Sort(records)
	return slices.Compact(records), nil
}

// openRecords gives the open disposition of each record of a series of the
// acting office that is proposed already.
func (s *session) openRecords(ctx context.Context, series record.Code) (map[record.Index]uint64, error) {
	list, err := s.allDispositions(ctx, &apiv1.DispositionsRequest{Department: string(s.account.Office), Open: true})
	if err != nil {
		return nil, err
	}
	already := map[record.Index]uint64{}
	for _, d := range list {
		if d.Status != "OPEN" || d.Series != string(series) {
			continue
		}
		full, err := s.dispositionInfo(ctx, d.Index)
		if err != nil {
			return nil, err
		}
		for _, i := range full.Records {
			already[record.Index(i)] = d.Index
		}
	}
	return already, nil
}

// namedRecords lists the records that were named. For a dry run it asks what
// stands against each.
func (s *session) namedRecords(ctx context.Context, o proposeOptions, action record.Action, args []string, plan *proposeResult) ([]record.Index, error) {
	records, err := s.recordList(ctx, args, "")
	plan.Totals.Records = len(records)
	if err != nil || !o.dry {
		return records, err
	}
	blocked := map[record.Index]bool{}
	_, err = s.dryRun(ctx, nil, records, func(i dueItem) error {
		keeps := action != record.ActionDestroy && !i.Alone && slices.Contains([]string{"not-yet", "waiting", "permanent"}, i.Standing)
		if i.Class != classDue && !keeps {
			plan.Blocked = append(plan.Blocked, i)
			blocked[record.Index(i.Index)] = true
		}
		return nil
	}, func() error { return nil })
	return slices.DeleteFunc(records, func(i record.Index) bool { return blocked[i] }), err
}

// proposeDispositions signs and hands in a proposal for every part of the
// records that fits into one transaction.
func (s *session) proposeDispositions(ctx context.Context, m record.ProposeDisposition, records []record.Index, plan *proposeResult) error {
	for part := range slices.Chunk(records, record.MaxRecords) {
		m.Records = part
		done, err := s.act(ctx, &m)
		if err != nil {
			return err
		}
		one := plannedOf(part)
		one.Index, one.Transaction = done.Index, done.Transaction
		plan.Dispositions = append(plan.Dispositions, one)
		plan.Totals.Proposed += len(part)
	}
	return nil
}

// nothingDue tells whether what is due was asked for, and nothing is.
func (r *proposeResult) nothingDue() bool { return r.Standings != nil && r.Totals.Records == 0 }

func (p *program) showPlan(r proposeResult) error {
	err := p.show(r, func(w io.Writer) {
		for _, d := range r.Dispositions {
			name := "disposition"
			if d.Index != 0 {
				name = fmt.Sprintf("disposition %d", d.Index)
			}
			fmt.Fprintf(w, "%s\t%s %s, %s\n", name, r.Action, countText(d.Records), fewText(d.records))
		}
		if len(r.Alone) > 0 {
			fmt.Fprintf(w, "left out\t%s dated before 1900 or undated, each to be proposed alone: %s\n", countText(len(r.Alone)), listText(r.Alone))
		}
		byDisposition := map[uint64][]record.Index{}
		for _, a := range r.Already {
			byDisposition[a.Disposition] = append(byDisposition[a.Disposition], a.Record)
		}
		for _, d := range slices.Sorted(maps.Keys(byDisposition)) {
			fmt.Fprintf(w, "left out\t%s under open disposition %d: %s\n", countText(len(byDisposition[d])), d, listText(byDisposition[d]))
		}
		for _, i := range r.Blocked {
			fmt.Fprintf(w, "blocked\trecord %d is %s: %s\n", i.Index, i.Standing, i.because())
		}
		t := r.Totals
		if r.nothingDue() {
			fmt.Fprintf(w, "not due\t%s\n", r.Standings)
		}
		fmt.Fprintf(w, "totals\t%s: %d proposed, %d alone, %d already, %d blocked\n", countText(t.Records), t.Proposed, t.Alone, t.Already, t.Blocked)
	})
	switch {
	case err != nil:
		return err
	case r.nothingDue() && r.Standings.Records == 0:
		p.say("nothing is due, and nothing was signed: the office has no records of series %s", r.Series)
	case r.nothingDue():
		p.say("nothing is due, and nothing was signed: muniment due --series %s --standing all says what stands in the way of each record", r.Series)
	case r.Standings != nil && r.Totals.Proposed == 0:
		p.say("nothing was signed: what is due is proposed already, or to be proposed alone")
	case r.DryRun:
		p.say("nothing was signed: this is a dry run")
	case len(r.Dispositions) > 0:
		p.say("next: muniment disposition show %d tells whose approval it needs; each runs: muniment disposition approve %d", r.Dispositions[0].Index, r.Dispositions[0].Index)
	}
	return nil
}
