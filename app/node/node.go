package node

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	abcitypes "github.com/cometbft/cometbft/abci/types"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/mempool"
	cometnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	protomem "github.com/cometbft/cometbft/proto/tendermint/mempool"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// errConsensusFailure is why the process ends after the engine's own report.
var errConsensusFailure = errors.New("consensus failure")

// drainWait is how long a stop waits for the engine's late calls.
const drainWait = 2 * time.Second

// Options are what does not stand in the configuration.
type Options struct {
	Passphrase []byte       // of the home key
	Log        *slog.Logger // nil: slog.Default
	// Fatal ends the process; nil: it logs and exits with 1. It may be called
	// from any goroutine.
	Fatal func(error)
	// Heartbeat is the time between empty blocks; 0: 30 seconds. It must be
	// equal on all nodes and is shortened by tests alone.
	Heartbeat time.Duration
	// WithoutRings lets a custodian start whose rings are lost for good, all or some.
	WithoutRings bool

	// signing wraps what signs votes and proposals; nil: nothing does. Tests give
	// validators false clocks by it, the programs cannot.
	signing func(types.PrivValidator) types.PrivValidator
	// application wraps what the engine calls; nil: nothing does. Tests hold calls
	// up by it.
	application func(abcitypes.Application) abcitypes.Application
}

// Node is a running node.
type Node struct {
	home    Home
	config  Config
	log     *slog.Logger
	now     func() time.Time
	fatal   func(error)
	keys    Keys
	genesis Genesis
	network receipt.Network

	db        *pebble.DB
	gate      cometdb.Gate
	state     *state.State
	app       *abci.App
	signer    *Signer
	engine    *cometnode.Node
	cosigning *cosigning
	health    health
	metrics   *metrics
	gossip    *gossip
	members   *members
	overrides overrides
	knocks    knocks

	monitor        *http.Server
	monitorAddress string

	background sync.WaitGroup
	cancel     context.CancelFunc // ends the background; nil before Start
	stop       sync.Once
	stopErr    error
	wanted     chan error
}

// Status is how a node does.
type Status struct {
	Head         ledger.Head
	CosignedSize int64
	Validators   int // in the era in force
	Peers        int
	MempoolTxs   int
	MempoolBytes int64
	CatchingUp   bool
	FreeBytes    uint64
	Unhealthy    []string // sentences; empty: healthy
}

// New opens the node of a home: files, keys, stores, and the engine, which
// replays what the ledger lacks. Nothing listens yet. A node that was opened
// must be stopped, whether it was started or not.
func New(home Home, config Config, o Options) (*Node, error) {
	n := &Node{home: home, config: config, log: o.Log, now: time.Now, fatal: o.Fatal, metrics: newMetrics(), wanted: make(chan error, 1)}
	if n.log == nil {
		n.log = slog.Default()
	}
	if n.fatal == nil {
		n.fatal = func(err error) {
			n.log.Error("this node cannot go on", "err", err)
			os.Exit(1)
		}
	}
	n.health.committed = n.now()
	disk, _ := home.Disk() // unknown is not full
	if err := errors.Join(home.CheckRestored(), disk.full(config)); err != nil {
		return nil, err
	}
	facts, err := n.readFiles(o.Passphrase)
	if err != nil {
		return nil, err
	}
	if err := n.openStore(facts); err != nil {
		return nil, err
	}
	// Asked again under the store's lock: a restore that begins now sees the lock.
	if err := home.CheckRestored(); err != nil {
		return nil, errors.Join(err, n.closeStore())
	}
	if err := n.chooseKeys(); err != nil {
		return nil, errors.Join(err, n.closeStore())
	}
	if err := n.openEngine(facts, o); err != nil {
		return nil, errors.Join(err, n.closeStore())
	}
	n.metrics.observe(n)
	n.resumeCosigning()
	return n, nil
}

