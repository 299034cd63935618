package receipt

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// TestVerifyALife verifies the receipt of every entry of a log with all that
// befalls records, and sees that all are described.
func TestVerifyALife(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	size := int64(len(l.entries))
	kinds := map[record.Kind]bool{}
	for index := range size {
		v := verdictOf(t, l.network, l.receipt(size, index))
		kinds[record.KindOf(l.entries[index])] = true
		if v.Outcome != Passed || v.Kind == "" || len(v.Fields) == 0 {
			t.Errorf("entry %d: got %s (%s), %s, %v", index, reasonOf(v), v.Detail, v.Kind, v.Fields)
		}
		if strings.Contains(v.Text(), "unknown") || strings.Contains(v.Text(), "CODE_") {
			t.Errorf("entry %d is not described:\n%s", index, v.Text())
		}
	}
	if len(kinds) != 25 { // of 27: approvals and suspensions are in TestVerifyEveryEntry
		t.Errorf("entries of %d kinds were verified", len(kinds))
	}
}

func TestReportOfACustodian(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	size := int64(len(l.entries))
	id := record.KeyIDOf(l.custodian.Public().(ed25519.PublicKey))
	for _, at := range []int64{l.report, l.report - 1} {
		v := verdictOf(t, l.network, l.receipt(size, at))
		if v.Outcome != Passed || v.Signed == nil || !v.Signed.Custodian || v.Signed.Office != "" || !v.Signed.InBody {
			t.Fatalf("entry %d: got %s %+v", at, reasonOf(v), v.Signed)
		}
		if text := v.Text(); !strings.Contains(text, "a custodian, key "+v.Signed.KeyID) {
			t.Errorf("entry %d:\n%s", at, text)
		}
	}
	if v := verdictOf(t, l.network, l.receipt(size, l.report)); !slices.Contains(v.Fields, Field{"custodian", v.Signed.KeyID}) {
		t.Errorf("custodian %x: got %v", id, v.Fields)
	}
}

// TestDishonestLife has logs that their validators cosigned although an entry
// contradicts its transaction.
func TestDishonestLife(t *testing.T) { check(t, dishonestLifeSamples(t)) }

func dishonestLifeSamples(t testing.TB) (samples []sample) {
	for _, c := range dishonestLives() {
		l := newLife(t, testNetwork(1, 0, 0))
		index := c.add(l)
		l.endBlock()
		samples = append(samples, sample{c.name, l.network, l.receipt(int64(len(l.entries)), index), c.want})
	}
	return samples
}

type dishonestLife struct {
	name string
	add  func(l *life) int64
	want string
}

