package abci

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrBusy is returned where the mempool has no room for the transaction.
	// The caller may try again later.
	ErrBusy = errors.New("node is busy")
	// ErrShare is returned where the office of the transaction has as much in the
	// mempool as it may have. The caller may try again later.
	ErrShare = errors.New("the office has its share of the mempool under way")
	// ErrKnown is what the mempool's function returns for a transaction that it
	// has seen before and may hold or have seen committed.
	ErrKnown = errors.New("transaction is known to the mempool")
	// ErrStopping is returned to those who wait while the node stops. Their
	// transactions may still be committed.
	ErrStopping = errors.New("node is stopping")
	// ErrOutcomeUnknown wraps the context's error where a caller stops waiting.
	// The transaction may still be committed; submitting it again is safe.
	ErrOutcomeUnknown = errors.New("outcome of the transaction is not known yet")
	// ErrInternal is returned where the state could not be read.
	ErrInternal = errors.New("state of the ledger could not be read")
)

// pushAgain is how long a caller waits before it makes sure that its
// transaction is still in the mempool, which may have dropped it silently
// when it was full, and can still be accepted. The other nodes are told of it
// again at the first such look, the second, the fourth, and so on: each of them
// was told once, and may have had no room.
const pushAgain = 2 * time.Second

// roomWait is how long a caller waits for room.
const roomWait = 30 * time.Second

// outcome is what a waiter is told.
type outcome struct {
	result ledger.Result
	height int64
}

// SetMempool gives the App the function that puts a transaction into the
// engine's mempool, once there is one. It calls checked with CheckTx's code,
// before or after it returns, unless it returns an error; ErrKnown and ErrBusy
// have their meaning here.
func (a *App) SetMempool(push func(raw []byte, checked func(code uint32)) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.push = push
}

// Stop ends every wait with ErrStopping, now and later.
func (a *App) Stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.stopped = true
		close(a.stopping)
	}
}

// Next gives a channel that is closed when the next block is written.
func (a *App) Next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.next
}

// Submit hands in a transaction and waits until its block is on disk. It
// returns the result and the height of that block. A transaction that is
// refused before it enters a block has height 0. One that was committed before
// gets its first answer again, with its first height. The caller must not
// change raw afterwards.
func (a *App) Submit(ctx context.Context, raw []byte) (ledger.Result, int64, error) {
	// The signature is verified here, on the caller's goroutine, and remembered
	// for CheckTx, which the mempool calls one at a time. It comes before room: what
	// an office has not signed takes none of its room.
	if code, _, _ := a.check(raw); code != ledger.OK {
		return a.refusal(raw, code)
	}
	key := sha256.Sum256(raw)
	// Whoever waits before looking into the committed state misses nothing:
	// Commit shows the new state before it tells the waiters.
	wait := a.wait(key)
	defer a.forget(key, wait)
	if o, done, err := a.answered(raw); err != nil || done {
		return o.result, o.height, err
	}
	leave, err := a.room(ctx, raw)
	if err != nil {
		return ledger.Result{}, 0, err
	}
	defer func() { leave() }()
	for looks := 0; ; looks++ {
		done, o, err := a.try(raw)
		leave()
		if errors.Is(err, ErrShare) { // what came from other nodes was quicker
			if leave, err = a.room(ctx, raw); err == nil {
				continue
			}
		}
		if err != nil || done {
			return o.result, o.height, err
		}
		if looks&(looks-1) == 0 && looks > 0 {
			a.options.Tell(raw)
		}
		timer := time.NewTimer(pushAgain)
		select {
		case o := <-wait:
			timer.Stop()
			return o.result, o.height, nil
		case <-a.stopping:
			timer.Stop()
			return ledger.Result{}, 0, fmt.Errorf("submit: %w: %w", ErrOutcomeUnknown, ErrStopping)
		case <-ctx.Done():
			timer.Stop()
			return ledger.Result{}, 0, fmt.Errorf("submit: %w: %w", ErrOutcomeUnknown, ctx.Err())
		case <-timer.C:
		}
	}
}

// room waits a few blocks for a place in the mempool, of those that the office of a
// transaction has, and reserves it until leave is called. Who waits costs little: no
// more go on than there are places.
func (a *App) room(ctx context.Context, raw []byte) (leave func(), err error) {
	none := func() {}
	line, err := a.lineOf(raw)
	if err != nil {
		return none, internal(err)
	}
	key := sha256.Sum256(raw)
	late := time.NewTimer(roomWait)
	defer late.Stop()
	for {
		next := a.Next()
		if a.queue.has(key) {
			return none, nil
		}
		if a.queue.reserve(line, len(raw)) {
			return sync.OnceFunc(func() { a.queue.release(line) }), nil
		}
		select {
		case <-next:
		case <-a.stopping:
			return none, fmt.Errorf("submit: %w", ErrStopping)
		case <-ctx.Done():
			return none, fmt.Errorf("submit: %w: %w", ErrShare, ctx.Err())
		case <-late.C:
			return none, fmt.Errorf("submit: office %s: %w", line.office, ErrShare)
		}
	}
}

