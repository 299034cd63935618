package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// steps gives one acceptable message of each step of a disposition, with its
// signer, on dispositions that have come as far, and what these are.
func (a *archive) steps() (messages map[string]record.Message, open, locked record.Index) {
	a.t.Helper()
	lone, first, second := a.anchor("DEMO-MINUTES", "lone", "2020-05-01"), a.anchor("DEMO-MINUTES", "first", "2020-05-01"), a.anchor("DEMO-MINUTES", "second", "2020-05-01")
	open, hash := a.propose("DEMO-MINUTES", lone)
	ripe, ripeHash := a.propose("DEMO-MINUTES", first)
	locked, lockedHash := a.propose("DEMO-MINUTES", second)
	a.must("CLERK", &record.ApproveDisposition{Disposition: ripe, Hash: ripeHash})
	a.must("CLERK", &record.ApproveDisposition{Disposition: locked, Hash: lockedHash})
	a.must("DPW", &record.RecordNotice{Disposition: locked, Day: day("2030-12-31")})
	a.must("OPS", &record.LockDisposition{Disposition: locked, Hash: lockedHash})
	part := a.anchor("DEMO-MINUTES", "part", "2020-05-01")
	erased := a.lockRedaction(part)
	return map[string]record.Message{
		"DPW destroys":  &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{lone}},
		"DPW transfers": &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionTransfer, To: "LIBRARY", Records: []record.Index{lone, first}},
		"CLERK":         &record.ApproveDisposition{Disposition: open, Hash: hash},
		"DPW withdraws": &record.WithdrawDisposition{Disposition: open},
		"DPW notifies":  &record.RecordNotice{Disposition: open, Day: day("2030-12-31")},
		"OPS":           &record.LockDisposition{Disposition: ripe, Hash: ripeHash},
		"DPW reports":   &record.ReportErasure{Disposition: locked, Outcome: record.OutcomeDone, Preserved: []record.Index{second}, Report: commitment("report"), Claim: record.ClaimFiles},
		"DPW redacts":   &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionRedact, Redaction: commitment("parts"), Records: []record.Index{lone}},
		"DPW erased":    &record.ReportErasure{Disposition: erased, Outcome: record.OutcomeDone},
		"DPW withholds": &record.Withhold{Record: lone, Redaction: commitment("parts")},
		"COUNSEL":       &record.Withhold{Record: part, Redaction: commitment("other parts")},
	}, open, locked
}

func TestS0_2_PersonalDataFitsNoFieldOfDispositions(t *testing.T) {
	a := foundArchive(t)
	messages, _, _ := a.steps()
	personalDataFitsNoField(t, a.city, messages, "series", "to", "hash", "report", "redaction")
}

func TestDispositionFailureIsAnError(t *testing.T) {
	a := foundArchive(t)
	messages, _, _ := a.steps()
	failEveryRead(t, a.city, messages)
}

