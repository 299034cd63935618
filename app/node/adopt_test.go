package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	cmtstore "github.com/cometbft/cometbft/proto/tendermint/store"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

// newcomer makes a home that has joined the network of another, and has no more.
func newcomer(t *testing.T, of Home) Home {
	t.Helper()
	home := Home(t.TempDir())
	if err := home.create(); err != nil {
		t.Fatal(err)
	}
	for _, file := range []func(Home) string{Home.Genesis, Home.Network} {
		if err := os.WriteFile(file(home), read(t, file(of)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home
}

// contents gives all files of a home.
func contents(t *testing.T, home Home) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(string(home), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&b, "%s %x\n", path, read(t, path))
		} else if err == nil {
			fmt.Fprintln(&b, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// forged copies a backup, changes values of its ledger whose keys begin with some
// bytes, and writes a manifest that agrees with what came of it.
func forged(t *testing.T, backup string, key []byte, change func(value []byte) []byte) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(to, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open(filepath.Join(to, "ledger"), state.NewOptions(state.Options{Exit: func(int) {}}))
	if err != nil {
		t.Fatal(err)
	}
	value, closer, err := db.Get(key)
	if err != nil {
		t.Fatalf("%q: %v", key, err)
	}
	value = change(bytes.Clone(value))
	if err := errors.Join(closer.Close(), db.Set(key, value, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest(read(t, filepath.Join(to, manifestName)))
	if err == nil {
		err = m.hash(t.Context(), to)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(to, manifestName), m.Marshal(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func engineKey(format string, args ...any) []byte {
	return append([]byte{cometdb.PrefixBlockStore}, fmt.Sprintf(format, args...)...)
}

// flipped changes one bit in the middle.
func flipped(value []byte) []byte {
	value[len(value)/2] ^= 1
	return value
}

// TestAdopt: the ledger of a peer's backup is made anew from its blocks, whatever
// the backup says of the state that follows from them.
func TestAdopt(t *testing.T) {
	of, backup, m := backedUp(t)
	s := serve(t, of)
	head := s.node.View().Head()
	halt(t, s)
	for name, from := range map[string]string{
		"as it was made":                  backup,
		"with another value in its state": forged(t, backup, append([]byte{'s'}, "office/CLERK"...), flipped),
	} {
		home := newcomer(t, of)
		last := int64(0)
		a, err := Adopt(home, from, func(height, of int64) { last = height })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.Node != m.Node || a.Entries != m.Entries || a.AppHash != head.AppHash || a.Height != last || a.Eras != 1 {
			t.Errorf("%s: %+v, the node was at %+v", name, a, head)
		}
		if size, err := ledgerSize(home.Ledger()); err != nil || size != m.Entries {
			t.Errorf("%s: %d entries, %v", name, size, err)
		}
		if err := home.CheckRestored(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		before := contents(t, home)
		if _, err := Adopt(home, from, func(int64, int64) {}); !errors.Is(err, ErrNothingMissing) || contents(t, home) != before {
			t.Errorf("%s, twice: %v", name, err)
		}
	}
}

// TestWhatAdoptRefuses: a backup that is damaged, of another network, or not what
// the validators have signed, however well its manifest agrees. Nothing changes.
func TestWhatAdoptRefuses(t *testing.T) {
	of, backup, m := backedUp(t)
	_, other, _ := backedUp(t)
	last := m.Entries - 1
	head := func(t *testing.T) int64 {
		a, err := Adopt(newcomer(t, of), backup, func(int64, int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return a.Height
	}(t)
	damaged := filepath.Join(t.TempDir(), "backup")
	if err := os.CopyFS(damaged, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	var file string
	for _, f := range m.Files {
		if f.part() == "ledger" && f.Size > 0 {
			file = f.Path
		}
	}
	path := filepath.Join(damaged, filepath.FromSlash(file))
	if err := os.WriteFile(path, flipped(read(t, path)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from string
		want       error
		words      string
	}{
		{"a damaged file", damaged, ErrBackupDamaged, file},
		{"another network", other, ErrOtherBackup, "network"},
		{"no backup", t.TempDir(), ErrNoBackup, manifestName},
		{"another entry", forged(t, backup, append([]byte{'e'}, 0, 0, 0, 0, 0, 0, 0, byte(last)), flipped), ErrUntrue, fmt.Sprintf("entry %d", last)},
		{"another transaction", forged(t, backup, engineKey("P:%d:0", head-1), flipped), ErrUntrue, fmt.Sprintf("block %d", head-1)},
		{"another commit of the last block", forged(t, backup, engineKey("SC:%d", head), func(v []byte) []byte {
			v[len(v)-5] ^= 1 // in the signature
			return v
		}), ErrUntrue, fmt.Sprintf("block %d", head)},
		{"the first blocks pruned", forged(t, backup, engineKey("blockStore"), func([]byte) []byte {
			value, err := (&cmtstore.BlockStoreState{Base: 2, Height: head}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return value
		}), ErrPruned, "blocks 2 to"},
	} {
		home := newcomer(t, of)
		before := contents(t, home)
		_, err := Adopt(home, c.from, func(int64, int64) {})
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.words) {
			t.Errorf("%s: %v, want %v and %q", c.name, err, c.want, c.words)
		}
		if contents(t, home) != before {
			t.Errorf("%s: the home is another one", c.name)
		}
	}
	fresh := Home(t.TempDir())
	if _, err := Adopt(fresh, backup, func(int64, int64) {}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("a home of no network: %v", err)
	}
}

// TestAdoptWantsThePins: the trees that closed the eras of the home's network file
// are in the log of the backup, or it is the history of somebody else.
func TestAdoptWantsThePins(t *testing.T) {
	of, backup, m := backedUp(t)
	home := newcomer(t, of)
	n, err := receipt.ParseNetwork(read(t, home.Network()))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		size int64
		want error
	}{{m.Entries, ErrUntrue}, {m.Entries + 1, nil}} { // a pin beyond the backup is for block sync
		closed := n.Eras[0]
		closed.Closed = &receipt.Pin{Size: c.size, Root: record.Hash{1}}
		pinned := n
		pinned.Eras = []receipt.Era{closed, n.Eras[0]}
		if err := os.WriteFile(home.Network(), pinned.Marshal(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Adopt(home, backup, func(int64, int64) {})
		if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), "era 1") {
			t.Errorf("pin of %d entries: %v, want %v", c.size, err, c.want)
		}
	}
}
