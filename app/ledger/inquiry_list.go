package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/record"
)

// Listed is something in a list, with the entry that it is named by.
type Listed[T any] struct {
	Index record.Index
	Value T
}

// HoldPrefix starts the state keys of holds.
func HoldPrefix() []byte { return []byte(prefixHold) }

// Holds reads the holds among the values of [HoldPrefix], released ones too, in
// their order, those named by an entry after a given one.
func Holds(values iter.Seq2[Value, error], after record.Index) iter.Seq2[Listed[Hold], error] {
	return listed(values, prefixHold, after, parseHold)
}

// DispositionPrefix starts the state keys of dispositions.
func DispositionPrefix() []byte { return []byte(prefixDisposition) }

// Dispositions reads the dispositions among the values of [DispositionPrefix],
// in their order, those named by an entry after a given one.
func Dispositions(values iter.Seq2[Value, error], after record.Index) iter.Seq2[Listed[Disposition], error] {
	return listed(values, prefixDisposition, after, parseDisposition)
}

// listed reads values whose keys are a prefix and an index.
func listed[T any](values iter.Seq2[Value, error], prefix string, after record.Index, parse func(Value) (T, error)) iter.Seq2[Listed[T], error] {
	return func(yield func(Listed[T], error) bool) {
		for value, err := range values {
			one := Listed[T]{}
			if err == nil {
				one.Index, err = indexIn(value.Key, prefix)
			}
			if err == nil && one.Index <= after {
				continue
			}
			if err == nil {
				one.Value, err = parse(value)
			}
			if err != nil {
				yield(Listed[T]{}, err)
				return
			}
			if !yield(one, nil) {
				return
			}
		}
	}
}

// indexIn gives the index that a state key ends with.
func indexIn(key []byte, prefix string) (record.Index, error) {
	index, named := bytes.CutPrefix(key, []byte(prefix))
	if !named || len(index) != 8 {
		return 0, fmt.Errorf("read %q: %w", key, errDamaged)
	}
	return record.Index(binary.BigEndian.Uint64(index)), nil
}