func dishonestLives() []dishonestLife {
	one := []record.Index{5}
	act := func(name string, m record.Message, e record.Entry, want string) dishonestLife {
		return dishonestLife{name, func(l *life) int64 { return l.tx("HR", m, e) + 1 }, want}
	}
	const good, contradicted = "PASSED", "FAILED TX_CONTRADICTED"
	hash := [32]byte{1}
	batch := &record.AnchorBatch{Series: "A", Custody: "CITY", Commitment: record.Commitment{1}}
	anchored := record.AnchorEntry{Office: "HR", Series: "A", Custody: "CITY", Commitment: batch.Commitment, Day: 3, Flags: record.FlagBatch}
	undone := anchored
	undone.Commitment[1]++
	single := anchored
	single.Flags = 0
	list := []dishonestLife{
		act("a batch", batch, anchored, good),
		act("another batch than signed", batch, undone, contradicted),
		act("a batch that is no batch", batch, single, contradicted),
		act("another event", &record.RecordEvents{Event: retention.Closed, Day: 3, Records: one}, record.EventsEntry{Office: "HR", Event: retention.Left, Day: 3, Count: 1}, contradicted),
		act("another day", &record.RecordEvents{Event: retention.Closed, Day: 3, Records: one}, record.EventsEntry{Office: "HR", Event: retention.Closed, Day: 4, Count: 1}, contradicted),
		act("more records", &record.RecordEvents{Event: retention.Closed, Day: 3, Records: one}, record.EventsEntry{Office: "HR", Event: retention.Closed, Day: 3, Count: 2}, contradicted),
		act("another series", &record.FileRecords{Series: "A", Records: one}, record.FilingEntry{Office: "HR", Series: "B", Count: 1}, contradicted),
		act("a file for a series", &record.FileRecords{Series: "A", Records: one}, record.FilingEntry{Office: "HR", File: 4, Count: 1}, contradicted),
		act("another department", &record.PostAuditedThrough{Department: "A", Through: 3}, record.AuditEntry{Office: "HR", Department: "B", Through: 3}, contradicted),
		act("another end", &record.PostAuditedThrough{Department: "A", Through: 3}, record.AuditEntry{Office: "HR", Department: "A", Through: 4}, contradicted),
		act("another kind of hold", hold(), record.HoldEntry{Office: "HR", HoldKind: record.HoldSealed, Issues: 2}, contradicted),
		act("fewer issues", hold(), record.HoldEntry{Office: "HR", HoldKind: record.HoldAudit, Issues: 1}, contradicted),
		act("a late hold", hold(), record.HoldEntry{Office: "HR", HoldKind: record.HoldAudit, Issues: 2, Late: 1}, good),
		act("another hold extended", &record.ExtendHold{Hold: 4, Issues: 1}, record.ExtensionEntry{Office: "HR", Hold: 5, Issues: 1}, contradicted),
		act("another issue", &record.ResolveIssue{Hold: 4, Issue: 1}, record.ResolutionEntry{Office: "HR", Hold: 4, Issue: 0}, contradicted),
		act("another hold released", &record.ReleaseHold{Hold: 4}, record.ReleaseEntry{Office: "HR", Hold: 5}, contradicted),
		act("another disposition approved", &record.ApproveDisposition{Disposition: 4, Hash: hash}, record.AuthorizationEntry{Office: "HR", Disposition: 5, Hash: hash}, contradicted),
		act("another hash approved", &record.ApproveDisposition{Disposition: 4, Hash: hash}, record.AuthorizationEntry{Office: "HR", Disposition: 4}, contradicted),
		act("a withdrawal approved", &record.WithdrawDisposition{Disposition: 4}, record.AuthorizationEntry{Office: "HR", Disposition: 4}, contradicted),
		act("another disposition withdrawn", &record.WithdrawDisposition{Disposition: 4}, record.WithdrawalEntry{Office: "HR", Disposition: 5}, contradicted),
		act("another day of notice", &record.RecordNotice{Disposition: 4, Day: 3}, record.NoticeEntry{Office: "HR", Disposition: 4, Day: 2}, contradicted),
		act("a lock without its items", &record.LockDisposition{Disposition: 4, Hash: hash}, record.LockEntry{Office: "HR", Disposition: 4, Day: 3, Count: 1}, contradicted),
		act("an item without its lock", &record.LockDisposition{Disposition: 4, Hash: hash}, record.ItemEntry{Disposition: 4, Record: 3}, contradicted),
		act("an item of an approval", &record.ApproveDisposition{Disposition: 4, Hash: hash}, record.ItemEntry{Disposition: 4, Record: 3}, contradicted),
		act("another outcome", &record.ReportErasure{Disposition: 4, Outcome: record.OutcomeDone}, record.ReportEntry{Office: "HR", Disposition: 4, Outcome: record.OutcomePreserved}, contradicted),
		act("more preserved", &record.ReportErasure{Disposition: 4, Outcome: record.OutcomeDone}, record.ReportEntry{Office: "HR", Disposition: 4, Outcome: record.OutcomeDone, Preserved: 1}, contradicted),
		act("a decision to withhold", &record.Withhold{Record: 4, Redaction: hash}, record.WithholdingEntry{Office: "HR", Record: 4, Redaction: hash}, good),
		act("a decision about another record", &record.Withhold{Record: 4, Redaction: hash}, record.WithholdingEntry{Office: "HR", Record: 5, Redaction: hash}, contradicted),
		act("another decision", &record.Withhold{Record: 4, Redaction: hash}, record.WithholdingEntry{Office: "HR", Record: 4, Redaction: [32]byte{2}}, contradicted),
		act("a decision of another office", &record.Withhold{Record: 4, Redaction: hash}, record.WithholdingEntry{Office: "IT", Record: 4, Redaction: hash}, "FAILED KEY_MISMATCH"),
		act("another jump", &record.AcknowledgeJump{Jump: 4}, record.AcknowledgmentEntry{Office: "HR", Jump: 5}, contradicted),
	}
	return append(append(list, dishonestRefusals()...), dishonestDispositions()...)
}

