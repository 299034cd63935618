package abci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// fill has the mempool admit n transactions of an office.
func (c *chain) fill(office string, n int) [][]byte {
	c.t.Helper()
	txs := make([][]byte, n)
	for i := range txs {
		txs[i] = anchor(c.t, office, today+1, fmt.Sprint(office, " fills ", i))
		if code := c.check(txs[i]); code != 0 {
			c.t.Fatalf("transaction %d of %s: code %d", i, office, code)
		}
	}
	return txs
}

func hold(t testing.TB, office, nonce string) []byte {
	t.Helper()
	return sign(t, office, nonce, today+1, &record.PlaceHold{
		Kind: record.HoldAdviceRequested, Matter: record.Commitment{1}, Issues: 1, Scope: record.Scope{Department: record.Code(office)},
	})
}

// TestOneOfficeIsNotTheMempool: what an office may have there is bounded, in
// number and in bytes, and neither holds nor other offices suffer from it.
func TestOneOfficeIsNotTheMempool(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	txs := c.fill("DPW", officePending)
	one := anchor(t, "DPW", today+1, "one more")
	if got := c.check(one); got != CodeShare {
		t.Errorf("one more: code %d, want %d", got, CodeShare)
	}
	if got := c.check(txs[3]); got != 0 {
		t.Errorf("one of them again: code %d", got)
	}
	c.block(txs[:2]...)
	if a, b := c.check(one), c.check(anchor(t, "DPW", today+1, "two more")); a != 0 || b != 0 {
		t.Errorf("after a block with two of them: codes %d and %d", a, b)
	}
	if got := c.check(anchor(t, "DPW", today+1, "three more")); got != CodeShare {
		t.Errorf("and no third: code %d", got)
	}
	for _, raw := range [][]byte{anchor(t, "PARKS", today+1, "another's"), hold(t, "DPW", "hold"), proposeOffice(t, "WATER")} {
		if got := c.check(raw); got != 0 {
			t.Errorf("what is not DPW's, or urgent: code %d", got)
		}
	}
	for i := range officeUrgent - 1 {
		c.check(hold(t, "DPW", fmt.Sprint("hold ", i)))
	}
	if got := c.check(hold(t, "DPW", "one hold more")); got != CodeShare {
		t.Errorf("one hold more: code %d", got)
	}
	if got := c.check(hold(t, "PARKS", "hold")); got != 0 {
		t.Errorf("another office's hold: code %d", got)
	}
}

// TestOfficesAtWorkShareTheMempool: while several are at work, each has less room
// and less of a block, and has more again when it is alone.
func TestOfficesAtWorkShareTheMempool(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	txs := c.fill("DPW", sharedPending)
	others := c.fill("PARKS", 1)
	if got := c.check(anchor(t, "DPW", today+1, "one more")); got != CodeShare {
		t.Errorf("one more beside another office: code %d, want %d", got, CodeShare)
	}
	if got := c.prepare(4 << 20); len(got) != sharedTxs+1 {
		t.Errorf("a block has %d of both, want %d", len(got), sharedTxs+1)
	}
	c.block(append(txs[:2:2], others...)...)
	for i, want := range []uint32{0, 0, CodeShare} {
		if got := c.check(anchor(t, "DPW", today+1, fmt.Sprint("later ", i))); got != want {
			t.Errorf("after a block with two of them, number %d: code %d, want %d", i, got, want)
		}
	}
	for range sharedBlocks {
		c.block()
	}
	if got := c.check(anchor(t, "DPW", today+1, "alone")); got != 0 {
		t.Errorf("when the other office has rested: code %d", got)
	}
	if got := c.prepare(4 << 20); len(got) != sharedPending+1 {
		t.Errorf("a block has %d of the only office, want all %d", len(got), sharedPending+1)
	}
}

// TestNobodyTakesTheRoomOfAnother: what names an office's key without its signature
// takes none of its room.
func TestNobodyTakesTheRoomOfAnother(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	for i := range officePending + 10 {
		raw := anchor(t, "PARKS", today+1, fmt.Sprint("forged ", i))
		raw[len(raw)-1] ^= 1
		if got := ledger.Code(c.check(raw)); got != ledger.CodeBadSignature {
			t.Fatalf("forged transaction %d: %v", i, got)
		}
	}
	if got := c.check(anchor(t, "PARKS", today+1, "its own")); got != 0 {
		t.Errorf("the office's own: code %d", got)
	}
}

func TestAnOfficeHasSomeBytesOfTheMempool(t *testing.T) {
	q := newQueue()
	l := line{office: "DPW"}
	for i := range 64 {
		if !q.add([32]byte{byte(i)}, make([]byte, officePendingBytes/64), l, 1) {
			t.Fatalf("number %d has no room", i)
		}
	}
	if q.add([32]byte{64}, []byte{1}, l, 1) || !q.full(l, 1) || q.full(l, 0) || q.full(line{office: "PARKS"}, 1) {
		t.Error("a line takes more bytes than it has room for, or another one does not")
	}
	if !q.add([32]byte{3}, make([]byte, officePendingBytes/64), l, 1) || q.lines[l].count != 64 {
		t.Error("one that is there was refused, or counted twice")
	}
	q.remove([32]byte{3}, [32]byte{3}, [32]byte{99})
	if q.full(l, officePendingBytes/64) || !q.full(l, officePendingBytes/64+1) {
		t.Errorf("after a removal there are %d bytes", q.lines[l].bytes)
	}
	if got := q.overdue(1); len(got) != 0 {
		t.Errorf("%d are overdue", len(got))
	}
	if got := q.overdue(2); len(got) != 63 {
		t.Errorf("%d are overdue, want 63", len(got))
	}
	if q.remove(); len(q.lines) != 0 || len(q.byKey) != 0 {
		t.Errorf("%d lines and %d transactions are left", len(q.lines), len(q.byKey))
	}
}

