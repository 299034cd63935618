package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	"github.com/muniment/muniment/app/statetree"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// StateProof gives a state receipt under the newest tree.
func (a auditorsFake) StateProof(_ context.Context, r *apiv1.StateProofRequest) (*apiv1.StateProofResponse, error) {
	c := a.city
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(r.Key) == 0 {
		return nil, refusal(codes.InvalidArgument, "MALFORMED", "no key")
	}
	if hook := c.hooks.stateKey; hook != nil {
		r.Key = hook(r.Key)
	}
	size := c.view.Head().Size
	value, present, err := c.view.Value(r.Key)
	if err != nil {
		return nil, err
	}
	if !present {
		value = nil
	}
	proof := must(statetree.Prove(c.view, c.view.StateRoot(), statetree.KeyOf(r.Key)))
	body := record.CheckpointBody(c.network.Origin, size, must(tlog.TreeHash(size, c)))
	signed := must(receipt.Assemble(body, must(receipt.SignCheckpoint(body, c.key("log"))),
		must(receipt.Cosign(body, receipt.CosignerName(c.network.Origin, c.network.Nodes[0].ID), c.key("cosigner"), c.time/1e9+1))))
	last := c.leaf(size, record.Index(size-1))
	text := must(receipt.NewState(last.Entry, size-1, last.Proof, r.Key, value, proof, signed))
	if hook := c.hooks.moved; hook != nil && hook() {
		c.blockLocked(c.sign("AUDIT", &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{byte(c.submits + 1)}, Scope: record.Scope{Department: "POLICE"}}))
	}
	return &apiv1.StateProofResponse{Value: value, Receipt: text}, nil
}

// staffDesk is a desk with the keys of several offices, in a city in which
// DEMO-PERMITS is kept a year; the head of the department proposes, CLERK and
// CHIEF approve, IT locks.
type staffDesk struct {
	*desk
	city *city
}

// as runs a command line for an office, which has to succeed.
func (d *staffDesk) as(office string, args ...string) result {
	d.t.Helper()
	return d.must(append([]string{"--office", office}, args...)...)
}

// refused runs a command line for an office, which the ledger refuses.
func (d *staffDesk) refused(office, says string, args ...string) result {
	d.t.Helper()
	return d.fails(exitRefused, says, append([]string{"--office", office}, args...)...)
}

// json runs a command line for an office and reads what it prints.
func (d *staffDesk) json(office string, into any, args ...string) {
	d.t.Helper()
	r := d.as(office, append([]string{"--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		d.t.Fatalf("muniment %s: %v: %s", strings.Join(args, " "), err, r.stdout)
	}
}

// acted runs an act and gives its entry as text.
func (d *staffDesk) acted(office string, args ...string) string {
	d.t.Helper()
	var done actResult
	d.json(office, &done, args...)
	return numeral(uint64(done.Index))
}

func newStaff(t testing.TB) *staffDesk {
	t.Helper()
	d := newDesk(t)
	for _, office := range []string{"PERMITS", "CLERK", "CHIEF", "COUNSEL", "IT"} {
		d.must("key", "new", "--office", office)
	}
	c := newCity(t, must(d.places.loadConfig()).Keys)
	d.pin(c)
	s := &staffDesk{desk: d, city: c}
	s.adopt(record.LedgerDay(c.time), demoRule("DEMO-PERMITS", "1 year after created"))
	return s
}

// demoRule is what version 1 of schedule DEMO says of a series.
func demoRule(series record.Code, rule string) *record.ScheduleRule {
	return &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: must(retention.Parse(rule)), Action: record.ActionDestroy,
		Approvals: []record.Role{record.RoleClerk, record.RoleChiefAdmin}, NoticeHeights: 1, FiscalStart: 7,
	}
}

// act has an office whose keys the desk has carry out a message.
func (d *staffDesk) act(office string, m record.Message) actResult {
	d.t.Helper()
	p := &program{stdin: strings.NewReader(""), stderr: &strings.Builder{}, now: d.now, pause: time.Millisecond, places: d.places,
		office: office, output: "text", passphraseFile: d.path("passphrase")}
	return must(p.act(d.t.Context(), m))
}

// adopt has the governing offices adopt schedule DEMO.
func (d *staffDesk) adopt(effective record.Day, rules ...*record.ScheduleRule) {
	d.t.Helper()
	var facts [][]byte
	for _, rule := range rules { // ascending by series
		d.act("CLERK", &record.ProposeChange{Fact: rule})
		facts = append(facts, must(record.MarshalFact(rule)))
	}
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: effective, Count: uint32(len(rules)), Root: must(record.ScheduleRoot(facts))}
	proposal := d.act("CLERK", &record.ProposeChange{Fact: schedule})
	d.act("IT", &record.ApproveChange{Proposal: record.Index(proposal.Index), FactHash: must(record.FactHash(schedule))})
}

// anchored anchors documents of PERMITS with a date, and gives their entries.
func (d *staffDesk) anchored(date string, names ...string) []uint64 {
	d.t.Helper()
	args := []string{"--office", "PERMITS", "--series", "DEMO-PERMITS"}
	if date == "" {
		args = append(args, "--undated")
	} else {
		args = append(args, "--date", date)
	}
	for _, name := range names {
		args = append(args, d.file(name, "content of "+name))
	}
	var indexes []uint64
	for _, r := range d.anchorJSON(exitDone, args...).Records {
		indexes = append(indexes, r.Index)
	}
	return indexes
}

// view is the state after the last block.
func (d *staffDesk) view() ledger.View {
	d.city.mu.Lock()
	defer d.city.mu.Unlock()
	return d.city.view
}