func hold() *record.PlaceHold {
	return &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{1}, Issues: 2, Scope: record.Scope{City: true}}
}

func dishonestRefusals() []dishonestLife {
	refusal := func(name string, m record.Message, e record.RefusalEntry, want string) dishonestLife {
		e.Office, e.Code = "HR", 80
		return dishonestLife{name, func(l *life) int64 { return l.tx("HR", m, e) + 1 }, want}
	}
	const good, contradicted = "PASSED", "FAILED TX_CONTRADICTED"
	propose := &record.ProposeDisposition{Series: "A", Action: record.ActionDestroy, Records: []record.Index{3, 5}}
	return []dishonestLife{
		refusal("a refused proposal", propose, record.RefusalEntry{Record: 5}, good),
		refusal("for a record that was not proposed", propose, record.RefusalEntry{Record: 4}, contradicted),
		refusal("a refused proposal of a disposition that is there", propose, record.RefusalEntry{Disposition: 3}, contradicted),
		refusal("a refused approval", &record.ApproveDisposition{Disposition: 4}, record.RefusalEntry{Disposition: 4}, good),
		refusal("a refused approval of another", &record.ApproveDisposition{Disposition: 4}, record.RefusalEntry{Disposition: 5}, contradicted),
		refusal("a refused lock", &record.LockDisposition{Disposition: 4}, record.RefusalEntry{Disposition: 4, Record: 9, Hold: 2}, good),
		refusal("a refused lock of another", &record.LockDisposition{Disposition: 4}, record.RefusalEntry{Disposition: 5}, contradicted),
		refusal("a refused notice", &record.RecordNotice{Disposition: 4}, record.RefusalEntry{Disposition: 4}, good),
		refusal("a refused notice of another", &record.RecordNotice{Disposition: 4}, record.RefusalEntry{Disposition: 5}, contradicted),
		refusal("a refused hold", hold(), record.RefusalEntry{}, contradicted),
		{"a refusal with something besides", func(l *life) int64 {
			e := record.RefusalEntry{Office: "HR", Code: 80, Record: 5}
			return l.tx("HR", propose, e, e) + 1
		}, contradicted},
	}
}

