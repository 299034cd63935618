package vault

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/muniment/muniment/app/record"
)

// putAnchored keeps record number i, of n sealed segments of size bytes, which
// entry 100+i anchors.
func putAnchored(t testing.TB, v *Vault, i byte, n, size int) (Record, [][]byte) {
	t.Helper()
	d, sealed := testDeposit(i, n, size)
	if err := errors.Join(v.Put(d), v.Anchor(Anchor{d.Record.RID, 100 + record.Index(i)})); err != nil {
		t.Fatal(err)
	}
	r, ok, err := v.Find(d.Record.Office, d.Record.Commitment)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return r, sealed
}

func testRelease(i int) record.Release {
	return record.Release{Day: 20000 + record.Day(i), Office: "COUNSEL", Kind: record.ReleaseCopy, Whole: i%2 == 0, Digest: [32]byte{byte(i), byte(i >> 8)}}
}

// TestBuriedRecordsLeaveAResidual: of a record that was erased stays which it was
// and to whom copies went; of a deposit that was erased with it stays nothing.
func TestBuriedRecordsLeaveAResidual(t *testing.T) {
	fs := vfs.NewMem()
	v := openVault(t, fs)
	erased, _ := putAnchored(t, v, 1, 40, 64<<10)
	other, sealed := putAnchored(t, v, 2, 16, 40)
	attempt, _ := testDeposit(3, 16, 40)
	if err := v.Put(attempt); err != nil {
		t.Fatal(err)
	}
	hash := [32]byte{7}
	if err := errors.Join(v.AddRelease(erased.RID, testRelease(1)), v.PutRedaction(erased.RID, hash, []byte("sealed"))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // doing it again changes nothing
		if err := v.Bury([]Record{erased}, []Record{attempt.Record}); err != nil {
			t.Fatal(err)
		}
	}
	v.Close()
	v = openVault(t, fs)
	defer v.Close()
	if _, ok, err := v.Find("CLERK", erased.Commitment); ok || err != nil {
		t.Errorf("a buried record is found: %v, %v", ok, err)
	}
	want := Residual{RID: erased.RID, Office: "CLERK", Series: "DEMO-MINUTES", Commitment: erased.Commitment, Index: 101}
	byName, okName, err1 := v.Buried("CLERK", erased.Commitment)
	byIndex, okIndex, err2 := v.BuriedAt(101)
	if byName != want || byIndex != want || !okName || !okIndex || err1 != nil || err2 != nil {
		t.Errorf("residual %+v, %+v, %v, %v; want %+v", byName, byIndex, err1, err2, want)
	}
	for name, got := range map[string]func() (bool, error){
		"the other record": func() (bool, error) { _, ok, err := v.Buried("CLERK", other.Commitment); return ok, err },
		"the attempt":      func() (bool, error) { _, ok, err := v.Buried("CLERK", attempt.Record.Commitment); return ok, err },
		"another entry":    func() (bool, error) { _, ok, err := v.BuriedAt(102); return ok, err },
		"another office":   func() (bool, error) { _, ok, err := v.Buried("BUILDING", erased.Commitment); return ok, err },
	} {
		if ok, err := got(); ok || err != nil {
			t.Errorf("a residual of %s: %v, %v", name, ok, err)
		}
	}
	if n, releases, err := v.Releases(erased.RID, 64); n != 1 || err != nil || !slices.Equal(releases, []record.Release{testRelease(1)}) {
		t.Errorf("releases %d %v, %v", n, releases, err)
	}
	if got := segmentsOf(t, v, other); !slices.EqualFunc(got, sealed, bytes.Equal) {
		t.Error("the other record changed")
	}
	wantOnly(t, v, erased.RID, prefixResidual, prefixRelease, prefixFreed)
	wantOnly(t, v, attempt.Record.RID, prefixFreed, prefixRemoved)
	for rid, want := range map[RID][2]bool{erased.RID: {true, false}, other.RID: {true, false}, attempt.Record.RID: {false, true}, {77}: {}} {
		if known, removed, err := v.Knows(rid); known != want[0] || removed != want[1] || err != nil {
			t.Errorf("rid %x: known %v, removed %v, %v", rid[:1], known, removed, err)
		}
	}
	again, _ := testDeposit(1, 4, 40)
	again.Record.Commitment = erased.Commitment
	if err := v.Put(again); !errors.Is(err, ErrExists) {
		t.Errorf("a buried record is deposited again: %v, want ErrExists", err)
	}
	if err := v.Put(attempt); err != nil {
		t.Errorf("the attempt is deposited again: %v", err)
	}
}

