package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// stateFacts is the demonstration city with the offices that schedules,
// activations and dispositions need besides, those of the state among them.
func stateFacts() ledger.GenesisFacts {
	g := demoFacts()
	for _, o := range []record.Office{
		{Code: "PROCURE", Roles: []record.Role{record.RoleProcurement}},
		{Code: "PRA", Roles: []record.Role{record.RoleStateRecords}},
		{Code: "ARCHIVE", Roles: []record.Role{record.RoleStateArchivist}},
		{Code: "CAO", Roles: []record.Role{record.RoleChiefAdmin}},
		{Code: "HEALTH", Roles: []record.Role{record.RoleDepartment}},
	} {
		o.Status = record.StatusActive
		g.Facts = append(g.Facts, &o, signingKey(o.Code, string(o.Code)))
	}
	return g
}

// municipal are the approvals that municipal records need besides the department's.
var municipal = []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords}

// ruleIn gives the rule of a series in a version of a schedule.
func ruleIn(t testing.TB, schedule record.Code, version uint32, series record.Code, text string) *record.ScheduleRule {
	t.Helper()
	parsed, err := retention.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &record.ScheduleRule{
		Schedule: schedule, Version: version, Series: series, Rule: parsed, Action: record.ActionDestroy,
		Approvals: municipal, NoticeDays: 30, NoticeHeights: 2, FiscalStart: 7,
	}
}

// adoption gives the fact that adopts a version as it is stated now.
func (c *city) adoption(t testing.TB, schedule record.Code, version uint32, state bool, effective string) *record.Schedule {
	t.Helper()
	v, _, err := ledger.VersionOf(c.view, schedule, version)
	if err != nil {
		t.Fatal(err)
	}
	var facts [][]byte
	for _, series := range v.Series {
		r, ok, err := ledger.RuleOf(c.view, schedule, version, series)
		if err != nil || !ok {
			t.Fatalf("rule of %s: %t, %v", series, ok, err)
		}
		fact, err := record.MarshalFact(&r)
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, fact)
	}
	root, err := record.ScheduleRoot(facts)
	if err != nil {
		t.Fatal(err)
	}
	return &record.Schedule{Code: schedule, Version: version, State: state, Effective: day(effective), Count: uint32(len(facts)), Root: root}
}

// activation gives the fact that opens a series for an office, assessed the day
// before the given one and to be reviewed a year after it.
func activation(series, office record.Code, date string) *record.Activation {
	return &record.Activation{
		Series: series, Office: office, Granularity: record.GranularityDay, Assessment: commitment("impact assessment"),
		Assessed: day(date) - 1, Review: day(date) + 365, DataMap: commitment("data map"),
	}
}

// decide proposes a fact as the first office and approves it as the others, all
// in one block, and gives the entry that states it; 0 where that was not enough.
// The transactions that were refused answer with their codes.
func (c *city) decide(t testing.TB, date string, f record.Fact, offices ...string) (record.Index, []ledger.Code) {
	t.Helper()
	until := day(date) + 1
	_, results := c.apply(t, at(date), c.sign(t, offices[0], until, &record.ProposeChange{Fact: f}))
	codes := []ledger.Code{results[0].Code}
	proposal := results[0].TxIndex + 1
	if results[0].Code != ledger.OK {
		return 0, codes
	}
	hash, err := record.FactHash(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, office := range offices[1:] {
		_, results = c.apply(t, at(date), c.sign(t, office, until, &record.ApproveChange{Proposal: proposal, FactHash: hash}))
		codes = append(codes, results[0].Code)
	}
	p, ok, err := ledger.ProposalOf(c.view, proposal)
	if err != nil || !ok {
		t.Fatalf("proposal %d: %t, %v", proposal, ok, err)
	}
	return p.Executed, codes
}

// decided is decide where every step must be accepted and the fact be stated.
func (c *city) decided(t testing.TB, date string, f record.Fact, offices ...string) record.Index {
	t.Helper()
	executed, codes := c.decide(t, date, f, offices...)
	for i, code := range codes {
		if code != ledger.OK {
			t.Fatalf("%T, step of %s: %s", f, offices[i], code)
		}
	}
	if executed == 0 {
		t.Fatalf("%T is not stated after the approvals of %v", f, offices)
	}
	return executed
}

// schedule states rules and adopts their version, as the state's where so said.
func (c *city) schedule(t testing.TB, date string, state bool, effective string, rules ...*record.ScheduleRule) record.Index {
	t.Helper()
	for _, r := range rules {
		c.decided(t, date, r, "CLERK")
	}
	offices := []string{"CLERK", "COUNSEL"}
	if state {
		offices = append(offices, "PRA")
	}
	return c.decided(t, date, c.adoption(t, rules[0].Schedule, rules[0].Version, state, effective), offices...)
}

// signOffs are the five of an activation for the department of public works.
var signOffs = []string{"DPW", "IT", "COUNSEL", "CLERK", "PROCURE"}

// scheduled gives a city with a state schedule in which CT-PERMITS is kept for
// three years and CT-MAIL, batched, for one, both active for DPW.
func scheduled(t testing.TB) *city {
	t.Helper()
	c := found(t, stateFacts())
	mail := ruleIn(t, "CT", 1, "CT-MAIL", "1 year after created")
	mail.Batched = true
	c.schedule(t, "2031-01-01", true, "2031-01-01", mail, ruleIn(t, "CT", 1, "CT-PERMITS", "3 years after created"))
	for _, series := range []record.Code{"CT-MAIL", "CT-PERMITS"} {
		c.decided(t, "2031-01-01", activation(series, "DPW", "2031-01-01"), signOffs...)
	}
	return c
}
