package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// proven gives a state value through a proof against a state root, as whoever
// has a state receipt would; nil where its absence is proved.
func proven(t *testing.T, v ledger.View, root statetree.Hash, key []byte) []byte {
	t.Helper()
	proof, err := statetree.Prove(v, root, statetree.KeyOf(key))
	if err != nil {
		t.Fatal(err)
	}
	value, present, err := v.Value(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := statetree.Verify(root, statetree.KeyOf(key), value, present, proof); err != nil {
		t.Fatalf("prove %q: %v", key, err)
	}
	if !present {
		return nil
	}
	return value
}

// offline decides by proofs alone which holds are on a record.
func offline(t *testing.T, v ledger.View, i record.Index, anchor record.AnchorEntry) []ledger.HoldOn {
	t.Helper()
	root := v.StateRoot()
	var lists [3][]byte
	for n, key := range ledger.HeldKeys(anchor) {
		lists[n] = proven(t, v, root, key)
	}
	held, err := ledger.HeldBy(i, anchor, lists, proven(t, v, root, ledger.StateKeyLifecycle(i)), func(h record.Index) ([]byte, bool) {
		value := proven(t, v, root, ledger.StateKeyHold(h))
		return value, value != nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// TestHeldAndNotHeldAreProvedOffline plays random holds, extensions and releases
// over random records, and wants of each record the same answer from four small
// proofs, from the view, and from an account of everything that was said.
func TestHeldAndNotHeldAreProvedOffline(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	c, _ := start(t)
	now := at("2031-01-01")
	do := func(name string, m record.Message) record.Index {
		now += 1e9
		_, results := c.apply(t, now, c.sign(t, name, day("2031-01-02"), m))
		if results[0].Code != ledger.OK {
			t.Fatalf("%T by %s: %s", m, name, results[0].Code)
		}
		return results[0].TxIndex + 1
	}
	type said struct {
		entry record.Index
		scope record.Scope
	}
	type hold struct {
		at, released record.Index
		said         []said
	}
	var records []record.Index
	var holds []*hold
	anchored := 0
	for range 120 {
		switch {
		case len(records) < 3 || r.IntN(3) == 0:
			anchored++
			it := record.AnchorItem{Commitment: commitment(fmt.Sprint(anchored)), Flags: uint32(r.IntN(2))}
			if it.Flags == 0 {
				it.Day = day("2030-12-01") + record.Day(r.IntN(30))
			}
			m := &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{it}}
			records = append(records, do(pick(r, "DPW", "LIBRARY"), m))
		case len(holds) < 3 || r.IntN(3) == 0:
			s := randomScope(r, records)
			i := do("COUNSEL", placed(record.HoldLitigation, 0, s))
			holds = append(holds, &hold{at: i, said: []said{{i, s}}})
		default:
			h := pick(r, holds...)
			switch {
			case h.released != 0:
			case r.IntN(3) == 0:
				do("COUNSEL", &record.ResolveIssue{Hold: h.at})
				h.released = do("AUDIT", &record.ReleaseHold{Hold: h.at})
			default:
				s := randomScope(r, records)
				h.said = append(h.said, said{do("COUNSEL", &record.ExtendHold{Hold: h.at, Scope: s}), s})
			}
		}
	}
	covered, released := 0, 0
	for _, i := range records {
		anchor := entry(t, c.view, int64(i)).(record.AnchorEntry)
		var want []ledger.HoldOn
		for _, h := range holds {
			for _, p := range h.said {
				s := p.scope
				within := !s.Dated || anchor.Flags != 0 || s.From <= anchor.Day && anchor.Day <= s.To
				of := s.City || s.Department == anchor.Office && (s.Series == "" || s.Series == anchor.Series)
				listed := len(s.Records) > 0 && s.Records[0] == i
				if h.released != 0 && h.released < i || !listed && !(of && within) {
					continue
				}
				on := ledger.HoldOn{Hold: h.at, Office: "COUNSEL", Kind: record.HoldLitigation, Since: p.entry, Brought: "COUNSEL"}
				if h.released != 0 {
					on.Released, on.By, on.On = h.released, "AUDIT", day("2031-01-01")
					released++
				}
				want = append(want, on)
				covered++
				break
			}
		}
		got, err := ledger.HoldsOn(c.view, i)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d, record %d: holds = %+v, %v, want %+v", seed, i, got, err, want)
		}
		if got := offline(t, c.view, i, anchor); !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d, record %d: holds by proofs = %+v, want %+v", seed, i, got, want)
		}
	}
	if free := len(records)*len(holds) - covered; covered < 50 || released < 10 || free < 50 {
		t.Errorf("%d holds on records, %d of them released, %d not: that tries too little", covered, released, free)
	}
}

// randomScope gives the scope of a hold.
func randomScope(r *rand.Rand, records []record.Index) record.Scope {
	s := record.Scope{Department: pick[record.Code](r, "DPW", "LIBRARY")}
	switch r.IntN(4) {
	case 0:
		return listing(pick(r, records...))
	case 1:
		s.Series = pick[record.Code](r, "DEMO-MINUTES", "DEMO-PLANS")
	case 2:
		s = record.Scope{City: true}
	}
	if r.IntN(2) == 0 {
		s.Dated, s.From = true, day("2030-12-01")+record.Day(r.IntN(30))
		s.To = s.From + record.Day(r.IntN(10))
	}
	return s
}

// TestS4_9_RoundedDaysEscapeNoHold takes records of every true day of two years
// in series of every granularity: where the true day is within a hold's days,
// the day in the log is held.
func TestS4_9_RoundedDaysEscapeNoHold(t *testing.T) {
	c, _ := start(t)
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "COUNSEL", day("2031-01-02"),
		placed(record.HoldFOIRequest, 0, record.Scope{City: true, Dated: true, From: day("2028-02-20"), To: day("2028-03-05")})))
	hold := results[0].TxIndex + 1
	list, _, err := c.view.Value(ledger.StateKeyHeld("", ""))
	if err != nil {
		t.Fatal(err)
	}
	held := func(d record.Day) bool {
		anchor := record.AnchorEntry{Office: "DPW", Series: "DEMO-MINUTES", Day: d}
		on, err := ledger.HeldBy(hold+1, anchor, [3][]byte{2: list}, nil, func(i record.Index) ([]byte, bool) {
			value, ok, _ := c.view.Value(ledger.StateKeyHold(i))
			return value, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		return len(on) == 1
	}
	days := 0
	for d := day("2027-06-01"); d <= day("2029-06-01"); d++ {
		if day("2028-02-20") <= d && d <= day("2028-03-05") {
			for _, g := range []record.Granularity{record.GranularityDay, record.GranularityMonth, record.GranularityYear} {
				if !held(ledger.RoundUp(d, g)) {
					t.Errorf("a record of %s, listed under %s, is not held", date(d), date(ledger.RoundUp(d, g)))
				}
			}
		} else if when := time.Unix(int64(d)*86400, 0).UTC(); when.AddDate(0, 0, 1).Day() != 1 && held(d) {
			t.Errorf("a record of %s is held", date(d)) // not the last of a month: nothing else can be meant
		}
		days++
	}
	// Months and years that the hold does not touch stay free when rounded, too.
	for _, free := range []string{"2028-01-31", "2028-04-30", "2027-12-31", "2029-12-31"} {
		if held(day(free)) {
			t.Errorf("a record of %s is held", free)
		}
	}
	if days < 700 {
		t.Errorf("only %d days were tried", days)
	}
}

// counted is a view that counts what is read of it, nodes of the state tree
// apart: how deep a new key lies is chance.
type counted struct {
	ledger.View
	reads *int
}

func (c counted) Value(key []byte) ([]byte, bool, error) {
	*c.reads++
	return c.View.Value(key)
}

func (c counted) Entry(i record.Index) ([]byte, error) {
	*c.reads++
	return c.View.Entry(i)
}

func (c counted) Values(keys [][]byte) ([][]byte, error) {
	*c.reads += len(keys)
	return c.View.Values(keys)
}

func (c counted) Entries(indexes []record.Index) ([][]byte, error) {
	*c.reads += len(indexes)
	return c.View.Entries(indexes)
}

// TestS0_19_OneActCostsAsMuchOverAnyNumber places, extends and releases a hold
// over a series, and posts an audit, with ten records and with thousands: as
// much is read and written.
func TestS0_19_OneActCostsAsMuchOverAnyNumber(t *testing.T) {
	type cost struct{ reads, values, entries int }
	costs := func(records int) (all []cost) {
		c, _ := start(t)
		m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
		for i := range records {
			m.Items = append(m.Items, record.AnchorItem{Commitment: commitment(fmt.Sprint(i)), Flags: record.FlagUndated})
		}
		c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), m))
		scope := record.Scope{Department: "DPW", Series: "DEMO-MINUTES"}
		hold := record.Index(c.view.Head().Size) + 1
		for _, step := range []struct {
			by string
			m  record.Message
		}{
			{"COUNSEL", placed(record.HoldLitigation, 0, scope)}, {"CLERK", &record.ExtendHold{Hold: hold, Scope: scope}},
			{"CLERK", &record.ResolveIssue{Hold: hold}}, {"AUDIT", &record.ReleaseHold{Hold: hold}},
			{"AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2030-06-30")}},
		} {
			reads := 0
			block := ledger.Block{Height: c.view.Head().Height + 1, Time: at("2031-01-01"), Txs: [][]byte{c.sign(t, step.by, day("2031-01-02"), step.m)}}
			changes, results, err := c.machine.Apply(counted{c.view, &reads}, block)
			if err != nil || results[0].Code != ledger.OK {
				t.Fatalf("%T: %v, %v", step.m, results, err)
			}
			c.view = ledger.Overlay(c.view, changes)
			all = append(all, cost{reads, len(changes.Values), len(changes.Entries)})
		}
		return all
	}
	few, many := costs(10), costs(4000)
	if !reflect.DeepEqual(few, many) || few[0] != (cost{few[0].reads, 3, 3}) {
		t.Errorf("over 10 records it costs %+v, over 4,000 %+v", few, many)
	}
}

