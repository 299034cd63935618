package vault

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

func openVault(t *testing.T, fs vfs.FS) *Vault {
	t.Helper()
	v, err := Open("vault", Options{FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// testDeposit is record number i, of n sealed segments of size bytes.
func testDeposit(i byte, n, size int) (Deposit, [][]byte) {
	chance := rand.NewChaCha8([32]byte{i})
	sealed := make([][]byte, n)
	for j := range sealed {
		sealed[j] = make([]byte, size)
		chance.Read(sealed[j])
	}
	m := commitment.Manifest{N: uint32(n), Profile: commitment.Raw, Root: [32]byte{i, 1}}
	leaves := make([][32]byte, n)
	for j := range leaves {
		leaves[j] = [32]byte{i, byte(j), byte(j >> 8)}
	}
	return Deposit{
		Record: Record{
			RID: RID{i, 0xff}, Office: "CLERK", Series: "DEMO-MINUTES", Custody: "CITY", Commitment: record.Commitment(m.Commitment()),
			Manifest: m, NotAfter: 20000 + record.Day(i),
		},
		Leaves: leaves, Layout: []byte{i, 2, 3}, Catalogue: []CatalogueLeaf{{1, sealed[0]}},
		Sealed: each(sealed, nil),
	}, sealed
}

// each ranges over segments and ends with an error, if there is one.
func each(sealed [][]byte, err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, s := range sealed {
			if !yield(s, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func segmentsOf(t *testing.T, v *Vault, r Record) (sealed [][]byte) {
	t.Helper()
	err := v.EachSealed(r, func(leaf uint32, s []byte) error {
		if int(leaf) != len(sealed) {
			t.Errorf("leaf %d after %d", leaf, len(sealed))
		}
		sealed = append(sealed, bytes.Clone(s))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestDepositOutlivesTheProcess(t *testing.T) {
	fs := vfs.NewMem()
	v := openVault(t, fs)
	shapes := [][2]int{{16, 40}, {1, 10}, {5000, 60}, {40, 64 << 10}, {24, 1 << 20}}
	for i, shape := range shapes {
		d, _ := testDeposit(byte(i+1), shape[0], shape[1])
		if err := v.Put(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = openVault(t, fs)
	defer v.Close()
	for i, shape := range shapes {
		d, sealed := testDeposit(byte(i+1), shape[0], shape[1])
		r, ok, err := v.Find("CLERK", d.Record.Commitment)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		d.Record.Packs = r.Packs
		if r != d.Record || r.Packs == 0 {
			t.Errorf("record %+v, want %+v", r, d.Record)
		}
		if got := segmentsOf(t, v, r); !slices.EqualFunc(got, sealed, bytes.Equal) {
			t.Errorf("%d segments of %d: %d came back, or changed", shape[0], shape[1], len(got))
		}
		if leaves, err := v.Leaves(r); err != nil || !slices.Equal(leaves, d.Leaves) {
			t.Errorf("%d leaves, %v", len(leaves), err)
		}
		if layout, err := v.Layout(r.RID); err != nil || !bytes.Equal(layout, d.Layout) {
			t.Errorf("layout %x, %v", layout, err)
		}
	}
	n := 0
	err := v.EachCatalogued("CLERK", func(rid RID, leaves []CatalogueLeaf) error {
		n++
		_, sealed := testDeposit(rid[0], 1, shapes[rid[0]-1][1])
		if len(leaves) != 1 || leaves[0].Leaf != 1 || !bytes.Equal(leaves[0].Sealed, sealed[0]) {
			t.Errorf("catalogue of %x: %d leaves", rid[:1], len(leaves))
		}
		return nil
	})
	if err != nil || n != len(shapes) {
		t.Errorf("%d catalogue entries, %v", n, err)
	}
	if count, err := v.Count(); err != nil || count != uint64(len(shapes)) {
		t.Errorf("count %d, %v", count, err)
	}
}

func TestPacksHaveTheirSize(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	d, _ := testDeposit(1, 40, 64<<10+28)
	if err := v.Put(d); err != nil {
		t.Fatal(err)
	}
	err := v.each([]byte{prefixPack}, nil, func(key, value []byte) error {
		if len(value) > packTarget || len(value) < packTarget/2 && key[len(key)-1] != 13 {
			t.Errorf("pack %x of %d bytes", key, len(value))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Put(d); !errors.Is(err, ErrExists) {
		t.Errorf("same deposit again: %v, want ErrExists", err)
	}
}

func TestFailedDepositLeavesNothing(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	broken := errors.New("client went away")
	for _, n := range []int{0, 3, 200} { // 200 segments of 64 KiB: some were written
		d, sealed := testDeposit(1, 256, 64<<10)
		d.Sealed = each(sealed[:n], broken)
		if err := v.Put(d); !errors.Is(err, broken) {
			t.Errorf("after %d segments: %v", n, err)
		}
		wantEmpty(t, v)
	}
}

func wantEmpty(t *testing.T, v *Vault, beside ...byte) {
	t.Helper()
	err := v.each([]byte{'a'}, []byte{0xff}, func(key, _ []byte) error {
		if key[0] != prefixPosition && key[0] != prefixFreed && !slices.Contains(beside, key[0]) {
			t.Errorf("left over: %x", key)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnchorsAndOverdueDeposits(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	var deposits []Deposit
	for i := byte(1); i <= 4; i++ {
		d, _ := testDeposit(i, 16, 40)
		if i == 4 {
			d.Record.NotAfter = -5 // before 1970: days are ordered as numbers
		}
		if err := v.Put(d); err != nil {
			t.Fatal(err)
		}
		deposits = append(deposits, d)
	}
	overdue := func(day record.Day) string {
		records, err := v.Overdue(day)
		if err != nil {
			t.Fatal(err)
		}
		var firsts []string
		for _, r := range records {
			firsts = append(firsts, fmt.Sprint(r.RID[0]))
		}
		return strings.Join(firsts, " ")
	}
	for day, want := range map[record.Day]string{-5: "", -4: "4", 20001: "4", 20002: "4 1", 20003: "4 1 2", 30000: "4 1 2 3"} {
		if got := overdue(day); got != want {
			t.Errorf("overdue before %d: %q, want %q", day, got, want)
		}
	}
	if at, err := v.Position(); at != 0 || err != nil {
		t.Errorf("position %d, %v", at, err)
	}
	for range 2 { // doing it again changes nothing
		if err := v.Advance(77, []Anchor{{deposits[0].Record.RID, 70}, {RID{99}, 71}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Anchor(Anchor{deposits[3].Record.RID, 12}); err != nil {
		t.Fatal(err)
	}
	if at, err := v.Position(); at != 77 || err != nil {
		t.Errorf("position %d, %v", at, err)
	}
	r, _, err := v.Record(deposits[0].Record.RID)
	if err != nil || !r.Anchored || r.Index != 70 {
		t.Errorf("record %+v, %v", r, err)
	}
	if got := overdue(30000); got != "2 3" {
		t.Errorf("overdue %q, want 2 3", got)
	}
	for _, d := range deposits {
		r, _, err := v.Record(d.Record.RID)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Remove(r); err != nil {
			t.Fatal(err)
		}
	}
	wantEmpty(t, v, prefixRemoved)
}

// TestEveryCrashOfADeposit takes a crash clone of the disk before each operation
// that changes it. In each the record is whole or nothing of it is left, and it is
// whole once Put had returned.
func TestEveryCrashOfADeposit(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var clones []*vfs.MemFS
	take, operations := false, 0
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if !take || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		// The log is written in blocks of 32 KiB: of these one in 32 is enough.
		if operations++; op.Kind != errorfs.OpFileWrite || operations%32 == 0 {
			// Half of what was not synced survives: packs without their record too.
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(len(clones))))}))
		}
		return nil
	}))
	v := openVault(t, fs)
	d, sealed := testDeposit(1, 80, 64<<10) // 5 MiB: several batches
	take = true
	if err := v.Put(d); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	take = false
	clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{}))
	mu.Unlock()
	whole := 0
	for i, clone := range clones {
		again := openVault(t, clone)
		r, ok, err := again.Find("CLERK", d.Record.Commitment)
		switch {
		case err != nil:
			t.Error(err)
		case ok:
			whole++
			if got := segmentsOf(t, again, r); !slices.EqualFunc(got, sealed, bytes.Equal) {
				t.Errorf("clone %d: %d segments came back, or changed", i, len(got))
			}
		case i == len(clones)-1:
			t.Error("a deposit that was acknowledged is lost")
		default:
			wantEmpty(t, again)
		}
		again.Close()
	}
	if whole == len(clones) || len(clones) < 4 {
		t.Errorf("%d of %d crashes kept the record: the test reached one side only", whole, len(clones))
	}
	v.Close()
}

func TestUnfinishedPacksAreRemoved(t *testing.T) {
	fs := vfs.NewMem()
	v := openVault(t, fs)
	d, _ := testDeposit(1, 128, 64<<10)
	w := &writer{vault: v, rid: d.Record.RID, batch: v.db.NewBatch()}
	if err := w.deposit(d); err != nil {
		t.Fatal(err)
	}
	if !w.begun {
		t.Fatal("the deposit fits in one batch: the test proves nothing")
	}
	if err := w.batch.Close(); err != nil { // as a crash before the last write
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = openVault(t, fs)
	defer v.Close()
	wantEmpty(t, v)
}

// TestDamageIsNoticed changes stored values one by one.
func TestDamageIsNoticed(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	d, _ := testDeposit(1, 16, 40)
	if err := v.Put(d); err != nil {
		t.Fatal(err)
	}
	r, _, err := v.Find("CLERK", d.Record.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		_, _, findErr := v.Find("CLERK", d.Record.Commitment)
		_, leavesErr := v.Leaves(r)
		return errors.Join(findErr, leavesErr, v.EachSealed(r, func(uint32, []byte) error { return nil }),
			v.EachCatalogued("CLERK", func(RID, []CatalogueLeaf) error { return nil }))
	}
	for name, key := range map[string][]byte{
		"record": keyRecord(r.RID), "pack": keyPack(r.RID, 0), "leaves": keyLeaves(r.RID, 0),
		"index": keyIndex("CLERK", r.Commitment), "catalogue": keyCatalogue("CLERK", r.RID),
	} {
		value, ok, err := v.get(key)
		if err != nil || !ok {
			t.Fatal(name, err)
		}
		for what, bad := range map[string][]byte{"cut": value[:len(value)-1], "longer": append(bytes.Clone(value), 0), "empty": {}} {
			if err := v.db.Set(key, bad, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
			if err := read(); !errors.Is(err, ErrDamaged) && !(name == "catalogue" && what == "empty") {
				t.Errorf("%s %s: %v, want ErrDamaged", name, what, err)
			}
		}
		if err := v.db.Set(key, value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.db.Delete(keyPack(r.RID, 0), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, ErrDamaged) {
		t.Errorf("pack missing: %v, want ErrDamaged", err)
	}
}

func TestRecordBytes(t *testing.T) {
	d, _ := testDeposit(1, 16, 40)
	r := d.Record
	r.Anchored, r.Index, r.Packs, r.Since = true, 5, 6, 7
	raw := r.marshal()
	if got, err := parseRecord(r.RID, raw); err != nil || got != r {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range raw {
		flipped := bytes.Clone(raw)
		flipped[i] ^= 0x40
		if got, err := parseRecord(r.RID, flipped); err == nil && (got == r || !bytes.Equal(got.marshal(), flipped)) {
			t.Errorf("byte %d flipped reads as %+v", i, got)
		}
		if _, err := parseRecord(r.RID, raw[:i]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestLayoutIsSealed(t *testing.T) {
	facts := []LeafFact{{commitment.Metadata, false, 30}, {commitment.Digest, false, 40}, {commitment.Content, true, 1 << 20}, {commitment.Padding, false, 0}}
	key, rid := [32]byte{1}, RID{2}
	sealed, err := SealLayout(key, rid, facts)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenLayout(key, rid, sealed); err != nil || !slices.Equal(got, facts) {
		t.Errorf("%v, %v", got, err)
	}
	for i := range sealed {
		flipped := bytes.Clone(sealed)
		flipped[i] ^= 1
		if got, err := OpenLayout(key, rid, flipped); !errors.Is(err, ErrLayout) || got != nil {
			t.Errorf("byte %d flipped: %v, %v", i, got, err)
		}
	}
	if _, err := OpenLayout([32]byte{3}, rid, sealed); !errors.Is(err, ErrLayout) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := OpenLayout(key, RID{3}, sealed); !errors.Is(err, ErrLayout) {
		t.Errorf("of another record: %v", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	d, _ := testDeposit(1, 16, 40)
	f.Add(d.Record.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := parseRecord(RID{1}, raw); err == nil && !bytes.Equal(r.marshal(), raw) || err != nil && r != (Record{}) {
			t.Errorf("%x: %+v, %v", raw, r, err)
		}
	})
}

func FuzzParseLayout(f *testing.F) {
	f.Add(marshalLayout([]LeafFact{{commitment.Metadata, false, 300}, {commitment.Content, true, 0}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if facts, err := parseLayout(raw); err == nil && !bytes.Equal(marshalLayout(facts), raw) || err != nil && facts != nil {
			t.Errorf("%x: %v, %v", raw, facts, err)
		}
	})
}

func FuzzParsePack(f *testing.F) {
	p := packer{}
	p.add([]byte("first"))
	p.add([]byte("second"))
	pack := make([]byte, p.size())
	p.write(pack)
	f.Add(pack)
	f.Fuzz(func(t *testing.T, raw []byte) {
		p := packer{}
		if _, err := eachInPack(raw, 0, func(_ uint32, sealed []byte) error { p.add(sealed); return nil }); err != nil {
			return
		}
		if again := make([]byte, p.size()); p.size() != len(raw) {
			t.Errorf("%x: %d bytes", raw, p.size())
		} else if p.write(again); !bytes.Equal(again, raw) {
			t.Errorf("%x: wrote %x", raw, again)
		}
	})
}

func FuzzParseCatalogue(f *testing.F) {
	f.Add(marshalCatalogue([]CatalogueLeaf{{1, []byte("sealed")}, {2, nil}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if leaves, err := parseCatalogue(raw); err == nil && !bytes.Equal(marshalCatalogue(leaves), raw) {
			t.Errorf("%x: %v", raw, leaves)
		}
	})
}

// TestFailedSyncOfTheVaultIsFatal: after a failed sync Put does not return.
func TestFailedSyncOfTheVaultIsFatal(t *testing.T) {
	var mu sync.Mutex
	broken := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if broken && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
			return errors.New("input/output error")
		}
		return nil
	}))
	told := make(chan error, 16)
	v, err := Open("vault", Options{FS: fs, Fatal: func(err error) {
		told <- err
		select {} // a process that ends does not go on
	}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := testDeposit(1, 16, 40)
	if err := v.Put(d); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	broken = true
	mu.Unlock()
	d, _ = testDeposit(2, 16, 40)
	returned := make(chan error, 1)
	go func() { returned <- v.Put(d) }()
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("fatal: %v", err)
		}
	case err := <-returned:
		t.Errorf("Put returned %v after a failed sync", err)
	}
}
