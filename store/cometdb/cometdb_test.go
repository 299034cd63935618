package cometdb

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/config"
	"pgregory.net/rapid"
)

// openStore opens a store in memory and closes it at the end of the test;
// Pebble panics there on any iterator that was left open.
func openStore(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return db
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// pairs reads a range through an iterator, as "key=value" strings.
func pairs(t interface{ Fatal(...any) }, db dbm.DB, start, end []byte, reverse bool) []string {
	open := db.Iterator
	if reverse {
		open = db.ReverseIterator
	}
	it, err := open(start, end)
	if err != nil {
		return []string{err.Error()}
	}
	s, e := it.Domain()
	got := []string{fmt.Sprintf("domain %x %x", s, e)}
	for ; it.Valid(); it.Next() {
		got = append(got, fmt.Sprintf("%x=%x", it.Key(), it.Value()))
	}
	if err := it.Error(); err != nil {
		t.Fatal(err)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return got
}

// twin is a view and cometbft-db's own in-memory database, which must answer alike.
type twin struct {
	t           *rapid.T
	view, model dbm.DB
}

func (w twin) same(what string, got, want any) {
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		w.t.Fatalf("%s: got %#v, want %#v", what, got, want)
	}
}

func (w twin) fail(what string, got, want error) { w.same(what, fmt.Sprint(got), fmt.Sprint(want)) }

var (
	drawKey = rapid.Custom(func(t *rapid.T) []byte {
		return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 0, 3).Draw(t, "key")
	})
	drawBound = rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "open") {
			return nil
		}
		return drawKey.Draw(t, "bound")
	})
	drawValue = rapid.Custom(func(t *rapid.T) []byte {
		if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
			return nil
		}
		return rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
	})
)

func (w twin) set(t *rapid.T) {
	k, v := drawKey.Draw(t, "k"), drawValue.Draw(t, "v")
	if rapid.Bool().Draw(t, "sync") {
		w.fail("set sync", w.view.SetSync(k, v), w.model.SetSync(k, v))
	} else {
		w.fail("set", w.view.Set(k, v), w.model.Set(k, v))
	}
}

func (w twin) remove(t *rapid.T) {
	k := drawKey.Draw(t, "k")
	if rapid.Bool().Draw(t, "sync") {
		w.fail("delete sync", w.view.DeleteSync(k), w.model.DeleteSync(k))
	} else {
		w.fail("delete", w.view.Delete(k), w.model.Delete(k))
	}
}

func (w twin) get(t *rapid.T) {
	k := drawKey.Draw(t, "k")
	got, gotErr := w.view.Get(k)
	want, wantErr := w.model.Get(k)
	w.same("get", got, want)
	w.fail("get", gotErr, wantErr)
	gotHas, gotErr := w.view.Has(k)
	wantHas, wantErr := w.model.Has(k)
	w.same("has", gotHas, wantHas)
	w.fail("has", gotErr, wantErr)
}

func (w twin) batch(t *rapid.T) {
	a, b := w.view.NewBatch(), w.model.NewBatch()
	for range rapid.IntRange(0, 5).Draw(t, "writes") {
		k := drawKey.Draw(t, "k")
		if rapid.Bool().Draw(t, "delete") {
			w.fail("batch delete", a.Delete(k), b.Delete(k))
			continue
		}
		v := drawValue.Draw(t, "v")
		w.fail("batch set", a.Set(k, v), b.Set(k, v))
	}
	switch rapid.IntRange(0, 2).Draw(t, "end") {
	case 0:
		w.fail("write", a.Write(), b.Write())
	case 1:
		w.fail("write sync", a.WriteSync(), b.WriteSync())
	}
	w.fail("close", a.Close(), b.Close())
	w.fail("close again", a.Close(), b.Close())
	w.fail("set after", a.Set([]byte("k"), []byte{}), b.Set([]byte("k"), []byte{}))
	w.fail("delete after", a.Delete([]byte("k")), b.Delete([]byte("k")))
	w.fail("write after", a.Write(), b.Write())
}

func (w twin) iterate(t *rapid.T) {
	s, e, reverse := drawBound.Draw(t, "start"), drawBound.Draw(t, "end"), rapid.Bool().Draw(t, "reverse")
	if reverse && s != nil && e != nil && bytes.Compare(s, e) > 0 {
		return // outside the contract, and the model walks the gap
	}
	w.same("iterate", pairs(t, w.view, s, e, reverse), pairs(t, w.model, s, e, reverse))
}

// TestAgainstMemDB runs random operations on a view and its twin, between two
// neighbours that must stay untouched.
func TestAgainstMemDB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: quiet{}})
		if err != nil {
			t.Fatal(err)
		}
		neighbours := []*View{New(store, 0xC1), New(store, 0xC3)}
		for _, n := range neighbours {
			for _, k := range []string{"\x00", "a", "\xff\xff"} {
				if err := n.Set([]byte(k), []byte("neighbour")); err != nil {
					t.Fatal(err)
				}
			}
		}
		w := twin{t: t, view: New(store, 0xC2), model: dbm.NewMemDB()}
		t.Repeat(map[string]func(*rapid.T){
			"set": w.set, "delete": w.remove, "get": w.get, "batch": w.batch, "iterate": w.iterate,
			"": func(t *rapid.T) {
				for _, n := range neighbours {
					if got := len(pairs(t, n, nil, nil, false)); got != 4 {
						t.Fatalf("neighbour has %d lines, want 4", got)
					}
				}
			},
		})
		w.same("all", pairs(t, w.view, nil, nil, false), pairs(t, w.model, nil, nil, false))
		w.same("all downwards", pairs(t, w.view, nil, nil, true), pairs(t, w.model, nil, nil, true))
		if err := store.Close(); err != nil { // panics on a leaked iterator
			t.Fatal(err)
		}
	})
}

