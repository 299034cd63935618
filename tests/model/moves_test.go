package model

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// move is a block that somebody may want to see carried out.
type move struct {
	name string
	step time.Duration // since the last block
	acts []act
}

const second, day, leap = time.Second, 24 * time.Hour, 41 * 24 * time.Hour

// plain are the moves of those who may, one for each kind: with these alone the
// walk goes deeper in the same time.
var plain = []string{
	"a day passes", "counsel holds the first record", "a hold is closed and released",
	"the first record is proposed", "the second record is proposed", "the clerk approves", "the administrator approves",
	"the department withdraws", "it is locked", "the department reports", "the custodian reports", "the custodian has preserved",
	"parts of the first record are proposed", "parts of the second record are proposed", "counsel approves", "the state approves", "counsel withholds",
	"the administrator's role is removed", "the key of CLERK is suspended", "the key of CLERK is suspended for all time",
}

// aside are the moves that are not made where parts of records are erased: what
// they try is tried elsewhere, and the walk would not go as deep.
var aside = []string{
	"the auditor releases a hold that is not closed", "a hold is closed and released by whom placed it", "the second record is proposed",
	"the administrator approves", "the administrator approves something else", "the administrator locks", "the auditor reports",
	"the clerk approves and it is locked at once", "the clock leaps", "the clock leaps and it is locked", "the administrator's role is removed",
	"the key of CLERK is suspended", "the key of DPW is suspended for all time", "the clerk holds all of the department",
}

// moves lists what can be tried in a state, with -plain the plain moves alone.
func (n node) moves(records [2]record.Index, s setting) []move {
	all := n.every(records, s)
	if s.parts {
		all = slices.DeleteFunc(all, func(m move) bool { return slices.Contains(aside, m.name) })
	}
	if *plainFlag {
		all = slices.DeleteFunc(all, func(m move) bool { return !slices.Contains(plain, m.name) })
	}
	return all
}

// every lists all that can be tried in a state: by those who may, and by those
// who may not.
func (n node) every(records [2]record.Index, s setting) []move {
	series := s.series
	all := []move{{"a day passes", day, nil}}
	if !n.oracle.frozen {
		all = append(all, move{"the clock leaps", leap, nil})
	}
	add := func(name string, acts ...act) { all = append(all, move{name, second, acts}) }
	hold := func(scope record.Scope) *record.PlaceHold {
		return &record.PlaceHold{Kind: record.HoldLitigation, Matter: [32]byte{1}, Scope: scope}
	}
	first := hold(record.Scope{Records: records[:1]})
	add("counsel holds the first record", act{"COUNSEL", first})
	add("the clerk holds all of the department", act{n.key("CLERK"), hold(record.Scope{Department: "DPW"})})
	for _, i := range slices.Sorted(maps.Keys(n.oracle.holds)) {
		if n.oracle.holds[i].released != 0 {
			continue
		}
		resolve, release := &record.ResolveIssue{Hold: i}, &record.ReleaseHold{Hold: i}
		add("the auditor releases a hold that is not closed", act{"AUDIT", release})
		add("a hold is closed and released", act{n.key("CLERK"), resolve}, act{"AUDIT", release})
		add("a hold is closed and released by whom placed it", act{"COUNSEL", resolve}, act{"COUNSEL", release})
	}
	propose := func(name string, series record.Code, records ...record.Index) {
		add(name, act{n.key("DPW"), &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: records}})
	}
	propose("the first record is proposed", series[0], records[0])
	propose("the second record is proposed", series[1], records[1])
	if series[0] == series[1] {
		propose("both records are proposed", series[0], records[:]...)
	}
	if s.parts {
		all = append(all, n.aboutParts(records, series)...)
	}
	for _, i := range slices.Sorted(maps.Keys(n.oracle.cases)) {
		all = append(all, n.steps(i, n.oracle.cases[i], first)...)
	}
	return append(all, n.misfortunes()...)
}

