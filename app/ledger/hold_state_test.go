package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// heldCity is a city with records, holds and a freeze.
type heldCity struct {
	*city
	a, b, plan          record.Index // records of DPW, DPW and LIBRARY
	suit, closed, scope record.Index // a hold on a with an issue; one that can be released; one on DPW, extended to the city
	wider               record.Index // that extension
	audit, event, jump  record.Index
}

func foundHeld(t testing.TB) heldCity {
	t.Helper()
	facts := demoFacts()
	facts.Time -= 3600 * second
	h := heldCity{city: found(t, facts)}
	h.pass(t, 2, 0)
	h.pass(t, 1, 3600*second)
	h.jump = record.Index(h.view.Head().Size) - 2
	do := func(name string, m record.Message) record.Index {
		_, results := h.apply(t, at("2031-01-01"), h.sign(t, name, day("2031-01-02"), m))
		if results[0].Code != ledger.OK {
			t.Fatalf("%T by %s: %s", m, name, results[0].Code)
		}
		return results[0].TxIndex + 1
	}
	h.a = do("DPW", anchors("DEMO-MINUTES", day("2030-12-15"), "a", "b"))
	h.b = h.a + 1
	h.plan = do("LIBRARY", anchors("DEMO-PLANS", day("2030-12-31"), "plan"))
	h.suit = do("COUNSEL", placed(record.HoldAnticipated, 1, listing(h.a)))
	h.closed = do("COUNSEL", placed(record.HoldSealed, 1, record.Scope{Department: "LIBRARY", Series: "DEMO-PLANS"}))
	do("COUNSEL", &record.ResolveIssue{Hold: h.closed})
	do("COUNSEL", &record.ResolveIssue{Hold: h.closed, Issue: 1})
	h.scope = do("CLERK", placed(record.HoldAudit, 0, record.Scope{Department: "DPW", Dated: true, From: day("1969-12-31"), To: day("2030-12-31")}))
	h.wider = do("AUDIT", &record.ExtendHold{Hold: h.scope, Issues: 2, Scope: record.Scope{City: true}})
	h.audit = do("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2029-06-30")})
	h.event = do("DPW", &record.RecordEvents{Event: retention.Closed, Day: day("2030-12-16"), Records: []record.Index{h.a}})
	do("IT", &record.AcknowledgeJump{Jump: h.jump})
	return h
}

// messages gives one acceptable message of each kind that is about records,
// holds and the clock, with its signer.
func (h heldCity) messages() map[string]record.Message {
	return map[string]record.Message{
		"DPW events":     &record.RecordEvents{Event: retention.Closed, Day: day("2030-12-17"), Records: []record.Index{h.a, h.b}},
		"DPW file":       &record.FileRecords{File: h.a, Records: []record.Index{h.b}},
		"AUDIT":          &record.PostAuditedThrough{Department: "DPW", Through: day("2030-06-30")},
		"COUNSEL hold":   placed(record.HoldLitigation, 1, listing(h.a, h.plan)),
		"DPW advice":     placed(record.HoldAdviceRequested, 0, record.Scope{Department: "DPW", Series: "DEMO-MINUTES"}),
		"CLERK extend":   &record.ExtendHold{Hold: h.suit, Issues: 1, Scope: listing(h.a, h.b)},
		"CLERK further":  &record.ExtendHold{Hold: h.suit, Scope: record.Scope{City: true, Dated: true, From: 1, To: 2}},
		"CLERK resolve":  &record.ResolveIssue{Hold: h.suit, Issue: 1},
		"AUDIT release":  &record.ReleaseHold{Hold: h.closed},
		"CLERK the time": &record.AcknowledgeJump{Jump: h.jump},
	}
}

func TestS0_2_PersonalDataFitsNoFieldOfHolds(t *testing.T) {
	h := foundHeld(t)
	personalDataFitsNoField(t, h.city, h.messages(), "department", "series", "matter")
}

func TestHoldFailureIsAnError(t *testing.T) {
	h := foundHeld(t)
	failEveryRead(t, h.city, h.messages())
}