// TestManyRecordsCostFewReads judges thousands of records of one series under
// several holds: besides the record's own two values next to nothing is read.
func TestManyRecordsCostFewReads(t *testing.T) {
	a := foundArchive(t)
	const records = 3000
	m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
	for i := range records {
		m.Items = append(m.Items, record.AnchorItem{Commitment: commitment(fmt.Sprint(i)), Day: day("2020-05-01")})
	}
	first := a.must("DPW", m)
	holds := 0
	for _, s := range []record.Scope{{City: true}, {Department: "DPW"}, {Department: "DPW", Series: "DEMO-MINUTES"}, listing(first, first+1)} {
		a.must("COUNSEL", placed(record.HoldLitigation, 0, s))
	}
	reads := 0
	inquiry := ledger.NewInquiry(counted{a.view, &reads})
	for i := range record.Index(records) {
		it, ok, err := inquiry.Item(first + i)
		if err != nil || !ok {
			t.Fatalf("record %d: %t, %v", first+i, ok, err)
		}
		holds += len(it.Holds)
	}
	if want := 3*records + 2; holds != want {
		t.Errorf("%d holds on the records, want %d", holds, want)
	}
	if most := 2*records + 40; reads > most {
		t.Errorf("%d reads for %d records, want at most %d", reads, records, most)
	}
}
