package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	abcitypes "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/config"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	cometnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// A transaction of the counting application: public key, signature of the
// SHA-256 of the rest, and the rest, which stands for commitments.
const (
	bareHead      = ed25519.PublicKeySize + ed25519.SignatureSize
	bareSingle    = 180 - bareHead // bytes of the rest where one is sent alone
	bareItem      = 40             // bytes of each in a batch, as in AnchorRecords
	bareBlockSize = 4 << 20
)

// counter is the counting application: one signature check for each
// transaction, and an AppHash that changes with each block.
type counter struct {
	abcitypes.BaseApplication
	committed atomic.Int64 // transactions
	height    int64
}

func (c *counter) CheckTx(_ context.Context, r *abcitypes.RequestCheckTx) (*abcitypes.ResponseCheckTx, error) {
	if len(r.Tx) < bareHead {
		return &abcitypes.ResponseCheckTx{Code: 1}, nil
	}
	sum := sha256.Sum256(r.Tx[bareHead:])
	if !ed25519.Verify(r.Tx[:ed25519.PublicKeySize], sum[:], r.Tx[ed25519.PublicKeySize:bareHead]) {
		return &abcitypes.ResponseCheckTx{Code: 2}, nil
	}
	return &abcitypes.ResponseCheckTx{}, nil
}

func (c *counter) FinalizeBlock(_ context.Context, r *abcitypes.RequestFinalizeBlock) (*abcitypes.ResponseFinalizeBlock, error) {
	results := make([]*abcitypes.ExecTxResult, len(r.Txs))
	for i := range results {
		results[i] = &abcitypes.ExecTxResult{}
	}
	sum := sha256.Sum256(fmt.Append(nil, c.committed.Add(int64(len(r.Txs)))))
	c.height = r.Height
	return &abcitypes.ResponseFinalizeBlock{TxResults: results, AppHash: sum[:]}, nil
}

func (c *counter) Info(context.Context, *abcitypes.RequestInfo) (*abcitypes.ResponseInfo, error) {
	return &abcitypes.ResponseInfo{LastBlockHeight: c.height}, nil
}

// bareEngine is a validator that runs the counting application.
type bareEngine struct {
	db     *pebble.DB
	engine *cometnode.Node
	blocks types.Subscription
	key    ed25519.PrivateKey
}

// bareNetwork is a network of validators that run the counting application, as
// one of them sees it: a file that the parent writes before it starts them.
type bareNetwork struct {
	Founded time.Time
	Seeds   [][]byte // of the validators' keys, 32 bytes each; the node keys are made of them
	Ports   []int    // on 127.0.0.1; 0: any
	Self    int
}

const bareNetworkFile = "network.json"

// newBareNetwork draws the keys of validators that listen on some ports.
func newBareNetwork(ports ...int) bareNetwork {
	n := bareNetwork{Founded: time.Now(), Ports: ports}
	for range ports {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed)
		n.Seeds = append(n.Seeds, seed)
	}
	return n
}

func (n bareNetwork) validatorKey(i int) cmted25519.PrivKey {
	return cmted25519.PrivKey(ed25519.NewKeyFromSeed(n.Seeds[i]))
}

func (n bareNetwork) nodeKey(i int) *p2p.NodeKey {
	seed := sha256.Sum256(append([]byte("node key of "), n.Seeds[i]...))
	return &p2p.NodeKey{PrivKey: cmted25519.PrivKey(ed25519.NewKeyFromSeed(seed[:]))}
}

// peers lists the other validators, as the engine wants it.
func (n bareNetwork) peers() string {
	var all []string
	for i, port := range n.Ports {
		if i != n.Self {
			all = append(all, fmt.Sprintf("%s@127.0.0.1:%d", n.nodeKey(i).ID(), port))
		}
	}
	return strings.Join(all, ",")
}