func dishonestDispositions() []dishonestLife {
	const contradicted, mismatch = "FAILED TX_CONTRADICTED", "FAILED KEY_MISMATCH"
	m := &record.ProposeDisposition{Series: "A", Action: record.ActionDestroy, Records: []record.Index{3, 5}}
	propose := func(change func(*record.DispositionEntry)) func(l *life) int64 {
		return func(l *life) int64 {
			e := record.DispositionEntry{Office: "HR", Series: "A", Action: m.Action, Count: 2, Hash: l.hashOf(m)}
			change(&e)
			return l.tx("HR", m, e) + 1
		}
	}
	lock := func(change func(*record.LockEntry, *record.ItemEntry), at int64) func(l *life) int64 {
		return func(l *life) int64 {
			e, item := record.LockEntry{Office: "IT", Disposition: 4, Day: 3, Count: 1}, record.ItemEntry{Disposition: 4, Record: 3}
			change(&e, &item)
			return l.tx("IT", &record.LockDisposition{Disposition: 4}, e, item) + at
		}
	}
	report := &record.ReportErasure{Disposition: 4, Outcome: record.OutcomeDone}
	reported := func(change func(*record.ReportEntry)) func(l *life) int64 {
		return func(l *life) int64 {
			e := record.ReportEntry{Custodian: record.KeyIDOf(l.custodian.Public().(ed25519.PublicKey)), Disposition: 4, Outcome: report.Outcome}
			change(&e)
			return l.signed(l.custodian, report, e) + 1
		}
	}
	departed := func(change func(*record.DepartureEntry)) func(l *life) int64 {
		return func(l *life) int64 {
			m := &record.LeaveCustody{Set: "CITY", Departure: record.DepartureHandedOver}
			e := record.DepartureEntry{Custodian: record.KeyIDOf(l.custodian.Public().(ed25519.PublicKey)), Set: m.Set, Departure: m.Departure}
			change(&e)
			return l.signed(l.custodian, m, e) + 1
		}
	}
	return []dishonestLife{
		{"a proposal", propose(func(*record.DispositionEntry) {}), "PASSED"},
		{"another series than proposed", propose(func(e *record.DispositionEntry) { e.Series = "B" }), contradicted},
		{"another action", propose(func(e *record.DispositionEntry) { e.Action = record.ActionPermanent }), contradicted},
		{"fewer records", propose(func(e *record.DispositionEntry) { e.Count = 1 }), contradicted},
		{"another hash than the body's", propose(func(e *record.DispositionEntry) { e.Hash[0]++ }), contradicted},
		{"a lock", lock(func(*record.LockEntry, *record.ItemEntry) {}, 1), "PASSED"},
		{"an item", lock(func(*record.LockEntry, *record.ItemEntry) {}, 2), "PASSED"},
		{"a lock of another disposition", lock(func(e *record.LockEntry, _ *record.ItemEntry) { e.Disposition = 5 }, 1), contradicted},
		{"a lock of more records", lock(func(e *record.LockEntry, _ *record.ItemEntry) { e.Count = 2 }, 1), contradicted},
		{"an item of another disposition", lock(func(_ *record.LockEntry, item *record.ItemEntry) { item.Disposition = 5 }, 2), contradicted},
		{"a report by a custodian", reported(func(*record.ReportEntry) {}), "PASSED"},
		{"a report in the name of an office", reported(func(e *record.ReportEntry) { e.Office, e.Custodian = "HR", record.KeyID{} }), mismatch},
		{"a report in the name of another custodian", reported(func(e *record.ReportEntry) { e.Custodian[0]++ }), mismatch},
		{"an office in the name of a custodian", func(l *life) int64 {
			return l.tx("HR", report, record.ReportEntry{Custodian: record.KeyID{1}, Disposition: 4, Outcome: report.Outcome}) + 1
		}, mismatch},
		{"an anchor signed by a custodian", func(l *life) int64 {
			return l.signed(l.custodian, &record.ReleaseHold{Hold: 4}, record.ReleaseEntry{Office: "HR", Hold: 4}) + 1
		}, mismatch},
		{"a departure of a custodian", departed(func(*record.DepartureEntry) {}), "PASSED"},
		{"a departure from another set", departed(func(e *record.DepartureEntry) { e.Set = "TOWN" }), "FAILED TX_CONTRADICTED"},
		{"another departure", departed(func(e *record.DepartureEntry) { e.Departure = record.DepartureDestroyed }), "FAILED TX_CONTRADICTED"},
		{"a departure in the name of another custodian", departed(func(e *record.DepartureEntry) { e.Custodian[0]++ }), mismatch},
		{"a departure signed by an office", func(l *life) int64 {
			return l.tx("HR", &record.LeaveCustody{Set: "CITY", Departure: record.DepartureHandedOver}, record.DepartureEntry{Set: "CITY", Departure: record.DepartureHandedOver}) + 1
		}, mismatch},
		{"misbehavior of a validator", func(l *life) int64 { return l.add(record.MisbehaviorEntry{Height: 7}) }, "PASSED"},
		{"a transaction signed by a custodian that is no report", func(l *life) int64 {
			return l.signed(l.custodian, &record.ReleaseHold{Hold: 4}, record.ReleaseEntry{Office: "HR", Hold: 4})
		}, mismatch},
	}
}

