//go:build chaos

package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// at gives a client of the tests' own for a member.
func (c *city) at(t *testing.T, m *member) *client {
	t.Helper()
	cl, err := dial(c.network, m.grpc(), c.links.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.conn.Close() })
	return cl
}

// do has an office do something, and keeps that for the checkers.
func (c *city) do(t *testing.T, by *client, office record.Code, m record.Message) operation {
	t.Helper()
	o := operation{ID: fmt.Sprintf("%s-own-%d", t.Name(), len(c.own)), Kind: others, Event: called, Try: 1, Office: office}
	c.own = append(c.own, o)
	body, err := record.NewBody(c.network.ID, o.nonce(), record.LedgerDay(time.Now().UnixNano())+5, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(keyOf(string(office), "signing"), body)
	if err != nil {
		t.Fatal(err)
	}
	by.submit(waiting(t), raw, &o)
	if o.Outcome != outcomeOK {
		t.Fatalf("%T of %s: %s", m, office, o.Reason)
	}
	o.Event = returned
	c.own = append(c.own, o)
	return o
}

// adopt has the offices adopt a schedule under which old records are due.
func (c *city) adopt(t *testing.T) {
	t.Helper()
	by := c.at(t, c.nodes[0])
	rule := &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
		Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
	}
	c.do(t, by, clerk, &record.ProposeChange{Fact: rule}) // which the schedule states
	fact, err := record.MarshalFact(rule)
	if err != nil {
		t.Fatal(err)
	}
	root, err := record.ScheduleRoot([][]byte{fact})
	if err != nil {
		t.Fatal(err)
	}
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: record.LedgerDay(time.Now().UnixNano()), Count: 1, Root: root}
	c.decide(t, by, schedule)
}

// decide has the clerk propose a fact and counsel approve it.
func (c *city) decide(t *testing.T, by *client, fact record.Fact) {
	t.Helper()
	proposed := c.do(t, by, clerk, &record.ProposeChange{Fact: fact})
	hash, err := record.FactHash(fact)
	if err != nil {
		t.Fatal(err)
	}
	c.do(t, by, counsel, &record.ApproveChange{Proposal: proposed.Index, FactHash: hash})
}
