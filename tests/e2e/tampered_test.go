package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// TestRebuildRefusesTamperedBlocks changes a block in the database of a stopped
// node, crudely and carefully. The rebuild says so and changes nothing: the
// node goes on from the state that it had.
func TestRebuildRefusesTamperedBlocks(t *testing.T) {
	for _, c := range []struct {
		name, words string
		tamper      func(*cmtproto.Block)
	}{
		{"a transaction is changed", "block is damaged", func(b *cmtproto.Block) {
			b.Data.Txs[0][len(b.Data.Txs[0])-1] ^= 1
		}},
		{"a transaction is changed, with the header to match", "replay gives another AppHash than the blocks say", func(b *cmtproto.Block) {
			b.Data.Txs[0][len(b.Data.Txs[0])-1] ^= 1
			b.Header.DataHash = types.ToTxs(b.Data.Txs).Hash()
		}},
		{"the time is another", "replay gives another AppHash than the blocks say", func(b *cmtproto.Block) {
			b.Header.Time = b.Header.Time.Add(1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			city := newCity(t)
			n := city.start(t)
			index := city.anchorMany(t, city.dial(t, "CLERK"), 3)[1]
			n.stop()
			changeBlock(t, city, c.tamper)
			before := sums(t, city.home.Ledger())
			program(t, 3, c.words, "munimentd", "rebuild", "--home", string(city.home))
			for name, sum := range sums(t, city.home.Ledger()) {
				// Opening the store may begin a compaction, whose output is a new file.
				if was, there := before[name]; there && filepath.Ext(name) == ".sst" && was != sum {
					t.Errorf("%s was changed", name)
				}
			}
			for _, left := range []string{"ledger.rebuilt", "ledger.old"} {
				if _, err := os.Stat(filepath.Join(string(city.home), left)); err == nil {
					t.Errorf("%s was left", left)
				}
			}
			n = city.start(t)
			passes(t, city.network, receiptOf(t, city.dial(t, "CLERK"), index))
			n.stop()
		})
	}
}

// changeBlock writes the first block with a transaction anew, changed.
func changeBlock(t *testing.T, c *city, tamper func(*cmtproto.Block)) {
	t.Helper()
	db, err := pebble.Open(c.home.Ledger(), state.NewOptions(state.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	blocks := cometdb.New(db, cometdb.PrefixBlockStore)
	for height := 1; ; height++ {
		key := fmt.Appendf(nil, "P:%d:0", height)
		raw, err := blocks.Get(key)
		if err != nil || raw == nil {
			t.Fatalf("no block with a transaction below height %d: %v", height, err)
		}
		var part cmtproto.Part
		var block cmtproto.Block
		if err := part.Unmarshal(raw); err != nil {
			t.Fatal(err)
		}
		if err := block.Unmarshal(part.Bytes); err != nil {
			t.Fatal(err)
		}
		if len(block.Data.Txs) == 0 {
			continue
		}
		tamper(&block)
		was := part.Bytes
		if part.Bytes, err = block.Marshal(); err != nil || bytes.Equal(part.Bytes, was) {
			t.Fatalf("the block is as it was: %v", err)
		}
		if raw, err = part.Marshal(); err != nil {
			t.Fatal(err)
		}
		if err := blocks.SetSync(key, raw); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
}

func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][32]byte{}
	for _, e := range entries {
		if e.Type().IsRegular() {
			out[e.Name()] = sha256.Sum256(read(t, filepath.Join(dir, e.Name())))
		}
	}
	return out
}