// readFiles reads genesis document, network file and keys.
func (n *Node) readFiles(passphrase []byte) (ledger.GenesisFacts, error) {
	text, err := os.ReadFile(n.home.Genesis())
	if err != nil {
		return ledger.GenesisFacts{}, fmt.Errorf("read genesis document: %w", err)
	}
	if n.genesis, err = ParseGenesis(text); err != nil {
		return ledger.GenesisFacts{}, err
	}
	facts := n.genesis.ledgerFacts(text)
	if text, err = os.ReadFile(n.home.Network()); err != nil {
		return ledger.GenesisFacts{}, fmt.Errorf("read network file: %w", err)
	}
	if n.network, err = receipt.ParseNetwork(text); err != nil {
		return ledger.GenesisFacts{}, fmt.Errorf("read network file: %w", err)
	}
	if n.network.ID != facts.Network {
		return ledger.GenesisFacts{}, fmt.Errorf("network file is of network %x: %w", n.network.ID, ErrOtherGenesis)
	}
	if n.keys, err = OpenKeys(n.home, passphrase); err != nil {
		return ledger.GenesisFacts{}, err
	}
	return facts, nil
}

// openStore opens the one Pebble store. Its lock keeps a second process out of
// the home, before any key is used.
func (n *Node) openStore(facts ledger.GenesisFacts) error {
	options := state.NewOptions(state.Options{CacheBytes: int64(n.config.Store.CacheMiB) << 20, Log: n.log, Exit: func(int) {
		n.fatal(errors.New("the store cannot go on"))
	}})
	var err error
	if n.db, err = pebble.Open(n.home.Ledger(), options); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if n.state, err = state.Open(n.db); err == nil {
		err = checkGenesisEntry(n.state.View(), facts)
	}
	if err == nil {
		err = abci.CheckRules(n.state.View(), MaxVersion)
	}
	if err != nil {
		return errors.Join(err, n.closeStore())
	}
	return nil
}

