package e2e

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/store"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

var historySeed = flag.Uint64("history", uint64(time.Now().UnixNano()), "seed of the history that TestSameAppHashEverywhere plays")

// surroundings are what must not matter.
var surroundings = [4][]string{
	{"GOMAXPROCS=1", "LANG=C", "LC_ALL=C", "TZ=UTC"},
	{"GOMAXPROCS=2", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "TZ=Asia/Kolkata", "GOGC=20"},
	{"GOMAXPROCS=2", "LANG=de_DE.UTF-8", "LC_ALL=de_DE.UTF-8", "TZ=America/New_York", "GODEBUG=cpu.all=off"},
	{"GOMAXPROCS=1", "LANG=tr_TR.UTF-8", "LC_ALL=", "TZ=America/New_York"},
}

// beginIn starts nodes, each in its own surroundings.
func (h *history) beginIn(t testing.TB, which ...int) {
	t.Helper()
	started := make(chan int, len(which))
	for _, i := range which {
		go func() {
			defer func() { started <- i }()
			h.nodes[i] = launchProgram(t, "env", nil, slices.Concat(surroundings[i], []string{filepath.Join(programs, "munimentd")}, h.args(i))...)
		}()
	}
	for range which {
		<-started
	}
	if t.Failed() {
		t.FailNow()
	}
	for _, i := range which {
		h.dialAgain(t, i)
	}
}

// book is what the store of a node holds that has ended.
type book struct {
	head    ledger.Head
	root    [32]byte
	entries [][]byte
	hashes  map[int64][]byte // AppHash in each header
}

func (h *hall) book(t testing.TB) book {
	t.Helper()
	db, err := pebble.Open(h.home.Ledger(), state.NewOptions(state.Options{CacheBytes: 8 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := state.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	b := book{head: s.View().Head(), root: s.View().StateRoot(), hashes: map[int64][]byte{}}
	for i := range b.head.Size {
		raw, err := s.View().Entry(record.Index(i))
		if err != nil {
			t.Fatal(err)
		}
		b.entries = append(b.entries, bytes.Clone(raw))
	}
	blocks := store.NewBlockStore(cometdb.New(db, cometdb.PrefixBlockStore))
	for at := max(1, blocks.Base()); at <= blocks.Height(); at++ {
		b.hashes[at] = blocks.LoadBlock(at).AppHash
	}
	return b
}

// TestSameAppHashEverywhere: the same blocks give the same state on nodes that
// differ in processors, language, time zone, in how often they were killed, and in
// whether they carried the blocks out, fetched them, replayed them or began with
// a backup.
func TestSameAppHashEverywhere(t *testing.T) {
	t.Parallel()
	t.Logf("the seed of this history: -history %d", *historySeed)
	h := &history{town: newTown(t), random: rand.New(rand.NewPCG(*historySeed, 0)), did: map[string]int{}}
	h.beginIn(t, 0, 1, 2, 3)
	h.adopt(t, h.dial(t, "CLERK"), rule("DEMO-MINUTES", record.RoleClerk))
	rounds := func(n int, at ...int) {
		t.Helper()
		for range n {
			h.round(t, at...)
		}
	}
	rounds(4, 0, 1, 2, 3)
	backup := filepath.Join(h.dir, "backup")
	h.at[3].operator(t, 0, "", "backup", backup)

	// The third is killed again and again.
	for range 2 {
		h.nodes[2].kill()
		rounds(2, 0, 1, 3)
		h.beginIn(t, 2)
		rounds(1, 0, 1, 2, 3)
		h.together(t)
	}

	// The fourth loses its ledger and goes on from the backup.
	h.nodes[3].kill()
	if err := os.RemoveAll(h.at[3].home.Ledger()); err != nil {
		t.Fatal(err)
	}
	h.at[3].operator(t, 0, "", "restore", backup, "--passphrase-file", h.secret)
	rounds(2, 0, 1, 2)
	h.beginIn(t, 3)
	h.together(t)

	// The second one carries everything out anew.
	h.end(1)
	if out := h.at[1].operator(t, 0, "", "rebuild").stdout; !strings.Contains(out, "all agree") {
		t.Errorf("rebuild: %s", out)
	}
	rounds(2, 0, 2, 3)
	h.beginIn(t, 1)
	rounds(2, 0, 1, 2, 3)
	h.together(t)
	h.end(0, 1, 2, 3)

	kinds, text := h.told()
	t.Logf("%d of %d messages in blocks; %d kinds accepted: %s", h.committed, h.sent, kinds, text)
	if kinds < 8 {
		t.Errorf("only %d kinds of messages were accepted", kinds)
	}
	h.compare(t)
}

// together waits until all nodes are at one height, and wants one AppHash there.
func (h *history) together(t testing.TB) {
	t.Helper()
	until(t, "all nodes are at one height", func() bool {
		heads := map[int64][]string{}
		for i := range h.at {
			height, hash := h.at[i].head(t)
			heads[height] = append(heads[height], hash)
		}
		for height, hashes := range heads {
			if len(slices.Compact(slices.Sorted(slices.Values(hashes)))) != 1 {
				t.Fatalf("at height %d the nodes have %v", height, hashes)
			}
		}
		return len(heads) == 1
	})
}

// compare reads all stores of nodes that have ended.
func (h *history) compare(t testing.TB) {
	t.Helper()
	var books []book
	for i := range h.at {
		books = append(books, h.at[i].book(t))
	}
	h.at[0].operator(t, 0, "all agree", "rebuild")
	books = append(books, h.at[0].book(t))
	for i, b := range books {
		for j, other := range books[:i] {
			shared := min(len(b.entries), len(other.entries))
			if !slices.EqualFunc(b.entries[:shared], other.entries[:shared], bytes.Equal) {
				t.Errorf("stores %d and %d have other entries", i+1, j+1)
			}
			if b.head.Height == other.head.Height && (b.head.AppHash != other.head.AppHash || b.root != other.root) {
				t.Errorf("stores %d and %d differ at height %d", i+1, j+1, b.head.Height)
			}
			for at, hash := range b.hashes {
				if theirs, ok := other.hashes[at]; ok && !bytes.Equal(hash, theirs) {
					t.Errorf("stores %d and %d: header %d says %x and %x", i+1, j+1, at, hash, theirs)
				}
			}
			if hash, ok := other.hashes[b.head.Height+1]; ok && !bytes.Equal(hash, b.head.AppHash[:]) {
				t.Errorf("store %d has %x after height %d, store %d says %x", i+1, b.head.AppHash, b.head.Height, j+1, hash)
			}
		}
		if len(b.entries) < 100 {
			t.Errorf("store %d has %d entries only", i+1, len(b.entries))
		}
	}
}
