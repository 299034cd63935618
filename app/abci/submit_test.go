package abci

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// pool is the engine's mempool in small: first come, first served, with a
// cache that keeps what was committed.
type pool struct {
	c     *chain
	txs   [][]byte
	cache map[string]bool
	full  bool // drops silently what CheckTx admitted
	err   error
}

func newPool(c *chain) *pool {
	p := &pool{c: c, cache: map[string]bool{}}
	c.app.SetMempool(p.push)
	return p
}

func (p *pool) push(raw []byte, checked func(uint32)) error {
	if p.err != nil {
		return p.err
	}
	if p.cache[string(raw)] {
		return ErrKnown
	}
	r, err := p.c.app.CheckTx(context.Background(), &types.RequestCheckTx{Tx: raw})
	if err != nil {
		return err
	}
	if r.Code == 0 && !p.full {
		p.cache[string(raw)] = true
		p.txs = append(p.txs, raw)
	}
	checked(r.Code)
	return nil
}

// block commits what the pool holds.
func (p *pool) block() {
	p.c.t.Helper()
	txs := p.c.prepare(4<<20, p.txs...)
	p.txs = nil
	r := p.c.block(txs...)
	for i, tx := range txs {
		if r.TxResults[i].Code != 0 {
			delete(p.cache, string(tx))
		}
	}
}

type answer struct {
	result ledger.Result
	height int64
	err    error
}

// submit starts a submission and gives where its answer will be.
func (p *pool) submit(ctx context.Context, raw []byte) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		var a answer
		a.result, a.height, a.err = p.c.app.Submit(ctx, raw)
		ch <- a
	}()
	synctest.Wait()
	return ch
}

// now gives an answer that must be there already.
func now(t *testing.T, ch <-chan answer) answer {
	t.Helper()
	synctest.Wait()
	select {
	case a := <-ch:
		return a
	default:
		t.Fatal("there is no answer yet")
		panic("unreachable")
	}
}

func pending1(t *testing.T, ch <-chan answer) {
	t.Helper()
	select {
	case a := <-ch:
		t.Fatalf("there is an answer already: %+v", a)
	default:
	}
}

// inBubble runs a test on a chain with a pool, at height 1, in fake time.
func inBubble(t *testing.T, f func(t *testing.T, p *pool)) {
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, nil)
		c.init()
		c.block()
		f(t, newPool(c))
		if n := len(c.app.waiters); n != 0 {
			t.Errorf("%d waiters are left over", n)
		}
		if len(c.fatal) != 0 {
			t.Errorf("fatal: %v", c.fatal)
		}
	})
}

func TestSubmitWaitsForTheBlockOnDisk(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		ch := p.submit(t.Context(), anchor(t, "DPW", today+1, "a", "b"))
		pending1(t, ch)
		size := p.c.disk.view.Head().Size
		p.block()
		a := now(t, ch)
		if a.err != nil || a.height != 2 || a.result.Code != ledger.OK || int64(a.result.TxIndex) != size || a.result.Count != 2 {
			t.Errorf("got %+v, want entry %d at height 2", a, size)
		}
		if p.c.disk.view.Head().Height != 2 {
			t.Error("the answer came before the block was on disk")
		}
	})
}

func TestSubmitTellsEveryoneWhoWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		tx := anchor(t, "DPW", today+1, "a")
		first, second := p.submit(t.Context(), tx), p.submit(t.Context(), tx)
		p.block()
		a, b := now(t, first), now(t, second)
		if a != b || a.err != nil || a.height != 2 {
			t.Errorf("got %+v and %+v", a, b)
		}
	})
}

// TestSubmitAgainGetsTheFirstAnswer submits what is committed already, with a
// mempool that knows it and, after a restart, with one that does not.
func TestSubmitAgainGetsTheFirstAnswer(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, func(t *testing.T, p *pool) {
			for _, tx := range [][]byte{anchor(t, "DPW", today+1, "a", "b"), proposeOffice(t, "WATER")} {
				ch := p.submit(t.Context(), tx)
				p.block()
				first := now(t, ch)
				p.c.block(anchor(t, "PARKS", today+1, string(tx[:40])))
				if restart {
					p.c.restart()
					p = newPool(p.c)
				}
				again := now(t, p.submit(t.Context(), tx))
				if again != first || first.err != nil || first.result.Code != ledger.OK {
					t.Errorf("restart %v: got %+v, want %+v", restart, again, first)
				}
				if len(p.txs) != 0 {
					t.Error("a committed transaction went into the mempool again")
				}
			}
		})
	}
}

// TestACommittedTransactionInAnotherBlock is what a dishonest proposer can do.
func TestACommittedTransactionInAnotherBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		tx := anchor(t, "DPW", today+1, "a")
		ch := p.submit(t.Context(), tx)
		p.c.block(tx, tx)
		first := now(t, ch)
		before := p.c.disk.view.Head()
		p.c.block(tx)
		if again := now(t, p.submit(t.Context(), tx)); again != first {
			t.Errorf("got %+v, want the first answer %+v", again, first)
		}
		if got := p.c.disk.view.Head(); got.AppHash != before.AppHash || first.height != 2 {
			t.Errorf("the log grew from %+v to %+v; first answer %+v", before, got, first)
		}
	})
}

