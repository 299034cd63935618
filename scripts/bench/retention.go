package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// fewRecords is how many records the small department has.
const fewRecords = 10

// shelves is a node of its own with a million records of one department, ten of
// another, and a rule under which half of them are due once they are audited.
type shelves struct {
	*node
	b       *bench
	conns   []*grpc.ClientConn
	records int
	first   uint64         // a record of the large department
	through map[string]int // audits posted so far, by department
}

// runRetention: the due list and a dry run over a million records that are
// really there, and acts that reach them all beside the same acts that reach ten.
func runRetention(b *bench) (results []result, err error) {
	s, err := b.newShelves()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hangUp(s.conns), s.stop()) }()
	many := number(float64(s.records))
	due := result{name: "due list over " + many + " records", unit: "s", target: atMost(2, "2 s"), clients: "1"}
	dry := result{name: "dry run of 10,000 records", unit: "s", target: atMost(5, "5 s"), clients: "1"}
	hold := result{name: "hold on a department of " + many + " records", unit: "ms", baseline: "on one of ten",
		target: ratioAtMost(1.5, "the same cost: at most 1.5 times"), clients: "1"}
	audit := result{name: "audit that reaches " + many + " records", unit: "ms", baseline: "that reaches ten", target: hold.target, clients: "1"}
	held := result{name: "the same while holds cover them all", unit: "s", target: due.target, clients: "1"}
	for range b.rounds {
		if err := s.lists(&due, &dry); err != nil {
			return nil, err
		}
	}
	for range b.rounds {
		for _, act := range []struct {
			r    *result
			take func(office string) (float64, error)
		}{{&hold, s.hold}, {&audit, s.audit}} {
			ours, base, err := s.besides(act.take)
			if err != nil {
				return nil, err
			}
			act.r.ours, act.r.base = append(act.r.ours, ours), append(act.r.base, base)
		}
		b.logf("hold %s ms, audit %s ms", number(hold.ours[len(hold.ours)-1]), number(audit.ours[len(audit.ours)-1]))
	}
	for range b.rounds {
		if err := s.list(&held, apiv1.Standing_STANDING_DUE); err != nil {
			return nil, err
		}
	}
	return []result{due, held, dry, hold, audit}, nil
}

// besides gives the median times of an act that reaches the large department
// and of one that reaches the small one, in turns.
func (s *shelves) besides(take func(office string) (float64, error)) (ours, base float64, err error) {
	var large, few samples
	for range s.b.count(15, 2) {
		t, err := take(department)
		if err != nil {
			return 0, 0, err
		}
		large = append(large, t)
		if t, err = take(small); err != nil {
			return 0, 0, err
		}
		few = append(few, t)
	}
	return large.median(), few.median(), nil
}

func (b *bench) newShelves() (*shelves, error) {
	n, err := b.startNode()
	if err != nil {
		return nil, err
	}
	s := &shelves{node: n, b: b, records: b.count(1_000_000, 20_000), through: map[string]int{}}
	if s.conns, err = n.dial(department, 4); err == nil {
		err = s.fill()
	}
	if err != nil {
		return nil, errors.Join(err, hangUp(s.conns), n.stop())
	}
	return s, nil
}

// fill adopts a schedule and anchors the records. Their days spread over eight
// years, of which the rule keeps four.
func (s *shelves) fill() error {
	if err := s.adopt("later of (4 years after created, until audited)"); err != nil {
		return err
	}
	few := s.signerFor(small)
	tx, err := few.anchors(fewRecords)
	if err != nil {
		return err
	}
	if _, err := s.submit(tx); err != nil {
		return err
	}
	years := s.newSigner()
	txs := make([][]byte, s.records/batchItems)
	for i := range txs {
		years.day = years.today - record.Day(i*8*365/len(txs))
		if txs[i], err = years.anchors(batchItems); err != nil {
			return err
		}
	}
	r, err := s.submit(txs[0])
	if err != nil {
		return err
	}
	s.first = r.FirstIndex
	s.b.logf("anchoring %d records", s.records)
	if _, _, err = submitAll(s.b.ctx, s.conns, 1, txs[1:]); err != nil {
		return err
	}
	_, err = s.auditThrough(department, years.today-6*365)
	return err
}