// openBare starts the engine with the settings that app/node gives it. A folder
// without a network file is that of a lone validator.
func openBare(dir string) (*bareEngine, error) {
	b, n := new(bareEngine), newBareNetwork(0)
	text, err := os.ReadFile(filepath.Join(dir, bareNetworkFile))
	if err == nil {
		n = bareNetwork{}
		err = json.Unmarshal(text, &n)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, b.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	for _, sub := range []string{"config", "data", "wal"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	c := config.DefaultConfig()
	c.SetRoot(dir)
	c.DBBackend, c.DBPath = "", ""
	c.RPC.ListenAddress = ""
	c.P2P.ListenAddress, c.P2P.PexReactor = fmt.Sprintf("tcp://127.0.0.1:%d", n.Ports[n.Self]), false
	c.P2P.PersistentPeers, c.P2P.AddrBookStrict, c.P2P.AllowDuplicateIP = n.peers(), false, true
	c.P2P.SendRate, c.P2P.RecvRate = 500_000_000, 500_000_000
	c.P2P.MaxPacketMsgPayloadSize, c.P2P.FlushThrottleTimeout = 64<<10, 2*time.Millisecond
	c.Mempool.Recheck, c.Mempool.Size, c.Mempool.CacheSize = false, 5000, 20_000
	c.Mempool.MaxTxsBytes, c.Mempool.MaxTxBytes = 64<<20, 512<<10
	c.Consensus.WalPath = "wal/wal"
	c.Consensus.CreateEmptyBlocks, c.Consensus.CreateEmptyBlocksInterval = false, 30*time.Second
	c.Consensus.TimeoutCommit, c.Consensus.SkipTimeoutCommit = 0, true
	if len(n.Ports) > 1 {
		c.Consensus.TimeoutCommit = 20 * time.Millisecond
	}
	c.Consensus.PeerGossipSleepDuration = 2 * time.Millisecond
	c.Storage.DiscardABCIResponses = true
	c.TxIndex.Indexer = "null"
	c.EventBusBufferCapacity = 1000

	signer := privval.NewFilePV(n.validatorKey(n.Self), filepath.Join(dir, "config", "key.json"), filepath.Join(dir, "data", "state.json"))
	signer.Save()
	document := &types.GenesisDoc{ChainID: "bare-1", GenesisTime: n.Founded, ConsensusParams: types.DefaultConsensusParams()}
	for i := range n.Seeds {
		document.Validators = append(document.Validators, types.GenesisValidator{PubKey: n.validatorKey(i).PubKey(), Power: 10})
	}
	document.ConsensusParams.Block.MaxBytes = bareBlockSize
	if err := document.ValidateAndComplete(); err != nil {
		return nil, err
	}
	if b.db, err = pebble.Open(filepath.Join(dir, "db"), state.NewOptions(state.Options{Log: quietLog})); err != nil {
		return nil, err
	}
	b.engine, err = cometnode.NewNode(c, signer, n.nodeKey(n.Self), proxy.NewLocalClientCreator(new(counter)),
		func() (*types.GenesisDoc, error) { return document, nil }, cometdb.Provider(b.db),
		cometnode.DefaultMetricsProvider(config.TestInstrumentationConfig()), log.NewNopLogger())
	if err != nil {
		return nil, errors.Join(err, b.db.Close())
	}
	if b.blocks, err = b.engine.EventBus().Subscribe(context.Background(), "bench", types.EventQueryNewBlock, 1000); err != nil {
		return nil, err
	}
	return b, b.engine.Start()
}

// transaction makes a transaction with a rest of so many bytes.
func (b *bareEngine) transaction(random interface{ Read([]byte) (int, error) }, bytes int) types.Tx {
	rest := make([]byte, bytes)
	_, _ = random.Read(rest)
	sum := sha256.Sum256(rest)
	tx := append(make([]byte, 0, bareHead+bytes), b.key.Public().(ed25519.PublicKey)...)
	tx = append(tx, ed25519.Sign(b.key, sum[:])...)
	return append(tx, rest...)
}

// bareLoad is what the child answers.
type bareLoad struct {
	Rate    float64 // transactions per second
	Blocks  int
	Seconds float64
	Disk    int64 // bytes that the folder grew by
	Error   string
}

// load has transactions made beforehand committed, with a window of them under
// way, and counts those in committed blocks.
func (b *bareEngine) load(txs []types.Tx, window int) (bareLoad, error) {
	begin := time.Now()
	var blocks, sent, done int
	for done < len(txs) {
		for sent < len(txs) && sent-done < window {
			if err := b.push(txs[sent]); err != nil {
				return bareLoad{}, err
			}
			sent++
			if more, n := b.poll(); more {
				blocks, done = blocks+1, done+n
			}
		}
		n, err := b.next()
		if err != nil {
			return bareLoad{}, err
		}
		blocks, done = blocks+1, done+n
	}
	seconds := time.Since(begin).Seconds()
	return bareLoad{Rate: float64(done) / seconds, Blocks: blocks, Seconds: seconds}, nil
}

func (b *bareEngine) push(tx types.Tx) error {
	var code uint32
	err := b.engine.Mempool().CheckTx(tx, func(r *abcitypes.ResponseCheckTx) { code = r.Code }, mempool.TxInfo{})
	if err == nil && code != 0 {
		err = fmt.Errorf("check refuses with code %d", code)
	}
	return err
}

// poll takes a block's event if there is one.
func (b *bareEngine) poll() (bool, int) {
	select {
	case m := <-b.blocks.Out():
		return true, len(m.Data().(types.EventDataNewBlock).Block.Txs)
	default:
		return false, 0
	}
}

// next waits for a block and gives the number of its transactions.
func (b *bareEngine) next() (int, error) {
	select {
	case m := <-b.blocks.Out():
		return len(m.Data().(types.EventDataNewBlock).Block.Txs), nil
	case <-b.blocks.Canceled():
		return 0, b.blocks.Err()
	case <-time.After(time.Minute):
		return 0, errors.New("no block for a minute")
	}
}

// serveBare is the child. It knows the lines "load COUNT ITEMS WINDOW", where
// one item is a transaction of 180 bytes, and "one".
func serveBare(dir string, in *bufio.Scanner, out *json.Encoder) error {
	b, err := openBare(dir)
	if err != nil {
		return err
	}
	random := newRandom()
	for in.Scan() {
		var count, items, window int
		switch n, _ := fmt.Sscanf(in.Text(), "load %d %d %d", &count, &items, &window); {
		case n == 3:
			size := bareSingle
			if items > 1 {
				size = items * bareItem
			}
			txs := make([]types.Tx, count)
			for i := range txs {
				txs[i] = b.transaction(random, size)
			}
			before := diskBytes(dir)
			answer, err := b.load(txs, window)
			if err != nil {
				answer.Error = err.Error()
			}
			answer.Disk = diskBytes(dir) - before
			if err := out.Encode(answer); err != nil {
				return err
			}
		case in.Text() == "one":
			tx := b.transaction(random, bareSingle)
			for more := true; more; { // proof blocks of the transactions before
				more, _ = b.poll()
			}
			answer, err := b.load([]types.Tx{tx}, 1)
			if err != nil {
				answer.Error = err.Error()
			}
			if err := out.Encode(answer); err != nil {
				return err
			}
		default:
			return fmt.Errorf("line %q", in.Text())
		}
	}
	if err := b.engine.Stop(); err != nil {
		return err
	}
	b.engine.Wait()
	return in.Err() // the store stays open: what it synced is enough
}

// bare gives the child, started with the first row that needs it.
func (b *bench) bare() (*child, error) {
	if b.bareApp != nil {
		return b.bareApp, nil
	}
	c, err := b.startChild("bare")
	if err != nil {
		return nil, err
	}
	b.bareApp = c
	var warm bareLoad
	if err := c.ask("load 100 1 100", &warm); err != nil {
		return nil, fmt.Errorf("bare CometBFT: %w", err)
	}
	return c, nil
}

// askBare has the child do a load and gives what it measured.
func (b *bench) askBare(line string) (load bareLoad, used time.Duration, err error) {
	c, err := b.bare()
	if err != nil {
		return bareLoad{}, 0, err
	}
	before := c.processorTime()
	if err = c.ask(line, &load); err == nil && load.Error != "" {
		err = errors.New(load.Error)
	}
	if err != nil {
		return bareLoad{}, 0, fmt.Errorf("bare CometBFT: %w", err)
	}
	return load, c.processorTime() - before, nil
}
