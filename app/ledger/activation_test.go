package ledger_test

import (
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// ruled gives a city in which CT-PERMITS has a rule and no activation.
func ruled(t testing.TB, facts ...record.Fact) *city {
	t.Helper()
	g := stateFacts()
	g.Facts = append(g.Facts, facts...)
	c := found(t, g)
	c.schedule(t, "2031-01-01", true, "2031-01-01", ruleIn(t, "CT", 1, "CT-PERMITS", "3 years after created"))
	return c
}

func TestS0_8_DraftTakesNoRecordsUntilItsSignOffs(t *testing.T) {
	c := ruled(t)
	for n := 0; n < len(signOffs); n++ {
		if n > 0 {
			if at, _ := c.decide(t, "2031-01-01", activation("CT-PERMITS", "DPW", "2031-01-01"), signOffs[:n]...); at != 0 {
				t.Errorf("active at %d after %v", at, signOffs[:n])
			}
		}
		c.refused(t, c.sign(t, "DPW", day("2031-01-02"), anchors("CT-PERMITS", day("2031-01-01"), "a")), ledger.CodeSeriesInactive)
	}
	c.decided(t, "2031-01-01", activation("CT-PERMITS", "DPW", "2031-01-01"), signOffs...)
	c.anchored(t, "2031-01-01", "DPW", "CT-PERMITS", "a")
	c.refused(t, c.sign(t, "HEALTH", day("2031-01-02"), anchors("CT-PERMITS", day("2031-01-01"), "a")), ledger.CodeSeriesInactive)
}

// TestS0_21_EachOfTheFiveIsNeeded leaves out each in turn, and lets others stand in for it.
func TestS0_21_EachOfTheFiveIsNeeded(t *testing.T) {
	for i, missing := range signOffs {
		c := ruled(t)
		four := slices.Delete(slices.Clone(signOffs), i, i+1)
		f := activation("CT-PERMITS", "DPW", "2031-01-01")
		if at, codes := c.decide(t, "2031-01-01", f, append(four, four...)...); at != 0 || codes[len(codes)-1] != ledger.CodeAlreadyApproved {
			t.Errorf("active at %d without %s: %v", at, missing, codes)
		}
		for _, other := range []string{"HEALTH", "CAO", "AUDIT", "PRA"} {
			if at, codes := c.decide(t, "2031-01-01", f, append(slices.Clone(four), other)...); at != 0 || codes[4] != ledger.CodeNotGoverning {
				t.Errorf("active at %d with %s for %s: %v", at, other, missing, codes)
			}
		}
	}
}

// TestS0_21_AnOfficeFillsOneRole gives offices several roles: each counts once,
// for whichever role lets the others count too.
func TestS0_21_AnOfficeFillsOneRole(t *testing.T) {
	office := func(code record.Code, roles ...record.Role) []record.Fact {
		return []record.Fact{&record.Office{Code: code, Roles: roles, Status: record.StatusActive}, signingKey(code, string(code))}
	}
	c := ruled(t, slices.Concat(
		office("ALL", record.RoleDepartment, record.RoleClerk, record.RoleCounsel, record.RoleIT, record.RoleProcurement),
		office("TWO", record.RoleClerk, record.RoleIT),
		office("BUYER", record.RoleProcurement))...)
	tests := []struct {
		name    string
		by      record.Code
		offices []string
		want    bool
	}{
		{"one that has four roles", "DPW", []string{"DPW", "ALL"}, false},
		{"one for two roles", "DPW", []string{"DPW", "TWO", "COUNSEL", "PROCURE"}, false},
		{"two for one role", "DPW", []string{"DPW", "COUNSEL", "PROCURE", "BUYER", "IT"}, false},
		{"a place is made by moving others", "DPW", []string{"DPW", "TWO", "IT", "ALL", "COUNSEL"}, true},
		{"the office that asks fills none of the four", "ALL", []string{"ALL", "IT", "COUNSEL", "CLERK"}, false},
		{"the office that asks and four others", "ALL", []string{"ALL", "IT", "COUNSEL", "CLERK", "PROCURE"}, true},
		{"four others and not the one that asks", "HEALTH", []string{"ALL", "IT", "COUNSEL", "CLERK", "PROCURE"}, false},
	}
	for _, test := range tests {
		if at, codes := c.decide(t, "2031-01-01", activation("CT-PERMITS", test.by, "2031-01-01"), test.offices...); (at != 0) != test.want {
			t.Errorf("%s: active at %d, %v, want %t", test.name, at, codes, test.want)
		}
	}
}

// TestS0_21_WhatIsSuspendedDoesNotCount counts offices and keys as they are at the last approval.
func TestS0_21_WhatIsSuspendedDoesNotCount(t *testing.T) {
	c := ruled(t)
	f := activation("CT-PERMITS", "DPW", "2031-01-01")
	height := c.view.Head().Height + 1
	at0, _ := c.decide(t, "2031-01-01", f, signOffs[:4]...)
	hash, _ := record.FactHash(f)
	approve := &record.ApproveChange{Proposal: c.proposalIndex(t), FactHash: hash}
	c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW"), SinceHeight: height}))
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "PROCURE", day("2031-01-02"), approve))
	if at0 != 0 || results[0].Count != 1 {
		t.Errorf("active with a void approval: %+v", results[0])
	}
	procure := &record.Office{Code: "PROCURE", Roles: []record.Role{record.RoleProcurement}, Status: record.StatusSuspended}
	c.decided(t, "2031-01-01", signingKey("DPW", "DPW/2"), "CLERK", "IT")
	c.decided(t, "2031-01-01", procure, "CLERK", "IT")
	_, results = c.apply(t, at("2031-01-01"), c.sign(t, "DPW/2", day("2031-01-02"), approve))
	if results[0].Code != ledger.OK || results[0].Count != 1 {
		t.Errorf("active with a suspended office: %+v", results[0])
	}
}

