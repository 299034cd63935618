package receipt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// source serves the parts of legality files from the log.
func (w *world) source() LegalitySource {
	fact := func(before int64, is func(record.Fact) bool) (int64, error) {
		for at := before - 1; at >= 0; at-- {
			if e, ok := must1(record.ParseEntry(w.entries[at])).(record.FactEntry); ok && is(must1(record.ParseFact(e.Fact))) {
				return at, nil
			}
		}
		return 0, errors.New("no such fact")
	}
	size := int64(len(w.entries))
	return LegalitySource{
		Entry: func(index int64) ([]byte, error) {
			if index < 0 || index >= size {
				return nil, fmt.Errorf("no entry %d", index)
			}
			return w.entries[index], nil
		},
		Block: func(index int64) (int64, error) {
			return w.blocks[slices.IndexFunc(w.blocks, func(b int64) bool { return b > index })], nil
		},
		Tx: func(index int64) (int64, error) {
			at, _, ok := w.txOf(index)
			if !ok {
				return 0, fmt.Errorf("entry %d has no transaction", index)
			}
			return at, nil
		},
		Key: func(id record.KeyID) (int64, error) { return w.keys[id], nil },
		Office: func(code record.Code, before int64) (int64, error) {
			return fact(before, func(f record.Fact) bool { o, ok := f.(*record.Office); return ok && o.Code == code })
		},
		Adoption: func(schedule record.Code, version uint32) (int64, error) {
			return fact(size, func(f record.Fact) bool {
				s, ok := f.(*record.Schedule)
				return ok && s.Code == schedule && s.Version == version
			})
		},
		Prove: func(size, index int64) (tlog.RecordProof, error) { return tlog.ProveRecord(size, index, w) },
	}
}

// legality writes the legality file of an item with all that its judgement
// takes, be it lawful or not.
func (w *world) legality(item int64) Receipt {
	used := map[int64][]byte{item: w.entries[item]}
	judgeLegality(w.network.ID, w.source().recorded(used), item) // what it says is not the question here
	size := int64(len(w.entries))
	r := Receipt{Index: item, Entry: w.entries[item], Proof: w.leaf(size, item).Proof, Checkpoint: must1(ParseCheckpoint(w.cosigned(size)))}
	for _, at := range slices.Sorted(maps.Keys(used)) {
		if at != item {
			r.Leaves = append(r.Leaves, w.leaf(size, at))
		}
	}
	return r
}

// legalText writes a legality file as it is, without the checks of NewLegality.
func (r Receipt) legalText() []byte {
	extra := must1(encoding.Marshal(receiptExtra{Form: formLegality, Entry: r.Entry, Leaves: r.Leaves}))
	return proofText{extra: extra, index: r.Index, proof: r.Proof, signed: r.Checkpoint.Marshal()}.marshal()
}