// try puts a transaction into the mempool, unless it is there. Done means that
// no block needs to be waited for.
func (a *App) try(raw []byte) (done bool, o outcome, err error) {
	a.mu.Lock()
	push, stopped := a.push, a.stopped
	a.mu.Unlock()
	if push == nil || stopped {
		return false, outcome{}, fmt.Errorf("submit: %w", ErrStopping)
	}
	answered := make(chan uint32, 1)
	err = push(raw, func(code uint32) { answered <- code })
	if errors.Is(err, ErrKnown) {
		o, known, err := a.answered(raw)
		if code, _, _ := a.check(raw); err == nil && !known && code != ledger.OK {
			return a.giveUp(raw, code)
		}
		return known, o, err
	}
	if err != nil {
		return false, outcome{}, fmt.Errorf("submit: %w", err)
	}
	switch code := <-answered; code {
	case 0:
		return false, outcome{}, nil
	case CodeBusy:
		return false, outcome{}, fmt.Errorf("submit: %w", ErrBusy)
	case CodeShare:
		return false, outcome{}, fmt.Errorf("submit: %w", ErrShare)
	case CodeKnown: // committed since Submit looked
		o, known, err := a.answered(raw)
		return known, o, err
	default: // the state has moved on since Submit looked
		result, _, err := a.refusal(raw, ledger.Code(code))
		return true, outcome{result: result}, err
	}
}

// giveUp answers for a transaction that was good when it went into the mempool
// and that the state has come to stand against. The nodes that make blocks may
// have dropped it, and a node without power would wait for ever.
func (a *App) giveUp(raw []byte, code ledger.Code) (done bool, o outcome, err error) {
	a.queue.remove(sha256.Sum256(raw))
	a.options.Drop(raw)
	result, height, err := a.refusal(raw, code)
	return true, outcome{result: result, height: height}, err
}

// judge carries a transaction out alone on the committed state and throws the
// changes away.
func (a *App) judge(view ledger.View, raw []byte) (ledger.Result, error) {
	head := view.Head()
	_, results, err := a.machine.Apply(view, ledger.Block{Height: head.Height + 1, Time: head.Time, Txs: [][]byte{raw}})
	if err != nil {
		return ledger.Result{}, internal(err)
	}
	return results[0], nil
}

// refusal completes a refusal by what the code alone does not say: the bad
// item, and the entry that stands in the way.
func (a *App) refusal(raw []byte, code ledger.Code) (ledger.Result, int64, error) {
	if code == ledger.CodeInternal {
		return ledger.Result{}, 0, fmt.Errorf("submit: %w", ErrInternal)
	}
	result, err := a.judge(a.View(), raw)
	if err != nil {
		return ledger.Result{}, 0, err
	}
	if result.Entered() {
		// The state has moved on in between, in favour of the transaction or of
		// recording its refusal.
		result = ledger.Result{Code: code, Bad: -1}
	}
	return result, 0, nil
}

// answered looks for a transaction that passed check in the committed state.
// While it waits for its block that costs one look: a batch may have thousands
// of items, and is not carried out to learn that nothing has happened yet.
func (a *App) answered(raw []byte) (outcome, bool, error) {
	view := a.View()
	seen, err := seen(view, raw)
	if err != nil || !seen {
		return outcome{}, false, err
	}
	result, err := a.judge(view, raw)
	if err != nil {
		return outcome{}, false, err
	}
	if !result.Entered() || int64(result.TxIndex) >= view.Head().Size {
		return outcome{}, false, nil
	}
	height, err := heightOf(view, result.TxIndex)
	return outcome{result: result, height: height}, err == nil, err
}

// seen says whether a state holds the first thing that a transaction brings: of
// a batch its first record, of any other its nonce. Where it does not, the
// transaction was not committed.
func seen(view ledger.View, raw []byte) (bool, error) {
	tx, err := record.ParseTx(raw)
	if err != nil {
		return false, fmt.Errorf("submit: %w", err)
	}
	anchors, ok := tx.Message.(*record.AnchorRecords)
	if !ok {
		_, used, err := view.Value(ledger.StateKeyNonce(tx.KeyID, tx.Nonce))
		return used, internal(err)
	}
	key, known, err := ledger.KeyOf(view, tx.KeyID)
	if err != nil || !known {
		return false, internal(err)
	}
	_, anchored, err := view.AnchorIndex(key.Office, anchors.Items[0].Commitment)
	return anchored, internal(err)
}

// internal marks an error of the state.
func internal(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("submit: %w: %w", ErrInternal, err)
}

// heightOf finds the block of a transaction entry: the next block entry closes it.
func heightOf(view ledger.View, i record.Index) (int64, error) {
	for {
		raw, err := view.Entry(i)
		if err != nil {
			return 0, internal(err)
		}
		e, err := record.ParseEntry(raw)
		if err != nil {
			return 0, fmt.Errorf("submit: %w: entry %d: %w", ErrInternal, i, err)
		}
		switch e := e.(type) {
		case record.BlockEntry:
			return e.Height, nil
		case record.TxEntry:
			i += record.Index(e.Count) + 1
		default:
			i++
		}
	}
}

// wait registers for the outcome of a transaction.
func (a *App) wait(key [32]byte) chan outcome {
	ch := make(chan outcome, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiters[key] = append(a.waiters[key], ch)
	return ch
}

// forget undoes wait.
func (a *App) forget(key [32]byte, ch chan outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range a.waiters[key] {
		if c == ch {
			a.waiters[key] = append(a.waiters[key][:i], a.waiters[key][i+1:]...)
			break
		}
	}
	if len(a.waiters[key]) == 0 {
		delete(a.waiters, key)
	}
}

// tell gives every waiter of a block's transactions its outcome. No waiter is
// told twice, so no send blocks. A block that holds a transaction for the
// second time finds no waiter: Submit answers from the committed state.
func (a *App) tell(p *pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, key := range p.txs {
		for _, ch := range a.waiters[key] {
			ch <- outcome{result: p.results[i], height: p.changes.Height}
		}
		delete(a.waiters, key)
	}
	close(a.next)
	a.next = make(chan struct{})
}
