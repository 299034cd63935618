package abci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	"github.com/muniment/muniment/store/state"
)

// The tests of this file follow CometBFT v0.40's specification, "Requirements
// for the Application", by number.

// unreadable is a view on which every read of state fails the test.
type unreadable struct {
	t    testing.TB
	head ledger.Head
}

func (u unreadable) never() { u.t.Error("the state was read") }

func (u unreadable) Head() ledger.Head { return u.head }

func (u unreadable) Nodes([]statetree.Path) ([][]byte, error) { u.never(); return nil, nil }

func (u unreadable) Value([]byte) ([]byte, bool, error) { u.never(); return nil, false, nil }

func (u unreadable) Values([][]byte) ([][]byte, error) { u.never(); return nil, nil }

func (u unreadable) Entries([]record.Index) ([][]byte, error) { u.never(); return nil, nil }

func (u unreadable) StateRoot() statetree.Hash { u.never(); return statetree.Hash{} }

func (u unreadable) Frontier() []record.Hash { u.never(); return nil }

func (u unreadable) Entry(record.Index) ([]byte, error) { u.never(); return nil, nil }

func (u unreadable) AnchorIndex(record.Code, record.Commitment) (record.Index, bool, error) {
	u.never()
	return 0, false, nil
}

// mempool draws transactions of every sort: good, stale, clashing, forged, junk.
func mempool(t *rapid.T, tb testing.TB) [][]byte {
	kinds := []func(i int) []byte{
		func(i int) []byte { return anchor(tb, "DPW", today+1, fmt.Sprint("good", i)) },
		func(i int) []byte { return anchor(tb, "DPW", today-1, fmt.Sprint("expired", i)) },
		func(int) []byte { return anchor(tb, "DPW", today+1, "clash") },
		func(int) []byte { return anchor(tb, "PARKS", today+2, "clash", "clash") },
		func(i int) []byte { return anchor(tb, "nobody", today+1, fmt.Sprint("unknown", i)) },
		func(int) []byte { return proposeOffice(tb, "WATER") },
		func(i int) []byte {
			raw := anchor(tb, "PARKS", today+1, fmt.Sprint("forged", i))
			raw[len(raw)-1] ^= 1
			return raw
		},
		func(i int) []byte { return fmt.Appendf(nil, "junk %d", i) },
		func(int) []byte { return nil },
		func(int) []byte { return make([]byte, record.MaxAnchorTxBytes+1) },
	}
	var txs [][]byte
	for i := range rapid.IntRange(0, 12).Draw(t, "transactions") {
		txs = append(txs, kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")](i))
	}
	return txs
}

func TestRequirement01PrepareProposalIsTimely(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	c.app.setView(unreadable{t, c.app.View().Head()})
	txs := c.prepare(4<<20, anchor(t, "DPW", today+1, "a"), anchor(t, "DPW", today-1, "b"))
	if len(txs) != 2 {
		t.Errorf("%d transactions are proposed, want 2", len(txs))
	}
}

func TestRequirement02PrepareProposalKeepsToTheSize(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	rapid.Check(t, func(rt *rapid.T) {
		txs := mempool(rt, t)
		limit := rapid.Int64Range(0, 2000).Draw(rt, "limit")
		prepared := cmttypes.ToTxs(c.prepare(limit, txs...))
		if err := prepared.Validate(limit); err != nil {
			rt.Fatal(err)
		}
		next := 0
		for _, tx := range prepared { // a subsequence, in order
			for next < len(txs) && !bytes.Equal(txs[next], tx) {
				next++
			}
			if next++; next > len(txs) {
				rt.Fatal("a transaction was moved or made up")
			}
		}
	})
	// The last transaction that fits exactly is kept.
	a, b := anchor(t, "DPW", today+1, "a"), anchor(t, "DPW", today+1, "b")
	exact := cmttypes.ComputeProtoSizeForTxs(cmttypes.ToTxs([][]byte{a, b}))
	if got := len(c.prepare(exact, a, b)); got != 2 {
		t.Errorf("%d of 2 transactions fit exactly", got)
	}
	if got := len(c.prepare(exact-1, a, b)); got != 1 {
		t.Errorf("%d of 2 transactions are in a block one byte too small", got)
	}
}

func TestRequirement03WhatIsPreparedIsAccepted(t *testing.T) {
	p, q := newChain(t, nil), newChain(t, nil)
	p.init()
	q.init()
	rapid.Check(t, func(rt *rapid.T) {
		txs := mempool(rt, t)
		for _, tx := range txs {
			if rapid.Bool().Draw(rt, "checked") {
				p.check(tx)
			}
		}
		if prepared := p.prepare(4<<20, txs...); !q.accepts(prepared...) {
			rt.Fatalf("a proposal of %d transactions was rejected", len(prepared))
		}
	})
}

// TestRequirement04And05ProcessProposalDependsOnTheBlockAlone compares an App
// that has seen much with one that has seen nothing and may read no state.
func TestRequirement04And05ProcessProposalDependsOnTheBlockAlone(t *testing.T) {
	p, q := newChain(t, nil), newChain(t, nil)
	p.init()
	q.init()
	q.app.setView(unreadable{t, q.app.View().Head()})
	rejected := 0
	rapid.Check(t, func(rt *rapid.T) {
		txs := mempool(rt, t)
		for _, tx := range txs {
			p.check(tx)
		}
		decodable := true
		for _, tx := range txs {
			_, err := record.ParseTx(tx)
			decodable = decodable && err == nil
		}
		if got := p.accepts(txs...); got != decodable || got != q.accepts(txs...) {
			rt.Fatalf("accepted %v, want %v", got, decodable)
		}
		if !decodable {
			rejected++
		}
	})
	if rejected == 0 {
		t.Error("no block was rejected, so nothing was compared")
	}
	small := newChain(t, func(o *Options) { o.MaxBlockBytes = 100 })
	if small.accepts(anchor(t, "DPW", today+1, "a")) {
		t.Error("an oversize block was accepted")
	}
}

func TestRequirement06To08ThereAreNoVoteExtensions(t *testing.T) {
	c := newChain(t, nil)
	r, err := c.app.ExtendVote(context.Background(), &types.RequestExtendVote{Height: 1})
	if err != nil || len(r.VoteExtension) != 0 {
		t.Errorf("extension %x, %v; want none", r.VoteExtension, err)
	}
	v, err := c.app.VerifyVoteExtension(context.Background(), &types.RequestVerifyVoteExtension{Height: 1})
	if err != nil || !v.IsAccepted() {
		t.Errorf("an empty extension: %v, %v; want accepted", v.Status, err)
	}
}

func TestRequirement09ProposalsHaveNoSideEffects(t *testing.T) {
	p, q := newChain(t, nil), newChain(t, nil)
	p.init()
	q.init()
	rapid.Check(t, func(rt *rapid.T) {
		proposals := mempool(rt, t)
		head := p.app.View().Head()
		for _, tx := range proposals {
			p.check(tx)
		}
		p.accepts(p.prepare(4<<20, proposals...)...)
		if got := p.app.View().Head(); got != head {
			rt.Fatalf("head moved from %+v to %+v", head, got)
		}
		var decided [][]byte
		for _, tx := range proposals {
			if rapid.Bool().Draw(rt, "decided") {
				decided = append(decided, tx)
			}
		}
		a, b := p.block(decided...), q.block(decided...)
		if !bytes.Equal(a.AppHash, b.AppHash) || codes(a) != codes(b) {
			rt.Fatalf("got %x %s and %x %s", a.AppHash, codes(a), b.AppHash, codes(b))
		}
	})
}

func TestRequirement10FinalizeBlockDependsOnNoVoteExtension(t *testing.T) {
	tx := anchor(t, "DPW", today+1, "a")
	request := func(votes types.CommitInfo) *types.RequestFinalizeBlock {
		return &types.RequestFinalizeBlock{Height: 1, Time: start, Txs: [][]byte{tx}, DecidedLastCommit: votes}
	}
	c := newChain(t, nil)
	c.init()
	a, err := c.app.FinalizeBlock(context.Background(), request(types.CommitInfo{}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.app.FinalizeBlock(context.Background(), request(types.CommitInfo{Round: 3, Votes: []types.VoteInfo{{BlockIdFlag: 2}}}))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.AppHash, b.AppHash) {
		t.Error("the last commit changed the AppHash")
	}
}

// TestRequirement11And12BlocksGiveTheSameEverywhere runs one history through
// an App that checks, proposes, crashes and repeats, on a store in memory, and
// through one that does nothing but carry blocks out, on Pebble.
func TestRequirement11And12BlocksGiveTheSameEverywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		db, err := pebble.Open("ledger", state.NewOptions(state.Options{FS: vfs.NewMem(), CacheBytes: 8 << 20}))
		if err != nil {
			rt.Fatal(err)
		}
		defer db.Close()
		onPebble, err := state.Open(db)
		if err != nil {
			rt.Fatal(err)
		}
		p, q := newChain(t, nil), newChain(t, func(o *Options) { o.View, o.Write = onPebble.View, onPebble.Commit })
		if a, b := p.init(), q.init(); !bytes.Equal(a, b) {
			rt.Fatalf("genesis gives %x and %x", a, b)
		}
		for range rapid.IntRange(1, 5).Draw(rt, "blocks") {
			txs := mempool(rt, t)
			for _, tx := range txs {
				if rapid.Bool().Draw(rt, "checked") {
					p.check(tx)
				}
			}
			if rapid.Bool().Draw(rt, "crash") {
				p.time = p.time.Add(time.Hour) // an execution that is thrown away
				p.finalize(txs...)
				p.time = p.time.Add(-time.Hour)
				p.restart()
				p.init()
			}
			a, b := p.block(txs...), q.block(txs...)
			if !bytes.Equal(a.AppHash, b.AppHash) || codes(a) != codes(b) || len(a.TxResults) != len(txs) {
				rt.Fatalf("got %x %s and %x %s", a.AppHash, codes(a), b.AppHash, codes(b))
			}
			if h := p.disk.view.Head(); sha256.Sum256(record.CheckpointBody(h.Origin, h.Size, root(t, p.disk.view))) != h.AppHash {
				rt.Fatal("the AppHash is not the hash of the checkpoint")
			}
		}
		if p.disk.view.Head() != onPebble.View().Head() {
			rt.Fatalf("heads are %+v and %+v", p.disk.view.Head(), onPebble.View().Head())
		}
	})
}