func legalVerdict(t testing.TB, n Network, text []byte) Verdict {
	t.Helper()
	v, err := VerifyLegality(n, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newLegality(w *world, item int64) ([]byte, error) {
	return NewLegality(w.network.ID, w.source(), item, w.cosigned(int64(len(w.entries))))
}

func TestLegality(t *testing.T) {
	l := newLife(t, goldenNetworks()["solo"])
	for item := l.items; item < l.items+2; item++ {
		text, err := newLegality(l.world, item)
		if err != nil {
			t.Fatal(err)
		}
		if again := l.legality(item).legalText(); !bytes.Equal(again, text) {
			t.Errorf("item %d: the test's file differs from what is served", item)
		}
		v := legalVerdict(t, l.network, text)
		if v.Outcome != Passed || v.Legality == nil || v.Legality.Record != l.records+item-l.items {
			t.Fatalf("item %d: got %s (%s)", item, reasonOf(v), v.Detail)
		}
		if got := v.Legality; len(got.Approvals) != 3 || got.Due != "2030-01-02" || got.Locked.LedgerDay != "2030-02-03" || got.Action != "DESTROY" {
			t.Errorf("item %d: %+v", item, got)
		}
	}
	text := must1(newLegality(l.world, l.items))
	short := l.legality(l.items)
	short.Leaves = slices.DeleteFunc(short.Leaves, func(leaf Leaf) bool { return leaf.Index == l.approvals[2] })
	early := newLifeWith(t, l.network, variation{wait: -1})
	v := legalVerdict(t, l.network, text)
	file(t, filepath.Join("testdata", "destruction-short.legality"), short.legalText())
	file(t, filepath.Join("testdata", "destruction-early.legality"), early.legality(early.items).legalText())
	file(t, filepath.Join("testdata", "destruction.legality"), text)
	file(t, filepath.Join("testdata", "destruction.txt"), []byte(v.Text()))
	file(t, filepath.Join("testdata", "destruction.json"), append(must1(json.MarshalIndent(v, "", "  ")), '\n'))
}

// TestLegalityNeedsEachPart takes each part away: what is left shows less, and
// nothing passes.
func TestLegalityNeedsEachPart(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	whole := l.legality(l.items)
	for n, leaf := range whole.Leaves {
		r := whole
		r.Leaves = slices.Delete(slices.Clone(whole.Leaves), n, n+1)
		if v := legalVerdict(t, l.network, r.legalText()); reasonOf(v) != "INDETERMINATE PART_MISSING" || v.Legality != nil {
			t.Errorf("without entry %d of kind %d: got %s (%s)", leaf.Index, record.KindOf(leaf.Entry), reasonOf(v), v.Detail)
		}
	}
	used := map[int64]bool{whole.Index: true}
	for _, leaf := range whole.Leaves {
		used[leaf.Index] = true
	}
	for at := range int64(len(l.entries)) {
		if used[at] {
			continue
		}
		r := whole
		r.Leaves = sorted(append(slices.Clone(whole.Leaves), l.leaf(int64(len(l.entries)), at)), func(a, b Leaf) int { return cmp.Compare(a.Index, b.Index) })
		if v := legalVerdict(t, l.network, r.legalText()); v.Outcome == Passed {
			t.Errorf("with entry %d of kind %d besides: passed", at, record.KindOf(l.entries[at]))
		}
	}
}

// TestLegalityBindsEachPart alters each part and its place.
func TestLegalityBindsEachPart(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	whole := l.legality(l.items)
	try := func(what string, change func(r *Receipt), want string) {
		r := whole
		r.Leaves = slices.Clone(whole.Leaves)
		change(&r)
		if v := legalVerdict(t, l.network, r.legalText()); reasonOf(v) != want {
			t.Errorf("%s: got %s (%s)", what, reasonOf(v), v.Detail)
		}
	}
	for n := range whole.Leaves {
		for _, at := range []int{0, len(whole.Leaves[n].Entry) / 2, len(whole.Leaves[n].Entry) - 1} {
			try(fmt.Sprintf("byte %d of part %d", at, n), func(r *Receipt) {
				r.Leaves[n].Entry = bytes.Clone(r.Leaves[n].Entry)
				r.Leaves[n].Entry[at] ^= 1
			}, "FAILED PART_NOT_IN_TREE")
		}
		try(fmt.Sprintf("the entry of part %d", n), func(r *Receipt) { r.Leaves[n].Entry = whole.Entry }, "FAILED PART_NOT_IN_TREE")
		try(fmt.Sprintf("the proof of part %d", n), func(r *Receipt) { r.Leaves[n].Proof = whole.Proof }, "FAILED PART_NOT_IN_TREE")
	}
	try("the item", func(r *Receipt) { r.Entry = whole.Leaves[0].Entry }, "FAILED ENTRY_NOT_IN_TREE")
	try("another item", func(r *Receipt) { r.Index++ }, "FAILED ENTRY_NOT_IN_TREE")
	try("nothing", func(r *Receipt) {}, "PASSED")
}

// TestEveryByteOfALegalityFile changes, drops and cuts at bytes of the text.
func TestEveryByteOfALegalityFile(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	text := must1(newLegality(l.world, l.items))
	for i := 0; i < len(text); i += 7 {
		changed := bytes.Clone(text)
		changed[i] ^= 1 << (i % 8)
		for what, bad := range map[string][]byte{"changed": changed, "cut": text[:i], "dropped": append(bytes.Clone(text[:i]), text[i+1:]...)} {
			if v := legalVerdict(t, l.network, bad); v.Outcome == Passed {
				t.Errorf("byte %d %s: passed", i, what)
			}
		}
	}
}

func TestLegalityFormIsNotMixed(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	text, single := must1(newLegality(l.world, l.items)), l.receipt(int64(len(l.entries)), l.items)
	if v := verdictOf(t, l.network, text); reasonOf(v) != "FAILED MALFORMED" {
		t.Errorf("a legality file as a receipt: got %s", reasonOf(v))
	}
	if v := legalVerdict(t, l.network, single); reasonOf(v) != "FAILED MALFORMED" {
		t.Errorf("a receipt as a legality file: got %s", reasonOf(v))
	}
	if v := legalVerdict(t, l.network, bytes.Repeat([]byte("A"), MaxLegalityBytes+1)); reasonOf(v) != "FAILED MALFORMED" {
		t.Errorf("more than a mebibyte: got %s", reasonOf(v))
	}
	r := l.legality(l.items)
	for at := int64(0); len(r.Leaves) <= maxLegalityLeaves; at++ {
		r.Leaves = append(r.Leaves, Leaf{Index: r.Leaves[len(r.Leaves)-1].Index + 1, Entry: []byte{0x80}})
	}
	if v := legalVerdict(t, l.network, r.legalText()); reasonOf(v) != "FAILED MALFORMED" {
		t.Errorf("129 parts: got %s", reasonOf(v))
	}
	if _, err := newLegality(l.world, l.lock); err == nil || !strings.Contains(err.Error(), "LOCK_CONTRADICTED") {
		t.Errorf("legality of a lock: %v", err)
	}
	many := manyFacts(t)
	if _, err := newLegality(many.world, many.items); !errors.Is(err, ErrTooLarge) {
		t.Errorf("legality of a record about which too much is known: %v", err)
	}
	broken := l.source()
	broken.Prove = func(int64, int64) (tlog.RecordProof, error) { return nil, errors.New("no disk") }
	if _, err := NewLegality(l.network.ID, broken, l.items, l.cosigned(int64(len(l.entries)))); err == nil {
		t.Error("a legality file without proofs was written")
	}
}

// manyFacts is a life in which 40 things were said about the first record.
func manyFacts(t testing.TB) *life {
	var said []record.Index
	return newLifeWith(t, testNetwork(1, 0, 0), variation{
		between: func(l *life) {
			for i := range 40 {
				m := &record.RecordEvents{Event: retention.Resolved, Day: record.Day(i), Records: []record.Index{record.Index(l.records)}}
				said = append(said, record.Index(l.act("HR", m, record.EventsEntry{Office: "HR", Event: m.Event, Day: m.Day, Count: 1})))
			}
		},
		item: func(_ *life, e *record.ItemEntry) { e.Facts = append(e.Facts, said...) },
	})
}

// TestUnlawfulLocks has logs that their validators cosigned although a lock was
// not lawful.
func TestUnlawfulLocks(t *testing.T) {
	for _, c := range unlawfulLocks() {
		l := newLifeWith(t, testNetwork(1, 0, 0), c.vary)
		v := legalVerdict(t, l.network, l.legality(l.items).legalText())
		if reasonOf(v) != c.want {
			t.Errorf("%s: got %s, want %s (%s)", c.name, reasonOf(v), c.want, v.Detail)
		}
		if _, err := newLegality(l.world, l.items); (err == nil) != (c.want == "PASSED") {
			t.Errorf("%s: served: %v", c.name, err)
		}
	}
}

type unlawfulLock struct {
	name string
	vary variation
	want string
}

const (
	lawful      = "PASSED"
	contradicts = "FAILED LOCK_CONTRADICTED"
	notApproved = "FAILED MISSING_APPROVAL"
	notDue      = "FAILED NOT_DUE"
)

func unlawfulLocks() []unlawfulLock {
	all := []record.Code{"CLERK", "ADMIN", "STATE"}
	single := func(m *record.ProposeDisposition) { m.Records = m.Records[:1] }
	transfer := func(to record.Code) func(*record.ProposeDisposition) {
		return func(m *record.ProposeDisposition) { m.Action, m.To = record.ActionTransfer, to }
	}
	old := retention.DayOf(1899, 12, 31)
	return slices.Concat([]unlawfulLock{
		{"lawful", variation{}, lawful},
		{"an approval more", variation{approvers: append(slices.Clone(all), "ARCHIVE")}, lawful},
		{"no approvals", variation{approvers: []record.Code{}}, notApproved},
		{"an approval less", variation{approvers: all[:2]}, notApproved},
		{"an office without the role", variation{approvers: []record.Code{"CLERK", "ADMIN", "COUNSEL"}}, notApproved},
		{"one office for two roles", variation{approvers: all[:2], roles: map[record.Code][]record.Role{"CLERK": {record.RoleStateRecords}}}, notApproved},
		{"offices that could fill each other's role", variation{roles: map[record.Code][]record.Role{"CLERK": {record.RoleStateRecords, record.RoleChiefAdmin}}}, lawful},
		{"an office that approves twice", variation{approvers: append(slices.Clone(all), "CLERK")}, "FAILED SAME_OFFICE"},
		{"a proposer that approves", variation{approvers: append(slices.Clone(all), "HR")}, "FAILED SAME_OFFICE"},
		{"a locker that approves", variation{approvers: append(slices.Clone(all), "IT")}, "FAILED SAME_OFFICE"},
		{"an approver that takes over", variation{propose: transfer("STATE"), item: func(_ *life, e *record.ItemEntry) { e.Due = 0 }}, "FAILED SAME_OFFICE"},
		{"a locker that takes over", variation{propose: transfer("IT")}, "FAILED SAME_OFFICE"},
		{"another office that takes over", variation{propose: transfer("ARCHIVE")}, lawful},
		{"a proposer that locks", variation{locker: "HR", roles: map[record.Code][]record.Role{"HR": {record.RoleIT}}}, "FAILED SAME_OFFICE"},
		{"a locker without the role", variation{locker: "COUNSEL"}, "FAILED WRONG_ROLE"},
		{"an operator", variation{locker: "COUNSEL", roles: map[record.Code][]record.Role{"COUNSEL": {record.RoleOperator}}}, lawful},
		{"approvals of another proposal", variation{approved: func(e *record.AuthorizationEntry) { e.Hash[0]++ }}, contradicts},
		{"approvals of another disposition", variation{approved: func(e *record.AuthorizationEntry) { e.Disposition-- }}, contradicts},
		{"a lock of another proposal", variation{locks: func(m *record.LockDisposition, _ *record.LockEntry) { m.Hash[0]++ }}, contradicts},
		{"the last day of approvals", variation{wait: 180 - 14}, lawful},
		{"approvals that are too old", variation{wait: 181 - 14}, notApproved},
		{"a day too early", variation{wait: -1}, "FAILED NOTICE_PERIOD"},
		{"a height too early", variation{rule: func(r *record.ScheduleRule) { r.NoticeHeights = 3 }}, "FAILED NOTICE_PERIOD"},
		{"another day than the block's", variation{locks: func(_ *record.LockDisposition, e *record.LockEntry) { e.Day++ }}, contradicts},
		{"a lock that cites no approval", variation{locks: func(_ *record.LockDisposition, e *record.LockEntry) { e.Authorizations = nil }}, notApproved},
		{"a lock that cites itself", variation{locks: func(_ *record.LockDisposition, e *record.LockEntry) { e.Authorizations = []record.Index{1 << 20} }}, contradicts},
		{"archival review without the archivist", variation{rule: func(r *record.ScheduleRule) { r.Rule = ruleOf("after archival review: until closed") },
			item: func(_ *life, e *record.ItemEntry) { e.Due = retention.DayOf(2025, 7, 1) }}, notApproved},
		{"archival review", variation{approvers: append(slices.Clone(all), "ARCHIVE"), rule: func(r *record.ScheduleRule) { r.Rule = ruleOf("after archival review: until closed") },
			item: func(_ *life, e *record.ItemEntry) { e.Due = retention.DayOf(2025, 7, 1) }}, lawful},
		{"before 1900 with others", variation{created: old}, "FAILED ONE_BY_ONE"},
		{"before 1900 alone", variation{created: old, propose: single}, lawful},
		{"before 1900 without the administrator", variation{created: old, propose: single, approvers: all[:2],
			rule: func(r *record.ScheduleRule) { r.Approvals = r.Approvals[:2] }}, notApproved},
		{"from 1900 without the administrator", variation{created: old + 1, approvers: all[:2], rule: func(r *record.ScheduleRule) { r.Approvals = r.Approvals[:2] }}, lawful},
		{"undated with others", variation{undated: true}, "FAILED ONE_BY_ONE"},
	}, unlawfulOffices(), unlawfulDays(), unlawfulReferences(), unlawfulItems(), unlawfulStandings(), unlawfulNotices(), unlawfulRedactions())
}

// unlawfulOffices have offices that are not what they were.
func unlawfulOffices() []unlawfulLock {
	restated := func(office record.Code, status record.Status, roles ...record.Role) variation {
		return variation{between: func(l *life) { l.stated("CLERK", &record.Office{Code: office, Roles: roles, Status: status}) }}
	}
	const active, suspended = record.StatusActive, record.StatusSuspended
	return []unlawfulLock{
		{"an approver that lost its role", restated("STATE", active, record.RoleCounsel), notApproved},
		{"an approver that was suspended", restated("STATE", suspended, record.RoleStateRecords), "FAILED WRONG_ROLE"},
		{"a proposer that keeps no records", restated("HR", active, record.RoleCounsel), "FAILED WRONG_ROLE"},
		{"a proposer that keeps none any longer", variation{between: func(l *life) {
			l.vary.noticed = func(*record.NoticeEntry) {
				l.stated("CLERK", &record.Office{Code: "HR", Roles: []record.Role{record.RoleCounsel}, Status: active})
			}
		}}, "FAILED WRONG_ROLE"},
		{"the library", restated("HR", active, record.RoleLibraryCEO), lawful},
		{"a locker that lost its role", restated("IT", active, record.RoleCounsel), "FAILED WRONG_ROLE"},
		{"an audit by no auditor", variation{auditor: "COUNSEL"}, "FAILED WRONG_ROLE"},
		{"an audit by an auditor that is one no longer", restated("AUDITOR", active, record.RoleCounsel), lawful},
	}
}

// unlawfulDays shift the days on which a record was due.
func unlawfulDays() []unlawfulLock {
	rule := func(text string) func(*record.ScheduleRule) {
		return func(r *record.ScheduleRule) { r.Rule = ruleOf(text) }
	}
	item := func(change func(*record.ItemEntry)) func(*life, *record.ItemEntry) {
		return func(_ *life, e *record.ItemEntry) { change(e) }
	}
	return []unlawfulLock{
		{"a day earlier than it was", variation{item: item(func(e *record.ItemEntry) { e.Due-- })}, notDue},
		{"a day later than it was", variation{item: item(func(e *record.ItemEntry) { e.Due++ })}, notDue},
		{"a longer period", variation{rule: rule("later of (10 years after closed, 1 day after audited)")}, notDue},
		{"kept for good", variation{rule: rule("permanent")}, notDue},
		{"to be transferred", variation{rule: func(r *record.ScheduleRule) { r.Action = record.ActionTransfer }}, notDue},
		{"a fact that is not there", variation{rule: rule("until terminated")}, notDue},
		{"without the event", variation{item: item(func(e *record.ItemEntry) { e.Facts = e.Facts[1:] })}, notDue},
		{"without the audit", variation{item: item(func(e *record.ItemEntry) { e.Audit = 0 })}, notDue},
		{"an audit of earlier years", variation{audited: -1}, notDue},
		{"an event for an audit", variation{item: func(l *life, e *record.ItemEntry) { e.Audit = record.Index(l.closed) }}, contradicts},
		{"superseded", variation{rule: rule("until superseded"), propose: func(m *record.ProposeDisposition) { m.Records = m.Records[:1] },
			item: func(l *life, e *record.ItemEntry) { e.Due = l.ledgerDay(l.supersession) + 1 }}, lawful},
		{"a schedule to come", variation{effective: 1000}, "FAILED NO_RULE"},
		{"a schedule from the day of the lock", variation{effective: 34}, lawful},
		{"a day for what waits for none", variation{propose: func(m *record.ProposeDisposition) { m.Action = record.ActionPermanent },
			item: item(func(e *record.ItemEntry) { e.Due = 3 })}, contradicts},
		{"permanent before any day", variation{rule: rule("permanent"), propose: func(m *record.ProposeDisposition) { m.Action = record.ActionPermanent }}, lawful},
	}
}

// unlawfulReferences rest on a rule of another series.
func unlawfulReferences() []unlawfulLock {
	refers := func(text string, between func(*life), change func(*life, *record.ItemEntry)) variation {
		return variation{
			rule:    func(r *record.ScheduleRule) { r.Rule = ruleOf(text) },
			propose: func(m *record.ProposeDisposition) { m.Records = m.Records[:1] },
			between: func(l *life) {
				l.stateOther()
				between(l)
			},
			item: func(l *life, e *record.ItemEntry) {
				e.Rules, e.Due = append(e.Rules, record.Index(l.other)), retention.DayOf(2026, 7, 1)
				change(l, e)
			},
		}
	}
	none, same := func(*life) {}, func(*life, *record.ItemEntry) {}
	unruled := func(_ *life, e *record.ItemEntry) { e.Rules = e.Rules[:1] }
	cited := func(at ...func(l *life) int64) func(l *life, e *record.ItemEntry) {
		return func(l *life, e *record.ItemEntry) {
			for _, i := range at {
				e.Facts = append(e.Facts, record.Index(i(l)))
			}
		}
	}
	filing, closing := func(l *life) int64 { return l.filing }, func(l *life) int64 { return l.fileClosed }
	file, follow := (*life).intoFile, (*life).followOther
	const asOther, withFile = "as the corresponding series", "with the file of series CT-M1-280"
	return []unlawfulLock{
		{"as another series", refers("as series CT-M1-280", none, same), lawful},
		{"as another series whose rule is not cited", refers("as series CT-M1-280", none, unruled), notDue},
		{"as the series that was named", refers(asOther, follow, cited(filing)), lawful},
		{"as a series that was not named", refers(asOther, follow, same), notDue},
		{"with its file", refers(withFile, file, cited(filing, closing)), lawful},
		{"with a file that was not closed", refers(withFile, file, cited(filing)), notDue},
		{"with no file", refers(withFile, file, same), notDue},
		{"with what happened to a file that is not its own", refers(withFile, file, cited(closing)), contradicts},
		{"filed twice", refers(withFile, func(l *life) { l.followOther(); l.otherFiling = l.filing; l.intoFile() },
			cited(func(l *life) int64 { return l.otherFiling }, filing, closing)), contradicts},
	}
}

// unlawfulItems cite the wrong entries.
func unlawfulItems() []unlawfulLock {
	item := func(change func(*life, *record.ItemEntry)) variation { return variation{item: change} }
	cite := func(at func(l *life) int64) variation {
		return item(func(l *life, e *record.ItemEntry) {
			e.Facts = append(e.Facts, record.Index(at(l)))
			slices.Sort(e.Facts)
		})
	}
	return []unlawfulLock{
		{"no rules", item(func(_ *life, e *record.ItemEntry) { e.Rules = nil }), "FAILED NO_RULE"},
		{"a rule of another series alone", variation{rule: func(r *record.ScheduleRule) { r.Series = "CT-M1-280" }}, "FAILED NO_RULE"},
		{"a schedule for a rule", item(func(l *life, e *record.ItemEntry) { e.Rules = []record.Index{record.Index(l.schedule)} }), contradicts},
		{"an event for a rule", item(func(l *life, e *record.ItemEntry) { e.Rules = []record.Index{record.Index(l.closed)} }), contradicts},
		{"a rule that was not adopted yet", variation{between: func(l *life) {
			rule := lifeRule()
			rule.Version = 2
			l.rule = l.stated("CLERK", rule)
		}, item: func(l *life, e *record.ItemEntry) { e.Rules = []record.Index{record.Index(l.rule)} }}, "INDETERMINATE PART_MISSING"},
		{"another record than proposed", item(func(l *life, e *record.ItemEntry) { e.Record = record.Index(l.records + 2) }), contradicts},
		{"the other record", item(func(_ *life, e *record.ItemEntry) { e.Record++ }), contradicts},
		{"another disposition", item(func(_ *life, e *record.ItemEntry) { e.Disposition-- }), "FAILED TX_CONTRADICTED"},
		{"a fact about another record", cite(func(l *life) int64 { return l.filing }), contradicts},
		{"a hold for a fact", cite(func(l *life) int64 { return l.release }), contradicts},
		{"an audit for a fact", cite(func(l *life) int64 { return l.audit }), contradicts},
		{"a proposal of another series", variation{propose: func(m *record.ProposeDisposition) { m.Series = "CT-M1-280" }}, contradicts},
		{"fewer records than proposed", variation{locks: func(_ *record.LockDisposition, e *record.LockEntry) { e.Disposition-- }}, "FAILED TX_CONTRADICTED"},
	}
}

// unlawfulStandings rest on a standing authorization.
func unlawfulStandings() []unlawfulLock {
	stands := func(v variation) variation {
		v.approvers = []record.Code{}
		v.between = func(l *life) {
			l.vary.propose = func(m *record.ProposeDisposition) { m.Standing = record.Index(l.standing) }
		}
		return v
	}
	old := retention.DayOf(1899, 12, 31)
	alone := func(l *life) {
		l.vary.propose = func(m *record.ProposeDisposition) { m.Standing, m.Records = record.Index(l.standing), m.Records[:1] }
	}
	return []unlawfulLock{
		{"authorized in advance", stands(variation{}), lawful},
		{"authorized no longer", stands(variation{wait: 365}), notApproved},
		{"authorized, and not by the proposal", variation{approvers: []record.Code{}, between: func(l *life) {
			l.vary.locks = func(_ *record.LockDisposition, e *record.LockEntry) { e.Standing = record.Index(l.standing) }
		}}, contradicts},
		{"authorized by an activation", variation{between: func(l *life) {
			l.vary.propose = func(m *record.ProposeDisposition) { m.Standing = record.Index(l.activation) }
		}}, contradicts},
		{"authorized for another series", stands(variation{rule: func(r *record.ScheduleRule) { r.Series = "CT-M1-280" },
			item: func(_ *life, e *record.ItemEntry) {}}), "FAILED NO_RULE"},
		{"authorized, and older than 1900", variation{created: old, approvers: []record.Code{}, between: alone}, notApproved},
		{"authorized, older than 1900, with the administrator", variation{created: old, approvers: []record.Code{"STATE"}, between: alone}, lawful},
	}
}

// unlawfulNotices are about notice to the persons concerned.
func unlawfulNotices() []unlawfulLock {
	wants := func(days string, v variation) variation {
		v.rule = func(r *record.ScheduleRule) { r.Rule = ruleOf("after " + days + " of notice: until closed") }
		v.item = func(_ *life, e *record.ItemEntry) { e.Due = retention.DayOf(2025, 7, 1) }
		return v
	}
	cites := func(v variation) variation {
		v.between = func(l *life) {
			l.vary.locks = func(_ *record.LockDisposition, e *record.LockEntry) { e.Notice = record.Index(l.notice) }
		}
		return v
	}
	return []unlawfulLock{
		{"told in time", cites(wants("13 days", variation{})), lawful},
		{"told a day late", cites(wants("14 days", variation{})), "FAILED NOTICE_MISSING"},
		{"not told", wants("13 days", variation{}), "FAILED NOTICE_MISSING"},
		{"told before it was said", cites(wants("13 days", variation{noticed: func(e *record.NoticeEntry) { e.Day++ }})), contradicts},
		{"told of another disposition", cites(wants("13 days", variation{noticed: func(e *record.NoticeEntry) { e.Disposition-- }})), contradicts},
		{"told without need", cites(variation{}), lawful},
	}
}

// legalVectors are what the twin in JavaScript must agree on.
type legalVectors struct {
	Network string        `json:"network"`
	Cases   []legalVector `json:"cases"`
}

type legalVector struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Want string `json:"want"`
}

// makeLegalVectors has every unlawful lock, and files from which a part was taken.
func makeLegalVectors(t testing.TB) legalVectors {
	n := goldenNetworks()["solo"]
	vectors := legalVectors{Network: string(n.Marshal())}
	add := func(name string, text []byte) {
		vectors.Cases = append(vectors.Cases, legalVector{name, string(text), reasonOf(legalVerdict(t, n, text))})
	}
	for _, c := range unlawfulLocks() {
		l := newLifeWith(t, n, c.vary)
		add(c.name, l.legality(l.items).legalText())
	}
	l := newLife(t, n)
	whole := l.legality(l.items)
	for i, leaf := range whole.Leaves {
		r := whole
		r.Leaves = slices.Delete(slices.Clone(whole.Leaves), i, i+1)
		add(fmt.Sprintf("without entry %d", leaf.Index), r.legalText())
	}
	r := whole
	r.Leaves = append([]Leaf{l.leaf(int64(len(l.entries)), 0)}, whole.Leaves...)
	add("with the first entry besides", r.legalText())
	return vectors
}

// TestLegalityTwin has the second implementation judge all of them.
func TestLegalityTwin(t *testing.T) {
	node := needNode(t)
	vectors := makeLegalVectors(t)
	differences := func() string { return twinOf(t, node, "legality", vectors) }
	if out := differences(); !strings.HasSuffix(out, ", 0 differences\n") {
		t.Errorf("the twin disagrees:\n%s", out)
	}
	vectors.Cases[0].Want = notDue
	if out := differences(); !strings.HasSuffix(out, ", 1 differences\n") {
		t.Errorf("the twin agrees with what is wrong:\n%s", out)
	}
}

// TestLegalityVectors publishes a few of them for each outcome.
func TestLegalityVectors(t *testing.T) {
	const most = 3
	all, few, count := makeLegalVectors(t), legalVectors{}, map[string]int{}
	few.Network = all.Network
	for _, c := range all.Cases {
		if count[c.Want]++; count[c.Want] <= most {
			few.Cases = append(few.Cases, c)
		}
	}
	file(t, filepath.Join("..", "..", "docs", "spec", "vectors", "legality.json"), append(must1(json.MarshalIndent(few, "", " ")), '\n'))
}
