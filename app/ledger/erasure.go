package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// ErasureOf gives the disposition with the action DESTROY or REDACT under which
// the record that entry i anchored is locked: it waits for its erasure, or was
// destroyed. ok is false where nothing of the record has to be unreadable; the
// parts that a disposition has erased are gone, and the rest is free again.
func ErasureOf(v View, i record.Index) (disposition record.Index, action record.Action, ok bool, err error) {
	l, _, err := LifecycleOf(v, i)
	if err != nil || l.Disposition == 0 {
		return 0, 0, false, err
	}
	d, known, err := DispositionOf(v, l.Disposition)
	switch {
	case err != nil:
		return 0, 0, false, err
	case !known:
		return 0, 0, false, fmt.Errorf("read disposition %d of record %d: it is not there: %w", l.Disposition, i, errDamaged)
	case !d.erases():
		return 0, 0, false, nil
	}
	return l.Disposition, d.Action, true, nil
}

// erases tells whether a disposition destroys content once it is locked.
func (d *Disposition) erases() bool {
	return d.Action == record.ActionDestroy || d.Action == record.ActionRedact
}

// Erasures lists the dispositions with the action DESTROY or REDACT whose lock
// entry is an entry or stands behind it, complete ones too, in the order of their
// locks. It reads as many values as it lists, and one more.
func Erasures(v View, since record.Index) ([]Listed[Disposition], error) {
	at, err := lastErasure(v)
	if err != nil {
		return nil, err
	}
	var all []Listed[Disposition]
	for at != 0 {
		d, known, err := DispositionOf(v, at)
		if err == nil && (!known || d.Lock == 0 || len(all) > 0 && d.Lock >= all[len(all)-1].Value.Lock) {
			err = fmt.Errorf("read locked dispositions: %d is none, or is out of order: %w", at, errDamaged)
		}
		if err != nil {
			return nil, err
		}
		if d.Lock < since {
			break
		}
		all, at = append(all, Listed[Disposition]{Index: at, Value: d}), d.Before
	}
	slices.Reverse(all)
	return all, nil
}

// lastErasure gives the disposition that was locked last in order to erase; 0:
// none was.
func lastErasure(v View) (record.Index, error) {
	key := StateKeyErasures()
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, err
	}
	r := open(value, 1)
	at := r.index()
	return at, r.end(key)
}

// erasuresValue is [1, index of the disposition].
func erasuresValue(at record.Index) []byte { return appendNumber(newValue(1), at) }
