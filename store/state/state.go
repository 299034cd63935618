// Package state keeps the state of the ledger in Pebble: the log with its hash tiles, the index of anchored records, the state
// values with their tree, and where the ledger stands. It implements ledger.View.
//
// Contract:
//   - Commit writes a block in one synced batch. After a crash the store holds block k or block k+1, whole.
//   - An error of Commit, of any kind, means that the process must end: what is on disk is no longer known.
//     The logger of NewOptions makes sure of it where Pebble would go on.
//   - View gives the state after the last committed block. A view never changes, is safe for concurrent use, and needs no
//     closing. The Pebble store must outlive the State and its views.
//   - Every value is copied out of Pebble, and no iterator outlives the call that made it, but in the lists of a Snapshot.
//   - Reading at Open costs one scan of the record index, which fills an in-memory filter, so that asking for a record
//     that is not there costs no read.
//   - State values that are asked for again and again, such as keys, offices and series, are read once and then remembered,
//     absent ones too, until a commit overwrites them.
//   - What a list of records needs is read in one go, and what a block overwrites is taken from its changes where they say it.
//   - What is inconsistent is an error that wraps ErrDamaged, never an answer.
//
// The keys are on one page, keys.go. Log hashes are C2SP tlog-tiles of width 256; full and partial tile share one key.
//
//	db, err := pebble.Open(dir, state.NewOptions(state.Options{CacheBytes: 64 << 20}))
//	s, err := state.Open(db)
//	changes, results, err := machine.Apply(s.View(), block)
//	err = s.Commit(changes)
package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/ledger"
)

// Errors of this package. The others wrap one of these or come from Pebble.
var (
	// ErrDamaged: the store lacks what it must hold, or holds what does not fit together.
	ErrDamaged = errors.New("ledger store is damaged")
	// ErrFormat: the store was written by another version of this program.
	ErrFormat = errors.New("ledger store has a format that this program does not know")
	// ErrNotThere: an entry or a tile beyond the end of the log was asked for.
	ErrNotThere = errors.New("not in the log yet")
	// ErrNotNext: changes do not follow from the last committed block.
	ErrNotNext = errors.New("changes do not follow the last committed block")
	// ErrBroken: an earlier Commit went wrong, and the process should have ended.
	ErrBroken = errors.New("an earlier commit went wrong")
)

// format is the version of everything on the page keys.go.
const format = 1

// State is the state of one ledger.
type State struct {
	db *pebble.DB

	// Owned by Commit, which is not called concurrently.
	edge   edge
	broken error

	current atomic.Pointer[view] // the last committed block
	filter  *filter              // of the keys of the record index

	memory   memory   // of state values
	pyramids pyramids // of tiles
}

// Open reads the state of the ledger in db, which may be empty; it writes no key.
func Open(db *pebble.DB) (*State, error) {
	s := &State{db: db, filter: newFilter(leastGeneration), memory: memory{limit: memoryBytes}}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open ledger store: %w", err)
	}
	return s, nil
}

func (s *State) load() error {
	tip, err := s.readTip()
	if err != nil {
		return err
	}
	s.current.Store(newView(s, tip))
	if s.edge, err = s.readEdge(tip.head.Size); err != nil {
		return err
	}
	if got := s.edge.frontier(); !slices.Equal(got, tip.frontier) {
		return fmt.Errorf("tiles give another root than the head: %w", ErrDamaged)
	}
	return s.fillFilter(tip.anchors)
}

// readTip reads where the ledger stands.
func (s *State) readTip() (tip, error) {
	raw, found, err := s.get([]byte{prefixFormat})
	if err != nil {
		return tip{}, err
	}
	if !found {
		if err := s.mustBeEmpty(); err != nil {
			return tip{}, err
		}
		return tip{}, s.rotateLog()
	}
	if v, n := binary.Uvarint(raw); n != len(raw) || v != format {
		return tip{}, fmt.Errorf("format %d, this program knows %d; use the version of the program that wrote it: %w", v, format, ErrFormat)
	}
	block, found, err := s.get([]byte{prefixBlock})
	if err == nil && !found {
		err = fmt.Errorf("the last block is missing: %w", ErrDamaged)
	}
	if err != nil {
		return tip{}, err
	}
	head, found, err := s.get([]byte{prefixHead})
	if err == nil && !found {
		err = fmt.Errorf("the head is missing: %w", ErrDamaged)
	}
	if err != nil {
		return tip{}, err
	}
	return parseTip(block, head)
}

// mustBeEmpty checks that a store without a format number holds nothing of ours.
func (s *State) mustBeEmpty() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{UpperBound: []byte{prefixEnd}})
	if err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	found := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("look for keys: %w", err)
	}
	if found {
		return fmt.Errorf("the format number is missing: %w", ErrDamaged)
	}
	return nil
}

// rotateLog makes Pebble begin a new write-ahead log. Pebble starts the first log of a new store before it raises the format, so that
// one log, of 64 MiB, would lack the marks that tell a damaged record from the end; see NewOptions.
func (s *State) rotateLog() error {
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("begin a new log: %w", err)
	}
	return nil
}

// fillFilter puts every key of the record index into the filter.
func (s *State) fillFilter(want int64) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixAnchor}, UpperBound: []byte{prefixAnchor + 1}})
	if err != nil {
		return fmt.Errorf("scan the record index: %w", err)
	}
	s.filter.reserve(want)
	var count int64
	for valid := it.First(); valid; valid = it.Next() {
		s.filter.add(it.Key())
		count++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("scan the record index: %w", err)
	}
	if count != want {
		return fmt.Errorf("record index has %d lines, the head says %d: %w", count, want, ErrDamaged)
	}
	return nil
}

// View gives the state after the last committed block.
func (s *State) View() ledger.View { return s.current.Load() }

// get returns a copy of the value of a key.
func (s *State) get(key []byte) ([]byte, bool, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read key %.8x: %w", key, err)
	}
	copied := append(make([]byte, 0, len(value)), value...)
	if err := closer.Close(); err != nil {
		return nil, false, fmt.Errorf("read key %.8x: %w", key, err)
	}
	return copied, true, nil
}