func TestProviderOpensTheThreeDatabases(t *testing.T) {
	open := Provider(openStore(t, vfs.NewMem()))
	for _, id := range []string{"blockstore", "state", "evidence"} {
		db, err := open(&config.DBContext{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.SetSync([]byte("id"), []byte(id)); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"blockstore", "state", "evidence"} {
		db, err := open(&config.DBContext{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.Get([]byte("id")); err != nil || string(got) != id {
			t.Errorf("%s after close: got %q, %v", id, got, err)
		}
		if got := pairs(t, db, nil, nil, false); len(got) != 2 {
			t.Errorf("%s holds %v, want its own key alone", id, got)
		}
		if err := db.Compact(nil, nil); err != nil {
			t.Errorf("compact %s: %v", id, err)
		}
		if err := db.Compact([]byte("b"), []byte("a")); err != nil {
			t.Errorf("compact an empty range of %s: %v", id, err)
		}
		if got := db.Stats()["database.type"]; got != "pebble" {
			t.Errorf("stats say %q", got)
		}
	}
	if _, err := open(&config.DBContext{ID: "tx_index"}); !errors.Is(err, ErrUnknownDatabase) {
		t.Errorf("tx_index: got %v, want %v", err, ErrUnknownDatabase)
	}
}

// TestSyncedWritesSurvivePowerLoss drops everything that was not synced.
func TestSyncedWritesSurvivePowerLoss(t *testing.T) {
	cases := []struct {
		name  string
		write func(dbm.DB) error
		want  string // value of "k" afterwards
	}{
		{"set sync", func(db dbm.DB) error { return db.SetSync([]byte("k"), []byte("new")) }, "new"},
		{"set", func(db dbm.DB) error { return db.Set([]byte("k"), []byte("new")) }, "old"},
		{"delete sync", func(db dbm.DB) error { return db.DeleteSync([]byte("k")) }, ""},
		{"batch sync", func(db dbm.DB) error {
			b := db.NewBatch()
			defer b.Close()
			if err := b.Set([]byte("k"), []byte("new")); err != nil {
				return err
			}
			return b.WriteSync()
		}, "new"},
		{"an empty synced batch covers what came before", func(db dbm.DB) error {
			if err := db.Set([]byte("k"), []byte("new")); err != nil {
				return err
			}
			b := db.NewBatch()
			defer b.Close()
			return b.WriteSync()
		}, "new"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			db := New(openStore(t, fs), PrefixState)
			if err := db.SetSync([]byte("k"), []byte("old")); err != nil {
				t.Fatal(err)
			}
			if err := c.write(db); err != nil {
				t.Fatal(err)
			}
			after := New(openStore(t, fs.CrashClone(vfs.CrashCloneCfg{})), PrefixState)
			got, err := after.Get([]byte("k"))
			if err != nil || string(got) != c.want {
				t.Errorf("after power loss: got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestValuesAreCopies(t *testing.T) {
	db := New(openStore(t, vfs.NewMem()), PrefixState)
	if err := db.SetSync([]byte("key"), []byte("value")); err != nil {
		t.Fatal(err)
	}
	it, err := db.Iterator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, v := it.Key(), it.Value()
	k[0], v[0] = 'X', 'X'
	if string(it.Key()) != "key" || string(it.Value()) != "value" {
		t.Error("the iterator gave out its own buffers")
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := it.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if it.Valid() || it.Error() != nil {
		t.Error("a closed iterator must be invalid and without error")
	}
	for name, call := range map[string]func(){"Next": it.Next, "Key": func() { it.Key() }, "Value": func() { it.Value() }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of a closed iterator did not panic", name)
				}
			}()
			call()
		}()
	}
}

// TestTheGateOutlastsLateCalls closes a gate while an iterator is open, and
// calls afterwards.
func TestTheGateOutlastsLateCalls(t *testing.T) {
	store := openStore(t, vfs.NewMem())
	var gate Gate
	db, err := gate.Provider(store)(&config.DBContext{ID: "state"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Set([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	it, err := db.Iterator(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if gate.Close(0) {
		t.Error("the gate closed while an iterator was open")
	}
	if string(it.Key()) != "k" {
		t.Error("the open iterator was disturbed")
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if !gate.Close(time.Minute) || !gate.Close(0) {
		t.Error("the gate did not close after the iterator was")
	}
	never := make(chan struct{})
	go func() {
		_, _ = db.Has([]byte("k"))
		close(never)
	}()
	select {
	case <-never:
		t.Error("a call came through the closed gate")
	case <-time.After(20 * time.Millisecond):
	}
}