// root computes the root of the log from its entries, by RFC 6962 section 2.1.
func root(t testing.TB, v ledger.View) record.Hash {
	leaves := make([]record.Hash, v.Head().Size)
	for i := range leaves {
		e, err := v.Entry(record.Index(i))
		if err != nil {
			t.Fatal(err)
		}
		leaves[i] = record.LeafHash(e)
	}
	var mth func([]record.Hash) record.Hash
	mth = func(d []record.Hash) record.Hash {
		if len(d) == 1 {
			return d[0]
		}
		k := 1
		for k*2 < len(d) {
			k *= 2
		}
		left, right := mth(d[:k]), mth(d[k:])
		return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	}
	return mth(leaves)
}

func TestRequirement13CheckTxComesToRest(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	c.block()
	tx := anchor(t, "DPW", today+1, "waits")
	winner, loser := anchor(t, "DPW", today+1, "clash"), anchor(t, "DPW", today+1, "clash", "more")
	var waits, won, lost []ledger.Code
	for day := range 6 {
		waits = append(waits, ledger.Code(c.check(tx)))
		won, lost = append(won, ledger.Code(c.check(winner))), append(lost, ledger.Code(c.check(loser)))
		c.time = c.time.Add(24 * time.Hour)
		if day == 0 {
			c.block(winner)
		} else {
			c.block()
		}
	}
	for _, k := range []struct {
		name string
		got  []ledger.Code
		want []ledger.Code
	}{
		{"a transaction that is never decided expires for good", waits,
			[]ledger.Code{0, 0, ledger.CodeExpired, ledger.CodeExpired, ledger.CodeExpired, ledger.CodeExpired}},
		{"a committed one is known for good", won, []ledger.Code{0, ledger.Code(CodeKnown), ledger.Code(CodeKnown), ledger.Code(CodeKnown), ledger.Code(CodeKnown), ledger.Code(CodeKnown)}},
	} {
		if fmt.Sprint(k.got) != fmt.Sprint(k.want) {
			t.Errorf("%s: got %v, want %v", k.name, k.got, k.want)
		}
	}
	if lost[0] != ledger.OK {
		t.Errorf("before the clash: %v", lost[0])
	}
	for _, code := range lost[1:] {
		if code == ledger.OK {
			t.Errorf("a transaction that lost is OK again: %v", lost)
		}
	}
}
