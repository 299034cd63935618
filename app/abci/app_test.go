package abci

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

func TestInitChainTwiceIsTheSame(t *testing.T) {
	c := newChain(t, nil)
	first := c.init()
	second := c.init()
	if !bytes.Equal(first, second) || len(first) != 32 {
		t.Errorf("got %x, then %x", first, second)
	}
	c.restart() // died before block 1
	if third := c.init(); !bytes.Equal(first, third) {
		t.Errorf("after a restart: got %x, want %x", third, first)
	}
	if len(c.disk.writes) != 0 {
		t.Error("InitChain wrote")
	}
	if info, err := c.app.Info(context.Background(), &types.RequestInfo{}); err != nil || info.LastBlockHeight != 0 || info.LastBlockAppHash != nil {
		t.Errorf("info after InitChain: got %+v, %v; want height 0", info, err)
	}
}

func TestInitChainComparesTheDocumentWithTheFacts(t *testing.T) {
	for name, change := range map[string]func(*types.RequestInitChain){
		"another chain": func(r *types.RequestInitChain) { r.ChainId = "other" },
		"another time":  func(r *types.RequestInitChain) { r.Time = r.Time.Add(1) },
		"a later start": func(r *types.RequestInitChain) { r.InitialHeight = 2 },
		"no validator":  func(r *types.RequestInitChain) { r.Validators = nil },
		"another power": func(r *types.RequestInitChain) { r.Validators[0].Power = 11 },
		"another validator": func(r *types.RequestInitChain) {
			r.Validators = validators(t, map[string]int64{"node-2/validator": 10})
		},
		"one too many": func(r *types.RequestInitChain) {
			r.Validators = validators(t, map[string]int64{"node-1/validator": 10, "node-2/validator": 10})
		},
		"one twice": func(r *types.RequestInitChain) { r.Validators = append(r.Validators, r.Validators[0]) },
	} {
		c := newChain(t, nil)
		r := c.initRequest()
		change(r)
		if _, err := c.app.InitChain(context.Background(), r); !errors.Is(err, ErrGenesis) {
			t.Errorf("%s: got %v, want %v", name, err, ErrGenesis)
		}
	}
}

func TestBlockOneWritesGenesisToo(t *testing.T) {
	c := newChain(t, nil)
	genesis := c.init()
	r := c.block(anchor(t, "DPW", today+1, "a"))
	if got := codes(r); got != "OK " {
		t.Errorf("codes: %s", got)
	}
	if bytes.Equal(r.AppHash, genesis) {
		t.Error("an anchor left the AppHash as it was")
	}
	c.block()
	if got := c.disk.writes; len(got) != 2 || got[0] != 2 || got[1] != 1 {
		t.Errorf("writes hold %v blocks, want 2 and 1", got)
	}
	first, err := c.disk.view.Entry(0)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := record.ParseEntry(first); err != nil || e.Kind() != record.KindGenesis {
		t.Errorf("entry 0 is %T, %v", e, err)
	}
}

func TestInfoIsWhatWasWritten(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	r := c.block(anchor(t, "DPW", today+1, "a"))
	written := c.disk.view.Head()
	c.time = c.time.Add(time.Second)
	c.finalize(anchor(t, "DPW", today+1, "b"))
	info, err := c.app.Info(context.Background(), &types.RequestInfo{})
	if err != nil || info.LastBlockHeight != 1 || !bytes.Equal(info.LastBlockAppHash, r.AppHash) || info.AppVersion != 1 {
		t.Errorf("between FinalizeBlock and Commit: got %+v, %v", info, err)
	}
	if got := c.disk.view.Head(); got != written {
		t.Errorf("FinalizeBlock wrote: head is %+v", got)
	}
}

