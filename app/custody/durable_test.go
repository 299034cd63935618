package custody

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// crashes takes a crash clone of a disk, synced bytes only, before each operation
// that changes it.
type crashes struct {
	mem    *vfs.MemFS
	mu     sync.Mutex
	taking bool
	clones []*vfs.MemFS
	names  []string
	note   func() // called with each clone; nil: nothing
	each   func() // called in the place of cloning; nil: a clone is taken
}

func (c *crashes) fs() vfs.FS {
	return errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.taking && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.each != nil {
			c.each()
		} else if c.taking && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			c.clones = append(c.clones, c.mem.CrashClone(vfs.CrashCloneCfg{}))
			c.names = append(c.names, fmt.Sprintf("%v %s", op.Kind, op.Path))
			if c.note != nil {
				c.note()
			}
		}
		return nil
	}))
}

// take switches the taking on or off and tells how many clones there are.
func (c *crashes) take(on bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taking = on
	return len(c.clones)
}

// wantReached demands that the crashes hit each of the places.
func (c *crashes) wantReached(t *testing.T, places ...string) {
	t.Helper()
	for _, place := range places {
		if !strings.Contains(strings.Join(c.names, "\n"), place) {
			t.Errorf("no crash at %s among %d", place, len(c.names))
		}
	}
}

