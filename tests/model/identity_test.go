package model

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// identity is what makes a state one: equal identities have equal futures.
type identity [16]byte

// identify gives the identity of a state: all that a move can change, in the
// state of the machine and in what the oracle made of the log. Entries are named
// by their order, heights by whether they are the last. Left out are
// nonces and the counts of refusals, which no rule reads within a few moves, and
// hashes, each of which belongs to one entry.
func (n node) identify(records [2]record.Index) (identity, error) {
	head := n.view.Head()
	w := &identifier{height: head.Height, day: int64(record.LedgerDay(head.Time)), seen: []any{records[:]}}
	var err error
	note := func(v any, _ bool, e error) {
		w.seen = append(w.seen, v)
		if err == nil {
			err = e
		}
	}
	read2 := func(v any, e error) { note(v, true, e) }
	for _, i := range records {
		l, ok, e := ledger.LifecycleOf(n.view, i)
		note(l, ok, e)
		read2(ledger.HoldsOn(n.view, i))
	}
	for _, i := range slices.Sorted(maps.Keys(n.oracle.holds)) {
		h, ok, e := ledger.HoldOf(n.view, i)
		note(h, ok, e)
	}
	for _, i := range slices.Sorted(maps.Keys(n.oracle.cases)) {
		d, ok, e := ledger.DispositionOf(n.view, i)
		note(d, ok, e)
		w.seen = append(w.seen, n.oracle.cases[i])
	}
	for _, code := range []record.Code{"CAO", "CLERK"} {
		o, ok, e := ledger.OfficeOf(n.view, code)
		note(o, ok, e)
	}
	for _, name := range []string{"CLERK", "DPW"} {
		k, ok, e := ledger.KeyOf(n.view, keys[name])
		note(k, ok, e)
		w.seen = append(w.seen, n.oracle.signers[keys[name]])
	}
	read2(ledger.LocksOf(n.view))
	freeze, frozen, e := ledger.FreezeOf(n.view)
	note(freeze.Jump, frozen, e)
	w.seen = append(w.seen, n.oracle.frozen, n.oracle.holds, n.oracle.decisions, n.oracle.offices["CAO"])
	if err != nil {
		return identity{}, err
	}
	return w.sum(), nil
}

// identifier turns values into bytes, twice: first to learn which entries they
// name, then to write these by their rank.
type identifier struct {
	height, day int64
	seen        []any
	entries     []record.Index // ascending once they are known
	ranked      bool
	out         []byte
}

func (w *identifier) sum() identity {
	for _, ranked := range []bool{false, true} {
		w.out, w.ranked = w.out[:0], ranked
		for _, v := range w.seen {
			w.write(reflect.ValueOf(v), "")
		}
		slices.Sort(w.entries)
		w.entries = slices.Compact(w.entries)
	}
	sum := sha256.Sum256(w.number(w.day))
	return identity(sum[:])
}

func (w *identifier) number(v int64) []byte {
	w.out = binary.BigEndian.AppendUint64(w.out, uint64(v))
	return w.out
}

func (w *identifier) write(v reflect.Value, field string) {
	switch v.Kind() {
	case reflect.Pointer:
		w.write(v.Elem(), field)
	case reflect.Struct:
		for i := range v.NumField() {
			w.write(v.Field(i), v.Type().Field(i).Name)
		}
	case reflect.Slice:
		w.number(int64(v.Len()))
		for i := range v.Len() {
			w.write(v.Index(i), field)
		}
	case reflect.Map: // by entry
		w.number(int64(v.Len()))
		sorted := v.MapKeys()
		slices.SortFunc(sorted, func(a, b reflect.Value) int { return int(a.Int() - b.Int()) })
		for _, key := range sorted {
			w.write(key, field)
			w.write(v.MapIndex(key), field)
		}
	case reflect.Array:
		if !strings.EqualFold(field, "hash") {
			for i := range v.Len() {
				w.out = append(w.out, byte(v.Index(i).Uint()))
			}
		}
	case reflect.String:
		w.out = append(append(w.out, v.String()...), 0)
	case reflect.Bool:
		w.out = append(w.out, 0)
		if v.Bool() {
			w.out[len(w.out)-1] = 1
		}
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		w.number(int64(v.Uint()))
	default:
		w.writeNumber(v, field)
	}
}

// writeNumber writes entries by rank and heights by age.
func (w *identifier) writeNumber(v reflect.Value, field string) {
	n := v.Int()
	switch {
	case v.Type() != reflect.TypeFor[record.Index]():
		if strings.EqualFold(field, "height") || field == "Suspended" && n != 0 {
			n = min(w.height-n, 1)
		}
	case !w.ranked:
		w.entries = append(w.entries, record.Index(n))
	default:
		rank, _ := slices.BinarySearch(w.entries, record.Index(n))
		if n != 0 { // 0 says that there is none
			rank++
		}
		n = int64(rank)
	}
	w.number(n)
}
