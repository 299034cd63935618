package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	"golang.org/x/mod/sumdb/tlog"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// exited is what testOptions panics with where a program would end.
type exited struct{ code int }

func testOptions(fs vfs.FS) *pebble.Options {
	opts := NewOptions(Options{FS: fs, Log: quiet, CacheBytes: 4 << 20, Exit: func(code int) { panic(exited{code}) }})
	opts.MemTableSize = 1 << 20 // a quick open, and more flushes
	return opts
}

func openDB(t testing.TB, opts *pebble.Options) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("ledger", opts)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func openState(t testing.TB, db *pebble.DB) *State {
	t.Helper()
	s, err := Open(db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeDB(t testing.TB, db *pebble.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func commit(t testing.TB, s *State, changes ...ledger.Changes) {
	t.Helper()
	if err := s.Commit(changes...); err != nil {
		t.Fatal(err)
	}
}

func TestBlocksComeBack(t *testing.T) {
	fs := vfs.NewMem()
	db := openDB(t, testOptions(fs))
	s := openState(t, db)
	if got := s.View().Head(); got != (ledger.Head{}) {
		t.Fatalf("head of an empty store %+v, want none", got)
	}
	c := newChain(7)
	commit(t, s, c.next(), c.next()) // genesis goes to disk with block 1
	for range 40 {
		commit(t, s, c.next())
		c.check(t, s.View())
	}
	closeDB(t, db)
	db = openDB(t, testOptions(fs))
	defer closeDB(t, db)
	c.check(t, openState(t, db).View())
}

func TestOpeningWritesNothing(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	openState(t, db)
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	if it.First() {
		t.Fatalf("key %x is there", it.Key())
	}
}

func TestEmptyBlockKeepsOnlyHeightAndTime(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(8)
	commit(t, s, c.next())
	before := dump(t, db)
	commit(t, s, c.block(content{}))
	after := dump(t, db)
	for key, value := range after {
		if changed := !bytes.Equal(before[key], value); changed != (key == string(byte(prefixBlock))) {
			t.Errorf("key %q changed: %t", key, changed)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d keys, want %d", len(after), len(before))
	}
	c.check(t, s.View())
}

// dump gives all that the store holds.
func dump(t testing.TB, db *pebble.DB) map[string][]byte {
	t.Helper()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	all := map[string][]byte{}
	for valid := it.First(); valid; valid = it.Next() {
		all[string(it.Key())] = bytes.Clone(it.Value())
	}
	if err := it.Error(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOldViewsStayWhatTheyWere(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(9)
	type pair struct {
		view ledger.View
		then *chain
	}
	var pairs []pair
	for i := range 60 {
		commit(t, s, c.next())
		pairs = append(pairs, pair{s.View(), c.snapshot()})
		if i%20 == 19 {
			if err := db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range pairs {
		p.then.check(t, p.view)
		for _, a := range c.lines[len(p.then.lines):] {
			if i, ok, err := p.view.AnchorIndex(a.Office, a.Commitment); ok || err != nil {
				t.Fatalf("view of height %d knows later anchor %d: %v", p.then.head.Height, i, err)
			}
		}
	}
}

// Readers hold views while blocks are committed; run with -race.
func TestReadersDuringCommit(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	s := openState(t, db)
	c := newChain(10)
	commit(t, s, c.next())
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v := s.View()
				// The tree of one view is consistent only if all its nodes are of one block: a proof shows it.
				for i := range 40 {
					key := []byte("key " + string(rune('0'+i%10)))
					proof, err := statetree.Prove(v, v.StateRoot(), statetree.KeyOf(key))
					if err != nil {
						t.Errorf("height %d: %v", v.Head().Height, err)
						return
					}
					value, ok, err := v.Value(key)
					if err == nil {
						err = statetree.Verify(v.StateRoot(), statetree.KeyOf(key), value, ok, proof)
					}
					if err != nil {
						t.Errorf("height %d: %v", v.Head().Height, err)
						return
					}
				}
				last := v.Head().Size - 1
				entry, err := v.Entry(record.Index(last))
				if err != nil {
					t.Error(err)
				}
				p, err := tlog.ProveRecord(last+1, last, s)
				if err == nil {
					err = tlog.CheckRecord(p, last+1, logRoot(v.Frontier()), last, record.LeafHash(entry))
				}
				if err != nil {
					t.Errorf("proof of entry %d: %v", last, err)
					return
				}
			}
		})
	}
	for range 300 {
		commit(t, s, c.block(c.randomContent(3, 1, 6)))
	}
	close(stop)
	readers.Wait()
}

func TestOtherFormatsRefused(t *testing.T) {
	for _, test := range []struct {
		name  string
		key   byte
		value []byte // nil deletes
		want  error
	}{
		{"a newer format", prefixFormat, binary.AppendUvarint(nil, format+1), ErrFormat},
		{"no format", prefixFormat, nil, ErrDamaged},
		{"no last block", prefixBlock, nil, ErrDamaged},
		{"a short last block", prefixBlock, make([]byte, 15), ErrDamaged},
		{"no head", prefixHead, nil, ErrDamaged},
		{"an empty head", prefixHead, []byte{}, ErrDamaged},
	} {
		db := openDB(t, testOptions(vfs.NewMem()))
		c := newChain(11)
		commit(t, openState(t, db), c.next(), c.next())
		var err error
		if test.value == nil {
			err = db.Delete([]byte{test.key}, pebble.Sync)
		} else {
			err = db.Set([]byte{test.key}, test.value, pebble.Sync)
		}
		if err != nil {
			t.Fatal(err)
		}
		if s, err := Open(db); !errors.Is(err, test.want) || s != nil {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
		closeDB(t, db)
	}
}

// Each value is checked against another one: whatever is changed behind the back of the store, it does not open, or says so when read.
func TestWhatDoesNotFitTogetherIsFound(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	c := newChain(12)
	s := openState(t, db)
	for range 12 {
		commit(t, s, c.next())
	}
	put := func(key, value []byte) {
		t.Helper()
		if err := db.Set(key, value, nil); err != nil {
			t.Fatal(err)
		}
	}
	head, _, err := s.get([]byte{prefixHead})
	if err != nil {
		t.Fatal(err)
	}
	for i := range head {
		bad := bytes.Clone(head)
		bad[i] ^= 1
		// Network, state root and chain id are not in the checkpoint; Pebble's checksums and genesis.json guard them.
		if i >= 16 && i < 48 || i >= 80 && i < 112 || i >= 114 && i < 114+len(c.head.ChainID) {
			continue
		}
		put([]byte{prefixHead}, bad)
		if _, err := Open(db); !errors.Is(err, ErrDamaged) {
			t.Fatalf("head byte %d changed: got %v, want %v", i, err, ErrDamaged)
		}
	}
	put([]byte{prefixHead}, head)

	tile, _, err := s.get(tileKey(0, c.head.Size/256))
	if err != nil {
		t.Fatal(err)
	}
	for i := range tile {
		bad := bytes.Clone(tile)
		bad[i] ^= 1
		put(tileKey(0, c.head.Size/256), bad)
		if _, err := Open(db); !errors.Is(err, ErrDamaged) {
			t.Fatalf("tile byte %d changed: got %v, want %v", i, err, ErrDamaged)
		}
	}
	put(tileKey(0, c.head.Size/256), tile[:len(tile)-1])
	if _, err := Open(db); !errors.Is(err, ErrDamaged) {
		t.Fatalf("tile cut: got %v, want %v", err, ErrDamaged)
	}
	put(tileKey(0, c.head.Size/256), tile)

	line := appendAnchorKey(nil, c.lines[0].Office, c.lines[0].Commitment)
	value, _, err := s.get(line)
	if err != nil {
		t.Fatal(err)
	}
	put(line, []byte{0x80})
	if _, _, err := s.View().AnchorIndex(c.lines[0].Office, c.lines[0].Commitment); !errors.Is(err, ErrDamaged) {
		t.Fatalf("malformed line of the index: got %v, want %v", err, ErrDamaged)
	}
	if err := db.Delete(line, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(db); !errors.Is(err, ErrDamaged) {
		t.Fatalf("line of the index lost: got %v, want %v", err, ErrDamaged)
	}
	put(line, value)

	if err := db.Delete(entryKey(3), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.View().Entry(3); !errors.Is(err, ErrDamaged) {
		t.Fatalf("entry lost: got %v, want %v", err, ErrDamaged)
	}
	if _, err := s.Entries(0, 10); !errors.Is(err, ErrDamaged) {
		t.Fatalf("entry lost: got %v, want %v", err, ErrDamaged)
	}
	openState(t, db)
}

func TestChangesThatDoNotFollowAreRefused(t *testing.T) {
	genesis := func() (*chain, ledger.Changes) { c := newChain(13); return c, c.next() }
	for name, spoil := range map[string]func(*ledger.Changes){
		"height skipped":          func(c *ledger.Changes) { c.Height++ },
		"first index":             func(c *ledger.Changes) { c.FirstIndex++ },
		"size":                    func(c *ledger.Changes) { c.Size++ },
		"a leaf hash less":        func(c *ledger.Changes) { c.LeafHashes = c.LeafHashes[1:] },
		"a leaf hash changed":     func(c *ledger.Changes) { c.LeafHashes[0][0] ^= 1 },
		"frontier":                func(c *ledger.Changes) { c.Frontier[0][0] ^= 1 },
		"AppHash":                 func(c *ledger.Changes) { c.AppHash[0] ^= 1 },
		"AppHash, twice":          func(c *ledger.Changes) { c.AppHash[0] ^= 1; c.Head.AppHash = c.AppHash },
		"head of another height":  func(c *ledger.Changes) { c.Head.Height++ },
		"another network":         func(c *ledger.Changes) { c.Head.Network[0] ^= 1 },
		"no entries but a change": func(c *ledger.Changes) { c.Entries = nil },
	} {
		db := openDB(t, testOptions(vfs.NewMem()))
		s := openState(t, db)
		c, first := genesis()
		commit(t, s, first)
		then := c.snapshot()
		changes := c.block(c.randomContent(5, 2, 2))
		spoil(&changes)
		if err := s.Commit(changes); !errors.Is(err, ErrNotNext) && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNotNext)
		}
		then.check(t, s.View())
		if err := s.Commit(changes); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: commit after an error: got %v, want %v", name, err, ErrBroken)
		}
		then.check(t, openState(t, db).View())
		closeDB(t, db)
	}
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	c, first := genesis()
	second := c.next()
	if err := openState(t, db).Commit(second); !errors.Is(err, ErrNotNext) {
		t.Errorf("block 1 before genesis: got %v, want %v", err, ErrNotNext)
	}
	if err := openState(t, db).Commit(); !errors.Is(err, ErrNotNext) {
		t.Errorf("no block: got %v, want %v", err, ErrNotNext)
	}
	if err := openState(t, db).Commit(first, first); !errors.Is(err, ErrNotNext) {
		t.Errorf("genesis twice: got %v, want %v", err, ErrNotNext)
	}
	if len(dump(t, db)) != 0 {
		t.Error("a refused commit left something")
	}
}

func TestFormatMarksTheSyncedPart(t *testing.T) {
	db := openDB(t, testOptions(vfs.NewMem()))
	defer closeDB(t, db)
	if got := db.FormatMajorVersion(); got < pebble.FormatWALSyncChunks || got != pebble.FormatNewest {
		t.Errorf("format major version %v, want the newest, at least %v", got, pebble.FormatWALSyncChunks)
	}
}
