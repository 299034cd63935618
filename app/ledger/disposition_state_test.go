package ledger_test

import (
	"bytes"
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
	return map[string]record.Message{
		"DPW destroys":  &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{lone}},
		"DPW transfers": &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionTransfer, To: "LIBRARY", Records: []record.Index{lone, first}},
		"CLERK":         &record.ApproveDisposition{Disposition: open, Hash: hash},
		"DPW withdraws": &record.WithdrawDisposition{Disposition: open},
		"DPW notifies":  &record.RecordNotice{Disposition: open, Day: day("2030-12-31")},
		"OPS":           &record.LockDisposition{Disposition: ripe, Hash: ripeHash},
		"DPW reports":   &record.ReportErasure{Disposition: locked, Outcome: record.OutcomeDone, Preserved: []record.Index{second}, Report: commitment("report")},
	}, open, locked
}

func TestS0_2_PersonalDataFitsNoFieldOfDispositions(t *testing.T) {
	a := foundArchive(t)
	messages, _, _ := a.steps()
	personalDataFitsNoField(t, a.city, messages, "series", "to", "hash", "report")
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
	clerk := keyID("CLERK")
	head := func(d ledger.Disposition) []byte {
		return slices.Concat(
			unhex(t, "91 01"), text("DPW"), text("DEMO-MINUTES"), unhex(t, "01 60 00"), // array of 17, version, office, series, destroy, to nobody, no standing authorization
			bytesOf(d.Hash[:]), index(d.Tx), unhex(t, "01"+today), index(record.Index(d.Height))) // hash, transaction, one record, day, height
	}
	tests := []struct {
		name string
		key  []byte
		want []byte
	}{
		{"an open disposition", ledger.StateKeyDisposition(open), slices.Concat(head(o), unhex(t, "01 80 00 00 00 80"))}, // open, no approvals, no notice on no day, no lock, no reports
		{"a locked disposition", ledger.StateKeyDisposition(locked), slices.Concat(
			head(l), unhex(t, "03 81 85"), text("CLERK"), bytesOf(clerk[:]), unhex(t, today), index(record.Index(approval.Height)), index(approval.Entry),
			index(l.Notice), unhex(t, yesterday), index(l.Lock), unhex(t, "81 83"), text("DPW"), bytesOf(make([]byte, 32)), unhex(t, "00"))}, // one report due, of DPW
		{"locks", ledger.StateKeyLocks(), slices.Concat(unhex(t, "82 01 81"), index(locked))},
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
