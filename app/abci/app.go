package abci

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrGenesis is returned where the engine's genesis document and the facts
	// of the ledger do not agree.
	ErrGenesis = errors.New("genesis document and ledger facts differ")
	// ErrPanicked wraps what a call panicked with.
	ErrPanicked = errors.New("call panicked")
)

// rememberedTxs is how many transactions each of the two memories holds at
// least: twice what the mempool holds.
const rememberedTxs = 10_000

// Options are what an App works with.
type Options struct {
	Genesis ledger.GenesisFacts
	// KnownRules is the newest version of the rules that this program knows; it
	// knows all from 1 on.
	KnownRules uint32
	// MaxBlockBytes is the block size of the consensus parameters.
	MaxBlockBytes int64
	// View gives the state after the last block that was written.
	View func() ledger.View
	// Write puts blocks to disk in one synced batch: genesis with block 1, then
	// each alone.
	Write func(...ledger.Changes) error
	// Enter is called before, and the function it returns after, every call of
	// the engine: the store's gate. Nil means that the store is never closed.
	Enter func() (leave func())
	// Fatal ends the process. It is called where this node cannot be trusted to
	// go on.
	Fatal func(error)
	// Crowded says that the mempool is so full that only what is urgent is admitted:
	// decisions of governance and holds. Nil means never.
	Crowded func() bool
	// Allowed says whether a peer that the ledger does not list may connect, by
	// its node id (40 hex digits). Nil means none.
	Allowed func(nodeID string) bool
	// Knock says whether a connection with an address (host:port) may go on to the
	// handshake. Nil: all may.
	Knock func(address string) bool
	// Final is told the state after block h when the engine holds the commit of
	// header h+1, which carries the AppHash of that state. It must not block.
	Final func(ledger.View)
	// Tell hands a transaction to all connected nodes once more. Nil means that
	// there are none.
	Tell func(raw []byte)
	// Drop takes a transaction out of the engine's mempool. Nil means that it is
	// never there.
	Drop func(raw []byte)
	// Retain gives the height of the first block that the engine shall keep after
	// the block of a height; 0 keeps what there is. Nil means that nothing is pruned.
	Retain func(height int64) int64
	// Committed is told each block that was written. It must not block.
	Committed func(ledger.Head, []ledger.Result)
}

// App is the ledger as CometBFT sees it.
type App struct {
	types.BaseApplication // vote extensions, snapshots: not used

	options  Options
	machine  ledger.Machine
	verified *recent[struct{}] // signatures that were found good
	judged   *recent[int64]    // transactions found OK, with the height of the state they were judged by
	early    *early            // transactions that came before what they build on
	queue    *queue            // transactions in the mempool

	// genesis holds the changes of height 0 until block 1 is written. It is set
	// by InitChain and taken by Commit, both on the consensus connection.
	genesis []ledger.Changes
	// pending is set by FinalizeBlock and taken by Commit, likewise.
	pending *pending

	view atomic.Pointer[ledger.View] // swapped by InitChain and Commit

	mu       sync.Mutex // guards what follows
	waiters  map[[32]byte][]chan outcome
	next     chan struct{} // closed when the next block is written
	push     func(raw []byte, checked func(code uint32)) error
	stopping chan struct{}
	stopped  bool
}

// pending is a block that was carried out and not yet written.
type pending struct {
	changes ledger.Changes
	results []ledger.Result
	txs     [][32]byte
}

var _ types.Application = (*App)(nil)

// New returns an App on the state that o.View gives.
func New(o Options) *App {
	if o.Enter == nil {
		o.Enter = func() func() { return func() {} }
	}
	if o.Crowded == nil {
		o.Crowded = func() bool { return false }
	}
	if o.Knock == nil {
		o.Knock = func(string) bool { return true }
	}
	if o.Allowed == nil {
		o.Allowed = func(string) bool { return false }
	}
	if o.Final == nil {
		o.Final = func(ledger.View) {}
	}
	if o.Tell == nil {
		o.Tell = func([]byte) {}
	}
	if o.Drop == nil {
		o.Drop = func([]byte) {}
	}
	if o.Retain == nil {
		o.Retain = func(int64) int64 { return 0 }
	}
	if o.Committed == nil {
		o.Committed = func(ledger.Head, []ledger.Result) {}
	}
	a := &App{
		options:  o,
		verified: newRecent[struct{}](rememberedTxs),
		judged:   newRecent[int64](rememberedTxs),
		early:    newEarly(),
		queue:    newQueue(),
		waiters:  make(map[[32]byte][]chan outcome),
		next:     make(chan struct{}),
		stopping: make(chan struct{}),
	}
	a.machine = ledger.Machine{Verify: a.verify}
	a.setView(o.View())
	return a
}