// TestDispositionValueBytes pins the bytes of docs/spec/disposition.md, field by field.
func TestDispositionValueBytes(t *testing.T) {
	a := foundArchive(t)
	_, open, locked := a.steps()
	index := func(i record.Index) []byte { return number(uint64(i)) }
	text := func(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) }
	const today, yesterday = "19 ae10", "19 ae0e" // 2031-01-01 is day 22280, zigzag 44560
	o, l := a.disposition(open), a.disposition(locked)
	approval := l.Approvals[0]
	clerk, counsel, parts := keyID("CLERK"), keyID("COUNSEL"), commitment("parts")
	redacted := locks(t, a)[1]
	r := a.disposition(redacted)
	head := func(d ledger.Disposition) []byte {
		return slices.Concat(
			unhex(t, "93 01"), text("DPW"), text("DEMO-MINUTES"), unhex(t, "01 60 00"), // array of 19, version, office, series, destroy, to nobody, no standing authorization
			bytesOf(d.Hash[:]), index(d.Tx), unhex(t, "01"+today), index(record.Index(d.Height))) // hash, transaction, one record, day, height
	}
	tests := []struct {
		name string
		key  []byte
		want []byte
	}{
		{"an open disposition", ledger.StateKeyDisposition(open), slices.Concat(head(o), unhex(t, "01 80 00 00 00 80 40 00"))}, // open, no approvals, no notice on no day, no lock, no reports, no redaction, none before
		{"a locked disposition", ledger.StateKeyDisposition(locked), slices.Concat(
			head(l), unhex(t, "03 81 85"), text("CLERK"), bytesOf(clerk[:]), unhex(t, today), index(record.Index(approval.Height)), index(approval.Entry),
			index(l.Notice), unhex(t, yesterday), index(l.Lock), unhex(t, "81 83"), text("DPW"), bytesOf(make([]byte, 32)), unhex(t, "00 40 00"))}, // one report due, of DPW; no redaction, none locked before
		{"a locked redaction", ledger.StateKeyDisposition(redacted), slices.Concat(
			unhex(t, "93 01"), text("DPW"), text("DEMO-MINUTES"), unhex(t, "04 60 00"), // redact
			bytesOf(r.Hash[:]), index(r.Tx), unhex(t, "01"+today), index(record.Index(r.Height)),
			unhex(t, "03 82 85"), text("CLERK"), bytesOf(clerk[:]), unhex(t, today), index(record.Index(r.Approvals[0].Height)), index(r.Approvals[0].Entry),
			unhex(t, "85"), text("COUNSEL"), bytesOf(counsel[:]), unhex(t, today), index(record.Index(r.Approvals[1].Height)), index(r.Approvals[1].Entry),
			unhex(t, "00 00"), index(r.Lock), unhex(t, "81 83"), text("DPW"), bytesOf(make([]byte, 32)), unhex(t, "00"),
			bytesOf(parts[:]), index(locked))}, // what is erased; locked before it
		{"erasures", ledger.StateKeyErasures(), slices.Concat(unhex(t, "82 01"), index(redacted))},
		{"locks", ledger.StateKeyLocks(), slices.Concat(unhex(t, "82 01 82"), index(locked), index(redacted))},
	}
	for _, c := range tests {
		got, ok, err := a.view.Value(c.key)
		if err != nil || !ok || !bytes.Equal(got, c.want) {
			t.Errorf("%s: value %x, %t, %v\nwant %x", c.name, got, ok, err, c.want)
		}
	}
	if !bytes.Equal(ledger.StateKeyDisposition(258), []byte("disposition/\x00\x00\x00\x00\x00\x00\x01\x02")) || string(ledger.StateKeyRefusals("DPW")) != "refusals/DPW" {
		t.Error("state keys of dispositions or refusals have changed")
	}
	a.refused(ledger.CodeNotDue, true, "DPW", &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{a.anchor("DEMO-MINUTES", "young", "2030-12-31")}})
	if got, _, _ := a.view.Value(ledger.StateKeyRefusals("DPW")); !bytes.Equal(got, unhex(t, "83 01"+today+"01")) {
		t.Errorf("refusals of a day: %x", got)
	}
}