// TestTheKeyFactOfAReport exchanges the fact that shows whose key it is.
func TestTheKeyFactOfAReport(t *testing.T) {
	l := newLife(t, testNetwork(1, 0, 0))
	size := int64(len(l.entries))
	other := l.keys[record.KeyIDOf(testKey("office HR").Public().(ed25519.PublicKey))]
	for name, c := range map[string]struct{ entry, key int64 }{
		"an office's key for a custodian's": {l.report, other},
		"a node for an office's key":        {l.officeReport, l.node},
		"a fact without keys":               {l.report, l.offices["HR"]},
	} {
		r := must1(Parse(l.receipt(size, c.entry)))
		r.Leaves = slices.DeleteFunc(r.Leaves, func(leaf Leaf) bool { return record.KindOf(leaf.Entry) == record.KindFact })
		r.Leaves = sorted(append(r.Leaves, l.leaf(size, c.key)), func(a, b Leaf) int { return int(a.Index - b.Index) })
		if v := verdictOf(t, l.network, r.text()); reasonOf(v) != "FAILED KEY_MISMATCH" {
			t.Errorf("%s: got %s (%s)", name, reasonOf(v), v.Detail)
		}
	}
}

// TestRefusalsHaveTheNamesOfTheLedger compares the table of reasons, which this
// package cannot take from package ledger.
func TestRefusalsHaveTheNamesOfTheLedger(t *testing.T) {
	for _, code := range ledger.Codes() {
		name, known := refusals[uint32(code)]
		if want := code >= ledger.CodeHeld && code < ledger.CodeUnknownDisposition; known != want || known && name != code.String() {
			t.Errorf("code %d is %s: got %q", code, code, name)
		}
	}
	for number := range refusals {
		if !slices.Contains(ledger.Codes(), ledger.Code(number)) {
			t.Errorf("the ledger has no code %d", number)
		}
	}
	if got := refusalName(9999); got != "CODE_9999" {
		t.Errorf("an unknown code is called %s", got)
	}
}

// TestScopesInPlainWords says what holds cover.
func TestScopesInPlainWords(t *testing.T) {
	many := make([]record.Index, 25)
	for i := range many {
		many[i] = record.Index(i + 1)
	}
	for _, c := range []struct {
		scope record.Scope
		want  string
	}{
		{record.Scope{}, "none"},
		{record.Scope{Records: many[:3]}, "records 1, 2, 3"},
		{record.Scope{Records: many}, "records 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 and 5 more"},
		{record.Scope{City: true}, "the city, present and future"},
		{record.Scope{Department: "DPW"}, "all series of DPW, present and future"},
		{record.Scope{Department: "DPW", Series: "CT-X", Dated: true, From: -1, To: 364}, "series CT-X of DPW, records dated 1969-12-31 to 1970-12-31 and undated ones, present and future"},
	} {
		if got := scope(c.scope); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.scope, got, c.want)
		}
	}
	for want, m := range map[string]record.Message{"proposal": &record.ProposeDisposition{}, "approval": &record.ApproveDisposition{},
		"notice": &record.RecordNotice{}, "lock": &record.LockDisposition{}} {
		if got := stepName(m); got != want {
			t.Errorf("%T is called %s", m, got)
		}
	}
}