// View gives the state after the last committed block; before block 1, that of
// genesis. It never changes.
func (a *App) View() ledger.View { return *a.view.Load() }

func (a *App) setView(v ledger.View) { a.view.Store(&v) }

// Machine gives the state machine, with the App's memory of verified signatures.
func (a *App) Machine() ledger.Machine { return a.machine }

// verify is ed25519.Verify with a memory.
func (a *App) verify(public ed25519.PublicKey, message, signature []byte) bool {
	h := sha256.New()
	h.Write(public)
	h.Write(signature)
	h.Write(message)
	key := [32]byte(h.Sum(nil))
	if _, ok := a.verified.value(key); ok {
		return true
	}
	if !ed25519.Verify(public, message, signature) {
		return false
	}
	a.verified.add(key, struct{}{})
	return true
}

// fail reports what makes this node unfit to go on, and returns it.
func (a *App) fail(call string, err error) error {
	err = fmt.Errorf("%s: %w", call, err)
	a.options.Fatal(err)
	return err
}

// guard stands at the beginning of every call, and the function it returns at
// the end. It turns a panic into the end of the process: CometBFT would catch
// some of them and live on.
func (a *App) guard(call string) (end func()) {
	leave := a.options.Enter()
	return func() {
		if p := recover(); p != nil {
			a.options.Fatal(fmt.Errorf("%s: %w: %v\n%s", call, ErrPanicked, p, debug.Stack()))
			panic(p)
		}
		leave()
	}
}

// Info tells the engine the last block that was written.
func (a *App) Info(context.Context, *types.RequestInfo) (*types.ResponseInfo, error) {
	defer a.guard("info")()
	view := a.options.View()
	head := view.Head()
	version, err := ledger.VersionAt(view, head.Height)
	if err != nil {
		return nil, a.fail("info", err)
	}
	r := &types.ResponseInfo{AppVersion: uint64(version), LastBlockHeight: head.Height}
	if head.Height > 0 {
		r.LastBlockAppHash = head.AppHash[:]
	}
	return r, nil
}

// InitChain computes the state of height 0 and returns its AppHash, which
// header 1 carries. The engine's document must say what the facts say.
func (a *App) InitChain(_ context.Context, r *types.RequestInitChain) (*types.ResponseInitChain, error) {
	defer a.guard("init chain")()
	g := a.options.Genesis
	switch {
	case r.ChainId != g.ChainID:
		return nil, fmt.Errorf("init chain: chain %q, facts say %q: %w", r.ChainId, g.ChainID, ErrGenesis)
	case r.Time.UnixNano() != g.Time:
		return nil, fmt.Errorf("init chain: time %v, facts say %d: %w", r.Time, g.Time, ErrGenesis)
	case r.InitialHeight != 1:
		return nil, fmt.Errorf("init chain: first height %d: %w", r.InitialHeight, ErrGenesis)
	}
	if err := sameValidators(r.Validators, g.Facts); err != nil {
		return nil, fmt.Errorf("init chain: %w", err)
	}
	changes, err := ledger.Genesis(g)
	if err != nil {
		return nil, fmt.Errorf("init chain: %w", err)
	}
	a.genesis = []ledger.Changes{changes}
	a.setView(ledger.Overlay(ledger.Blank(), changes))
	return &types.ResponseInitChain{AppHash: changes.AppHash[:]}, nil
}

// sameValidators compares the validators of the genesis document with those
// among the nodes that the facts list.
func sameValidators(updates []types.ValidatorUpdate, facts []record.Fact) error {
	want := make(map[[32]byte]int64)
	for _, f := range facts {
		if n, ok := f.(*record.Node); ok && n.Power > 0 {
			want[n.ValidatorKey] = int64(n.Power)
		}
	}
	for _, u := range updates {
		public := u.PubKey.GetEd25519()
		if len(public) != ed25519.PublicKeySize {
			return fmt.Errorf("validator without an Ed25519 key: %w", ErrGenesis)
		}
		if power, ok := want[[32]byte(public)]; !ok || power != u.Power {
			return fmt.Errorf("validator %x has power %d, facts say %d: %w", public, u.Power, power, ErrGenesis)
		}
		delete(want, [32]byte(public))
	}
	if len(want) > 0 {
		return fmt.Errorf("%d validators of the facts are missing: %w", len(want), ErrGenesis)
	}
	return nil
}
