package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// HoldOn is a hold that covers a record.
type HoldOn struct {
	Hold     record.Index
	Office   record.Code     // that placed it
	Kind     record.HoldKind // as stated
	Since    record.Index    // entry by which it came to cover the record: hold or extension
	Brought  record.Code     // office of that entry
	Released record.Index    // release entry; 0: it stands
	By       record.Code     // office that released it
	On       record.Day      // ledger day of the release
}

// mark is a hold on whatever a department, a series of it or the city has.
type mark struct {
	hold     record.Index
	entry    record.Index // hold or extension entry that set the mark
	dated    bool         // from and to bound it
	from, to record.Day
	release  record.Index // release entry; 0: the hold stands
}

// covers tells whether the mark covers a record that entry i anchored. A day
// in the log may have been rounded up to the end of its month or year, and the
// true day is not known here: whatever it may have been is covered.
func (m *mark) covers(i record.Index, anchor *record.AnchorEntry) bool {
	if m.release != 0 && m.release < i {
		return false // the record is younger than the release
	}
	if !m.dated || anchor.Flags&record.FlagUndated != 0 {
		return true
	}
	return earliest(anchor.Day) <= m.to && m.from <= anchor.Day
}

// earliest gives the first day that may stand in the log as day: the first of
// its year for 31 December, that of its month for the last of a month.
func earliest(day record.Day) record.Day {
	year, month, date := civil(day).Date()
	switch {
	case month == time.December && date == 31:
		return dayOf(time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC))
	case RoundUp(day, record.GranularityMonth) == day:
		return dayOf(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC))
	}
	return day
}

// HeldKeys gives the state keys of the three lists of holds that may cover a
// record: on its series, on its department, on the city.
func HeldKeys(anchor record.AnchorEntry) [3][]byte {
	return [3][]byte{
		StateKeyHeld(anchor.Office, anchor.Series), StateKeyHeld(anchor.Office, ""), StateKeyHeld("", ""),
	}
}

// HeldBy gives the holds on the record that entry i anchored, ascending,
// released ones too. It needs no view, so that whoever has state receipts can
// prove "held" and "not held": lists are the values of HeldKeys, lifecycle is
// that of StateKeyLifecycle(i), each nil where the key is absent; hold gives the
// value of StateKeyHold, and is asked for the holds that cover the record only.
func HeldBy(i record.Index, anchor record.AnchorEntry, lists [3][]byte, lifecycle []byte, hold func(record.Index) ([]byte, bool)) ([]HoldOn, error) {
	var marks []mark
	for n, key := range HeldKeys(anchor) {
		if lists[n] == nil {
			continue
		}
		some, err := parseMarks(Value{key, lists[n]})
		if err != nil {
			return nil, err
		}
		marks = append(marks, some...)
	}
	var l Lifecycle
	if lifecycle != nil {
		var err error
		if l, err = parseLifecycle(Value{StateKeyLifecycle(i), lifecycle}); err != nil {
			return nil, err
		}
	}
	return heldBy(i, &anchor, marks, l.Holds, func(at record.Index) (Hold, error) {
		key := StateKeyHold(at)
		value, ok := hold(at)
		if !ok {
			return Hold{}, fmt.Errorf("read %q: the value is not given: %w", key, errDamaged)
		}
		return parseHold(Value{key, value})
	})
}

// HoldsOn gives the holds on the record that entry i anchored, ascending,
// released ones too. There are none on what is no record.
func HoldsOn(v View, i record.Index) ([]HoldOn, error) {
	anchor, ok, err := AnchorOf(v, i)
	if err != nil || !ok {
		return nil, err
	}
	l, _, err := LifecycleOf(v, i)
	if err != nil {
		return nil, err
	}
	c, err := newHoldReader(v).on(i, anchor, l)
	return c.all, err
}

// heldBy decides which of the marks and listings are holds on a record.
func heldBy(i record.Index, anchor *record.AnchorEntry, marks []mark, listed []Listing, hold func(record.Index) (Hold, error)) ([]HoldOn, error) {
	found := slices.Clone(listed)
	for n := range marks {
		if m := &marks[n]; m.covers(i, anchor) {
			found = append(found, Listing{Hold: m.hold, Entry: m.entry})
		}
	}
	slices.SortFunc(found, func(a, b Listing) int {
		return cmp.Or(cmp.Compare(a.Hold, b.Hold), cmp.Compare(a.Entry, b.Entry))
	})
	found = slices.CompactFunc(found, func(a, b Listing) bool { return a.Hold == b.Hold })
	var held []HoldOn
	for _, f := range found {
		h, err := hold(f.Hold)
		if err != nil {
			return nil, err
		}
		part := slices.IndexFunc(h.Parts, func(p HoldPart) bool { return p.Entry == f.Entry })
		if part < 0 {
			return nil, fmt.Errorf("read %q: entry %d is no part of it: %w", StateKeyHold(f.Hold), f.Entry, errDamaged)
		}
		held = append(held, HoldOn{
			Hold: f.Hold, Office: h.Office, Kind: h.Kind, Since: f.Entry, Brought: h.Parts[part].Office, Released: h.Released, By: h.By, On: h.ReleasedOn,
		})
	}
	return held, nil
}