// TestHoldValueBytes pins the bytes of docs/spec/holds.md, field by field.
func TestHoldValueBytes(t *testing.T) {
	h := foundHeld(t)
	h.apply(t, at("2031-01-01"), h.sign(t, "DPW", day("2031-01-02"), h.messages()["DPW file"]))
	filing := number(uint64(h.view.Head().Size) - 2)
	h.apply(t, at("2031-01-01"), h.sign(t, "AUDIT", day("2031-01-02"), h.messages()["AUDIT release"]))
	release := number(uint64(h.view.Head().Size) - 2)
	index := func(i record.Index) []byte { return number(uint64(i)) }
	text := func(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) }
	matter := commitment("matter")
	const today = "19 ae10" // 2031-01-01, day 22280, zigzag 44560
	long := func(v int64) []byte { return unhex(t, fmt.Sprintf("1b %016x", v)) }
	tests := []struct {
		name string
		key  []byte
		text string
		want []byte
	}{
		{"a hold", ledger.StateKeyHold(h.suit), "hold/\x00\x00\x00\x00\x00\x00\x00", slices.Concat(
			unhex(t, "8c 01"), text("COUNSEL"), unhex(t, "02"), bytesOf(matter[:]), unhex(t, today+ // array of 12, version, office, anticipated, matter, day
				"01 80 80"+ // an issue, none resolved, by nobody
				"81 8b"), index(h.suit), text("COUNSEL"), unhex(t, today+"01 01"+ // one part: its entry, office, day, issues, one record listed
				"60 60 00 00 00 00"+ // no department, no series, not the city, any day
				"00 60 00"))}, // not released
		{"a released hold", ledger.StateKeyHold(h.closed), "hold/", slices.Concat(
			unhex(t, "8c 01"), text("COUNSEL"), unhex(t, "0b"), bytesOf(matter[:]), unhex(t, today+
				"01 82 00 01"+ // an issue; it and the action are closed
				"81"), text("COUNSEL"), unhex(t, "81 8b"), index(h.closed), text("COUNSEL"), unhex(t, today+"01 00"), text("LIBRARY"), text("DEMO-PLANS"), unhex(t, "00 00 00 00"),
			release, text("AUDIT"), unhex(t, today))},
		{"an extended hold", ledger.StateKeyHold(h.scope), "hold/", slices.Concat(
			unhex(t, "8c 01"), text("CLERK"), unhex(t, "04"), bytesOf(matter[:]), unhex(t, today+"02 80 80 82"+
				"8b"), index(h.scope), text("CLERK"), unhex(t, today+"00 00"), text("DPW"), unhex(t, "60 00 01 01 19 ae0e"+ // dated, day -1 to 22279
				"8b"), index(h.wider), text("AUDIT"), unhex(t, today+"02 00 60 60 01 00 00 00"+ // the city, any day
				"00 60 00"))},
		{"marks on a series", ledger.StateKeyHeld("LIBRARY", "DEMO-PLANS"), "held/LIBRARY/DEMO-PLANS", slices.Concat(
			unhex(t, "82 01 81 86"), index(h.closed), index(h.closed), unhex(t, "00 00 00"), release)},
		{"marks on a department", ledger.StateKeyHeld("DPW", ""), "held/DPW/", slices.Concat(
			unhex(t, "82 01 81 86"), index(h.scope), index(h.scope), unhex(t, "01 01 19 ae0e 00"))},
		{"marks on the city", ledger.StateKeyHeld("", ""), "held//", slices.Concat(
			unhex(t, "82 01 81 86"), index(h.scope), index(h.wider), unhex(t, "00 00 00 00"))},
		{"a record that is held", ledger.StateKeyLifecycle(h.a), "record/", slices.Concat(
			unhex(t, "8b 01 00 00 00 60 00 00"+ // no supersession, no filing
				"81 83 02 19 adf0"), index(h.event), // closed on 2030-12-16, day 22264, says that entry
			unhex(t, "81 82"), index(h.suit), index(h.suit), unhex(t, "00 80"))}, // listed by the hold, by its placement; not locked; no decisions
		{"a record in a file", ledger.StateKeyLifecycle(h.b), "record/", slices.Concat(
			unhex(t, "8b 01 00 00 00 60"), index(h.a), filing, unhex(t, "80 80 00 80"))},
		{"audits", ledger.StateKeyAudited("DPW"), "audited/DPW", slices.Concat(
			unhex(t, "82 01 81 83 19 a9c4"+today), index(h.audit))}, // through 2029-06-30, day 21730
		{"the clock", ledger.StateKeyClock(), "clock", slices.Concat(
			unhex(t, "87 01"+today+"00"), index(h.jump), long(at("2031-01-01")), unhex(t, "03 81"), text("IT"))},
	}
	for _, test := range tests {
		if !strings.HasPrefix(string(test.key), test.text) {
			t.Errorf("the state key of %s is %q, want %q", test.name, test.key, test.text)
		}
		if got := value(t, h.view, test.key); !bytes.Equal(got, test.want) {
			t.Errorf("value of %s = %x, want %x", test.name, got, test.want)
		}
	}
}

