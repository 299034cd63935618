package ledger_test

import (
	"errors"
	"iter"
	"reflect"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// lifeOfRecords is an archive in which everything has befallen records that can:
// it gives the anchors in the order of the log.
func lifeOfRecords(t testing.TB) (*archive, []record.Index) {
	t.Helper()
	a := foundArchive(t)
	a.adopt("OTHER", false, stateRule("DEMO-CASES", "2 years after closed"), stateRule("DEMO-COPIES", "as the corresponding series"),
		stateRule("DEMO-DRAFTS", "until superseded"), stateRule("DEMO-NOTES", "with the file of series DEMO-CASES"))
	for _, series := range []record.Code{"DEMO-CASES", "DEMO-COPIES", "DEMO-NOTES", "DEMO-DRAFTS"} {
		a.activate(series, "DPW")
	}
	var all []record.Index
	add := func(series record.Code, name, date string) record.Index {
		i := a.anchor(series, name, date)
		all = append(all, i)
		return i
	}
	add("CT-MINUTES", "permanent", "2025-01-01")
	add("CT-MAIL", "not yet", "2030-06-01")
	add("CT-MAIL", "due", "2020-01-01")
	add("CT-MAIL", "before 1900", "1899-12-31")
	add("CT-MAIL", "undated", "")
	bill := add("CT-BILLS", "waits for the audit", "2020-01-01")
	add("CT-BILLS", "audited", "2015-01-01")
	a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2018-06-30")})
	add("DEMO-PLANS", "no rule", "2020-12-31")
	open := add("DEMO-CASES", "open case", "2020-01-01")
	closed := add("DEMO-CASES", "closed case", "2020-01-01")
	a.must("DPW", &record.RecordEvents{Event: retention.Closed, Day: day("2021-05-05"), Records: []record.Index{closed}})
	copied, waits := add("DEMO-COPIES", "copy", "2020-01-01"), add("DEMO-COPIES", "copy of nothing", "2020-01-01")
	a.must("DPW", &record.FileRecords{Series: "CT-MAIL", Records: []record.Index{copied}})
	note, inOpen := add("DEMO-NOTES", "note", "2020-01-01"), add("DEMO-NOTES", "note of an open case", "2020-01-01")
	a.must("DPW", &record.FileRecords{File: closed, Records: []record.Index{note}})
	a.must("DPW", &record.FileRecords{File: open, Records: []record.Index{inOpen}})
	draft, next := add("DEMO-DRAFTS", "draft", "2020-01-01"), add("DEMO-DRAFTS", "final", "2020-01-01")
	a.must("DPW", &record.SupersedeRecord{Record: draft, By: next})

	held := add("DEMO-MINUTES", "held", "2020-01-01")
	freed := add("DEMO-MINUTES", "freed", "2020-01-02")
	add("DEMO-MINUTES", "held by its day", "2019-03-03")
	locked := add("DEMO-MINUTES", "locked", "2020-01-03")
	a.hold("COUNSEL", bill, held)
	release := a.hold("COUNSEL", waits, freed)
	a.must("COUNSEL", &record.ResolveIssue{Hold: release})
	a.must("AUDIT", &record.ReleaseHold{Hold: release})
	a.must("CLERK", &record.PlaceHold{Kind: record.HoldAnticipated, Matter: commitment("2019"), Scope: record.Scope{
		Department: "DPW", Series: "DEMO-MINUTES", Dated: true, From: day("2019-01-01"), To: day("2019-12-31"),
	}})
	d, hash := a.propose("DEMO-MINUTES", locked)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	a.must("OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	add("DEMO-MINUTES", "free", "2020-01-04")
	add("DEMO-MINUTES", "held, though younger than the hold", "2019-12-31")
	return a, all
}

// lines lists the whole log.
func lines(v ledger.View) iter.Seq2[ledger.EntryLine, error] {
	return func(yield func(ledger.EntryLine, error) bool) {
		var reused []byte
		for i := range record.Index(v.Head().Size) {
			entry, err := v.Entry(i)
			reused = append(reused[:0], entry...)
			if !yield(ledger.EntryLine{Index: i, Entry: reused}, err) {
				return
			}
			clear(reused) // nobody may have kept it
		}
	}
}

// lifecycles lists what befell records, ascending.
func lifecycles(v ledger.View) iter.Seq2[ledger.Value, error] {
	return func(yield func(ledger.Value, error) bool) {
		for i := range record.Index(v.Head().Size) {
			key := ledger.StateKeyLifecycle(i)
			value, ok, err := v.Value(key)
			if (ok || err != nil) && !yield(ledger.Value{Key: key, Value: value}, err) {
				return
			}
		}
	}
}

// TestInquiryListsWhatItSaysOfEach: the list, the single judgement and the
// explanation agree on every record.
func TestInquiryListsWhatItSaysOfEach(t *testing.T) {
	a, all := lifeOfRecords(t)
	q := ledger.NewInquiry(a.view)
	if want := record.LedgerDay(a.view.Head().Time); q.Day() != want {
		t.Errorf("judged by %s, want %s", q.Day(), want)
	}
	var listed []record.Index
	standings := map[ledger.Standing]int{}
	for it, err := range ledger.NewInquiry(a.view).Items(lines(a.view), lifecycles(a.view), nil) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, it.Index)
		standings[it.Standing()]++
		single, ok, err := q.Item(it.Index)
		if err != nil || !ok || !reflect.DeepEqual(single, it) {
			t.Errorf("record %d: alone %+v %t, %v; in the list %+v", it.Index, single, ok, err, it)
		}
		why, ok, err := q.Explain(it.Index)
		if err != nil || !ok || len(it.Rules) > 0 != (len(why.Verdict.Why) > 0) {
			t.Errorf("record %d: explained by %v %t, %v", it.Index, why.Verdict.Why, ok, err)
		}
		why.Verdict.Why = nil
		if !reflect.DeepEqual(why, it) {
			t.Errorf("record %d: explained %+v; in the list %+v", it.Index, why, it)
		}
	}
	if !reflect.DeepEqual(listed, all) {
		t.Errorf("listed %d, want %d", listed, all)
	}
	want := map[ledger.Standing]int{
		ledger.StandingLocked: 1, ledger.StandingHeld: 4, ledger.StandingUnruled: 1, ledger.StandingPermanent: 1,
		ledger.StandingWaiting: 5, ledger.StandingNotYet: 2, ledger.StandingDue: 8,
	}
	if !reflect.DeepEqual(standings, want) {
		t.Errorf("standings %v, want %v", standings, want)
	}
	for _, i := range []record.Index{-1, 0, all[0] - 1, record.Index(a.view.Head().Size), 1 << 62} {
		if it, ok, err := q.Item(i); ok || err != nil || !reflect.DeepEqual(it, ledger.Item{}) {
			t.Errorf("entry %d is no record: %+v %t, %v", i, it, ok, err)
		}
	}
}