// TestOfficesTakeTurns: a block has some of each office, in the order in which
// each handed it in, and what is urgent first.
func TestOfficesTakeTurns(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	many := c.fill("DPW", officePending)
	few := c.fill("PARKS", 5)
	c.app.queue.shared = false // as for a block in which each has a large share
	first := hold(t, "DPW", "hold")
	c.check(first)
	size := int64(0)
	for _, raw := range many[:500] {
		size += sizeInBlock(raw)
	}
	txs := c.prepare(size, many...)
	if len(txs) < 490 || !bytes.Equal(txs[0], first) {
		t.Fatalf("%d transactions; the first is the hold: %v", len(txs), bytes.Equal(txs[0], first))
	}
	var got int64
	next := map[string]int{}
	for i, raw := range txs {
		got += sizeInBlock(raw)
		for office, own := range map[string][][]byte{"DPW": many, "PARKS": few} {
			if n := next[office]; n < len(own) && bytes.Equal(own[n], raw) {
				next[office]++
			}
		}
		if i == len(txs)-1 && (next["PARKS"] != 5 || next["DPW"] != len(txs)-6) {
			t.Errorf("in the order of each there are %d of PARKS and %d of DPW, of %d", next["PARKS"], next["DPW"], len(txs))
		}
	}
	if got > size {
		t.Errorf("%d bytes, %d are allowed", got, size)
	}
	if all := c.prepare(4<<20, many...); len(all) != officePending+6 {
		t.Errorf("%d transactions in a large block, want all %d", len(all), officePending+6)
	}
	if !c.accepts(c.prepare(4 << 20)...) {
		t.Error("a proposal was not accepted")
	}
}

// TestABlockHasTheShareOfAnOffice: no proposal has so much of one office that a
// part of it would be refused.
func TestABlockHasTheShareOfAnOffice(t *testing.T) {
	q := newQueue()
	var lists [][]*queued
	for range 2 {
		var list []*queued
		for i := range ledger.OfficeTxs + 10 {
			list = append(list, &queued{raw: []byte{1, 2, 3}, gone: i == 5})
		}
		lists = append(lists, list)
	}
	b := block{room: 1 << 20}
	b.takeTurns(lists, ledger.OfficeTxs, 1<<20)
	if len(b.txs) != 2*ledger.OfficeTxs {
		t.Errorf("%d transactions of two offices, want %d", len(b.txs), 2*ledger.OfficeTxs)
	}
	if got := q.inTurn(1<<20, 7, [][]byte{{1}, {2}}, func(raw []byte) bool { return raw[0] == 2 }); len(got) != 1 || got[0][0] != 2 {
		t.Errorf("of what the engine has besides: %v", got)
	}
}

// TestSubmitWaitsForRoom: an office that sends too much waits, and is told so if no
// room comes; another office does not.
func TestSubmitWaitsForRoom(t *testing.T) {
	inBubble(t, func(t *testing.T, p *pool) {
		p.txs = p.c.fill("DPW", officePending)
		late, more := p.submit(t.Context(), anchor(t, "DPW", today+1, "one more")), p.submit(t.Context(), anchor(t, "DPW", today+1, "two more"))
		ctx, cancel := context.WithCancel(t.Context())
		gone := p.submit(ctx, anchor(t, "DPW", today+1, "three more"))
		pending1(t, late)
		cancel()
		if a := now(t, gone); !errors.Is(a.err, ErrShare) {
			t.Errorf("of who did not wait: %+v, want %v", a, ErrShare)
		}
		ch := p.submit(t.Context(), anchor(t, "PARKS", today+1, "another's"))
		p.block()
		if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK {
			t.Errorf("another office: %+v", a)
		}
		for range officePending / sharedTxs {
			p.block()
			synctest.Wait() // who waits for room hands in
		}
		p.block()
		for _, ch := range []<-chan answer{late, more} {
			if a := now(t, ch); a.err != nil || a.result.Code != ledger.OK {
				t.Errorf("when there was room: %+v", a)
			}
		}
		for i := range sharedPending {
			p.c.check(anchor(t, "DPW", today+1, fmt.Sprint("again ", i)))
		}
		begin := time.Now()
		a := <-p.submit(t.Context(), anchor(t, "DPW", today+1, "never"))
		if took := time.Since(begin); !errors.Is(a.err, ErrShare) || took != roomWait {
			t.Errorf("after %v: %+v, want %v after %v", took, a, ErrShare, roomWait)
		}
	})
}

// TestPlacesAreReservedOnce: of those who wait for room, no more go on than there are
// places, also together with what comes from other nodes.
func TestPlacesAreReservedOnce(t *testing.T) {
	q, l := newQueue(), line{office: "DPW", urgent: true}
	for i := range officeUrgent / 2 {
		q.add([32]byte{byte(i)}, []byte{1}, l, 1)
	}
	for range officeUrgent - officeUrgent/2 {
		if !q.reserve(l, 1) {
			t.Fatal("a place that is free cannot be reserved")
		}
	}
	if q.reserve(l, 1) || !q.reserve(line{office: "PARKS", urgent: true}, 1) {
		t.Error("a place was given twice, or none to another office")
	}
	q.release(l)
	if !q.reserve(l, 1) || q.reserve(l, 1) {
		t.Error("what was given back is not one place")
	}
	if !q.add([32]byte{99}, []byte{1}, l, 1) {
		t.Error("what comes is kept out by who may come")
	}
}
