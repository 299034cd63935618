package rpc

import (
	"crypto/sha256"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// day gives the day of a date, as "2031-01-01".
func day(date string) record.Day { return must(retention.ParseDay(date)) }

// rule states what version 1 of schedule DEMO says of a series.
func rule(series record.Code, text string) *record.ScheduleRule {
	return &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: must(retention.Parse(text)), Action: record.ActionDestroy,
		Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
	}
}

// adopt has rules stated and their version adopted by both governing offices.
func (c *city) adopt(rules ...*record.ScheduleRule) {
	c.t.Helper()
	var facts [][]byte
	for _, r := range rules {
		c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: r}))
		facts = append(facts, must(record.MarshalFact(r)))
	}
	c.decide(&record.Schedule{
		Code: rules[0].Schedule, Version: rules[0].Version, Effective: today, Count: uint32(len(rules)), Root: must(record.ScheduleRoot(facts)),
	}, "CLERK", "COUNSEL")
}

// activate opens a series for a department with the five sign-offs.
func (c *city) activate(series, department record.Code) {
	c.t.Helper()
	c.decide(&record.Activation{
		Series: series, Office: department, Granularity: record.GranularityDay, Assessment: [32]byte{1}, Assessed: today - 30,
		Review: today + 300, DataMap: [32]byte{2},
	}, department, activeOffice(record.RoleIT), "COUNSEL", "CLERK", activeOffice(record.RoleProcurement))
}

// decide proposes a fact and has others approve it.
func (c *city) decide(fact record.Fact, by record.Code, others ...record.Code) {
	c.t.Helper()
	proposal := c.mustApply(c.tx(by, &record.ProposeChange{Fact: fact})).TxIndex + 1
	for _, office := range others {
		c.mustApply(c.tx(office, &record.ApproveChange{Proposal: proposal, FactHash: must(record.FactHash(fact))}))
	}
	if p, _, err := ledger.ProposalOf(c.node.View(), proposal); err != nil || p.Executed == 0 {
		c.t.Fatalf("%T was not decided: %v", fact, err)
	}
}

// do carries out a message and gives its first item.
func (c *city) do(office record.Code, m record.Message) record.Index {
	c.t.Helper()
	return c.mustApply(c.tx(office, m)).TxIndex + 1
}

// keep anchors a record of DPW; no date: an undated one.
func (c *city) keep(series record.Code, name, date string) record.Index {
	c.t.Helper()
	item := record.AnchorItem{Commitment: sha256.Sum256([]byte(name)), Flags: record.FlagUndated}
	if date != "" {
		item.Day, item.Flags = day(date), 0
	}
	return c.do("DPW", &record.AnchorRecords{Series: series, Items: []record.AnchorItem{item}})
}

// archive is a city in which records stand everywhere that they can.
type archive struct {
	*city
	records map[string]record.Index
	order   []string // names, in the order of the log

	scope, listed, ended    record.Index // holds: on a series, on two records, released
	open, locked, withdrawn record.Index // dispositions
}

// kept founds it. Its ledger day is 2031-01-01.
func kept(t testing.TB, change func(*limits)) *archive {
	t.Helper()
	a := &archive{city: newCity(t, change), records: map[string]record.Index{}}
	a.adopt(rule("DEMO-CASES", "2 years after closed"), rule("DEMO-MAIL", "after archival review: none"),
		rule("DEMO-MINUTES", "3 years after created"), rule("DEMO-PLANS", "permanent"))
	for _, series := range []record.Code{"DEMO-CASES", "DEMO-MAIL", "DEMO-PLANS"} {
		a.activate(series, "DPW")
	}
	add := func(series record.Code, name, date string) record.Index {
		a.records[name] = a.keep(series, name, date)
		a.order = append(a.order, name)
		return a.records[name]
	}
	add("DEMO-MINUTES", "due", "2027-12-31")
	add("DEMO-MINUTES", "not yet", "2028-01-01")
	add("DEMO-MINUTES", "old", "1899-12-31")
	add("DEMO-MINUTES", "undated", "")
	add("DEMO-PLANS", "permanent", "2000-01-01")
	add("DEMO-CASES", "open case", "2020-01-01")
	a.do("DPW", &record.RecordEvents{Event: retention.Closed, Day: day("2021-06-30"), Records: []record.Index{add("DEMO-CASES", "closed case", "2020-02-02")}})
	add("DEMO-MAIL", "mail", "2030-12-31")

	first, second := add("DEMO-MINUTES", "held", "2020-01-01"), add("DEMO-MINUTES", "held twice", "2020-01-02")
	freed, gone := add("DEMO-MINUTES", "freed", "2020-01-03"), add("DEMO-MINUTES", "locked", "2020-01-04")
	matter := [32]byte{3}
	a.scope = a.do("COUNSEL", &record.PlaceHold{Kind: record.HoldLitigation, Matter: matter, Issues: 2, Scope: record.Scope{
		Department: "DPW", Series: "DEMO-MINUTES", Dated: true, From: day("2020-01-02"), To: day("2020-01-02"),
	}})
	a.do("COUNSEL", &record.ResolveIssue{Hold: a.scope, Issue: 1})
	a.listed = a.do("COUNSEL", &record.PlaceHold{Kind: record.HoldAnticipated, Matter: matter, Scope: record.Scope{Records: []record.Index{first, second}}})
	a.ended = a.do("CLERK", &record.PlaceHold{Kind: record.HoldSealed, Matter: matter, Scope: record.Scope{Records: []record.Index{freed}}})
	a.do("CLERK", &record.ResolveIssue{Hold: a.ended})
	a.do("AUDIT", &record.ReleaseHold{Hold: a.ended})

	a.withdrawn = a.propose("DEMO-MINUTES", a.records["due"])
	a.do("DPW", &record.WithdrawDisposition{Disposition: a.withdrawn})
	a.locked = a.propose("DEMO-MINUTES", gone)
	a.approve("CLERK", a.locked)
	a.do(activeOffice(record.RoleOperator), &record.LockDisposition{Disposition: a.locked, Hash: a.hash(a.locked)})
	a.open = a.propose("DEMO-MAIL", a.records["mail"])
	a.approve("CLERK", a.open)
	return a
}

func (a *archive) propose(series record.Code, records ...record.Index) record.Index {
	a.t.Helper()
	return a.do("DPW", &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: records})
}

func (a *archive) approve(office record.Code, disposition record.Index) {
	a.t.Helper()
	a.do(office, &record.ApproveDisposition{Disposition: disposition, Hash: a.hash(disposition)})
}

func (a *archive) hash(disposition record.Index) [32]byte {
	a.t.Helper()
	d, ok, err := ledger.DispositionOf(a.node.View(), disposition)
	if err != nil || !ok {
		a.t.Fatalf("disposition %d: %t, %v", disposition, ok, err)
	}
	return d.Hash
}