// TestDryRunIsTheRealRun proposes each record of the list alone, on the same
// day: the ledger answers what the list said.
func TestDryRunIsTheRealRun(t *testing.T) {
	a, _ := lifeOfRecords(t)
	want := map[ledger.Standing]ledger.Code{
		ledger.StandingLocked: ledger.CodeAlreadyLocked, ledger.StandingHeld: ledger.CodeHeld, ledger.StandingUnruled: ledger.CodeNoRule,
		ledger.StandingPermanent: ledger.CodeNotDue, ledger.StandingWaiting: ledger.CodeNotDue, ledger.StandingNotYet: ledger.CodeNotDue,
		ledger.StandingDue: ledger.OK,
	}
	before := a.view
	for it, err := range ledger.NewInquiry(before).Items(lines(before), lifecycles(before), nil) {
		if err != nil {
			t.Fatal(err)
		}
		a.view = before
		m := &record.ProposeDisposition{Series: it.Anchor.Series, Action: record.ActionDestroy, Records: []record.Index{it.Index}}
		if r := a.do("DPW", m); r.Code != want[it.Standing()] {
			t.Errorf("record %d is %s; the proposal is answered by %s", it.Index, it.Standing(), r.Code)
		}
	}
}

// TestInquiryKeepsWhatIsWanted: records that are not wanted are left out, and
// what befell those after them is still found.
func TestInquiryKeepsWhatIsWanted(t *testing.T) {
	a, all := lifeOfRecords(t)
	var want, got []record.Index
	for _, i := range all {
		if it, _, err := ledger.NewInquiry(a.view).Item(i); err != nil || it.Anchor.Series == "DEMO-MINUTES" {
			want = append(want, i)
		}
	}
	wanted := func(e *record.AnchorEntry) bool { return e.Series == "DEMO-MINUTES" }
	for it, err := range ledger.NewInquiry(a.view).Items(lines(a.view), lifecycles(a.view), wanted) {
		single, _, singleErr := ledger.NewInquiry(a.view).Item(it.Index)
		if err != nil || singleErr != nil || !reflect.DeepEqual(it, single) {
			t.Errorf("record %d: %+v, %v, want %+v", it.Index, it, err, single)
		}
		got = append(got, it.Index)
	}
	if len(want) < 5 || !reflect.DeepEqual(got, want) {
		t.Errorf("kept %d, want %d", got, want)
	}
}