// holdReader finds the holds on records, and remembers what it read.
type holdReader struct {
	view  View
	marks map[owner][]mark
	holds map[record.Index]Hold
	alike map[records]coverage
}

// owner is a series of an office.
type owner struct{ office, series record.Code }

func newHoldReader(v View) *holdReader {
	return &holdReader{view: v, marks: map[owner][]mark{}, holds: map[record.Index]Hold{}, alike: map[records]coverage{}}
}

// coverage is the holds on a record.
type coverage struct {
	all      []HoldOn   // ascending, released ones too
	standing []HoldOn   // those that stand, ascending
	released bool       // one of them was released
	freed    record.Day // ledger day of the last release
}

func coverageOf(all []HoldOn) coverage {
	c := coverage{all: slices.Clip(all)}
	for _, h := range all {
		if h.Released == 0 {
			c.standing = append(c.standing, h)
		} else if !c.released || h.On > c.freed {
			c.released, c.freed = true, h.On
		}
	}
	c.standing = slices.Clip(c.standing)
	return c
}

// on gives the holds on the record that entry i anchored.
func (h *holdReader) on(i record.Index, anchor record.AnchorEntry, l Lifecycle) (coverage, error) {
	of := owner{anchor.Office, anchor.Series}
	marks, known := h.marks[of]
	if !known {
		for _, key := range HeldKeys(anchor) {
			some, err := marksOf(h.view, key)
			if err != nil {
				return coverage{}, err
			}
			marks = append(marks, some...)
		}
		h.marks[of] = marks
	}
	alike, ok := sameFor(of, marks, i)
	if ok = ok && len(l.Holds) == 0; ok {
		if c, known := h.alike[alike]; known {
			return c, nil
		}
	}
	all, err := heldBy(i, &anchor, marks, l.Holds, h.hold)
	if err != nil {
		return coverage{}, err
	}
	c := coverageOf(all)
	if ok {
		h.alike[alike] = c
	}
	return c, nil
}

// records names records that no hold lists and on which the same holds are.
type records struct {
	owner
	released int // marks whose hold was released before they were anchored
}

// sameFor names the records that the marks cover alike; ok is false where days
// tell them apart.
func sameFor(of owner, marks []mark, i record.Index) (r records, ok bool) {
	r.owner = of
	for n := range marks {
		if marks[n].dated {
			return records{}, false
		}
		if marks[n].release != 0 && marks[n].release < i {
			r.released++
		}
	}
	return r, true
}

func (h *holdReader) hold(i record.Index) (Hold, error) {
	if hold, known := h.holds[i]; known {
		return hold, nil
	}
	hold, ok, err := HoldOf(h.view, i)
	if err == nil && !ok {
		err = fmt.Errorf("read %q: it is not there: %w", StateKeyHold(i), errDamaged)
	}
	if err != nil {
		return Hold{}, err
	}
	h.holds[i] = hold
	return hold, nil
}

// marksOf gives the marks of one list; a list that was never written is empty.
func marksOf(v View, key []byte) ([]mark, error) {
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	return parseMarks(Value{key, value})
}

func parseMarks(v Value) ([]mark, error) {
	r := open(v.Value, 1)
	marks := make([]mark, r.list(7))
	for i := range marks {
		r.array(6)
		marks[i] = mark{hold: r.index(), entry: r.index(), dated: r.flag(), from: r.day(), to: r.day(), release: r.index()}
	}
	if err := r.end(v.Key); err != nil {
		return nil, err
	}
	return marks, nil
}

// marksValue is [1, [[index of the hold, index of the entry by which it came,
// dated, from, to, index of the release entry or 0], ...]], ascending by that entry.
func marksValue(marks []mark) []byte {
	b := appendHead(newValue(1), majorArray, uint64(len(marks)))
	for _, m := range marks {
		b = appendNumber(appendNumber(appendHead(b, majorArray, 6), m.hold), m.entry)
		b = appendNumber(appendDay(appendDay(appendFlag(b, m.dated), m.from), m.to), m.release)
	}
	return b
}
