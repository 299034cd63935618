package crash

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/store"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// audit opens the store of a node that has ended, replays the whole log, and
// holds the engine's headers against it.
func (c *city) audit(t *testing.T) *replayed {
	t.Helper()
	db, err := pebble.Open(c.home.Ledger(), state.NewOptions(state.Options{CacheBytes: 16 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := state.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	view := s.View()
	entries := make([][]byte, view.Head().Size)
	for i := range entries {
		if entries[i], err = view.Entry(record.Index(i)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := replay(entries)
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	if view.StateRoot() != r.stateRoot || view.Head().AppHash != r.head.AppHash {
		t.Errorf("the store has state root %x, AppHash %x; the replay gives %x, %x", view.StateRoot(), view.Head().AppHash, r.stateRoot, r.head.AppHash)
	}
	for here, at := range r.places {
		if got, ok, err := view.AnchorIndex(here.office, here.commitment); err != nil || !ok || got != at {
			t.Errorf("the index has entry %d (%v) for the record at %d: %v", got, ok, at, err)
		}
	}
	blocks := store.NewBlockStore(cometdb.New(db, cometdb.PrefixBlockStore))
	if blocks.Height() < view.Head().Height {
		t.Errorf("the engine has %d blocks, the ledger %d", blocks.Height(), view.Head().Height)
	}
	appHash := r.blocks[0].appHash
	for h := int64(1); h <= blocks.Height(); h++ {
		header := blocks.LoadBlockMeta(h).Header
		if !bytes.Equal(header.AppHash, appHash[:]) {
			t.Errorf("header %d has AppHash %x, the log gives %x", h, header.AppHash, appHash)
		}
		if b, ok := r.blocks[h]; ok {
			appHash = b.appHash
			if header.Time.UnixNano() != b.time {
				t.Errorf("header %d has time %d, the block entry %d", h, header.Time.UnixNano(), b.time)
			}
		}
	}
	return r
}

// prefixes wants every tree that was shown to be one that the log had.
func (r *replayed) prefixes(t *testing.T, shown []tree) {
	t.Helper()
	for _, s := range shown {
		if got := r.trees[s.size]; got != s.body {
			t.Errorf("a tree of %d entries was shown as %q, the log gives %q", s.size, s.body, got)
		}
	}
}