// TestInquiryPassesErrorsOn: whatever goes wrong ends the list with an error.
func TestInquiryPassesErrorsOn(t *testing.T) {
	a, all := lifeOfRecords(t)
	broken := errors.New("broken")
	damagedLine := func(key, value []byte, err error) iter.Seq2[ledger.Value, error] {
		return func(yield func(ledger.Value, error) bool) { yield(ledger.Value{Key: key, Value: value}, err) }
	}
	entry := func(e []byte, err error) iter.Seq2[ledger.EntryLine, error] {
		return func(yield func(ledger.EntryLine, error) bool) {
			if yield(ledger.EntryLine{Index: all[0], Entry: e}, err) {
				yield(ledger.EntryLine{Index: all[0] + 1, Entry: e}, err)
			}
		}
	}
	for name, test := range map[string]struct {
		entries    iter.Seq2[ledger.EntryLine, error]
		lifecycles iter.Seq2[ledger.Value, error]
		is         error
	}{
		"log that cannot be read":        {entry(nil, broken), lifecycles(a.view), broken},
		"anchor entry of bad form":       {entry([]byte{0x88, 1, byte(record.KindAnchor)}, nil), lifecycles(a.view), record.ErrMalformed},
		"lifecycles that cannot be read": {lines(a.view), damagedLine(nil, nil, broken), broken},
		"lifecycle of bad form":          {lines(a.view), damagedLine(ledger.StateKeyLifecycle(all[0]), []byte{1}, nil), nil},
		"value of another kind":          {lines(a.view), damagedLine([]byte("hold/12345678"), nil, nil), nil},
		"key that is cut short":          {lines(a.view), damagedLine([]byte("record/1234567"), nil, nil), nil},
	} {
		n := 0
		for it, err := range ledger.NewInquiry(a.view).Items(test.entries, test.lifecycles, nil) {
			if n++; err == nil || test.is != nil && !errors.Is(err, test.is) || !reflect.DeepEqual(it, ledger.Item{}) {
				t.Errorf("%s: %+v, %v", name, it, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d lines, want the error alone", name, n)
		}
	}
}

// TestListsOfHoldsAndDispositions: every one in its order, those after a given
// one, and no answer where a value is damaged.
func TestListsOfHoldsAndDispositions(t *testing.T) {
	a, _ := lifeOfRecords(t)
	values := func(key func(record.Index) []byte) iter.Seq2[ledger.Value, error] {
		return func(yield func(ledger.Value, error) bool) {
			for i := range record.Index(a.view.Head().Size) {
				value, ok, err := a.view.Value(key(i))
				if (ok || err != nil) && !yield(ledger.Value{Key: key(i), Value: value}, err) {
					return
				}
			}
		}
	}
	var holds, dispositions []record.Index
	for h, err := range ledger.Holds(values(ledger.StateKeyHold), 0) {
		one, ok, oneErr := ledger.HoldOf(a.view, h.Index)
		if err != nil || oneErr != nil || !ok || !reflect.DeepEqual(h.Value, one) {
			t.Errorf("hold %d: %+v, %v, want %+v, %v", h.Index, h.Value, err, one, oneErr)
		}
		holds = append(holds, h.Index)
	}
	for d, err := range ledger.Dispositions(values(ledger.StateKeyDisposition), 0) {
		if err != nil || !reflect.DeepEqual(d.Value, a.disposition(d.Index)) {
			t.Errorf("disposition %d: %+v, %v", d.Index, d.Value, err)
		}
		dispositions = append(dispositions, d.Index)
	}
	if len(holds) != 3 || len(dispositions) != 1 {
		t.Fatalf("%d holds and %d dispositions, want 3 and 1", holds, dispositions)
	}
	var after []record.Index
	for h, err := range ledger.Holds(values(ledger.StateKeyHold), holds[0]) {
		if err != nil {
			t.Fatal(err)
		}
		after = append(after, h.Index)
	}
	if !reflect.DeepEqual(after, holds[1:]) {
		t.Errorf("holds after %d: %d, want %d", holds[0], after, holds[1:])
	}
	sound, _, err := a.view.Value(ledger.StateKeyHold(holds[0]))
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]struct {
		value ledger.Value
		err   error
	}{
		"a store that cannot read": {err: errors.New("broken")},
		"a value of bad form":      {value: ledger.Value{Key: ledger.StateKeyHold(holds[0]), Value: sound[1:]}},
		"a key of another kind":    {value: ledger.Value{Key: ledger.StateKeyDisposition(holds[0]), Value: sound}},
		"a key that is cut short":  {value: ledger.Value{Key: ledger.StateKeyHold(holds[0])[:12], Value: sound}},
	} {
		n := 0
		for h, err := range ledger.Holds(func(yield func(ledger.Value, error) bool) {
			if yield(line.value, line.err) {
				yield(line.value, line.err)
			}
		}, 0) {
			if n++; err == nil || h.Index != 0 {
				t.Errorf("%s: %+v, %v", name, h, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d lines, want the error alone", name, n)
		}
	}
}

// TestRolesOfADisposition: those of all its records, without what a standing
// authorization stands for.
func TestRolesOfADisposition(t *testing.T) {
	a, all := lifeOfRecords(t)
	q := ledger.NewInquiry(a.view)
	roles := func(d ledger.Disposition, records ...record.Index) []record.Role {
		t.Helper()
		got, err := q.Roles(d, records)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	mail, old := all[2], all[3] // both of CT-MAIL, one before 1900
	want := []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords}
	if got := roles(ledger.Disposition{Office: "DPW", Series: "CT-MAIL"}, mail); !reflect.DeepEqual(got, want) {
		t.Errorf("roles %v, want %v", got, want)
	}
	standing := &record.StandingAuthorization{Office: "DPW", Series: []record.Code{"CT-MAIL"}, From: day("2031-01-01"), Until: day("2031-12-31")}
	proposal := a.must("DPW", &record.ProposeChange{Fact: standing})
	hash, err := record.FactHash(standing)
	if err != nil {
		t.Fatal(err)
	}
	for _, office := range []string{"IT", "CLERK", "ARCHIVIST", "OPRA"} {
		a.must(office, &record.ApproveChange{Proposal: proposal, FactHash: hash})
	}
	p, _, err := ledger.ProposalOf(a.view, proposal)
	if err != nil || p.Executed == 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	q = ledger.NewInquiry(a.view)
	d := ledger.Disposition{Office: "DPW", Series: "CT-MAIL", Standing: p.Executed}
	if got := roles(d, mail); got != nil {
		t.Errorf("with a standing authorization: %v, want none", got)
	}
	if got := roles(d, old); !reflect.DeepEqual(got, []record.Role{record.RoleStateRecords}) {
		t.Errorf("of a record before 1900: %v", got)
	}
	d.Series = "CT-BILLS" // that it does not name
	if got := roles(d, mail); !reflect.DeepEqual(got, want) {
		t.Errorf("of another series: %v, want %v", got, want)
	}
}
