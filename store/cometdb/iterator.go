package cometdb

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
	dbm "github.com/cometbft/cometbft-db"
)

// errIteratorInvalid is the panic that the interface asks for when an
// exhausted or closed iterator is moved or read.
var errIteratorInvalid = errors.New("iterator is invalid")

// iterator walks a range of one view in one direction.
type iterator struct {
	start, end []byte // as given
	reverse    bool
	pairs      *pebble.Iterator // nil once closed
	closeErr   error
	leave      func() // the gate
}

func (v *View) iterate(start, end []byte, reverse bool) (dbm.Iterator, error) {
	if (start != nil && len(start) == 0) || (end != nil && len(end) == 0) {
		return nil, ErrKeyEmpty
	}
	lower, upper := v.bounds(start, end)
	leave := v.gate.Enter()
	pairs, err := v.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		leave()
		return nil, err
	}
	if reverse {
		pairs.Last()
	} else {
		pairs.First()
	}
	return &iterator{start: start, end: end, reverse: reverse, pairs: pairs, leave: leave}, nil
}

// Domain returns the bounds as they were given.
func (i *iterator) Domain() (start, end []byte) { return i.start, i.end }

// Valid says whether the iterator stands on a key.
func (i *iterator) Valid() bool { return i.pairs != nil && i.pairs.Valid() }

// Next moves on by one key; it panics where the iterator is not valid.
func (i *iterator) Next() {
	i.assertValid()
	if i.reverse {
		i.pairs.Prev()
	} else {
		i.pairs.Next()
	}
}

// Key returns a copy of the current key; it panics where the iterator is not valid.
func (i *iterator) Key() []byte {
	i.assertValid()
	return copied(i.pairs.Key()[1:])
}

// Value returns a copy of the current value; it panics where the iterator is not valid.
func (i *iterator) Value() []byte {
	i.assertValid()
	value, err := i.pairs.ValueAndErr()
	if err != nil {
		// The interface has no error here, and data that cannot be read must
		// not be taken for an empty value.
		panic(err)
	}
	return copied(value)
}

// Error returns what stopped the iterator, if anything did.
func (i *iterator) Error() error {
	if i.pairs == nil {
		return i.closeErr
	}
	return i.pairs.Error()
}

// Close frees the iterator; it may be called again.
func (i *iterator) Close() error {
	if i.pairs == nil {
		return i.closeErr
	}
	i.closeErr = i.pairs.Close()
	i.pairs = nil
	i.leave()
	return i.closeErr
}

func (i *iterator) assertValid() {
	if !i.Valid() {
		panic(errIteratorInvalid)
	}
}