func TestFinalizeBlockAgainAfterACrash(t *testing.T) {
	tx := anchor(t, "DPW", today+1, "a", "b")
	c := newChain(t, nil)
	c.init()
	c.block()
	first := c.finalize(tx)
	c.restart() // died before Commit
	c.init()
	second := c.finalize(tx)
	third := c.finalize(tx)
	c.commit()
	for _, again := range []*types.ResponseFinalizeBlock{second, third} {
		if !bytes.Equal(first.AppHash, again.AppHash) || codes(first) != codes(again) {
			t.Errorf("got %x %s, want %x %s", again.AppHash, codes(again), first.AppHash, codes(first))
		}
	}
	if got := c.disk.view.Head(); got.Height != 2 || !bytes.Equal(got.AppHash[:], first.AppHash) {
		t.Errorf("head is %+v", got)
	}
	if got := len(c.disk.writes); got != 2 {
		t.Errorf("%d writes for two blocks", got)
	}
}

func TestAnEmptyBlockLeavesTheAppHash(t *testing.T) {
	c := newChain(t, nil)
	before := c.init()
	for range 3 {
		if r := c.block(); !bytes.Equal(r.AppHash, before) {
			t.Fatalf("an empty block changed the AppHash from %x to %x", before, r.AppHash)
		}
	}
	if r := c.block(anchor(t, "DPW", today-1, "a")); !bytes.Equal(r.AppHash, before) || codes(r) != "EXPIRED " {
		t.Errorf("a refused transaction: %s, AppHash %x, was %x", codes(r), r.AppHash, before)
	}
}

func TestFailuresEndTheProcess(t *testing.T) {
	broken := errors.New("disk is broken")
	cases := []struct {
		name string
		call func(*chain) error
		want error
	}{
		{"write fails", func(c *chain) error {
			c.finalize()
			c.disk.broken = broken
			_, err := c.app.Commit(context.Background(), &types.RequestCommit{})
			return err
		}, broken},
		{"commit without a block", func(c *chain) error {
			_, err := c.app.Commit(context.Background(), &types.RequestCommit{})
			return err
		}, nil},
		{"a height is left out", func(c *chain) error {
			_, err := c.app.FinalizeBlock(context.Background(), &types.RequestFinalizeBlock{Height: 9, Time: c.time})
			return err
		}, nil},
		{"time goes back", func(c *chain) error {
			_, err := c.app.FinalizeBlock(context.Background(), &types.RequestFinalizeBlock{Height: 2, Time: c.time.Add(-time.Second)})
			return err
		}, nil},
	}
	for _, k := range cases {
		c := newChain(t, nil)
		c.init()
		c.block()
		err := k.call(c)
		if err == nil || (k.want != nil && !errors.Is(err, k.want)) {
			t.Errorf("%s: got %v", k.name, err)
		}
		if len(c.fatal) != 1 {
			t.Errorf("%s: the process was ended %d times", k.name, len(c.fatal))
		}
		if got := c.disk.view.Head().Height; got != 1 {
			t.Errorf("%s: height on disk is %d", k.name, got)
		}
	}
}

func TestAPanicInAnyCallEndsTheProcess(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(*chain){
		"info":    func(c *chain) { _, _ = c.app.Info(ctx, &types.RequestInfo{}) },
		"init":    func(c *chain) { _, _ = c.app.InitChain(ctx, nil) },
		"check":   func(c *chain) { _, _ = c.app.CheckTx(ctx, nil) },
		"prepare": func(c *chain) { _, _ = c.app.PrepareProposal(ctx, nil) },
		"process": func(c *chain) { _, _ = c.app.ProcessProposal(ctx, nil) },
		"block":   func(c *chain) { _, _ = c.app.FinalizeBlock(ctx, nil) },
		"query":   func(c *chain) { _, _ = c.app.Query(ctx, nil) },
		"commit": func(c *chain) {
			c.finalize()
			c.app.options.Write = func(...ledger.Changes) error { panic("write") }
			_, _ = c.app.Commit(ctx, nil)
		},
	} {
		c := newChain(t, nil)
		c.init()
		c.app.options.View = func() ledger.View { panic("view") }
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call(c)
		}()
		if len(c.fatal) != 1 || !errors.Is(c.fatal[0], ErrPanicked) {
			t.Errorf("%s: fatal got %v, want %v", name, c.fatal, ErrPanicked)
		}
	}
}

