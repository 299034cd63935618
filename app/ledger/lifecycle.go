package ledger

import (
	"cmp"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Lifecycle is what befell a record after it was anchored.
type Lifecycle struct {
	SupersededBy record.Index // anchor entry of the record that replaces it; 0: none
	Supersession record.Index // entry that says so
	SupersededOn record.Day   // ledger day of that entry
	Series       record.Code  // that it follows; empty: none was named
	File         record.Index // anchor entry of the file that it was merged into; 0: none
	Filing       record.Index // entry that says which series or file
	Events       []RecordedEvent
	Holds        []Listing    // holds that list it by its index, ascending, released ones too
	Disposition  record.Index // under which it is locked; 0: none
	// Decisions lists the decisions about parts of the record, ascending: entries
	// of withholdings, and of dispositions that erased (docs/spec/disposition.md).
	Decisions []record.Index
}

// Listing is how a hold came to list a record by its index.
type Listing struct {
	Hold  record.Index
	Entry record.Index // hold or extension entry that did it first
}

// RecordedEvent is what was last said about one event of a record.
type RecordedEvent struct {
	Event retention.Event
	Day   record.Day
	Entry record.Index // that says so
}

// LifecycleOf tells what befell the record that entry i anchored; ok is false
// when nothing did.
func LifecycleOf(v View, i record.Index) (Lifecycle, bool, error) {
	key := StateKeyLifecycle(i)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return Lifecycle{}, false, err
	}
	l, err := parseLifecycle(Value{key, value})
	return l, err == nil, err
}

// ParseLifecycle reads the value of [StateKeyLifecycle], so that whoever has a
// state receipt of it needs no view.
func ParseLifecycle(i record.Index, value []byte) (Lifecycle, error) {
	return parseLifecycle(Value{StateKeyLifecycle(i), value})
}

func parseLifecycle(v Value) (Lifecycle, error) {
	r := open(v.Value, 10)
	l := Lifecycle{
		SupersededBy: r.index(), Supersession: r.index(), SupersededOn: r.day(),
		Series: r.code(), File: r.index(), Filing: r.index(),
	}
	if n := r.list(4); n > 0 {
		l.Events = make([]RecordedEvent, n)
	}
	for i := range l.Events {
		r.array(3)
		l.Events[i] = RecordedEvent{Event: retention.Event(r.small()), Day: r.day(), Entry: r.index()}
	}
	if n := r.list(3); n > 0 {
		l.Holds = make([]Listing, n)
	}
	for i := range l.Holds {
		r.array(2)
		l.Holds[i] = Listing{Hold: r.index(), Entry: r.index()}
	}
	l.Disposition, l.Decisions = r.index(), r.indexes()
	if err := r.end(v.Key); err != nil {
		return Lifecycle{}, err
	}
	return l, nil
}

// lifecycleValue is [1, index of the record that replaces it, index of the
// supersession entry, its ledger day, series followed, index of the file, index
// of the filing entry, [[event, day, index of the entry], ...], [[index of the
// hold, index of the entry], ...], index of the disposition, [index of a
// decision, ...]].
func lifecycleValue(l Lifecycle) []byte {
	b := appendNumber(appendNumber(newValue(10), l.SupersededBy), l.Supersession)
	b = appendCode(appendDay(b, l.SupersededOn), l.Series)
	b = appendNumber(appendNumber(b, l.File), l.Filing)
	b = appendHead(b, majorArray, uint64(len(l.Events)))
	for _, e := range l.Events {
		b = appendHead(appendHead(b, majorArray, 3), majorUint, uint64(e.Event))
		b = appendNumber(appendDay(b, e.Day), e.Entry)
	}
	b = appendHead(b, majorArray, uint64(len(l.Holds)))
	for _, h := range l.Holds {
		b = appendNumber(appendNumber(appendHead(b, majorArray, 2), h.Hold), h.Entry)
	}
	return appendIndexes(appendNumber(b, l.Disposition), l.Decisions)
}

// withEvent sets what is said about one event. The list stays ascending.
func (l *Lifecycle) withEvent(e RecordedEvent) {
	i, found := slices.BinarySearchFunc(l.Events, e.Event, func(x RecordedEvent, event retention.Event) int {
		return cmp.Compare(x.Event, event)
	})
	l.Events = slices.Clone(l.Events)
	if found {
		l.Events[i] = e
		return
	}
	l.Events = slices.Insert(l.Events, i, e)
}

// withHold notes that a hold lists the record; what is noted stays. The list
// stays ascending.
func (l *Lifecycle) withHold(h Listing) {
	i, found := slices.BinarySearchFunc(l.Holds, h.Hold, func(x Listing, hold record.Index) int {
		return cmp.Compare(x.Hold, hold)
	})
	if !found {
		l.Holds = slices.Insert(slices.Clone(l.Holds), i, h)
	}
}

// withDecision notes a decision about parts of the record. The list stays
// ascending.
func (l *Lifecycle) withDecision(entry record.Index) {
	i, found := slices.BinarySearch(l.Decisions, entry)
	if !found {
		l.Decisions = slices.Insert(slices.Clone(l.Decisions), i, entry)
	}
}