// locks lists the locked dispositions that wait for reports.
func locks(t *testing.T, a *archive) []record.Index {
	t.Helper()
	all, err := ledger.LocksOf(a.view)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDamagedDispositionValueIsAnError flips every byte of every kind of state
// value of this part. What can still be read differs from what was written.
func TestDamagedDispositionValueIsAnError(t *testing.T) {
	a := foundArchive(t)
	messages, _, locked := a.steps()
	erased := messages["DPW erased"].(*record.ReportErasure).Disposition
	records, err := ledger.RecordsOf(a.view, a.disposition(erased))
	if err != nil {
		t.Fatal(err)
	}
	a.must("DPW", messages["DPW erased"])
	a.must("COUNSEL", messages["COUNSEL"])
	shown := func(v any, err error) (string, error) { return fmt.Sprintf("%+v", v), err }
	readers := []struct {
		name string
		key  []byte
		read func(ledger.View) (string, error)
	}{
		{"disposition", ledger.StateKeyDisposition(locked), func(v ledger.View) (string, error) {
			d, _, err := ledger.DispositionOf(v, locked)
			return shown(d, err)
		}},
		{"redaction", ledger.StateKeyDisposition(erased), func(v ledger.View) (string, error) {
			d, _, err := ledger.DispositionOf(v, erased)
			return shown(d, err)
		}},
		{"lifecycle with decisions", ledger.StateKeyLifecycle(records[0]), func(v ledger.View) (string, error) {
			l, _, err := ledger.LifecycleOf(v, records[0])
			return shown(l, err)
		}},
		{"locks", ledger.StateKeyLocks(), func(v ledger.View) (string, error) { return shown(ledger.LocksOf(v)) }},
		{"erasures", ledger.StateKeyErasures(), func(v ledger.View) (string, error) { return shown(ledger.Erasures(v, 0)) }},
	}
	for _, r := range readers {
		sound := value(t, a.view, r.key)
		want, err := r.read(a.view)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		found, damages := 0, damaged(sound)
		for _, b := range damages {
			got, err := r.read(altered{View: a.view, key: r.key, value: b})
			if err != nil {
				found++
			} else if got == want {
				t.Errorf("%s: the value %x reads like %x", r.name, b, sound)
			}
		}
		if found < 3+len(sound)/8 {
			t.Errorf("%s: only %d of %d damages were found", r.name, found, len(damages))
		}
	}
}

// TestDispositionStateThatContradictsItself: what a value names has to be there,
// and to be what it is named as.
func TestDispositionStateThatContradictsItself(t *testing.T) {
	a := foundArchive(t)
	messages, open, locked := a.steps()
	erased := messages["DPW erased"].(*record.ReportErasure).Disposition
	records, err := ledger.RecordsOf(a.view, a.disposition(erased))
	if err != nil {
		t.Fatal(err)
	}
	i := records[0]
	if _, _, ok, err := ledger.ErasureOf(lied{View: a.view, key: ledger.StateKeyDisposition(erased)}, i); err == nil || ok {
		t.Errorf("erasure under a disposition that is not there: %t, %v", ok, err)
	}
	decided := func(decision record.Index) ledger.View { // a lifecycle with that decision, and nothing else
		return lied{View: a.view, key: ledger.StateKeyLifecycle(i), value: slices.Concat(unhex(t, "8b 01 00 00 00 60 00 00 80 80 00 81"), number(uint64(decision)))}
	}
	for name, v := range map[string]ledger.View{
		"an anchor":                       decided(i),
		"beyond the log":                  decided(record.Index(a.view.Head().Size)),
		"a disposition that is not there": lied{View: decided(locked), key: ledger.StateKeyDisposition(locked)},
		"a disposition with an anchor as its lock": lied{View: decided(open), key: ledger.StateKeyDisposition(open),
			value: bytes.Replace(value(t, a.view, ledger.StateKeyDisposition(locked)), number(uint64(a.disposition(locked).Lock)), number(uint64(i)), 1)},
	} {
		if all, err := ledger.DecisionsOn(v, i); err == nil || all != nil {
			t.Errorf("a decision that is %s: %v, %v", name, all, err)
		}
	}
	for _, at := range []record.Index{0, i, a.disposition(locked).Lock, record.Index(a.view.Head().Size)} {
		if said, err := ledger.ReportedIn(a.view, at); err == nil || said.Disposition != 0 {
			t.Errorf("a report at entry %d: %+v, %v", at, said, err)
		}
	}
	if on, err := ledger.DayOf(a.view, record.Index(a.view.Head().Size)); err == nil || on != 0 {
		t.Errorf("day of an entry beyond the log: %s, %v", on, err)
	}
}