func TestAFullMempoolAdmitsGovernanceAndHoldsAlone(t *testing.T) {
	crowded := false
	c := newChain(t, func(o *Options) { o.Crowded = func() bool { return crowded } })
	c.init()
	some, change := anchor(t, "DPW", today+1, "a"), proposeOffice(t, "WATER")
	for _, full := range []bool{false, true} {
		crowded = full
		want := uint32(0)
		if full {
			want = CodeBusy
		}
		if got := c.check(some); got != want {
			t.Errorf("full %v: an anchor got code %d, want %d", full, got, want)
		}
		if got := c.check(change); got != 0 {
			t.Errorf("full %v: a proposal of a change got code %d", full, got)
		}
	}
	hold := sign(t, "CLERK", "hold", today+1, &record.PlaceHold{
		Kind: record.HoldAnticipated, Matter: [32]byte{1}, Scope: record.Scope{Department: "DPW"},
	})
	if got := c.check(hold); got != 0 {
		t.Errorf("full: a hold got code %d", got)
	}
	extend := sign(t, "CLERK", "extend", today+1, &record.ExtendHold{Hold: 9, Issues: 1})
	if got := ledger.Code(c.check(extend)); got != ledger.CodeUnknownHold {
		t.Errorf("full: an extension of no hold got code %d, want that of the ledger", got)
	}
	if got := c.check(sign(t, "CLERK", "release", today+1, &record.ReleaseHold{Hold: 9})); got != CodeBusy {
		t.Errorf("full: a release got code %d", got)
	}
	if got := c.check([]byte("junk")); got != CodeBusy {
		t.Errorf("junk got code %d", got)
	}
}

func TestASignatureIsVerifiedOnce(t *testing.T) {
	c := newChain(t, nil)
	c.init()
	tx := anchor(t, "DPW", today+1, "a")
	c.check(tx)
	verified := len(c.app.verified.new)
	c.block(tx)
	if got := len(c.app.verified.new); verified != 1 || got != 1 {
		t.Errorf("%d signatures were verified before the block, %d in all; want 1 and 1", verified, got)
	}
	bad := bytes.Clone(tx)
	bad[len(bad)-1] ^= 1
	for range 2 {
		if got := ledger.Code(c.check(bad)); got != ledger.CodeBadSignature {
			t.Errorf("a wrong signature got %v", got)
		}
	}
	if got := len(c.app.verified.new); got != 1 {
		t.Error("a wrong signature was remembered")
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := newRecent[int](4)
	for i := range 100 {
		r.add([32]byte{byte(i)}, i)
		if v, ok := r.value([32]byte{byte(i)}); !ok || v != i {
			t.Fatalf("%d is not remembered", i)
		}
		if n := len(r.new) + len(r.old); n > 8 {
			t.Fatalf("%d facts are remembered", n)
		}
		if i >= 4 {
			if _, ok := r.value([32]byte{byte(i - 4)}); !ok {
				t.Fatalf("%d was forgotten after 4 further ones", i-4)
			}
		}
	}
}

func TestPeersMustBeRegistered(t *testing.T) {
	c := newChain(t, func(o *Options) {
		o.Allowed = func(id string) bool { return id == strings.Repeat("ab", 20) }
		o.Knock = func(address string) bool { return address != "203.0.113.8:26656" }
	})
	c.init()
	for path, want := range map[string]bool{
		"/p2p/filter/id/" + nodeID(publicOf("node-1")):                  true,
		"/p2p/filter/id/" + nodeID(publicOf("node-2")):                  true,
		"/p2p/filter/id/" + strings.Repeat("ab", 20):                    true,
		"/p2p/filter/id/" + nodeID(publicOf("stranger")):                false,
		"/p2p/filter/id/" + nodeID(publicOf("node-1/validator")):        false,
		"/p2p/filter/id/" + strings.ToUpper(nodeID(publicOf("node-1"))): false,
		"/p2p/filter/id/":                    false,
		"/p2p/filter/addr/203.0.113.7:26656": true,
		"/p2p/filter/addr/203.0.113.8:26656": false,
		"/store/key":                         false,
		"":                                   false,
	} {
		r, err := c.app.Query(context.Background(), &types.RequestQuery{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.IsOK(); got != want {
			t.Errorf("%q: allowed %v, want %v", path, got, want)
		}
	}
}
