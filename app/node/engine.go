package node

import (
	"time"

	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/record"
)

// AppVersion is the version of the rules with which every network starts; the
// genesis document carries it. The ledger decides on those that follow, and the
// header of each block names the one by which the block is judged.
const AppVersion = 1

// The engine's limits. Those of blocks and packets must be equal on all nodes.
const (
	maxBlockBytes   = 4 << 20
	mempoolTxs      = 5000
	mempoolBytes    = 64 << 20
	mempoolFullPart = 0.8 // above this part of either, governance alone is admitted
	packetBytes     = 64 << 10
	heartbeat       = 30 * time.Second

	// maxInboundPeers bounds the connections of others that are in a handshake or
	// past it. One that says nothing holds its place for three seconds, so the bound
	// is far above the members: see knocks.
	maxInboundPeers = 2048
)

// engineOptions are the few things that differ between nodes and networks.
type engineOptions struct {
	root       string // HOME; the consensus WAL is the one thing the engine keeps in files
	listen     string // p2p, as "tcp://127.0.0.1:26656"
	peerIDs    string // ids of all other nodes
	validators int    // at genesis or now; one validator waits for nobody
	heartbeat  time.Duration
}

// engineConfig is the whole configuration of CometBFT. It is code, not a file:
// no operator has to know it, and no two nodes differ by accident.
func engineConfig(o engineOptions) *config.Config {
	c := config.DefaultConfig()
	c.SetRoot(o.root)
	c.Moniker = "node"
	c.FilterPeers = true
	c.DBBackend, c.DBPath = "", ""

	c.RPC.ListenAddress, c.RPC.GRPCListenAddress, c.RPC.PprofListenAddress = "", "", ""

	c.P2P.ListenAddress = o.listen
	c.P2P.PersistentPeers, c.P2P.Seeds = "", "" // the node dials itself, see peers.go
	c.P2P.UnconditionalPeerIDs, c.P2P.PrivatePeerIDs = o.peerIDs, o.peerIDs
	c.P2P.PexReactor, c.P2P.AddrBookStrict = false, false
	c.P2P.AddrBook = "wal/addrbook.json" // never written with peer exchange off
	c.P2P.AllowDuplicateIP = true        // members may share an address behind one firewall
	c.P2P.MaxNumInboundPeers, c.P2P.MaxNumOutboundPeers = maxInboundPeers, 0
	c.P2P.HandshakeTimeout, c.P2P.DialTimeout = 5*time.Second, 3*time.Second
	c.P2P.SendRate, c.P2P.RecvRate = 500_000_000, 500_000_000
	c.P2P.MaxPacketMsgPayloadSize = packetBytes
	c.P2P.FlushThrottleTimeout = 2 * time.Millisecond
	c.P2P.LibP2PConfig.Enabled = false

	c.Mempool.Type, c.Mempool.Recheck, c.Mempool.Broadcast = config.MempoolTypeFlood, false, true
	c.Mempool.Size, c.Mempool.CacheSize = mempoolTxs, 4*mempoolTxs
	c.Mempool.MaxTxsBytes, c.Mempool.MaxTxBytes = mempoolBytes, record.MaxAnchorTxBytes
	c.Mempool.KeepInvalidTxsInCache = false

	c.StateSync.Enable = false
	c.BlockSync.AdaptiveSync = false

	c.Consensus.WalPath = "wal/wal"
	c.Consensus.CreateEmptyBlocks = false
	c.Consensus.CreateEmptyBlocksInterval = heartbeat
	if o.heartbeat > 0 {
		c.Consensus.CreateEmptyBlocksInterval = o.heartbeat
	}
	// A round that fails takes 2.5 s, each further one 0.6 s more: with one of four away three may fail in a row.
	c.Consensus.TimeoutPropose, c.Consensus.TimeoutProposeDelta = 1500*time.Millisecond, 200*time.Millisecond
	c.Consensus.TimeoutPrevote, c.Consensus.TimeoutPrevoteDelta = 500*time.Millisecond, 200*time.Millisecond
	c.Consensus.TimeoutPrecommit, c.Consensus.TimeoutPrecommitDelta = 500*time.Millisecond, 200*time.Millisecond
	c.Consensus.PeerGossipSleepDuration = 2 * time.Millisecond
	c.Consensus.DoubleSignCheckHeight = 0 // on an idle chain it would refuse every restart
	c.Consensus.SkipTimeoutCommit = true
	c.Consensus.TimeoutCommit = 20 * time.Millisecond // equal on all nodes: late precommits are gathered
	if o.validators <= 1 {
		c.Consensus.TimeoutCommit = 0
	}

	c.Storage.DiscardABCIResponses = true
	c.TxIndex.Indexer = "null"
	c.EventBusBufferCapacity = 1000
	c.Instrumentation.Prometheus = false // the node has its own registry and listener
	return c
}

// consensusParams are the engine's rules that the genesis document carries.
func consensusParams() *types.ConsensusParams {
	p := types.DefaultConsensusParams()
	p.Block.MaxBytes, p.Block.MaxGas = maxBlockBytes, -1
	p.Evidence.MaxAgeNumBlocks, p.Evidence.MaxAgeDuration, p.Evidence.MaxBytes = 100_000, 720*time.Hour, 64<<10
	p.Validator.PubKeyTypes = []string{types.ABCIPubKeyTypeEd25519}
	p.Version.App = AppVersion
	p.ABCI.VoteExtensionsEnableHeight = 0
	return p
}
