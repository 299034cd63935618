//go:build chaos

package chaos

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// A book is what the store of a stopped node holds.
type book struct {
	machine  int
	head     ledger.Head
	entries  [][]byte
	blocks   []types.Header // from height 1
	evidence []types.Evidence
}

// open reads the store of a node that has ended.
func (c *city) open(t *testing.T, m *member) book {
	t.Helper()
	db, err := pebble.Open(m.home.Ledger(), state.NewOptions(state.Options{CacheBytes: 16 << 20}))
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
	b := book{machine: m.machine, head: s.View().Head()}
	for from := record.Index(0); int64(from) < b.head.Size; {
		some, err := s.Entries(from, int(min(1000, b.head.Size-int64(from))))
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range some {
			b.entries = append(b.entries, bytes.Clone(raw))
		}
		from += record.Index(len(some))
	}
	blocks := store.NewBlockStore(cometdb.New(db, cometdb.PrefixBlockStore))
	for h := int64(1); h <= blocks.Height(); h++ {
		block := blocks.LoadBlock(h)
		b.blocks = append(b.blocks, block.Header)
		b.evidence = append(b.evidence, block.Evidence.Evidence...)
	}
	return b
}

// replay carries the log out anew, and wants each header's AppHash to be its (I-07).
func (b book) replay() (all []violation) {
	byHeight := map[int64][32]byte{}
	log := func(yield func([]byte, error) bool) {
		for raw := range slices.Values(b.entries) {
			if !yield(raw, nil) {
				return
			}
		}
	}
	got, err := ledger.Machine{Verify: ed25519.Verify}.Replay(log, func(c ledger.Changes) { byHeight[c.Height] = c.Head.AppHash })
	if err != nil {
		return []violation{violated("I-07", "node %d: %v", b.machine, err)}
	}
	if got.View.Head().AppHash != b.head.AppHash {
		all = append(all, violated("I-07", "node %d: its AppHash is %x, its log gives %x", b.machine, b.head.AppHash, got.View.Head().AppHash))
	}
	appHash := byHeight[0]
	for i, header := range b.blocks {
		if !bytes.Equal(header.AppHash, appHash[:]) {
			all = append(all, violated("I-07", "node %d: header %d has AppHash %x, the log gives %x", b.machine, header.Height, header.AppHash, appHash))
		}
		if h, ok := byHeight[header.Height]; ok {
			appHash = h
		}
		if header.Time.After(time.Now().Add(time.Minute)) { // what validators put up with
			all = append(all, violated("I-05", "node %d: block %d is of %v, which is yet to come", b.machine, header.Height, header.Time))
		}
		if i > 0 && !header.Time.After(b.blocks[i-1].Time) {
			all = append(all, violated("I-06", "node %d: block %d is not later than the one before", b.machine, header.Height))
		}
	}
	return all
}

// agree wants one history on all nodes (I-06), and no evidence of a double signature
// but by those who had two processes (I-10).
func agree(books []book, guilty ...string) (all []violation) {
	longest := slices.MaxFunc(books, func(a, b book) int { return len(a.blocks) - len(b.blocks) })
	for _, b := range books {
		for i, header := range b.blocks {
			if !bytes.Equal(header.Hash(), longest.blocks[i].Hash()) {
				all = append(all, violated("I-06", "height %d: node %d has block %v, node %d has %v", header.Height, b.machine, header.Hash(), longest.machine, longest.blocks[i].Hash()))
			}
		}
		for i, raw := range b.entries {
			if i < len(longest.entries) && !bytes.Equal(raw, longest.entries[i]) {
				all = append(all, violated("I-06", "entry %d: node %d has another one than node %d", i, b.machine, longest.machine))
			}
		}
		for _, e := range b.evidence {
			if d, ok := e.(*types.DuplicateVoteEvidence); !ok || !slices.Contains(guilty, d.VoteA.ValidatorAddress.String()) {
				all = append(all, violated("I-10", "node %d: the chain has evidence against an honest validator: %v", b.machine, e))
			}
		}
	}
	return all
}

// audit stops all nodes, opens their stores, and holds the history against them.
func (c *city) audit(t *testing.T, history []*attempt, guilty ...string) (books []book) {
	t.Helper()
	documents, given, missing := c.contents(t, history)
	for _, m := range c.nodes {
		m.terminate(t)
		books = append(books, c.open(t, m))
	}
	all := agree(books, guilty...)
	for _, b := range books {
		if b.head.Size != books[0].head.Size {
			all = append(all, violated("I-13", "node %d has %d entries, node %d has %d", b.machine, b.head.Size, books[0].machine, books[0].head.Size))
		}
	}
	all = append(all, books[0].replay()...)
	l, err := readLog(books[0].entries)
	if err != nil {
		t.Fatal(err)
	}
	own, err := gather(c.own)
	if err != nil {
		t.Fatal(err)
	}
	wentBack := map[int][]time.Duration{}
	for _, m := range c.nodes {
		wentBack[m.machine] = m.wentBack
	}
	all = append(all, judge(append(own, history...), l, wentBack)...)
	judged, disordered := linearizable(history, l, checkerTime)
	figures, late := weigh(history, c.faults)
	receipts, spoilt := c.verifyAgain(t)
	all = slices.Concat(all, disordered, late, spoilt, missing, c.silent(t, history, given))
	for _, v := range all[:min(len(all), 20)] {
		t.Error(v)
	}
	tally.add(history, figures, all, judged, receipts, documents)
	c.summary(t, history, l)
	return books
}

// summary prints what was done.
func (c *city) summary(t *testing.T, history []*attempt, l *logbook) {
	t.Helper()
	count := map[string]int{}
	for _, a := range history {
		count[string(a.Kind)+" "+a.Outcome]++
	}
	t.Logf("operations: %v; %d blocks with entries", count, len(l.heights))
}

// verifyAgain wants every receipt that was ever given to verify still, by a network
// file alone (I-08).
func (c *city) verifyAgain(t *testing.T) (verified int, all []violation) {
	t.Helper()
	networks := append([]receipt.Network{c.network}, c.later...)
	for _, dir := range c.receipts {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(networks, func(n receipt.Network) bool {
				_, err = receipt.Verify(n, text)
				return err == nil
			}) {
				verified++
			} else {
				all = append(all, violated("I-08", "receipt %s does not verify: %v", f.Name(), err))
			}
		}
	}
	return verified, all
}