func TestSubmitRefusesWithTheBadItem(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		ch := p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))
		p.block()
		first := now(t, ch)
		a := now(t, p.submit(t.Context(), anchor(t, "DPW", today+1, "new", "a")))
		if a.err != nil || a.height != 0 || a.result.Code != ledger.CodeAlreadyAnchored || a.result.Bad != 1 || a.result.TxIndex != first.result.TxIndex+1 {
			t.Errorf("got %+v; want item 1 refused, with entry %d in its way", a, first.result.TxIndex+1)
		}
		for want, tx := range map[ledger.Code][]byte{
			ledger.CodeMalformed:  []byte("junk"),
			ledger.CodeExpired:    anchor(t, "DPW", today-1, "x"),
			ledger.CodeUnknownKey: anchor(t, "nobody", today+1, "x"),
		} {
			if a := now(t, p.submit(t.Context(), tx)); a.err != nil || a.result.Code != want || a.height != 0 {
				t.Errorf("got %+v, want %v", a, want)
			}
		}
	})
}

func TestSubmitIsToldARefusalInTheBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		first := p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))
		second := p.submit(t.Context(), anchor(t, "DPW", today+1, "b", "a"))
		p.block()
		a, b := now(t, first), now(t, second)
		if a.result.Code != ledger.OK || b.err != nil || b.height != 2 || b.result.Code != ledger.CodeAlreadyAnchored || b.result.Bad != 1 {
			t.Errorf("got %+v and %+v", a, b)
		}
	})
}

func TestSubmitPutsADroppedTransactionInAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.full = true
		ch := p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))
		p.full = false
		p.c.app.queue = newQueue() // another node proposes
		p.block()
		pending1(t, ch)
		<-time.After(pushAgain + 1) // fake time
		synctest.Wait()
		p.block()
		if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK || a.height != 3 {
			t.Errorf("got %+v, want OK at height 3", a)
		}
	})
}

// counting is a view that counts how often a block was carried out on it: who
// closes a block asks once for the frontier, and nobody else does.
type counting struct {
	ledger.View
	blocks *atomic.Int64
}

func (v counting) Frontier() []record.Hash {
	v.blocks.Add(1)
	return v.View.Frontier()
}

// TestSubmitOnlyLooksWhileItWaits: the mempool has the transaction and the
// block does not come. A batch is not carried out again and again for that.
func TestSubmitOnlyLooksWhileItWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		var blocks atomic.Int64
		pushed := 0
		p.c.app.SetMempool(func(raw []byte, checked func(uint32)) error {
			pushed++
			return p.push(raw, checked)
		})
		p.c.app.setView(counting{p.c.app.View(), &blocks})
		var waiting []<-chan answer
		for _, tx := range [][]byte{anchor(t, "DPW", today+1, "a", "b"), proposeOffice(t, "WATER")} {
			waiting = append(waiting, p.submit(t.Context(), tx))
		}
		<-time.After(10*pushAgain + 1) // fake time
		synctest.Wait()
		if pushed != 22 || blocks.Load() != 0 {
			t.Errorf("%d pushes and %d blocks carried out while waiting, want 22 and 0", pushed, blocks.Load())
		}
		if p.block(); blocks.Load() != 1 {
			t.Errorf("%d blocks carried out, want 1: the count counts nothing", blocks.Load())
		}
		for _, ch := range waiting {
			if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK || a.height != 2 {
				t.Errorf("got %+v, want OK at height 2", a)
			}
		}
	})
}

// TestSubmitFindsWhatItWasNotTold: the block was committed while the waiter was
// being forgotten, so the answer can only come from the committed state.
func TestSubmitFindsWhatItWasNotTold(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		for i, tx := range [][]byte{anchor(t, "DPW", today+1, "a", "b"), proposeOffice(t, "WATER")} {
			ch := p.submit(t.Context(), tx)
			p.c.app.mu.Lock()
			untold := p.c.app.waiters
			p.c.app.waiters = map[[32]byte][]chan outcome{}
			p.c.app.mu.Unlock()
			p.block()
			p.c.app.mu.Lock()
			p.c.app.waiters = untold
			p.c.app.mu.Unlock()
			pending1(t, ch)
			<-time.After(pushAgain + 1) // fake time
			if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK || a.height != int64(2+i) {
				t.Errorf("got %+v, want OK at height %d", a, 2+i)
			}
		}
	})
}

func TestSubmitGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		tx := anchor(t, "DPW", today+1, "a")
		ctx, cancel := context.WithCancel(t.Context())
		ch := p.submit(ctx, tx)
		cancel()
		if a := now(t, ch); !errors.Is(a.err, ErrOutcomeUnknown) || !errors.Is(a.err, context.Canceled) || a.result != (ledger.Result{}) {
			t.Errorf("cancelled: got %+v", a)
		}
		ch = p.submit(t.Context(), tx)
		p.c.app.Stop()
		if a := now(t, ch); !errors.Is(a.err, ErrOutcomeUnknown) || !errors.Is(a.err, ErrStopping) {
			t.Errorf("stopped: got %+v", a)
		}
		if a := now(t, p.submit(t.Context(), anchor(t, "DPW", today+1, "b"))); !errors.Is(a.err, ErrStopping) {
			t.Errorf("after the stop: got %+v", a)
		}
		p.c.app.Stop()
	})
	inBubble(t, func(t *testing.T, p *pool) {
		p.err = ErrBusy
		if a := now(t, p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))); !errors.Is(a.err, ErrBusy) {
			t.Errorf("full mempool: got %+v", a)
		}
		p.err = nil
		p.c.app.options.Crowded = func() bool { return true }
		if a := now(t, p.submit(t.Context(), anchor(t, "DPW", today+1, "b"))); !errors.Is(a.err, ErrBusy) {
			t.Errorf("crowded mempool: got %+v", a)
		}
		ch := p.submit(t.Context(), proposeOffice(t, "WATER"))
		p.block()
		if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK {
			t.Errorf("governance in a crowded mempool: got %+v", a)
		}
	})
}

func TestNextIsClosedByEachBlock(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	next := c.app.Next()
	c.finalize()
	select {
	case <-next:
		t.Fatal("closed before the block was written")
	default:
	}
	c.commit()
	<-next
	if c.app.Next() == next {
		t.Error("the next block has the channel of the last")
	}
}

func TestHooks(t *testing.T) {
	var final, committed []int64
	c := newChain(t, func(o *Options) {
		o.Final = func(v ledger.View) { final = append(final, v.Head().Height) }
		o.Committed = func(h ledger.Head, _ []ledger.Result) { committed = append(committed, h.Height) }
	})
	c.init()
	c.block()
	c.block(anchor(t, "DPW", today+1, "a"))
	c.block()
	if len(final) != 3 || final[0] != 0 || final[2] != 2 || len(committed) != 3 || committed[2] != 3 {
		t.Errorf("final heads %v, committed %v; want 0 1 2 and 1 2 3", final, committed)
	}
}

// TestSubmitCrossesARefusal: the state changes between the look and the
// mempool's check, so that the mempool refuses what looked good.
func TestSubmitCrossesARefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		tx := anchor(t, "DPW", today+1, "a", "b")
		p.c.app.SetMempool(func(raw []byte, checked func(uint32)) error {
			p.c.block(anchor(t, "DPW", today+1, "b"))
			return p.push(raw, checked)
		})
		a := now(t, p.submit(t.Context(), tx))
		if a.err != nil || a.height != 0 || a.result.Code != ledger.CodeAlreadyAnchored || a.result.Bad != 1 {
			t.Errorf("got %+v, want item 1 refused", a)
		}
		a = now(t, p.submit(t.Context(), tx))
		if a.err != nil || a.result.Code != ledger.CodeAlreadyAnchored {
			t.Errorf("again: got %+v", a)
		}
	})
}

// broken is a view whose state cannot be read.
type broken struct{ ledger.View }

func (broken) Value([]byte) ([]byte, bool, error) { return nil, false, errors.New("state is broken") }

func TestSubmitWithABrokenState(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.c.app.setView(broken{p.c.app.View()})
		if a := now(t, p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))); !errors.Is(a.err, ErrInternal) || a.result != (ledger.Result{}) {
			t.Errorf("got %+v, want %v", a, ErrInternal)
		}
		if _, err := p.c.app.MayConnect("x"); err == nil {
			t.Error("peers were judged by a broken state")
		}
	})
}

// TestSubmitAnswersARecordedRefusal lets a disposition into the mempool that is
// going to be refused by an entry, and asks again afterwards.
func TestSubmitAnswersARecordedRefusal(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, func(t *testing.T, p *pool) {
			ch := p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))
			p.block()
			kept := now(t, ch).result.TxIndex + 1
			p.c.time = p.c.time.Add(11 * time.Minute) // a jump: dispositions freeze
			p.c.block()
			tx := sign(t, "DPW", "early", today+1, &record.ProposeDisposition{
				Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{kept},
			})
			ch = p.submit(t.Context(), tx)
			p.block()
			first := now(t, ch)
			if first.err != nil || first.result.Code != ledger.CodeFrozen || first.result.Count != 1 || first.height != 4 {
				t.Fatalf("got %+v, want a recorded refusal at height 4", first)
			}
			if restart {
				p.c.restart()
				p = newPool(p.c)
			}
			again := now(t, p.submit(t.Context(), tx))
			if again != first || len(p.txs) != 0 {
				t.Errorf("restart %v: got %+v and %d in the mempool, want %+v", restart, again, len(p.txs), first)
			}
		})
	}
}