func TestS0_11_OverdueAssessmentStopsAnchors(t *testing.T) {
	c := scheduled(t)
	review := day("2031-01-01") + 365 // 2032-01-01
	c.anchored(t, review.String(), "DPW", "CT-PERMITS", "a")
	late := (review + 1).String()
	c.refusedOn(t, late, "DPW", anchors("CT-PERMITS", day(late), "b"), ledger.CodeAssessmentOverdue)
	c.refusedOn(t, late, "DPW", &record.AnchorBatch{Series: "CT-MAIL", Commitment: commitment("b")}, ledger.CodeAssessmentOverdue)
	// A new activation needs a review that is not overdue itself.
	c.refusedOn(t, late, "HEALTH", &record.ProposeChange{Fact: activation("CT-PERMITS", "HEALTH", "2031-01-01")}, ledger.CodeBadAssessment)
	c.decided(t, late, activation("CT-PERMITS", "DPW", late), signOffs...)
	c.anchored(t, late, "DPW", "CT-PERMITS", "b")
}

// TestS0_11_ReviewPassesBeforeTheLastSignOff lets the day come between proposal and decision.
func TestS0_11_ReviewPassesBeforeTheLastSignOff(t *testing.T) {
	c := ruled(t)
	f := activation("CT-PERMITS", "DPW", "2031-01-01")
	f.Review = day("2031-01-02")
	c.decide(t, "2031-01-01", f, signOffs[:4]...)
	hash, _ := record.FactHash(f)
	c.refusedOn(t, "2031-01-03", "PROCURE", &record.ApproveChange{Proposal: c.proposalIndex(t), FactHash: hash}, ledger.CodeBadAssessment)
}

func TestS0_12_AssessmentIsDatedBeforeTheActivation(t *testing.T) {
	for assessed, want := range map[string]ledger.Code{
		"2031-01-02": ledger.CodeBadAssessment, "2031-01-01": ledger.CodeBadAssessment, "2030-12-31": ledger.OK, "1999-01-01": ledger.OK,
	} {
		c := ruled(t)
		f := activation("CT-PERMITS", "DPW", "2031-01-01")
		f.Assessed = day(assessed)
		if _, codes := c.decide(t, "2031-01-01", f, "DPW"); codes[0] != want {
			t.Errorf("assessed on %s and proposed on 2031-01-01: %s, want %s", assessed, codes[0], want)
		}
	}
}

// TestS2_20_BatchesTellNothing keeps two libraries: on the one nobody borrowed
// anything, on the other many did. Their logs have the same lengths and times.
func TestS2_20_BatchesTellNothing(t *testing.T) {
	var logs [2][]int
	for i, content := range []string{"nobody", "many"} {
		c := scheduled(t)
		for _, date := range []string{"2031-01-02", "2031-01-03"} {
			changes, results := c.apply(t, at(date), c.sign(t, "DPW", day(date), &record.AnchorBatch{Series: "CT-MAIL", Commitment: commitment(content + date)}))
			if results[0].Code != ledger.OK || results[0].Count != 1 {
				t.Fatalf("batch of %s: %+v", date, results[0])
			}
			for _, raw := range changes.Entries {
				logs[i] = append(logs[i], len(raw))
			}
		}
	}
	if !slices.Equal(logs[0], logs[1]) || len(logs[0]) < 6 {
		t.Errorf("entries have %v bytes, and %v", logs[0], logs[1])
	}
}

// TestWhoSignsOff tries the facts of schedules as an office of every role that governs nothing.
func TestWhoSignsOff(t *testing.T) {
	c := ruled(t)
	standing := &record.StandingAuthorization{Office: "DPW", Series: []record.Code{"CT-PERMITS"}, From: day("2031-01-01"), Until: day("2031-12-31")}
	state := c.adoption(t, "CT", 1, true, "2031-01-01")
	local := c.adoption(t, "CT", 1, false, "2031-01-01")
	mayBe := map[string][]record.Role{
		"activation": {record.RoleClerk, record.RoleCounsel, record.RoleIT, record.RoleProcurement},
		"standing":   {record.RoleClerk, record.RoleStateRecords, record.RoleStateArchivist, record.RoleIT},
		"state":      {record.RoleStateRecords},
	}
	for _, role := range record.Roles() {
		c := ruled(t, &record.Office{Code: "OFFICE", Roles: []record.Role{role}, Status: record.StatusActive}, signingKey("OFFICE", "OFFICE"))
		for name, f := range map[string]record.Fact{
			"activation": activation("CT-PERMITS", "DPW", "2031-01-01"), "standing": standing, "state": state, "local": local,
			"rule": ruleIn(t, "CT", 2, "CT-MAIL", "none"),
		} {
			want := ledger.CodeNotGoverning
			if slices.Contains(mayBe[name], role) {
				want = ledger.OK
			}
			if name == "state" && want == ledger.OK {
				want = ledger.CodeVersionAdopted
			}
			if _, codes := c.decide(t, "2031-01-01", f, "OFFICE"); codes[0] != want {
				t.Errorf("%s proposed by an office with role %s: %s, want %s", name, role, codes[0], want)
			}
		}
	}
}
