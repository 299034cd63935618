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

// TestAgainstMemDB runs random operations on a view and on cometbft-db's own
// in-memory database, between two neighbours that must stay untouched.
func TestAgainstMemDB(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem(), Logger: quiet{}})
		if err != nil {
			t.Fatal(err)
		}
		below, view, above := New(store, 0xC1), New(store, 0xC2), New(store, 0xC3)
		for _, n := range []*View{below, above} {
			for _, k := range []string{"\x00", "a", "\xff\xff"} {
				if err := n.Set([]byte(k), []byte("neighbour")); err != nil {
					t.Fatal(err)
				}
			}
		}
		model := dbm.NewMemDB()
		key := rapid.Custom(func(t *rapid.T) []byte {
			return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 0, 3).Draw(t, "key")
		})
		bound := rapid.Custom(func(t *rapid.T) []byte {
			if rapid.Bool().Draw(t, "open") {
				return nil
			}
			return key.Draw(t, "bound")
		})
		value := rapid.Custom(func(t *rapid.T) []byte {
			if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
				return nil
			}
			return rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "value")
		})
		same := func(what string, got, want any) {
			if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
				t.Fatalf("%s: got %#v, want %#v", what, got, want)
			}
		}
		fails := func(err error) string { return fmt.Sprint(err) }
		both := func(what string, do func(dbm.DB) error) { same(what, fails(do(view)), fails(do(model))) }
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, v, sync := key.Draw(t, "k"), value.Draw(t, "v"), rapid.Bool().Draw(t, "sync")
				both("set", func(db dbm.DB) error {
					if sync {
						return db.SetSync(k, v)
					}
					return db.Set(k, v)
				})
			},
			"delete": func(t *rapid.T) {
				k, sync := key.Draw(t, "k"), rapid.Bool().Draw(t, "sync")
				both("delete", func(db dbm.DB) error {
					if sync {
						return db.DeleteSync(k)
					}
					return db.Delete(k)
				})
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "k")
				got, gotErr := view.Get(k)
				want, wantErr := model.Get(k)
				same("get", got, want)
				same("get error", fails(gotErr), fails(wantErr))
				gotHas, gotErr := view.Has(k)
				wantHas, wantErr := model.Has(k)
				same("has", gotHas, wantHas)
				same("has error", fails(gotErr), fails(wantErr))
			},
			"batch": func(t *rapid.T) {
				a, b := view.NewBatch(), model.NewBatch()
				for range rapid.IntRange(0, 5).Draw(t, "writes") {
					k := key.Draw(t, "k")
					if rapid.Bool().Draw(t, "delete") {
						same("batch delete", fails(a.Delete(k)), fails(b.Delete(k)))
						continue
					}
					v := value.Draw(t, "v")
					same("batch set", fails(a.Set(k, v)), fails(b.Set(k, v)))
				}
				switch rapid.IntRange(0, 2).Draw(t, "end") {
				case 0:
					same("write", fails(a.Write()), fails(b.Write()))
				case 1:
					same("write sync", fails(a.WriteSync()), fails(b.WriteSync()))
				}
				same("close", fails(a.Close()), fails(b.Close()))
				same("close again", fails(a.Close()), fails(b.Close()))
				same("set after", fails(a.Set([]byte("k"), []byte{})), fails(b.Set([]byte("k"), []byte{})))
				same("delete after", fails(a.Delete([]byte("k"))), fails(b.Delete([]byte("k"))))
				same("write after", fails(a.Write()), fails(b.Write()))
			},
			"iterate": func(t *rapid.T) {
				s, e, reverse := bound.Draw(t, "start"), bound.Draw(t, "end"), rapid.Bool().Draw(t, "reverse")
				if reverse && s != nil && e != nil && bytes.Compare(s, e) > 0 {
					return // outside the contract, and the model walks the gap
				}
				same("iterate", pairs(t, view, s, e, reverse), pairs(t, model, s, e, reverse))
			},
			"": func(t *rapid.T) {
				for _, n := range []*View{below, above} {
					if got := len(pairs(t, n, nil, nil, false)); got != 4 {
						t.Fatalf("neighbour has %d lines, want 4", got)
					}
				}
			},
		})
		same("all", pairs(t, view, nil, nil, false), pairs(t, model, nil, nil, false))
		same("all downwards", pairs(t, view, nil, nil, true), pairs(t, model, nil, nil, true))
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
