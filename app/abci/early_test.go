package abci

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// running runs the App's background for the rest of the test.
func (p *pool) running(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go p.c.app.Run(ctx)
	synctest.Wait()
}

// twoSteps gives a proposal, and its approval for when the next block holds the
// proposal first.
func twoSteps(t *testing.T, v ledger.View, code record.Code) (proposal, approval []byte) {
	t.Helper()
	fact := &record.Office{Code: code, Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	hash, err := record.FactHash(fact)
	if err != nil {
		t.Fatal(err)
	}
	at := record.Index(v.Head().Size) + 1
	return sign(t, "CLERK", "propose "+string(code), today+1, &record.ProposeChange{Fact: fact}),
		sign(t, "IT", "approve "+string(code), today+1, &record.ApproveChange{Proposal: at, FactHash: hash})
}

func TestATransactionAheadOfItsBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.running(t)
		proposal, approval := twoSteps(t, p.c.disk.view, "LIBRARY")
		if got := ledger.Code(p.c.check(approval)); got != ledger.CodeUnknownProposal {
			t.Fatalf("the approval of what is not proposed got %v", got)
		}
		p.c.check(approval)
		p.c.block()
		synctest.Wait()
		if len(p.txs) != 0 {
			t.Error("a block without the proposal let the approval in")
		}
		p.c.block(proposal)
		synctest.Wait()
		if len(p.txs) != 1 || !bytes.Equal(p.txs[0], approval) {
			t.Errorf("%d transactions in the mempool, want the approval", len(p.txs))
		}
		p.block()
		if _, known, err := ledger.OfficeOf(p.c.disk.view, "LIBRARY"); err != nil || !known {
			t.Errorf("the office: %t, %v", known, err)
		}
	})
}

// TestATransactionJudgedWhileTheBlockCame was refused by a state that was over
// when the refusal was noted.
func TestATransactionJudgedWhileTheBlockCame(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.running(t)
		proposal, approval := twoSteps(t, p.c.disk.view, "LIBRARY")
		code, height, _ := p.c.app.check(approval)
		p.c.block(proposal)
		synctest.Wait()
		p.c.app.refusedFor(approval, code, height)
		synctest.Wait()
		if len(p.txs) != 1 {
			t.Errorf("%d transactions in the mempool, want 1", len(p.txs))
		}
	})
}

func TestEarlyTransactionsAreForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.running(t)
		_, approval := twoSteps(t, p.c.disk.view, "LIBRARY")
		for name, raw := range map[string][]byte{
			"junk": []byte("junk"), "expired": anchor(t, "DPW", today-1, "x"), "the signature": append(slices.Clone(approval[:len(approval)-1]), approval[len(approval)-1]^1),
		} {
			if p.c.check(raw) == 0 || len(p.c.app.early.txs) != 0 {
				t.Errorf("%s was accepted or kept", name)
			}
		}
		p.c.check(approval)
		for i := range earlyBlocks {
			if kept := len(p.c.app.early.txs); kept != 1 || p.c.app.early.bytes != len(approval) {
				t.Errorf("after %d blocks %d are kept, of %d bytes", i, kept, p.c.app.early.bytes)
			}
			p.c.block()
			synctest.Wait()
		}
		if kept := len(p.c.app.early.txs); kept != 0 || p.c.app.early.bytes != 0 {
			t.Errorf("in the end %d are kept, of %d bytes", kept, p.c.app.early.bytes)
		}
	})
}

func TestEarlyTransactionsAreFew(t *testing.T) {
	e := newEarly()
	for i := range earlyTxs + 3 {
		e.add(earlyTx{key: [32]byte{byte(i), byte(i >> 8)}, raw: []byte{1}})
	}
	if len(e.txs) != earlyTxs || e.bytes != earlyTxs || e.txs[0].key[0] != 3 {
		t.Errorf("%d are kept, the oldest is %d", len(e.txs), e.txs[0].key[0])
	}
	e.add(earlyTx{key: [32]byte{0, 0, 1}, raw: make([]byte, earlyBytes-1)})
	if len(e.txs) != 2 || e.bytes != earlyBytes {
		t.Errorf("%d are kept, of %d bytes", len(e.txs), e.bytes)
	}
	if e.add(earlyTx{raw: make([]byte, earlyBytes+1)}); len(e.txs) != 2 {
		t.Error("one that is too large was kept")
	}
}

// TestSubmitTellsTheOthersAgain: the mempool has the transaction, and no block
// that holds it comes.
func TestSubmitTellsTheOthersAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		var at []time.Duration
		begin := time.Now()
		p.c.app.options.Tell = func([]byte) { at = append(at, time.Since(begin)) }
		ch := p.submit(t.Context(), anchor(t, "DPW", today+1, "a"))
		<-time.After(10*pushAgain + 1) // fake time
		synctest.Wait()
		if want := fmt.Sprint([]time.Duration{pushAgain, 2 * pushAgain, 4 * pushAgain, 8 * pushAgain}); fmt.Sprint(at) != want {
			t.Errorf("told after %v, want %v", at, want)
		}
		p.block()
		if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK {
			t.Errorf("got %+v", a)
		}
	})
}

// TestSubmitGivesUpOnTheImpossible: the transaction lies in the mempool of a
// node that makes no blocks, and those that do have no use for it any more.
func TestSubmitGivesUpOnTheImpossible(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		var dropped [][]byte
		p.c.app.options.Drop = func(raw []byte) { dropped = append(dropped, raw) }
		tx := anchor(t, "DPW", today+1, "a", "b")
		ch := p.submit(t.Context(), tx)
		p.c.block(anchor(t, "DPW", today+1, "b"))
		pending1(t, ch)
		<-time.After(pushAgain + 1) // fake time
		a := now(t, ch)
		if a.err != nil || a.height != 0 || a.result.Code != ledger.CodeAlreadyAnchored || a.result.Bad != 1 {
			t.Errorf("got %+v, want item 1 refused", a)
		}
		if len(dropped) != 1 || !bytes.Equal(dropped[0], tx) {
			t.Errorf("%d transactions were dropped, want that one", len(dropped))
		}
	})
}
