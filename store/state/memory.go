package state

import (
	"bytes"
	"sync"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// memory holds state values that Pebble holds too: keys, offices, series, parameters, which every transaction and every call
// needs and which rarely change; and that there is none, as of rules for a series that needs none. All views share one. It holds what the newest view would read from Pebble; a reader with an
// older view has looked into the chain of views before, so that it asks only for what has not changed since.
//
// No value is ever stale: a commit first hangs what it overwrites on the chain and then forgets it, and add, under the same
// lock, takes only what was read while the chain ended at the reader's last view. What was read before that commit therefore
// comes in before it is forgotten, or not at all.
type memory struct {
	limit  int // on bytes
	mu     sync.RWMutex
	recent map[string][]byte // by key of the store; nil: there is none
	before map[string][]byte // what recent was when it was full
	bytes  int               // of recent
}

// The memory of a store holds at most two maps of 1 MiB and a value, counted with what a line takes besides key and value.
const (
	memoryBytes     = 1 << 20
	memoryLineBytes = 64
)

// passing are the starts of those keys of which each record, proposal or transaction has its own: they are read once or
// twice, and would only drive the others out.
var passing = [][]byte{
	startOf(ledger.StateKeyNonce(record.KeyID{}, record.Nonce{})),
	startOf(ledger.StateKeyLifecycle(0)),
	startOf(ledger.StateKeyProposal(0)),
}

func startOf(key []byte) []byte { return stateKey(bytes.TrimRight(key, "\x00")) }

// remembered tells whether the memory is meant for a key.
func remembered(key []byte) bool {
	if key[0] != prefixState {
		return false
	}
	for _, start := range passing {
		if bytes.HasPrefix(key, start) {
			return false
		}
	}
	return true
}

// find gives the value of a key, nil where there is none, if that is known. The caller must look afterwards whether the chain
// of views has become longer, as after a read of Pebble.
func (m *memory) find(key []byte) (value []byte, known bool) {
	m.mu.RLock()
	value, recent := m.recent[string(key)]
	known = recent
	if !recent {
		value, known = m.before[string(key)]
	}
	m.mu.RUnlock()
	if known && !recent {
		m.mu.Lock()
		if still, there := m.before[string(key)]; there { // it was not forgotten in between
			m.keep(key, still)
		}
		m.mu.Unlock()
	}
	return value, known
}

// add takes a value, or nil for none, that was read from Pebble on behalf of the view last, unless a commit has begun since.
func (m *memory) add(last *view, key, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last.later.Load() == nil {
		m.keep(key, value)
	}
}

// keep needs the lock.
func (m *memory) keep(key, value []byte) {
	if m.recent == nil || m.bytes >= m.limit {
		m.before, m.recent, m.bytes = m.recent, make(map[string][]byte), 0
	}
	if _, there := m.recent[string(key)]; !there {
		m.bytes += memoryLineBytes + len(key) + len(value)
	}
	m.recent[string(key)] = value
}

// forget drops what a commit overwrites.
func (m *memory) forget(overwritten map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range overwritten {
		if value, there := m.recent[key]; there {
			m.bytes -= memoryLineBytes + len(key) + len(value)
			delete(m.recent, key)
		}
		delete(m.before, key)
	}
}