// TestDamagedHoldValueIsAnError flips every byte of every kind of state value
// of this part. What can still be read differs from what was written.
func TestDamagedHoldValueIsAnError(t *testing.T) {
	h := foundHeld(t)
	h.apply(t, at("2031-01-01"), h.sign(t, "AUDIT", day("2031-01-02"), h.messages()["AUDIT release"]))
	// What the next long step makes of the clock shows all that was known before it.
	clock := func(v ledger.View) (string, error) {
		b := ledger.Block{Height: v.Head().Height + 1, Time: v.Head().Time + 61*second}
		changes, _, err := h.machine.Apply(v, b)
		if err != nil {
			return "", err
		}
		f, on, err := ledger.FreezeOf(v)
		return fmt.Sprintf("%x %+v %t", changes.Values[0].Value, f, on), err
	}
	h.pass(t, 1, 61*second) // some excess, which is not lost either
	readers := []struct {
		name string
		key  []byte
		read func(ledger.View) (string, error)
	}{
		{"hold", ledger.StateKeyHold(h.closed), func(v ledger.View) (string, error) {
			hold, _, err := ledger.HoldOf(v, h.closed)
			return fmt.Sprintf("%+v", hold), err
		}},
		{"extended hold", ledger.StateKeyHold(h.scope), func(v ledger.View) (string, error) {
			hold, _, err := ledger.HoldOf(v, h.scope)
			return fmt.Sprintf("%+v", hold), err
		}},
		{"lifecycle", ledger.StateKeyLifecycle(h.a), func(v ledger.View) (string, error) {
			l, _, err := ledger.LifecycleOf(v, h.a)
			return fmt.Sprintf("%+v", l), err
		}},
		{"audits", ledger.StateKeyAudited("DPW"), func(v ledger.View) (string, error) {
			list, err := ledger.AuditsOf(v, "DPW")
			return fmt.Sprintf("%+v", list), err
		}},
		{"clock", ledger.StateKeyClock(), clock},
	}
	for _, r := range readers {
		sound := value(t, h.view, r.key)
		want, err := r.read(h.view)
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		found, damages := 0, damaged(sound)
		for _, b := range damages {
			got, err := r.read(altered{View: h.view, key: r.key, value: b})
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

// damaged gives a value with every byte flipped in some ways, cut and extended.
func damaged(value []byte) [][]byte {
	damages := [][]byte{{}, append(bytes.Clone(value), 0), value[:len(value)-1]}
	for i := range value {
		for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
			b := bytes.Clone(value)
			b[i] ^= mask
			damages = append(damages, b)
		}
	}
	return damages
}

// TestDamagedMarksAreFound flips every byte of each list of holds on a record.
// Half of that and more is found out by the form alone; that the value is the
// one in the state is for the proof to say.
func TestDamagedMarksAreFound(t *testing.T) {
	h := foundHeld(t)
	anchor := entry(t, h.view, int64(h.a)).(record.AnchorEntry)
	lists := func() (l [3][]byte) {
		for n, key := range ledger.HeldKeys(anchor) {
			l[n], _, _ = h.view.Value(key)
		}
		return l
	}
	holds := func(i record.Index) ([]byte, bool) {
		b, ok, _ := h.view.Value(ledger.StateKeyHold(i))
		return b, ok
	}
	lifecycle := value(t, h.view, ledger.StateKeyLifecycle(h.a))
	want, err := ledger.HeldBy(h.a, anchor, lists(), lifecycle, holds)
	if err != nil || len(want) != 2 {
		t.Fatalf("holds = %+v, %v", want, err)
	}
	found, tried := 0, 0
	for n, list := range lists() {
		if list == nil {
			continue
		}
		for _, b := range damaged(list) {
			l := lists()
			l[n] = b
			tried++
			if got, err := ledger.HeldBy(h.a, anchor, l, lifecycle, holds); err != nil {
				found++
				if got != nil {
					t.Errorf("list %x: %+v with the error %v", b, got, err)
				}
			}
		}
	}
	if tried < 100 || found < tried/2 {
		t.Errorf("%d of %d damages were found", found, tried)
	}
	for name, call := range map[string]func() ([]ledger.HoldOn, error){
		"a hold is not given": func() ([]ledger.HoldOn, error) {
			return ledger.HeldBy(h.a, anchor, lists(), lifecycle, func(record.Index) ([]byte, bool) { return nil, false })
		},
		"another hold is given": func() ([]ledger.HoldOn, error) {
			return ledger.HeldBy(h.a, anchor, lists(), lifecycle, func(record.Index) ([]byte, bool) { return holds(h.closed) })
		},
		"the lifecycle is empty": func() ([]ledger.HoldOn, error) { return ledger.HeldBy(h.a, anchor, lists(), []byte{}, holds) },
	} {
		if got, err := call(); err == nil || got != nil {
			t.Errorf("%s: %+v, %v, want an error", name, got, err)
		}
	}
}

// TestHoldStateThatContradictsItself gives values of sound form that this
// package cannot have written.
func TestHoldStateThatContradictsItself(t *testing.T) {
	h := foundHeld(t)
	hold := value(t, h.view, ledger.StateKeyHold(h.closed))
	swap := func(from, to string) []byte {
		b := bytes.Replace(hold, unhex(t, from), unhex(t, to), 1)
		if bytes.Equal(b, hold) {
			t.Fatalf("%x does not hold %s", hold, from)
		}
		return b
	}
	for name, b := range map[string][]byte{
		"no such kind":               swap("434f554e53454c 0b", "434f554e53454c 0c"),
		"kind 0":                     swap("434f554e53454c 0b", "434f554e53454c 00"),
		"issues in another order":    swap("01 82 00 01", "01 82 01 00"),
		"an issue resolved twice":    swap("01 82 00 01", "01 82 01 01"),
		"an issue that is not there": swap("01 82 00 01", "01 82 00 02"),
		"more resolved than opened":  swap("01 82 00 01", "00 82 00 01"),
	} {
		if got, ok, err := ledger.HoldOf(altered{View: h.view, key: ledger.StateKeyHold(h.closed), value: b}, h.closed); err == nil || ok || got.Parts != nil {
			t.Errorf("%s: %+v, %t, %v", name, got, ok, err)
		}
	}
	// A lock of what is no disposition: late holds cannot be counted.
	locks := altered{View: h.view, key: ledger.StateKeyLocks(), value: append(unhex(t, "82 01 81"), number(uint64(h.a))...)}
	raw := h.sign(t, "COUNSEL", day("2031-01-02"), placed(record.HoldLitigation, 0, record.Scope{City: true}))
	if code := h.machine.Check(locks, ledger.Header{Height: h.view.Head().Height + 1, Time: at("2031-01-01")}, raw); code != ledger.CodeInternal {
		t.Errorf("a hold beside a lock of no disposition: %s, want INTERNAL", code)
	}
}

// FuzzHoldValue reads arbitrary bytes as every kind of state value of this part:
// an answer or an error, never both, never a panic.
func FuzzHoldValue(f *testing.F) {
	h := foundHeld(f)
	anchor := record.AnchorEntry{Office: "DPW", Series: "DEMO-MINUTES", Day: day("2030-12-15")}
	for _, key := range [][]byte{
		ledger.StateKeyHold(h.closed), ledger.StateKeyHold(h.scope), ledger.StateKeyHeld("", ""), ledger.StateKeyHeld("DPW", ""),
		ledger.StateKeyAudited("DPW"), ledger.StateKeyClock(), ledger.StateKeyLifecycle(h.a),
	} {
		b, _, err := h.view.Value(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x82, 0x01, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if b == nil {
			b = []byte{}
		}
		view := func(key []byte) ledger.View { return altered{View: h.view, key: key, value: b} }
		if hold, ok, err := ledger.HoldOf(view(ledger.StateKeyHold(h.suit)), h.suit); err != nil && (ok || hold.Parts != nil) {
			t.Errorf("HoldOf gives %+v with its error %v", hold, err)
		}
		if list, err := ledger.AuditsOf(view(ledger.StateKeyAudited("DPW")), "DPW"); err != nil && list != nil {
			t.Errorf("AuditsOf gives %+v with its error %v", list, err)
		}
		if freeze, ok, err := ledger.FreezeOf(view(ledger.StateKeyClock())); (err != nil || !ok) && (ok || freeze.Jump != 0) {
			t.Errorf("FreezeOf gives %+v, %t with its error %v", freeze, ok, err)
		}
		for _, key := range [][]byte{ledger.StateKeyHeld("", ""), ledger.StateKeyHeld("DPW", ""), ledger.StateKeyLifecycle(h.a), ledger.StateKeyHold(h.suit)} {
			if held, err := ledger.HoldsOn(view(key), h.a); err != nil && held != nil {
				t.Errorf("HoldsOn gives %+v with its error %v", held, err)
			}
		}
		give := func(record.Index) ([]byte, bool) { return b, true }
		if held, err := ledger.HeldBy(h.a, anchor, [3][]byte{b, nil, b}, b, give); err != nil && held != nil {
			t.Errorf("HeldBy gives %+v with its error %v", held, err)
		}
	})
}
