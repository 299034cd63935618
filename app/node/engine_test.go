package node

import (
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// TestEngineConfig names the settings on which the design depends.
func TestEngineConfig(t *testing.T) {
	for _, validators := range []int{1, 4} {
		c := engineConfig(engineOptions{root: t.TempDir(), listen: "tcp://127.0.0.1:0", validators: validators})
		if err := c.ValidateBasic(); err != nil {
			t.Fatal(err)
		}
		for name, ok := range map[string]bool{
			"no RPC":                    c.RPC.ListenAddress == "" && c.RPC.GRPCListenAddress == "" && !c.RPC.IsPprofEnabled(),
			"peers are filtered":        c.FilterPeers && !c.P2P.LibP2PConfig.Enabled,
			"no peer exchange":          !c.P2P.PexReactor && c.P2P.Seeds == "" && !c.P2P.SeedMode,
			"rest when idle":            !c.Consensus.CreateEmptyBlocks && c.Consensus.CreateEmptyBlocksInterval == 30*time.Second,
			"no recheck":                !c.Mempool.Recheck && c.Mempool.Type == "flood",
			"mempool":                   c.Mempool.Size == 5000 && c.Mempool.MaxTxsBytes == 64<<20,
			"no index":                  c.TxIndex.Indexer == "null",
			"no adaptive or state sync": !c.BlockSync.AdaptiveSync && !c.StateSync.Enable,
			"packets":                   c.P2P.MaxPacketMsgPayloadSize == 64<<10 && c.P2P.SendRate == 500_000_000 && c.P2P.RecvRate == 500_000_000,
			"no waiting for itself":     c.Consensus.SkipTimeoutCommit && (c.Consensus.TimeoutCommit == 0) == (validators == 1),
			"gossip":                    c.Consensus.PeerGossipSleepDuration == 2*time.Millisecond && c.P2P.FlushThrottleTimeout == 2*time.Millisecond,
			"no refusal to restart":     c.Consensus.DoubleSignCheckHeight == 0,
			"no listener for metrics":   !c.Instrumentation.IsPrometheusEnabled(),
		} {
			if !ok {
				t.Errorf("%d validators: %s: not so", validators, name)
			}
		}
		if c.Mempool.MaxTxBytes != record.MaxAnchorTxBytes {
			t.Errorf("the mempool takes %d bytes, a transaction has up to %d", c.Mempool.MaxTxBytes, record.MaxAnchorTxBytes)
		}
	}
}

func TestConsensusParams(t *testing.T) {
	p := consensusParams()
	if err := p.ValidateBasic(); err != nil {
		t.Fatal(err)
	}
	if p.Block.MaxBytes != 4<<20 || p.Block.MaxGas != -1 || p.Version.App != AppVersion ||
		p.ABCI.VoteExtensionsEnableHeight != 0 || len(p.Validator.PubKeyTypes) != 1 || p.Validator.PubKeyTypes[0] != "ed25519" {
		t.Errorf("got %+v", p)
	}
}
