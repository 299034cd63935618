package abci

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/muniment/muniment/app/ledger"
)

// The engine tells a peer of a transaction once. Where that peer lacks the
// block on which the transaction builds, its CheckTx refuses it, and nobody
// would tell it again. So what a later block may make good is kept for a few
// blocks and judged again after each.
const (
	earlyTxs    = 512
	earlyBytes  = 8 << 20
	earlyBlocks = 4 // the engine sends to peers that are up to two blocks behind
)

// earlyTx is a refused transaction.
type earlyTx struct {
	key    [32]byte
	raw    []byte
	judged int64 // height of the state that refused it last
	since  int64 // and first
}

// early keeps refused transactions, oldest first, and forgets the oldest where
// it has no room.
type early struct {
	mu    sync.Mutex
	txs   []earlyTx
	bytes int
	wake  chan struct{} // has room for one; filled where something was added
}

func newEarly() *early { return &early{wake: make(chan struct{}, 1)} }

func (e *early) add(tx earlyTx) {
	if len(tx.raw) > earlyBytes {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, known := range e.txs {
		if known.key == tx.key {
			return
		}
	}
	e.txs, e.bytes = append(e.txs, tx), e.bytes+len(tx.raw)
	for len(e.txs) > earlyTxs || e.bytes > earlyBytes {
		e.bytes -= len(e.txs[0].raw)
		e.txs = e.txs[1:]
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// take gives, and forgets, what was judged by a state before that of a height.
func (e *early) take(height int64) []earlyTx {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due, rest []earlyTx
	for _, tx := range e.txs {
		if tx.judged < height {
			due, e.bytes = append(due, tx), e.bytes-len(tx.raw)
		} else {
			rest = append(rest, tx)
		}
	}
	e.txs = rest
	return due
}

// lasting says whether no block to come can turn a refusal into an acceptance.
func lasting(code ledger.Code) bool {
	switch code {
	case ledger.CodeMalformed, ledger.CodeTooLarge, ledger.CodeWrongNetwork, ledger.CodeBadSignature,
		ledger.CodeExpired, ledger.CodeNonceReused, ledger.CodeAlreadyAnchored, ledger.CodeInternal:
		return true
	}
	return false
}

// refusedFor keeps a transaction that CheckTx refused by the state of a height.
func (a *App) refusedFor(raw []byte, code ledger.Code, height int64) {
	if !lasting(code) {
		a.early.add(earlyTx{key: sha256.Sum256(raw), raw: raw, judged: height, since: height})
	}
}

// Run puts transactions that came too early into the mempool once their time
// has come, and takes out what no block has use for, until the context ends.
func (a *App) Run(ctx context.Context) {
	for {
		next := a.Next()
		a.judgeEarly()
		for _, raw := range a.queue.overdue(a.View().Head().Height - queuedBlocks) {
			a.options.Drop(raw)
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-a.early.wake:
		}
	}
}

// judgeEarly judges again what an earlier state refused.
func (a *App) judgeEarly() {
	a.mu.Lock()
	push := a.push
	a.mu.Unlock()
	for _, tx := range a.early.take(a.View().Head().Height) {
		code, height, before := a.check(tx.raw)
		switch {
		case code == ledger.OK && push != nil && !before:
			// A full mempool loses it, as it would have lost it before.
			_ = push(tx.raw, func(uint32) {})
		case code != ledger.OK && !lasting(code) && height-tx.since < earlyBlocks:
			tx.judged = height
			a.early.add(tx)
		}
	}
}
