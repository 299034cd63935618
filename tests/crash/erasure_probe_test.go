package crash

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/state"
	"github.com/muniment/muniment/store/vault"
)

func byIndex(i record.Index) *apiv1.RecordRef {
	return &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(i)}}
}

// read asks for the original of a document, and gives all that came of it.
func (c *client) read(ctx context.Context, d *document) (string, error) {
	stream, err := c.departments.Read(ctx, &apiv1.ReadRequest{Record: byIndex(d.index), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
	var got strings.Builder
	for err == nil {
		var m *apiv1.ReadResponse
		if m, err = stream.Recv(); err == nil {
			got.Write(m.Chunk)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return got.String(), err
}

// copyOf asks for a copy by the filed redaction.
func (c *client) copyOf(ctx context.Context, d *document, redaction [32]byte) ([]byte, error) {
	stream, err := c.departments.Copy(ctx, &apiv1.CopyRequest{Record: byIndex(d.index), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK, Redactions: [][]byte{redaction[:]}})
	var got []byte
	for err == nil {
		var m *apiv1.CopyResponse
		if m, err = stream.Recv(); err == nil {
			got = append(got, m.Chunk...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return got, err
}

// watch asks for documents without pause until it is ended. What is given out of
// one that is locked, destroyed or redacted is an error of the test, and so is
// anything of a survivor that is not as it was.
func (a *archive) watch(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := a.dial(t)
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			d := a.documents[(i*7)%len(a.documents)]
			got, err := c.read(ctx, d)
			switch {
			case d.fate == lives && err == nil && got != d.content:
				t.Errorf("%s is %q", d.name, got)
			case d.fate == preserved && err == nil && got != d.content:
				t.Errorf("%s, which is held, is %q", d.name, got)
			case (d.fate == destroyed || d.fate == redacted) && (err == nil || got != ""):
				t.Errorf("%s is given out after the lock: %q, %v", d.name, got, err)
			}
			if i%20 == 0 {
				if car, _ := c.copyOf(ctx, a.documents[40], a.redaction); bytes.Contains(car, []byte(a.documents[40].erased)) {
					t.Error("a copy holds what was erased")
				}
			}
			timer := time.NewTimer(5 * time.Millisecond)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

// survives wants every survivor to be given out as it was.
func (a *archive) survives(t *testing.T, c *client) {
	t.Helper()
	for _, d := range a.documents {
		if d.fate != lives {
			continue
		}
		if got, err := c.read(waiting(t), d); err != nil || got != d.content {
			t.Errorf("%s lives, and is %q, %v", d.name, got, err)
		}
	}
}

// opened opens the parts of a home that a killed process has left, in a copy.
type opened struct {
	view  ledger.View
	rings *keyring.Keyring
	vault *vault.Vault
}

// open gives the stores of a copy of the home to a function.
func (a *archive) open(t *testing.T, do func(opened)) {
	t.Helper()
	home := node.Home(filepath.Join(t.TempDir(), "copy"))
	for _, part := range []string{a.home.Ledger(), a.home.Rings(), a.home.Vault(), a.home.Keys()} {
		copyTree(t, part, filepath.Join(string(home), filepath.Base(part)))
	}
	defer os.RemoveAll(string(home))
	db, err := pebble.Open(home.Ledger(), state.NewOptions(state.Options{CacheBytes: 1 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := state.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	root, done, err := home.RingRoot([]byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	rings, err := keyring.Open(home.Rings(), root, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer rings.Close()
	v, err := vault.Open(home.Vault(), vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	do(opened{s.View(), rings, v})
}

func (d *document) ring() keyring.RingID {
	return keyring.RingID{Department: department, Class: d.series}
}

// rids notes where the documents lie in vault and rings, and their sealed states.
func (a *archive) rids(t *testing.T) {
	t.Helper()
	a.open(t, func(o opened) {
		for _, d := range append([]*document{a.attempt}, a.documents...) {
			r, ok, err := o.vault.Find(department, d.id)
			if err != nil || !ok {
				t.Fatalf("%s is not in the vault: %v", d.name, err)
			}
			d.rid = r.RID
		}
	})
	for _, s := range []record.Code{series, otherSeries} {
		a.sealed(t, s)
	}
}

// sealed reads the sealed states of a ring from its store.
func (a *archive) sealed(t *testing.T, s record.Code) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ring")
	copyTree(t, filepath.Join(a.home.Rings(), "ring-"+string(department)+"_"+string(s)+"-1"), dir)
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, d := range append([]*document{a.attempt}, a.documents...) {
		if d.series != s {
			continue
		}
		value, closer, err := db.Get(append([]byte("s"), d.rid[:]...))
		if err != nil {
			t.Fatalf("%s has no state: %v", d.name, err)
		}
		d.sealed = bytes.Clone(value)
		closer.Close()
		if len(a.scan(t, a.home.Rings(), map[string][]byte{d.name: d.sealed})) == 0 {
			t.Fatalf("the search does not find the sealed state of %s where it is", d.name)
		}
	}
}

// quiet is a log of Pebble that nobody reads.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// judge looks at what a killed process has left. A disposition whose report is on
// the ledger, or written, is carried out: no key opens what it erased, and no file of
// the keyring holds it. Whoever lives has a state that opens.
func (a *archive) judge(t *testing.T, when string) (reported int) {
	t.Helper()
	a.open(t, func(o opened) {
		for at, documents := range a.dispositions {
			d, ok, err := ledger.DispositionOf(o.view, at)
			if err != nil || !ok {
				t.Fatalf("%s: disposition %d: %v", when, at, err)
			}
			_, written, err := o.vault.ReportText(at)
			if err != nil {
				t.Fatal(err)
			}
			onLedger := d.Reports[0].Entry != 0
			if onLedger {
				reported++
			}
			if onLedger && !written {
				t.Errorf("%s: disposition %d is reported and has no text", when, at)
			}
			if written {
				a.carriedOut(t, when, o.rings, documents)
			}
		}
		for _, d := range a.documents {
			if _, ok, err := o.rings.State(d.ring(), d.rid); d.fate == lives && (err != nil || !ok) {
				t.Errorf("%s: %s lives and has no state: %v", when, d.name, err)
			}
		}
	})
	return reported
}

func (a *archive) carriedOut(t *testing.T, when string, rings *keyring.Keyring, documents []*document) {
	t.Helper()
	for _, d := range documents {
		_, ok, err := rings.State(d.ring(), d.rid)
		switch {
		case d.fate == destroyed && !errors.Is(err, keyring.ErrDestroyed):
			t.Errorf("%s: %s is reported as destroyed, and its state is there: %v, %v", when, d.name, ok, err)
		case d.fate != destroyed && (err != nil || !ok):
			t.Errorf("%s: %s has no state: %v, %v", when, d.name, ok, err)
		}
		if d.fate == preserved {
			continue
		}
		for _, hit := range a.scan(t, a.home.Rings(), map[string][]byte{"sealed state of " + d.name: d.sealed}) {
			t.Errorf("%s: reported, and there is the %s", when, hit)
		}
	}
}

// scan lists the files below a folder that hold one of the words, as it is or in
// hexadecimal.
func (a *archive) scan(t *testing.T, dir string, words map[string][]byte) (hits []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		for name, word := range words {
			if bytes.Contains(data, word) || bytes.Contains(data, []byte(hex.EncodeToString(word))) {
				hits = append(hits, name+" in "+path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hits
}

// pending is what status says of a running node.
func (a *archive) pending(t *testing.T) int {
	t.Helper()
	program, err := munimentd()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(waiting(t), program, "status", "--home", string(a.home), "--output", "json").Output()
	if err != nil {
		return -1 // it does not serve yet
	}
	var s struct {
		Pending int `json:"erasures_pending,string"`
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s.Pending
}
