package rpc

import (
	"context"
	"iter"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// Due lists records by where they stand.
func (s *staff) Due(r *apiv1.DueRequest, stream grpc.ServerStreamingServer[apiv1.DueResponse]) error {
	l, err := newDueList(r, stream.Send)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), s.server.limits.inquiry)
	defer cancel()
	payer := callerOf(ctx).payer()
	if err := s.server.inquiries.enter(payer, s.server.limits.inquiries); err != nil {
		return err
	}
	defer s.server.inquiries.leave(payer)

	snapshot := s.server.options.State.Snapshot()
	head := snapshot.View().Head()
	inquiry := ledger.NewInquiry(snapshot.View())
	for _, index := range r.Records {
		if err := l.one(inquiry, index, head.Size); err != nil {
			return err
		}
	}
	if len(r.Records) == 0 {
		entries := lasting(ctx, snapshot.Entries(0, record.Index(head.Size)))
		for it, err := range inquiry.Items(entries, snapshot.Values(ledger.LifecyclePrefix()), l.keep) {
			if err == nil {
				err = l.add(&it)
			}
			if err != nil {
				return err
			}
		}
	}
	return l.end(inquiry.Day(), head.Size)
}

// lasting ends a list with an error once ctx ends.
func lasting(ctx context.Context, entries iter.Seq2[ledger.EntryLine, error]) iter.Seq2[ledger.EntryLine, error] {
	const often = 4096 // entries
	return func(yield func(ledger.EntryLine, error) bool) {
		for line, err := range entries {
			if err == nil && line.Index%often == 0 {
				err = ctx.Err()
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// dueList is an answer to a DueRequest on its way.
type dueList struct {
	send       func(*apiv1.DueResponse) error
	message    *apiv1.DueResponse
	department record.Code // empty: all
	series     record.Code // empty: all
	dated      bool
	from, to   record.Day
	wanted     [standings]bool
	left       int64 // items that may still be listed
	totals     [standings]uint64
	approvals  map[approvalsKey][]string
}

// standings is one more than the last standing, which is that of a record which is due.
const standings = ledger.StandingDue + 1

// approvalsKey names records that need the same approvals.
type approvalsKey struct {
	rules            *ledger.BindingRule // the first of those that bind
	review, oneByOne bool
}

func newDueList(r *apiv1.DueRequest, send func(*apiv1.DueResponse) error) (*dueList, error) {
	l := &dueList{
		send: send, message: &apiv1.DueResponse{}, dated: r.Dated, from: record.Day(r.FromDay), to: record.Day(r.ToDay),
		left: int64(r.Limit), approvals: map[approvalsKey][]string{},
	}
	if l.left == 0 {
		l.left = 1 << 62
	}
	var err error
	if r.Department != "" {
		if l.department, err = codeOf(r.Department, "department"); err != nil {
			return nil, err
		}
	}
	if r.Series != "" {
		if l.series, err = codeOf(r.Series, "series"); err != nil {
			return nil, err
		}
	}
	if !r.Dated && (r.FromDay != 0 || r.ToDay != 0) || r.FromDay > r.ToDay {
		return nil, refuse(reasonMalformed, "the days %d to %d bound nothing", r.FromDay, r.ToDay)
	}
	for i := range l.wanted {
		l.wanted[i] = len(r.Standings) == 0
	}
	for _, standing := range r.Standings {
		if standing < apiv1.Standing_STANDING_LOCKED || standing > apiv1.Standing_STANDING_DUE {
			return nil, refuse(reasonMalformed, "there is no standing %d", standing)
		}
		l.wanted[standing] = true
	}
	return l, checkRecords(r)
}

// checkRecords checks the records of a dry run.
func checkRecords(r *apiv1.DueRequest) error {
	if len(r.Records) > 0 && (r.Department != "" || r.Series != "" || r.Dated) {
		return refuse(reasonMalformed, "name records, or a department, a series and days, not both")
	}
	if len(r.Records) > record.MaxRecords {
		return refuse(reasonTooLarge, "%d records are named: at most %d in one request", len(r.Records), record.MaxRecords)
	}
	for i, index := range r.Records {
		if i > 0 && index <= r.Records[i-1] {
			return refuse(reasonMalformed, "record %d comes after %d: name them in ascending order, each once", index, r.Records[i-1])
		}
	}
	return nil
}

// keep tells whether a record is among those that are asked about.
func (l *dueList) keep(a *record.AnchorEntry) bool {
	switch {
	case l.department != "" && a.Office != l.department, l.series != "" && a.Series != l.series:
		return false
	case l.dated:
		return a.Flags&record.FlagUndated == 0 && l.from <= a.Day && a.Day <= l.to
	}
	return true
}

// one adds a record that was named.
func (l *dueList) one(inquiry *ledger.Inquiry, index uint64, size int64) error {
	if index < uint64(size) {
		it, ok, err := inquiry.Item(record.Index(index))
		if err != nil {
			return err
		}
		if ok {
			return l.add(&it)
		}
	}
	l.totals[0]++
	return l.list(&apiv1.DueItem{Index: index, Unknown: true})
}

// add counts a record and, where its standing is wanted, lists it.
func (l *dueList) add(it *ledger.Item) error {
	standing := it.Standing()
	l.totals[standing]++
	if !l.wanted[standing] || l.left == 0 {
		return nil
	}
	item := dueItem(it)
	item.Approvals = l.approvalsOf(it)
	return l.list(item)
}

// list adds an item to the message, and sends the message once it is full.
func (l *dueList) list(item *apiv1.DueItem) error {
	if l.left == 0 {
		return nil
	}
	l.left--
	l.message.Items = append(l.message.Items, item)
	if len(l.message.Items) < mostListed {
		return nil
	}
	full := l.message
	l.message = &apiv1.DueResponse{Items: make([]*apiv1.DueItem, 0, mostListed)}
	return l.send(full)
}

// end sends what is left, with the totals.
func (l *dueList) end(day record.Day, size int64) error {
	totals := &apiv1.DueTotals{LedgerDay: int32(day), LogSize: uint64(size)}
	for standing, n := range l.totals {
		totals.Records += n
		if n > 0 {
			totals.Standings = append(totals.Standings, &apiv1.StandingTotal{Standing: apiv1.Standing(standing), Records: n})
		}
	}
	l.message.Totals = totals
	return l.send(l.message)
}

// approvalsOf names the roles that must approve, from memory where it can.
func (l *dueList) approvalsOf(it *ledger.Item) []string {
	key := approvalsKey{review: it.Verdict.Review, oneByOne: it.OneByOne}
	if len(it.Rules) > 0 {
		key.rules = &it.Rules[0] // records that are bound alike share their rules
	}
	names, known := l.approvals[key]
	if !known {
		names = roleNames(it.Approvals(record.ActionDestroy))
		l.approvals[key] = names
	}
	return names
}

// dueItem is a record as the list shows it, without the approvals that it needs.
func dueItem(it *ledger.Item) *apiv1.DueItem {
	item := &apiv1.DueItem{
		Index: uint64(it.Index), Department: string(it.Anchor.Office), Series: string(it.Anchor.Series), Custody: string(it.Anchor.Custody),
		Day: int32(it.Anchor.Day), Undated: it.Anchor.Flags&record.FlagUndated != 0,
		Standing: apiv1.Standing(it.Standing()), Missing: it.Verdict.Missing, Disposition: uint64(it.Lifecycle.Disposition), OneByOne: it.OneByOne,
	}
	if s := it.Verdict.Status; s == retention.Due || s == retention.NotYet {
		// A rule without a period ends before the calendar begins.
		item.Known = it.Eligible() > retention.MinDay && it.Eligible() <= retention.MaxDay
	}
	if item.Known {
		item.DueDay = int32(it.Eligible())
	}
	for _, on := range it.Holds {
		item.Holds = append(item.Holds, uint64(on.Hold))
	}
	return item
}
