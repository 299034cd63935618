package abci

import "sync"

// recent is a bounded memory of facts about transactions. It forgets the older
// half when the younger half is full, so an entry is remembered for at least
// `half` further ones.
type recent[V any] struct {
	half int

	mu       sync.Mutex
	new, old map[[32]byte]V
}

func newRecent[V any](half int) *recent[V] {
	return &recent[V]{half: half, new: make(map[[32]byte]V)}
}

func (r *recent[V]) value(key [32]byte) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.new[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	return v, ok
}

func (r *recent[V]) add(key [32]byte, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.new) >= r.half {
		r.old, r.new = r.new, make(map[[32]byte]V, r.half)
	}
	r.new[key] = v
}