// aboutParts lists what can be tried with parts of the records.
func (n node) aboutParts(records [2]record.Index, series [2]record.Code) []move {
	var all []move
	add := func(name string, a act) { all = append(all, move{name, second, []act{a}}) }
	parts := sha256.Sum256([]byte("parts"))
	for i, name := range [...]string{"parts of the first record are proposed", "parts of the second record are proposed"} {
		add(name, act{n.key("DPW"), &record.ProposeDisposition{
			Series: series[i], Action: record.ActionRedact, Records: records[i : i+1], Redaction: parts,
		}})
	}
	withhold := &record.Withhold{Record: records[0], Redaction: parts}
	if len(n.oracle.decisions[records[0]]) == 0 {
		add("counsel withholds", act{"COUNSEL", withhold})
	}
	add("the auditor withholds", act{"AUDIT", withhold})
	return all
}

// steps lists what can be tried with a disposition.
func (n node) steps(i record.Index, d *dossier, hold *record.PlaceHold) []move {
	var all []move
	add := func(name string, acts ...act) { all = append(all, move{name, second, acts}) }
	lock := &record.LockDisposition{Disposition: i, Hash: d.hash}
	approve := &record.ApproveDisposition{Disposition: i, Hash: d.hash}
	report := func(outcome record.Outcome) *record.ReportErasure {
		return &record.ReportErasure{Disposition: i, Outcome: outcome}
	}
	add("the clerk approves", act{n.key("CLERK"), approve})
	if d.parts && !d.over {
		add("counsel approves", act{"COUNSEL", approve})
		add("the state approves", act{"OPRA", approve})
	}
	if !d.over {
		add("the administrator approves", act{"CAO", approve})
		add("the department approves itself", act{n.key("DPW"), approve})
		add("the administrator approves something else", act{"CAO", &record.ApproveDisposition{Disposition: i, Hash: [32]byte{1}}})
		add("the department withdraws", act{n.key("DPW"), &record.WithdrawDisposition{Disposition: i}})
		add("the administrator locks", act{"CAO", lock})
		add("the clerk approves and it is locked at once", act{n.key("CLERK"), approve}, act{"IT", lock})
		add("it is locked before a hold of the same block", act{"IT", lock}, act{"COUNSEL", hold})
	}
	add("it is locked", act{"IT", lock})
	if !n.oracle.frozen && !d.over {
		all = append(all, move{"the clock leaps and it is locked", leap, []act{{"IT", lock}}})
	}
	add("the department reports", act{n.key("DPW"), report(record.OutcomeDone)})
	add("the custodian reports", act{"node/custodian", report(record.OutcomeDone)})
	add("the custodian has preserved", act{"node/custodian", report(record.OutcomePreserved)})
	add("the auditor reports", act{"AUDIT", report(record.OutcomeDone)})
	return all
}

// misfortunes are a role that is taken away and a key that is suspended, from
// now on or from long ago.
func (n node) misfortunes() []move {
	var all []move
	if cao := n.oracle.offices["CAO"]; has(cao, record.RoleChiefAdmin) {
		without := caoOffice()
		all = append(all, move{"the administrator's role is removed", second, []act{{"IT", &record.ProposeChange{Fact: &without}}}})
	}
	suspend := func(name string, since int64) {
		if n.oracle.signers[keys[name]].active {
			how := map[bool]string{true: " is suspended", false: " is suspended for all time"}[since == 0]
			all = append(all, move{"the key of " + name + how, second, []act{{"IT", &record.SuspendKey{KeyID: keys[name], SinceHeight: since}}}})
		}
	}
	suspend("CLERK", 0)
	suspend("CLERK", 1)
	suspend("DPW", 1)
	return all
}

// key names the key that an office signs with now.
func (n node) key(office string) string {
	if n.oracle.signers[keys[office]].active {
		return office
	}
	return office + "/2"
}
