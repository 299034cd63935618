package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// Hold is a hold and what became of it.
type Hold struct {
	Office     record.Code // that placed it
	Kind       record.HoldKind
	Matter     [32]byte // salted commitment of the matter
	Day        record.Day
	Issues     uint32        // numbered from 1
	Resolved   []uint32      // ascending; 0 among them: the action itself is closed
	Closers    []record.Code // offices that closed one of these, ascending
	Parts      []HoldPart    // the placement and each extension, in their order
	Released   record.Index
	By         record.Code // office that released it
	ReleasedOn record.Day
}

// HoldPart is what the placement of a hold, or an extension, brought.
type HoldPart struct {
	Entry  record.Index // hold entry or extension entry
	Office record.Code  // that placed or extended
	Day    record.Day   // ledger day
	Issues uint32
	Listed int64        // records that it lists by their index
	Scope  record.Scope // without those; empty where there is nothing else
}

// Closed tells whether the action and every issue are closed.
func (h *Hold) Closed() bool { return len(h.Resolved) == int(h.Issues)+1 }

// HoldOf gives the hold whose hold entry is entry i.
func HoldOf(v View, i record.Index) (Hold, bool, error) {
	key := StateKeyHold(i)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return Hold{}, false, err
	}
	h, err := parseHold(Value{key, value})
	return h, err == nil, err
}

// parseHold reads what value writes.
func parseHold(v Value) (Hold, error) {
	r := open(v.Value, 11)
	h := Hold{Office: r.code(), Kind: record.HoldKind(r.small())}
	r.fixed(h.Matter[:])
	h.Day, h.Issues = r.day(), r.uint32()
	if n := r.list(1); n > 0 {
		h.Resolved = make([]uint32, n)
	}
	for i := range h.Resolved {
		h.Resolved[i] = r.uint32()
		r.wrong = r.wrong || h.Resolved[i] > h.Issues || i > 0 && h.Resolved[i-1] >= h.Resolved[i]
	}
	h.Closers = r.codes()
	h.Parts = make([]HoldPart, r.list(12))
	for i := range h.Parts {
		h.Parts[i] = r.holdPart()
	}
	h.Released, h.By, h.ReleasedOn = r.index(), r.code(), r.day()
	if err := r.end(v.Key); err != nil {
		return Hold{}, err
	}
	if !h.Kind.Valid() || len(h.Parts) == 0 {
		return Hold{}, fmt.Errorf("read %q: %w", v.Key, errDamaged)
	}
	return h, nil
}

func (r *valueReader) holdPart() HoldPart {
	r.array(11)
	return HoldPart{
		Entry: r.index(), Office: r.code(), Day: r.day(), Issues: r.uint32(), Listed: r.number(),
		Scope: record.Scope{
			Department: r.code(), Series: r.code(), City: r.flag(), Dated: r.flag(), From: r.day(), To: r.day(),
		},
	}
}

// value is [1, office, kind, matter, ledger day, issues, [resolved issue, ...], [office that closed one, ...],
// [part, ...], index of the release entry or 0, office that released, ledger
// day of the release]. A part is [index of its entry, office, ledger day,
// issues, number of records listed, department, series, city, dated, from, to].
func (h *Hold) value() []byte {
	b := appendHead(appendCode(newValue(11), h.Office), majorUint, uint64(h.Kind))
	b = appendNumber(appendDay(appendBytes(b, h.Matter[:]), h.Day), int64(h.Issues))
	b = appendHead(b, majorArray, uint64(len(h.Resolved)))
	for _, issue := range h.Resolved {
		b = appendNumber(b, int64(issue))
	}
	b = appendCodes(b, h.Closers)
	b = appendHead(b, majorArray, uint64(len(h.Parts)))
	for i := range h.Parts {
		b = h.Parts[i].appendTo(b)
	}
	return appendDay(appendCode(appendNumber(b, h.Released), h.By), h.ReleasedOn)
}

func (p *HoldPart) appendTo(b []byte) []byte {
	b = appendCode(appendNumber(appendHead(b, majorArray, 11), p.Entry), p.Office)
	b = appendNumber(appendNumber(appendDay(b, p.Day), int64(p.Issues)), p.Listed)
	b = appendCode(appendCode(b, p.Scope.Department), p.Scope.Series)
	b = appendFlag(appendFlag(b, p.Scope.City), p.Scope.Dated)
	return appendDay(appendDay(b, p.Scope.From), p.Scope.To)
}