// wantOnly finds the keys that name a record and wants them to have these prefixes.
func wantOnly(t *testing.T, v *Vault, rid RID, prefixes ...byte) {
	t.Helper()
	var got []byte
	err := v.each([]byte{'a'}, []byte{0xff}, func(key, value []byte) error {
		if bytes.Contains(key, rid[:]) {
			got = append(got, key[0])
		}
		return nil
	})
	slices.Sort(prefixes)
	if slices.Sort(got); err != nil || string(got) != string(prefixes) {
		t.Errorf("record %x has keys %q, %v; want %q", rid[:1], got, err, prefixes)
	}
}

// TestEveryCrashOfABurial: in each the record is whole or buried.
func TestEveryCrashOfABurial(t *testing.T) {
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var clones []*vfs.MemFS
	take := false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if take && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(len(clones))))}))
		}
		return nil
	}))
	v := openVault(t, fs)
	r, sealed := putAnchored(t, v, 1, 30, 4<<10)
	take = true
	if err := errors.Join(v.AddRelease(r.RID, testRelease(1)), v.Bury([]Record{r}, nil)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	take = false
	clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{}))
	mu.Unlock()
	v.Close()
	whole := 0
	for i, clone := range clones {
		again := openVault(t, clone)
		_, ok, err := again.Find("CLERK", r.Commitment)
		_, buried, buriedErr := again.Buried("CLERK", r.Commitment)
		if err != nil || buriedErr != nil || ok == buried || !buried && i == len(clones)-1 {
			t.Errorf("clone %d: found %v, buried %v; %v, %v", i, ok, buried, err, buriedErr)
		}
		if ok {
			whole++
			if got := segmentsOf(t, again, r); !slices.EqualFunc(got, sealed, bytes.Equal) {
				t.Errorf("clone %d: %d segments", i, len(got))
			}
		} else if n, _, err := again.Releases(r.RID, 1); n != 1 || err != nil {
			t.Errorf("clone %d: %d releases, %v", i, n, err)
		}
		again.Close()
	}
	if whole == 0 || whole == len(clones) {
		t.Errorf("%d of %d crashes kept the record: the test reached one side only", whole, len(clones))
	}
}