// adopt puts the series under a rule of a local schedule.
func (s *shelves) adopt(text string) error {
	rule, err := retention.Parse(text)
	if err != nil {
		return err
	}
	f := &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: rule, Action: record.ActionDestroy,
		Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return err
	}
	root, err := record.ScheduleRoot([][]byte{fact})
	if err != nil {
		return err
	}
	governor := s.signerFor(clerk)
	version := &record.Schedule{Code: "DEMO", Version: 1, Effective: governor.today, Count: 1, Root: root}
	for _, fact := range []record.Fact{f, version} {
		tx, err := governor.sign(&record.ProposeChange{Fact: fact})
		if err != nil {
			return err
		}
		if _, err := s.submit(tx); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelves) submit(tx []byte) (*apiv1.SubmitResponse, error) {
	r, err := apiv1.NewDepartmentsClient(s.conns[0]).Submit(s.b.ctx, &apiv1.SubmitRequest{Transaction: tx})
	if err == nil && r.Reason != "OK" {
		err = fmt.Errorf("transaction refused: %s", r.Reason)
	}
	return r, err
}

// timed gives the milliseconds until a message of an office is committed.
func (s *shelves) timed(office string, m record.Message) (float64, error) {
	tx, err := s.signerFor(office).sign(m)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	_, err = s.submit(tx)
	return milliseconds(time.Since(begin)), err
}

// hold places a hold on everything that a department has and will have.
func (s *shelves) hold(office string) (float64, error) {
	m := &record.PlaceHold{Kind: record.HoldLitigation, Issues: 1, Scope: record.Scope{Department: record.Code(office)}}
	_, _ = newRandom().Read(m.Matter[:])
	return s.timed(clerk, m)
}

// audit posts the next day through which a department is audited.
func (s *shelves) audit(office string) (float64, error) {
	s.through[office]++
	return s.auditThrough(office, s.newSigner().today-5*365+record.Day(s.through[office]))
}

func (s *shelves) auditThrough(office string, day record.Day) (float64, error) {
	return s.timed(auditor, &record.PostAuditedThrough{Department: record.Code(office), Through: day})
}

// list measures the due list over all records of the large department.
func (s *shelves) list(r *result, listed ...apiv1.Standing) error {
	begin := time.Now()
	totals, err := s.due(&apiv1.DueRequest{Department: department, Standings: listed})
	if err != nil {
		return err
	}
	r.ours = append(r.ours, time.Since(begin).Seconds())
	if got := int(totals.Records); got < s.records {
		return fmt.Errorf("the due list went over %d records, not %d", got, s.records)
	}
	r.note = totalsText(totals)
	return nil
}

// lists measures the due list and a dry run.
func (s *shelves) lists(due, dry *result) error {
	if err := s.list(due, apiv1.Standing_STANDING_DUE); err != nil {
		return err
	}
	begin := time.Now()
	const all, each = 10_000, 2_500
	for at := uint64(0); at < all; at += each {
		r := &apiv1.DueRequest{}
		for i := range uint64(each) {
			r.Records = append(r.Records, s.first+(at+i)/batchItems*(batchItems+2)+(at+i)%batchItems)
		}
		totals, err := s.due(r)
		if err != nil {
			return err
		}
		if totals.Records != each {
			return fmt.Errorf("a dry run of %d records found %d", each, totals.Records)
		}
	}
	dry.ours = append(dry.ours, time.Since(begin).Seconds())
	return nil
}

func (s *shelves) due(r *apiv1.DueRequest) (*apiv1.DueTotals, error) {
	ctx, cancel := context.WithTimeout(s.b.ctx, time.Minute)
	defer cancel()
	stream, err := apiv1.NewRecordsStaffClient(s.conns[0]).Due(ctx, r)
	if err != nil {
		return nil, err
	}
	var totals *apiv1.DueTotals
	for {
		part, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && totals == nil:
			return nil, errors.New("the due list ended without totals")
		case errors.Is(err, io.EOF):
			return totals, nil
		case err != nil:
			return nil, err
		}
		if part.Totals != nil {
			totals = part.Totals
		}
	}
}

func totalsText(t *apiv1.DueTotals) (text string) {
	for _, s := range t.Standings {
		text += fmt.Sprintf("%s %s, ", number(float64(s.Records)), s.Standing)
	}
	return text + "listed: those that are due"
}