func (n *Node) closeStore() error {
	if err := n.db.Close(); err != nil {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// openEngine makes the signer, the application, and the engine on top of them.
func (n *Node) openEngine(facts ledger.GenesisFacts, o Options) error {
	signer, err := OpenSigner(n.validatorKeys(), n.home.validatorState(), n.fatal)
	if err != nil {
		return err
	}
	if err := n.checkSigner(signer); err != nil {
		return err
	}
	n.signer = signer
	cosigner, err := OpenCosignerState(n.home.cosignerState(), n.fatal)
	if err != nil {
		return err
	}
	trust, err := openTrust(n.home.Eras(), n.network)
	if err != nil {
		return err
	}
	n.cosigning = newCosigning(trust, n.keys, cosigner, history{n.state.BlockEntryAfter, n.state}, n.log, n.now, n.alarm, n.fatal)
	if err := n.cosigning.resume(n.state.View()); err != nil {
		return fmt.Errorf("take up eras: %w", err)
	}
	n.gossip = newGossip(n.cosigning)
	n.app = abci.New(abci.Options{
		Genesis: facts, KnownRules: MaxVersion, MaxBlockBytes: maxBlockBytes,
		View: n.state.View, Write: n.state.Commit, Enter: n.gate.Enter, Fatal: n.fatal, Crowded: n.crowded, Allowed: n.allowed, Knock: n.knock,
		Final: n.cosigning.offer, Committed: n.committed, Tell: n.tell, Drop: n.drop, Retain: n.retain,
	})
	n.members = newMembers(n.home, n.keys.ID(), n.memberNodes, n.now, n.log)
	document, err := n.genesis.document()
	if err != nil {
		return err
	}
	config := engineConfig(engineOptions{
		root: string(n.home), listen: "tcp://" + n.config.P2P.Listen,
		peerIDs: strings.Join(n.peerIDs(), ","), validators: n.validators(), heartbeat: o.Heartbeat,
	})
	validator := types.PrivValidator(signer)
	if o.signing != nil {
		validator = o.signing(signer)
	}
	application := callLogged(n.app)
	if o.application != nil {
		application = o.application(application)
	}
	n.engine, err = cometnode.NewNode(config, validator, &p2p.NodeKey{PrivKey: cmted25519.PrivKey(n.keys.Node)},
		proxy.NewConnSyncLocalClientCreator(application), func() (*types.GenesisDoc, error) { return document, nil },
		n.gate.Provider(n.db), cometnode.DefaultMetricsProvider(config.Instrumentation),
		newEngineLogger(n.log, func() { n.fatal(errConsensusFailure) }),
		cometnode.CustomReactors(map[string]p2p.Reactor{"COSIGNATURES": n.gossip, "MEMBERS": n.members}))
	if err != nil {
		return fmt.Errorf("open engine: %w", err)
	}
	n.app.SetMempool(n.push)
	return nil
}

// checkSigner looks for signatures of this validator in the newest commits that
// its state file does not know of.
func (n *Node) checkSigner(signer *Signer) error {
	const commits = 1000
	blocks := store.NewBlockStore(cometdb.New(n.db, cometdb.PrefixBlockStore))
	ours := func(s types.CommitSig) bool {
		_, err := signer.keyOf(s.ValidatorAddress)
		return s.BlockIDFlag != types.BlockIDFlagAbsent && err == nil
	}
	for h := blocks.Height(); h > max(signer.Height(), blocks.Height()-commits, 0); h-- {
		commit := blocks.LoadSeenCommit(h)
		if commit == nil {
			commit = blocks.LoadBlockCommit(h)
		}
		if commit == nil {
			continue
		}
		for _, s := range commit.Signatures {
			if ours(s) {
				return fmt.Errorf("this validator has signed height %d, its state file says %d: %w", h, signer.Height(), ErrSignerStateOld)
			}
		}
	}
	return nil
}

// resumeCosigning offers the tree that a crash may have left unsigned: that of
// the last block, where the header of that block carries its AppHash already or
// it was cosigned before.
func (n *Node) resumeCosigning() {
	v := n.app.View()
	head := v.Head()
	meta := n.engine.BlockStore().LoadBlockMeta(head.Height)
	if head.Size == 0 || meta == nil {
		return
	}
	if string(meta.Header.AppHash) == string(head.AppHash[:]) || n.cosigning.state.Size() == head.Size {
		n.cosigning.offer(v)
	}
}

// crowded says whether governance alone is admitted to the mempool.
func (n *Node) crowded() bool {
	pool := n.engine.Mempool()
	return float64(pool.Size()) > mempoolFullPart*mempoolTxs ||
		float64(pool.SizeBytes()) > mempoolFullPart*mempoolBytes || n.health.findings().refuse
}

func (n *Node) committed(_ ledger.Head, results []ledger.Result) {
	n.health.wrote(n.now())
	n.metrics.wrote(results)
}

// alarm tells a person.
func (n *Node) alarm(err error) {
	n.log.Error("alarm", "err", err)
	n.metrics.alarms.Inc()
	n.health.alarm(err.Error())
}

// push puts a transaction into the engine's mempool.
func (n *Node) push(raw []byte, checked func(code uint32)) error {
	err := n.engine.Mempool().CheckTx(raw, func(r *abcitypes.ResponseCheckTx) { checked(r.Code) }, mempool.TxInfo{})
	if errors.Is(err, mempool.ErrTxInCache) {
		return abci.ErrKnown
	}
	if full, ok := errors.AsType[mempool.ErrMempoolIsFull](err); ok {
		return fmt.Errorf("%w: %w", abci.ErrBusy, full)
	}
	return err
}

// tell hands a transaction to all peers, as the engine's mempool does once.
func (n *Node) tell(raw []byte) {
	n.engine.Switch().TryBroadcast(p2p.Envelope{
		ChannelID: mempool.MempoolChannel, Message: &protomem.Txs{Txs: [][]byte{raw}},
	})
}

// drop takes a transaction out of the engine's mempool where it would lie for
// good: a node that makes blocks has it refused in one instead.
func (n *Node) drop(raw []byte) {
	if proposes, err := n.proposes(); err != nil || proposes {
		return
	}
	pool := n.engine.Mempool()
	pool.Lock()
	defer pool.Unlock()
	if err := pool.RemoveTxByKey(types.Tx(raw).Key()); err != nil && !errors.Is(err, mempool.ErrTxNotFound) {
		n.log.Warn("drop a transaction", "err", err)
	}
}

// validators counts the validators that the ledger lists, at the start of the node.
func (n *Node) validators() int {
	list, err := ledger.Validators(n.state.View())
	if err != nil || len(list) == 0 {
		return n.genesis.validators()
	}
	return len(list)
}

// proposes says whether the ledger lists this node as a validator.
func (n *Node) proposes() (bool, error) {
	nodes, err := ledger.Nodes(n.app.View())
	own := n.keys.Node.Public().(ed25519.PublicKey)
	for _, node := range nodes {
		if [32]byte(own) == node.NodeKey {
			return node.Power > 0, nil
		}
	}
	return false, err
}

// Start starts consensus, cosigning, watchdogs and the monitor.
func (n *Node) Start() error {
	if err := n.startMonitor(); err != nil {
		return err
	}
	if err := n.engine.Start(); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	for _, run := range []func(context.Context){n.app.Run, n.cosigning.run, n.gossip.run, n.watch, n.supervise, n.followKeys} {
		n.background.Go(func() { run(ctx) })
	}
	n.log.Info("node started", "id", n.keys.ID(), "network", fmt.Sprintf("%x", n.network.ID[:8]), "height", n.app.View().Head().Height)
	return nil
}

// Stop stops the node. Whoever serves callers must stop accepting before. The
// order: waiting submissions, the engine, the background, and the store last.
// It may be called again.
func (n *Node) Stop() error {
	n.stop.Do(func() {
		n.app.Stop()
		if n.engine.IsRunning() {
			if err := n.engine.Stop(); err != nil {
				n.stopErr = fmt.Errorf("stop engine: %w", err)
			}
			n.engine.Wait()
		}
		if n.cancel != nil {
			n.cancel()
		}
		n.stopMonitor()
		n.background.Wait()
		if !n.gate.Close(drainWait) {
			// All that was acknowledged is synced, so the store may stay as it is.
			n.log.Warn("engine is still reading; the store is left open")
			return
		}
		n.stopErr = errors.Join(n.stopErr, n.closeStore())
	})
	return n.stopErr
}

// stopWanted says that the node should be stopped, with the reason.
func (n *Node) stopWanted(reason error) {
	select {
	case n.wanted <- reason:
	default:
	}
}

// StopWanted gives a channel on which the node asks to be stopped cleanly,
// because the disk is nearly full.
func (n *Node) StopWanted() <-chan error { return n.wanted }

// Submit hands in a transaction and waits until its block is on disk; see
// [abci.App.Submit].
func (n *Node) Submit(ctx context.Context, raw []byte) (ledger.Result, int64, error) {
	return n.app.Submit(ctx, raw)
}

// CosignedCheckpoint gives the newest tree with the validators' quorum. Where
// it has fewer than size entries, it waits for one that has. A receipt of entry
// i needs a tree of at least i+1 entries.
func (n *Node) CosignedCheckpoint(ctx context.Context, size int64) (Checkpoint, error) {
	return n.cosigning.cosigned(ctx, size)
}

// Status gives how the node does.
func (n *Node) Status() Status {
	f := n.health.findings()
	n.cosigning.mu.Lock()
	cosigned := n.cosigning.newest.Size
	n.cosigning.mu.Unlock()
	n.health.mu.Lock()
	free := n.health.freeBytes
	n.health.mu.Unlock()
	return Status{
		Head: n.app.View().Head(), CosignedSize: cosigned, Validators: n.cosigning.validators(),
		Peers: n.engine.Switch().Peers().Size(), MempoolTxs: n.engine.Mempool().Size(), MempoolBytes: n.engine.Mempool().SizeBytes(),
		CatchingUp: n.engine.ConsensusReactor().WaitSync(), FreeBytes: free, Unhealthy: f.unhealthy,
	}
}

// What a node is made of, for those who serve it.

func (n *Node) Home() Home                    { return n.home }
func (n *Node) Config() Config                { return n.config }
func (n *Node) Keys() Keys                    { return n.keys }
func (n *Node) Genesis() Genesis              { return n.genesis }
func (n *Node) Network() receipt.Network      { return n.cosigning.network() } // with the eras handed over since it was founded
func (n *Node) State() *state.State           { return n.state }
func (n *Node) View() ledger.View             { return n.app.View() }       // after the last block; never changes
func (n *Node) Machine() ledger.Machine       { return n.app.Machine() }    // with the memory of verified signatures
func (n *Node) NextBlock() <-chan struct{}    { return n.app.Next() }       // closed when the next block is on disk
func (n *Node) Metrics() *prometheus.Registry { return n.metrics.registry } // to add one's own
func (n *Node) MonitorAddress() string        { return n.monitorAddress }   // host:port, empty without a monitor

// NetworkID gives the id of the network: the SHA-256 of genesis.json.
func (n *Node) NetworkID() [sha256.Size]byte { return n.network.ID }