// TestEveryCrashOfADeposit: whatever a crash cuts a deposit at, the house opens,
// the deposit is whole or can be made again or is swept, and once it was
// acknowledged it is there.
func TestEveryCrashOfADeposit(t *testing.T) {
	ledger, clock, disk := newCity(t), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
	clock.set(today)
	h := openHouse(t, disk.fs(), "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	disk.take(true)
	want := mustDeposit(t, h.Custody, clerk, header, content)
	acknowledged := disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after the acknowledgement")
	late := newCity(t)
	late.block(t, startOf(today+5), "CLERK", "DEMO-MINUTES", "CITY")
	whole, nothing := 0, 0
	for i, clone := range disk.clones {
		t.Run(fmt.Sprintf("%d %s", i, disk.names[i]), func(t *testing.T) {
			h := openHouse(t, clone, "house", ledger, clock)
			wantRings(t, h)
			held, err := h.Holds("CLERK", want)
			if err != nil || i >= acknowledged && !held {
				t.Errorf("held %v, %v", held, err)
			}
			if held {
				whole++
				if got, err := read(h.Custody, clerk, Ref{"CLERK", want}, CaseWork); err != nil || got != minutes {
					t.Errorf("read %q, %v", got, err)
				}
			} else {
				nothing++
				_, err := read(h.Custody, clerk, Ref{"CLERK", want}, CaseWork)
				wantReason(t, "read", err, NotFound)
			}
			sweep := clone.CrashClone(vfs.CrashCloneCfg{})
			if again := mustDeposit(t, h.Custody, clerk, header, content); again != want {
				t.Errorf("deposited again as %x", again[:4])
			}
			if got, err := read(h.Custody, clerk, Ref{"CLERK", want}, CaseWork); err != nil || got != minutes {
				t.Errorf("read after a second deposit: %q, %v", got, err)
			}
			h.close()
			wantSwept(t, sweep, late)
		})
	}
	if whole == 0 || nothing == 0 {
		t.Errorf("%d crashes kept the deposit and %d lost it: the test reached one side only", whole, nothing)
	}
	disk.wantReached(t, "house/vault", "house/rings/ring-CLERK_DEMO-MINUTES-1", "ring-CLERK_DEMO-MINUTES.epoch", "house/rings/office-CLERK.key", "house/access-log")
}

// wantRings wants the ring of every record that a crash has left: a node does not
// start where one is missing.
func wantRings(t *testing.T, h *house) {
	t.Helper()
	if lost, err := LostRings(h.vault, h.rings.Rings()); err != nil || len(lost) != 0 {
		t.Errorf("rings lost: %v, %v", lost, err)
	}
}

// wantSwept opens a house when the last day of all deposits is over: nothing is left.
func wantSwept(t *testing.T, fs vfs.FS, late *city) {
	t.Helper()
	clock := &clock{}
	clock.set(today + 5)
	h := openHouse(t, fs, "house", late, clock)
	defer h.close()
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Records(); n != 0 || err != nil {
		t.Errorf("%d orphans are left, %v", n, err)
	}
}

// TestEveryCrashOfFollowing: whatever a crash cuts the following and sweeping at,
// doing it again ends in the same state.
func TestEveryCrashOfFollowing(t *testing.T) {
	ledger, clock, disk := newCity(t), &clock{}, &crashes{mem: vfs.NewCrashableMem()}
	clock.set(today)
	h := openHouse(t, disk.fs(), "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	kept := mustDeposit(t, h.Custody, clerk, header, content)
	header, content = offer(minutes, "Orphan")
	orphan := mustDeposit(t, h.Custody, clerk, header, content)
	ledger.block(t, startOf(today)+1e9, "CLERK", "DEMO-MINUTES", "CITY", kept)
	ledger.block(t, startOf(today+4), "CLERK", "DEMO-MINUTES", "CITY")
	clock.set(today + 4)
	disk.take(true)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after all")
	before := 0
	for i, clone := range disk.clones {
		h := openHouse(t, clone, "house", ledger, clock)
		if held, err := h.Holds("CLERK", orphan); err != nil {
			t.Error(err)
		} else if held {
			before++
		}
		if err := h.CatchUp(context.Background()); err != nil {
			t.Errorf("crash before %s: %v", disk.names[i], err)
		}
		if held, err := h.Holds("CLERK", orphan); held || err != nil {
			t.Errorf("crash before %s: the orphan is held: %v, %v", disk.names[i], held, err)
		}
		r, ok, err := h.vault.Find("CLERK", kept)
		if err != nil || !ok || !r.Anchored {
			t.Errorf("crash before %s: record %v, %v", disk.names[i], r.Anchored, err)
		}
		if got, err := read(h.Custody, clerk, Ref{"CLERK", kept}, CaseWork); err != nil || got != minutes {
			t.Errorf("crash before %s: read %q, %v", disk.names[i], got, err)
		}
		h.close()
	}
	if before == 0 || before == len(disk.clones) {
		t.Errorf("%d of %d crashes came before the sweep: the test reached one side only", before, len(disk.clones))
	}
	disk.wantReached(t, "house/vault", "house/rings/ring-CLERK_DEMO-MINUTES-1")
}

// TestLineIsOnDiskBeforeContentLeaves looks at the disk as a crash would leave it
// at the moment when the first byte comes out of Read.
func TestLineIsOnDiskBeforeContentLeaves(t *testing.T) {
	ledger, clock, mem := newCity(t), &clock{}, vfs.NewCrashableMem()
	clock.set(today)
	h := openHouse(t, mem, "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, header, content)}
	r, _, err := h.vault.Find(ref.Office, ref.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	size := h.AccessHead().Size
	seen := false
	err = h.Read(context.Background(), clerk, ref, Legal, writerFunc(func(p []byte) (int, error) {
		if seen {
			return len(p), nil
		}
		seen = true
		lines := logLines(t, mem.CrashClone(vfs.CrashCloneCfg{}))
		want := " CLERK/00112233445566ff read " + hex.EncodeToString(r.RID[:]) + " LEGAL allowed "
		if int64(len(lines)) != size+1 || !strings.Contains(lines[len(lines)-1], want) {
			t.Errorf("on disk when content leaves: %q, want a line with %q", lines, want)
		}
		return len(p), nil
	}))
	if err != nil || !seen {
		t.Errorf("read %v, %v", seen, err)
	}
	_, err = read(h.Custody, counsel, ref, CaseWork)
	wantReason(t, "read by counsel for case work", err, Denied)
	_, err = read(h.Custody, clerk, Ref{"CLERK", [32]byte{1}}, CaseWork)
	wantReason(t, "read of no record", err, NotFound)
	lines := strings.Join(logLines(t, mem), "\n")
	for _, want := range []string{
		" CLERK/00112233445566ff deposit ", " - allowed ", " COUNSEL/b0112233445566ff read " + hex.EncodeToString(r.RID[:]) + " CASE_WORK denied ", " read - CASE_WORK absent ",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("no line with %q in\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "Minutes") {
		t.Errorf("the log holds a title:\n%s", lines)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func logLines(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	f, err := fs.Open("house/access-log/access-000000000000.log")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// TestNothingLeavesWithoutALine fills the disk of the access log: every method
// fails and gives nothing, and works again when there is room.
func TestNothingLeavesWithoutALine(t *testing.T) {
	ledger, clock := newCity(t), &clock{}
	clock.set(today)
	var mu sync.Mutex
	full := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if full && strings.HasPrefix(op.Path, "house/access-log") && (op.Kind == errorfs.OpFileWriteAt || op.Kind == errorfs.OpCreate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	fill := func(now bool) { mu.Lock(); full = now; mu.Unlock() }
	h := openHouse(t, fs, "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, header, content)}
	ctx := context.Background()
	fill(true)
	got, err := read(h.Custody, clerk, ref, CaseWork)
	wantReason(t, "read", err, AuditUnavailable)
	segments, err := h.Segments(ctx, clerk, ref, CaseWork)
	wantReason(t, "segments", err, AuditUnavailable)
	car, err := h.Copy(ctx, clerk, ref, CaseWork, Extent{WithName: true})
	wantReason(t, "copy", err, AuditUnavailable)
	evidence, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{}, receipts())
	wantReason(t, "evidence", err, AuditUnavailable)
	hits, _, err := h.Search(ctx, clerk, Query{Text: "minutes", Limit: 5})
	wantReason(t, "search", err, AuditUnavailable)
	if n := len(got) + len(segments) + len(car) + len(evidence) + len(hits); n != 0 {
		t.Errorf("%d bytes left without a line", n)
	}
	_, err = read(h.Custody, counsel, ref, CaseWork)
	wantReason(t, "denied read", err, AuditUnavailable)
	other, more := offer(minutes, "Other")
	_, err = h.Deposit(ctx, clerk, other, bytes.NewReader(more))
	wantReason(t, "deposit", err, AuditUnavailable)
	if n, err := h.Records(); n != 1 || err != nil {
		t.Errorf("%d records, %v; want 1", n, err)
	}
	fill(false)
	if got, err := read(h.Custody, clerk, ref, CaseWork); err != nil || got != minutes {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestNothingReadableOnDisk searches every byte of a stopped custodian for
// content, titles, the record key and leaf secrets. The same search finds the
// content when segments are stored as they are, so it can be trusted.
func TestNothingReadableOnDisk(t *testing.T) {
	const canary, name = "canary of the content 8c1d", "canary of the title 77ab"
	text := strings.Repeat(canary+" and more\n\n", 40)
	header, content := offer(text, name)
	stop := func(t *testing.T, seal func([32]byte, [16]byte, uint32, commitment.Kind, []byte) ([]byte, error)) (string, error) {
		dir, clock := t.TempDir(), &clock{}
		clock.set(today)
		h := openHouse(t, vfs.Default, dir, newCity(t), clock)
		if seal != nil {
			h.seal = seal
		}
		d, err := h.Deposit(context.Background(), clerk, header, bytes.NewReader(content))
		if err == nil {
			ref := Ref{"CLERK", d.Commitment}
			if got, err := read(h.Custody, clerk, ref, CaseWork); err != nil || got != text {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if _, _, err := h.Search(context.Background(), clerk, Query{Text: "canary", Limit: 5}); err != nil {
				t.Error(err)
			}
			if _, err := h.Copy(context.Background(), clerk, ref, CaseWork, Extent{WithName: true}); err != nil {
				t.Error(err)
			}
		}
		h.close()
		return dir, err
	}
	state := commitment.NewState(*header.Key, 64)
	enc, salt, _ := state.Secret(5)
	needles := map[string][]byte{
		"content": []byte(canary), "title": []byte(name), "media type": []byte("text/plain"),
		"record key": header.Key[:], "sealing key": enc[:], "salt": salt[:],
	}
	sealed, err := stop(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, found := range search(t, sealed, needles) {
		t.Errorf("%s is in %v", what, found)
	}
	open, err := stop(t, func(_ [32]byte, _ [16]byte, _ uint32, _ commitment.Kind, payload []byte) ([]byte, error) {
		return payload, nil
	})
	wantReason(t, "deposit that is not sealed", err, Damaged)
	found := search(t, open, needles)
	for _, what := range []string{"content", "title"} {
		if len(found[what]) == 0 {
			t.Errorf("the search does not find the %s where it is not sealed: %v", what, found)
		}
	}
}

// search gives the files below dir that hold a needle, by the needle's name.
func search(t *testing.T, dir string, needles map[string][]byte) map[string][]string {
	t.Helper()
	found, files := map[string][]string{}, 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // stores that are open delete files meanwhile
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		for what, needle := range needles {
			if bytes.Contains(data, needle) {
				found[what] = append(found[what], filepath.Base(path))
			}
		}
		return err
	})
	if err != nil || files < 6 {
		t.Fatalf("searched %d files, %v", files, err)
	}
	return found
}

// TestDamageIsNeverGivenOut changes the sealed bytes of a record one region after
// the other: what comes out is right or nothing.
func TestDamageIsNeverGivenOut(t *testing.T) {
	fs, ledger, clock := vfs.NewMem(), newCity(t), &clock{}
	clock.set(today)
	h := openHouse(t, fs, "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, header, content)}
	r, _, err := h.vault.Find(ref.Office, ref.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	var sealed [][]byte
	err = h.vault.EachSealed(r, func(_ uint32, s []byte) error { sealed = append(sealed, bytes.Clone(s)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	leaves, err := h.vault.Leaves(r)
	if err != nil {
		t.Fatal(err)
	}
	layout, err := h.vault.Layout(r.RID)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(change func(d *vault.Deposit, sealed [][]byte) [][]byte) {
		t.Helper()
		if err := h.vault.Remove(r); err != nil {
			t.Fatal(err)
		}
		d := vault.Deposit{Record: r, Leaves: append([][32]byte{}, leaves...), Layout: bytes.Clone(layout)}
		var changed [][]byte
		for _, s := range sealed {
			changed = append(changed, bytes.Clone(s))
		}
		changed = change(&d, changed)
		d.Sealed = func(yield func([]byte, error) bool) {
			for _, s := range changed {
				if !yield(s, nil) {
					return
				}
			}
		}
		if err := h.vault.Put(d); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(d *vault.Deposit, sealed [][]byte) [][]byte{
		"a bit of the content":    func(_ *vault.Deposit, s [][]byte) [][]byte { s[5][20] ^= 1; return s },
		"a bit of a nonce":        func(_ *vault.Deposit, s [][]byte) [][]byte { s[4][0] ^= 1; return s },
		"two segments swapped":    func(_ *vault.Deposit, s [][]byte) [][]byte { s[4], s[5] = s[5], s[4]; return s },
		"last segment missing":    func(_ *vault.Deposit, s [][]byte) [][]byte { return s[:len(s)-1] },
		"all segments missing":    func(_ *vault.Deposit, _ [][]byte) [][]byte { return nil },
		"a segment doubled":       func(_ *vault.Deposit, s [][]byte) [][]byte { return append(s[:5:5], s[4:]...) },
		"a leaf hash changed":     func(d *vault.Deposit, s [][]byte) [][]byte { d.Leaves[6][0] ^= 1; return s },
		"the layout changed":      func(d *vault.Deposit, s [][]byte) [][]byte { d.Layout[30] ^= 1; return s },
		"more segments than said": func(_ *vault.Deposit, s [][]byte) [][]byte { return append(s, make([][]byte, 20)...) },
	} {
		restore(change)
		got, err := read(h.Custody, clerk, ref, CaseWork)
		wantReason(t, name, err, Damaged)
		if !strings.HasPrefix(minutes, got) {
			t.Errorf("%s: read %q", name, got)
		}
		if car, err := h.Copy(context.Background(), clerk, ref, CaseWork, Extent{WithName: true}); err == nil || car != nil {
			t.Errorf("%s: a copy was made", name)
		}
	}
	restore(func(_ *vault.Deposit, s [][]byte) [][]byte { return s })
	if got, err := read(h.Custody, clerk, ref, CaseWork); err != nil || got != minutes {
		t.Errorf("restored: %q, %v", got, err)
	}
}

// TestRingOfAnotherRootOpensNothing is a stolen disk without its root key.
func TestRingOfAnotherRootOpensNothing(t *testing.T) {
	fs, clock := vfs.NewMem(), &clock{}
	clock.set(today)
	h := openHouse(t, fs, "house", newCity(t), clock)
	header, content := offer(minutes, "Minutes")
	mustDeposit(t, h.Custody, clerk, header, content)
	h.close()
	text, err := keyring.NewRootFile(bytes.NewReader(bytes.Repeat([]byte{7}, 48)), []byte("another passphrase"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.OpenRootFile([]byte("guess"), text); err == nil {
		t.Error("a wrong passphrase opens a root")
	}
	other, err := keyring.OpenRootFile([]byte("another passphrase"), text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open("house/rings", other, keyring.Options{FS: fs}); !errors.Is(err, keyring.ErrRoot) {
		t.Errorf("rings open under another root: %v", err)
	}
}
