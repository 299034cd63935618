package abci

import (
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// What one office may have in the mempool at once, and how much of it stands in
// a block before it is another office's turn. Nobody's transaction is lost by that:
// whoever hands in more waits at the node for room.
const (
	officePending      = 1000 // transactions, of the mempool's 5,000
	officePendingBytes = 16 << 20
	officeUrgent       = 100 // holds and decisions of governance, besides
	turnBytes          = 32 << 10
	// What an office has of a block while others are at work, that is, had something
	// in the mempool in one of the last blocks: whoever comes next waits for this one.
	sharedTxs     = 16
	sharedBytes   = 256 << 10
	sharedPending = 128 // of officePending
	sharedBlocks  = 200
	// queuedBlocks is after how many blocks a transaction that is in none of them
	// is counted no longer: the nodes that make blocks have no use for it.
	queuedBlocks = 200
)

// queued is a transaction that the mempool was told to admit.
type queued struct {
	key    [32]byte
	raw    []byte
	line   line
	height int64 // of the state when it was admitted
	gone   bool
}

// line is where a transaction waits: its office, and whether it is urgent. What
// custodians sign waits in the line of no office.
type line struct {
	office record.Code
	urgent bool
}

// waitingLine is what waits in a line, oldest first.
type waitingLine struct {
	txs   []*queued // with those that are gone, until the line is read
	count int       // that are not
	bytes int
}

func (w *waitingLine) length() int {
	if w == nil {
		return 0
	}
	return w.count
}

// queue knows what is in the mempool, by offices. The engine's mempool is one
// line, in which one office could stand before all others.
type queue struct {
	mu    sync.Mutex
	byKey map[[32]byte]*queued
	lines map[line]*waitingLine
	seen  map[record.Code]int64 // height of the state when something of an office was admitted last

	shared   bool         // several offices are at work
	reserved map[line]int // places for what is about to come, by Submit; no zeros
}

func newQueue() *queue {
	return &queue{byKey: map[[32]byte]*queued{}, lines: map[line]*waitingLine{}, seen: map[record.Code]int64{}, reserved: map[line]int{}}
}

// reserve takes a place in a line, if there is one that nobody has reserved.
func (q *queue) reserve(l line, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isFull(l, size) {
		return false
	}
	if at := q.lines[l]; q.reserved[l] > 0 && q.reserved[l]+at.length() >= q.most(l) {
		return false
	}
	q.reserved[l]++
	return true
}

// release gives the place back: what it was for has come, or will not.
func (q *queue) release(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reserved[l]--; q.reserved[l] == 0 {
		delete(q.reserved, l)
	}
}

// full says whether a line has no room for a transaction of a size.
func (q *queue) full(l line, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.isFull(l, size)
}

func (q *queue) isFull(l line, size int) bool {
	at := q.lines[l]
	return at != nil && (at.count >= q.most(l) || at.bytes+size > officePendingBytes)
}

// most is how many transactions have a place in a line.
func (q *queue) most(l line) int {
	switch {
	case l.urgent:
		return officeUrgent
	case q.shared:
		return sharedPending
	}
	return officePending
}

// has says whether a transaction waits.
func (q *queue) has(key [32]byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.byKey[key] != nil
}

// add notes a transaction, and says whether its line has room for it.
func (q *queue) add(key [32]byte, raw []byte, l line, height int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byKey[key] != nil {
		return true
	}
	if q.isFull(l, len(raw)) {
		return false
	}
	at := q.lines[l]
	if at == nil {
		at = new(waitingLine)
		q.lines[l] = at
	}
	tx := &queued{key: key, raw: raw, line: l, height: height}
	q.byKey[key] = tx
	q.saw(l, height)
	at.txs, at.count, at.bytes = append(at.txs, tx), at.count+1, at.bytes+len(raw)
	return true
}

// saw notes that an office is at work. What is urgent, and what custodians report,
// takes no turn.
func (q *queue) saw(l line, height int64) {
	if l.urgent || l.office == "" {
		return
	}
	q.seen[l.office] = height
	q.shared = len(q.seen) > 1
}

// committed forgets the transactions of a block, and the offices that are at work
// no longer.
func (q *queue) committed(height int64, keys ...[32]byte) {
	q.remove(keys...)
	q.mu.Lock()
	defer q.mu.Unlock()
	for office, at := range q.seen {
		if at < height-sharedBlocks {
			delete(q.seen, office)
		}
	}
	q.shared = len(q.seen) > 1
}

// remove forgets transactions.
func (q *queue) remove(keys ...[32]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range keys {
		q.forget(q.byKey[key])
	}
	for l, at := range q.lines {
		at.txs = slices.DeleteFunc(at.txs, func(tx *queued) bool { return tx.gone })
		if at.count == 0 {
			delete(q.lines, l)
		}
	}
}

func (q *queue) forget(tx *queued) {
	if tx == nil {
		return
	}
	at := q.lines[tx.line]
	tx.gone, at.count, at.bytes = true, at.count-1, at.bytes-len(tx.raw)
	delete(q.byKey, tx.key)
}

// overdue forgets, and gives, what was admitted before a height.
func (q *queue) overdue(height int64) [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	var raws [][]byte
	for _, at := range q.lines {
		for _, tx := range at.txs {
			if tx.height >= height {
				break
			}
			if !tx.gone {
				raws = append(raws, tx.raw)
				q.forget(tx)
			}
		}
	}
	return raws
}

// inTurn gives transactions for a block of a size: what is urgent first, then
// the offices in turn, beginning with another one in each block, and what the
// engine's mempool has besides and is good for a block.
func (q *queue) inTurn(size, height int64, pool [][]byte, good func([]byte) bool) [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	urgent, ordinary := q.sorted()
	if n := int64(len(ordinary)); n > 0 {
		ordinary = slices.Concat(ordinary[height%n:], ordinary[:height%n])
	}
	b := block{room: size}
	b.takeTurns(urgent, ledger.OfficeTxs, int(size))
	if q.shared {
		b.takeTurns(ordinary, sharedTxs, sharedBytes)
	} else {
		b.takeTurns(ordinary, ledger.OfficeTxs, int(size))
	}
	for _, raw := range pool {
		if q.byKey[sha256.Sum256(raw)] == nil && good(raw) {
			b.take(raw)
		}
	}
	return b.txs
}

// sorted gives what waits, one list for each line, in the order of the offices.
func (q *queue) sorted() (urgent, ordinary [][]*queued) {
	lines := make([]line, 0, len(q.lines))
	for l := range q.lines {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int { return compareCodes(a.office, b.office) })
	for _, l := range lines {
		if l.urgent {
			urgent = append(urgent, q.lines[l].txs)
		} else {
			ordinary = append(ordinary, q.lines[l].txs)
		}
	}
	return urgent, ordinary
}

func compareCodes(a, b record.Code) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// block is a proposal in the making.
type block struct {
	txs  [][]byte
	room int64
}

// take puts a transaction in, if there is room.
func (b *block) take(raw []byte) bool {
	size := sizeInBlock(raw)
	if size > b.room {
		return false
	}
	b.txs, b.room = append(b.txs, raw), b.room-size
	return true
}

// takeTurns takes some of each list in turn, until all are empty, have had the
// share of their office, most transactions or more than so many bytes, or do not fit.
func (b *block) takeTurns(lists [][]*queued, most, bytes int) {
	taken, used, credit := make([]int, len(lists)), make([]int, len(lists)), make([]int, len(lists))
	for open := len(lists); open > 0; {
		open = 0
		for i, list := range lists {
			credit[i] += turnBytes
			for len(list) > 0 && (list[0].gone || len(list[0].raw) <= credit[i]) && taken[i] < most && used[i] < bytes {
				if tx := list[0]; !tx.gone {
					if !b.take(tx.raw) {
						taken[i] = most
						break
					}
					credit[i], used[i] = credit[i]-len(tx.raw), used[i]+len(tx.raw)
					taken[i]++
				}
				list = list[1:]
			}
			lists[i] = list
			if len(list) > 0 && taken[i] < most && used[i] < bytes {
				open++
			}
		}
	}
}