func TestReleasesAreNumbered(t *testing.T) {
	fs := vfs.NewMem()
	v := openVault(t, fs)
	rid, next := RID{1}, RID{2}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if err := v.AddRelease(rid, testRelease(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 3 {
		if err := v.AddRelease(next, testRelease(i)); err != nil {
			t.Error(err)
		}
	}
	v.Close()
	v = openVault(t, fs)
	defer v.Close()
	n, all, err := v.Releases(rid, 1000)
	seen := map[record.Release]bool{}
	for _, x := range all {
		seen[x] = true
	}
	if n != 100 || len(seen) != 100 || err != nil {
		t.Errorf("%d releases, %d of them different, %v; want 100", n, len(seen), err)
	}
	n, last, err := v.Releases(next, 2)
	if n != 3 || err != nil || !slices.Equal(last, []record.Release{testRelease(1), testRelease(2)}) {
		t.Errorf("%d, last %v, %v", n, last, err)
	}
	if n, last, err := v.Releases(RID{3}, 2); n != 0 || last != nil || err != nil {
		t.Errorf("of a record that was never given out: %d, %v, %v", n, last, err)
	}
	if err := v.AddRelease(rid, record.Release{Office: "CLERK"}); err == nil {
		t.Error("a release without kind was noted")
	}
	if err := v.db.Delete(keyRelease(next, 1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Releases(next, 2); !errors.Is(err, ErrDamaged) {
		t.Errorf("a release is missing: %v", err)
	}
}

func TestRedactionsAndReportsAreFiled(t *testing.T) {
	fs := vfs.NewMem()
	v := openVault(t, fs)
	r, _ := putAnchored(t, v, 1, 4, 40)
	first, second := [32]byte{1}, [32]byte{2}
	if err := errors.Join(v.PutRedaction(r.RID, second, []byte("two")), v.PutRedaction(r.RID, first, []byte("one")), v.PutRedaction(r.RID, first, []byte("again"))); err != nil {
		t.Fatal(err)
	}
	if err := v.PutRedaction(RID{9}, first, []byte("one")); !errors.Is(err, ErrAbsent) {
		t.Errorf("of no record: %v", err)
	}
	if err := v.PutRedaction(r.RID, first, nil); err == nil {
		t.Error("an empty one was kept")
	}
	report := record.ErasureReport{
		Disposition: 5, Custodian: record.KeyID{1}, Claim: record.ClaimFiles, Device: "key file", Followed: 9,
		Records: []record.RecordErasure{{Record: 3, Outcome: record.RecordErased}},
	}
	text, err := report.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := v.PutReport(5, text); err != nil {
			t.Fatal(err)
		}
	}
	report.Followed++
	another, err := report.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.PutReport(5, another); !errors.Is(err, ErrExists) {
		t.Errorf("another text: %v, want ErrExists", err)
	}
	if err := v.PutReport(6, text[1:]); err == nil {
		t.Error("a text that is no report was kept")
	}
	v.Close()
	v = openVault(t, fs)
	defer v.Close()
	if got, ok, err := v.Redaction(r.RID, first); string(got) != "one" || !ok || err != nil {
		t.Errorf("redaction %q, %v, %v", got, ok, err)
	}
	if _, ok, err := v.Redaction(r.RID, [32]byte{3}); ok || err != nil {
		t.Errorf("one that was never filed: %v, %v", ok, err)
	}
	if got, err := v.Redactions(r.RID); err != nil || !slices.Equal(got, [][32]byte{first, second}) {
		t.Errorf("redactions %x, %v", got, err)
	}
	if got, ok, err := v.ReportText(5); !bytes.Equal(got, text) || !ok || err != nil {
		t.Errorf("report %q, %v, %v", got, ok, err)
	}
	if _, ok, err := v.ReportText(6); ok || err != nil {
		t.Errorf("report on another: %v, %v", ok, err)
	}
	if err := v.db.Set(keyReport(6), text, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.ReportText(6); !errors.Is(err, ErrDamaged) {
		t.Errorf("report on another disposition: %v", err)
	}
}

// TestSmallValuesAreStrict flips every byte of what is stored of residuals and
// releases.
func TestSmallValuesAreStrict(t *testing.T) {
	left := Residual{RID: RID{1}, Office: "CLERK", Series: "DEMO-MINUTES", Commitment: record.Commitment{2}, Index: 3}
	given := testRelease(2)
	for name, c := range map[string]struct {
		raw   []byte
		parse func([]byte) (any, []byte, error)
		want  any
	}{
		"residual": {left.marshal(), func(b []byte) (any, []byte, error) {
			r, err := parseResidual(RID{1}, b)
			return r, r.marshal(), err
		}, left},
		"release": {marshalRelease(given), func(b []byte) (any, []byte, error) {
			x, err := parseRelease(b)
			return x, marshalRelease(x), err
		}, given},
	} {
		if got, _, err := c.parse(c.raw); got != c.want || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for i := range c.raw {
			flipped := bytes.Clone(c.raw)
			flipped[i] ^= 0x40
			if got, again, err := c.parse(flipped); err == nil && (got == c.want || !bytes.Equal(again, flipped)) {
				t.Errorf("%s, byte %d flipped: %+v", name, i, got)
			}
			if _, _, err := c.parse(c.raw[:i]); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut to %d bytes: %v", name, i, err)
			}
		}
		if _, _, err := c.parse(append(bytes.Clone(c.raw), 0)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, longer: %v", name, err)
		}
	}
}

func FuzzParseResidual(f *testing.F) {
	f.Add(Residual{Office: "CLERK", Series: "DEMO-MINUTES", Index: 3}.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := parseResidual(RID{1}, raw); err == nil && !bytes.Equal(r.marshal(), raw) || err != nil && r != (Residual{}) {
			t.Errorf("%x: %+v, %v", raw, r, err)
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	f.Add(marshalRelease(testRelease(1)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if x, err := parseRelease(raw); err == nil && !bytes.Equal(marshalRelease(x), raw) || err != nil && x != (record.Release{}) {
			t.Errorf("%x: %+v, %v", raw, x, err)
		}
	})
}
