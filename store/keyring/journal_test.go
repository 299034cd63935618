package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

func testJournal() journal {
	return journal{
		phase: copied, from: 3, erasures: Erasures{Through: 77, Digest: [32]byte{5, 6}}, live: 10, dead: 4, ended: 2, next: []byte("wrapped key of the next epoch"),
		needles: needlesOf(bytes.Repeat([]byte("wrapped"), 9)),
	}
}

func testReport() Report {
	return Report{
		Ring: minutes, From: 3, To: 4, Erasures: Erasures{Through: 77, Digest: [32]byte{5, 6}}, Claim: record.ClaimKey, Live: 10,
		Tombstones: 4, Ended: 2, Preserved: 1, Needles: 6, Files: 12, Bytes: 4096, Hits: 2, Remains: []string{"notes", "ring-A_B-1/000004.sst"},
	}
}

// TestEveryByteOfJournalAndReport flips each bit of both, cuts them everywhere,
// and gives them to another ring.
func TestEveryByteOfJournalAndReport(t *testing.T) {
	j, r := testJournal(), testReport()
	for name, c := range map[string]struct {
		raw   []byte
		parse func(RingID, []byte) (string, error)
		want  error
		whole string
	}{
		"journal": {j.marshal(minutes), func(id RingID, raw []byte) (string, error) {
			j, err := parseJournal(id, raw)
			return fmt.Sprintf("%+v", j), err
		}, ErrJournal, fmt.Sprintf("%+v", j)},
		"report": {r.marshal(), func(id RingID, raw []byte) (string, error) {
			r, err := parseReport(id, raw)
			return fmt.Sprintf("%+v", r), err
		}, errReport, fmt.Sprintf("%+v", r)},
	} {
		if got, err := c.parse(minutes, c.raw); err != nil || got != c.whole {
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.whole)
		}
		if _, err := c.parse(permits, c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s of another ring: %v", name, err)
		}
		for i := range c.raw {
			for bit := range 8 {
				flipped := bytes.Clone(c.raw)
				flipped[i] ^= 1 << bit
				if _, err := c.parse(minutes, flipped); !errors.Is(err, c.want) {
					t.Errorf("%s: bit %d of byte %d flipped: %v", name, bit, i, err)
				}
			}
			if _, err := c.parse(minutes, c.raw[:i]); !errors.Is(err, c.want) {
				t.Errorf("%s: cut at %d: %v", name, i, err)
			}
		}
	}
}

// TestWrongJournals are whole, and say what cannot be.
func TestWrongJournals(t *testing.T) {
	for name, change := range map[string]func(*journal){
		"no phase":           func(j *journal) { j.phase = 0 },
		"unknown phase":      func(j *journal) { j.phase = 4 },
		"no epoch":           func(j *journal) { j.from = 0 },
		"last epoch":         func(j *journal) { j.from = 1<<64 - 1 },
		"entries below zero": func(j *journal) { j.erasures.Through = -1 },
		"key too long":       func(j *journal) { j.next = make([]byte, maxWrapped+1) },
	} {
		j := testJournal()
		change(&j)
		if got, err := parseJournal(minutes, j.marshal(minutes)); !errors.Is(err, ErrJournal) || got.from != 0 || got.needles != nil {
			t.Errorf("%s: %+v, %v; want ErrJournal", name, got, err)
		}
	}
}

// TestJournalThatDoesNotFit is refused, and nothing is removed for it.
func TestJournalThatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		rotations int
		of        RingID
		journal   journal
		unmarked  bool
	}{
		"of a later epoch":                 {0, minutes, journal{phase: copied, from: 2}, false},
		"destroyed, at the old epoch":      {0, minutes, journal{phase: destroyed, from: 1}, false},
		"planned, at the new epoch":        {1, minutes, journal{phase: planned, from: 1}, false},
		"of an earlier epoch":              {2, minutes, journal{phase: copied, from: 1}, false},
		"of a ring that is not there":      {0, permits, journal{phase: planned, from: 1}, false},
		"of a ring that has lost its mark": {0, minutes, journal{phase: planned, from: 1}, true},
	} {
		fs, root := vfs.NewMem(), testRoot(t)
		k := openTest(t, fs, root)
		mustPut(t, k, minutes, rid(1), "one")
		for range c.rotations {
			mustRotate(t, k, minutes, Erasures{})
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(fs, "rings", c.of.journal(), c.journal.marshal(c.of)); err != nil {
			t.Fatal(err)
		}
		marker, err := readFile(fs, "rings", minutes.marker(), maxFile)
		if err != nil {
			t.Fatal(err)
		}
		if c.unmarked {
			if err := fs.Remove("rings/" + minutes.marker()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open("rings", root, Options{FS: fs}); !errors.Is(err, ErrJournal) {
			t.Errorf("%s: %v, want ErrJournal", name, err)
		}
		if err := fs.Remove("rings/" + c.of.journal()); err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(fs, "rings", minutes.marker(), marker); err != nil {
			t.Fatal(err)
		}
		wantState(t, openTest(t, fs, root), minutes, rid(1), "one")
	}
}

// TestEveryByteOfMeta flips each bit of META of a first and of a second epoch.
func TestEveryByteOfMeta(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	mustPut(t, k, minutes, rid(1), "one")
	for epoch := uint64(1); epoch <= 2; epoch++ {
		m := k.ring(minutes).meta
		if m.epoch != epoch {
			t.Fatalf("epoch %d, want %d", m.epoch, epoch)
		}
		r := k.ring(minutes)
		raw := m.marshal(r.aead, minutes)
		for i := range raw {
			for bit := range 8 {
				flipped := bytes.Clone(raw)
				flipped[i] ^= 1 << bit
				m, err := parseMeta(flipped)
				if err == nil && m.epoch == epoch {
					if _, err = unwrapFor(root, m.use(minutes), m.wrapped); err == nil {
						err = m.check(r.aead, minutes)
					}
				} else if err == nil {
					err = ErrDamaged // readMeta compares epochs
				}
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrRoot) {
					t.Errorf("epoch %d: bit %d of byte %d flipped: %v", epoch, bit, i, err)
				}
			}
		}
		mustRotate(t, k, minutes, Erasures{Through: 7, Digest: [32]byte{8}})
	}
	// The same on the disk: a ring whose META is that of another ring does not open.
	r := k.ring(minutes)
	if err := r.db.Set([]byte{prefixMeta}, r.meta.marshal(r.aead, permits), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("rings", root, Options{FS: fs}); !errors.Is(err, ErrDamaged) {
		t.Errorf("META of another ring: %v, want ErrDamaged", err)
	}
}

// TestNeedles: every piece of a value is found wherever it stands, and nothing else.
func TestNeedles(t *testing.T) {
	for _, size := range []int{0, 11, 12, 30, 5000, 9 << 10, 3 << 20} {
		value := bytes.Repeat(secretValue(uint64(size)), size/60+1)[:size]
		for i := range value {
			value[i] ^= byte(i / 60)
		}
		needles := needlesOf(value)
		if len(needles) > maxPieces+2 || size >= pieceSize && len(needles) == 0 {
			t.Errorf("%d needles of %d bytes", len(needles), size)
		}
		h := newHaystack(needles)
		if hits := h.count(append([]byte("before"), value...)); hits < uint64(len(needles)) {
			t.Errorf("%d hits of %d needles of %d bytes", hits, len(needles), size)
		}
		if hits := h.count(bytes.Repeat(secretValue(99), 4000)); hits != 0 {
			t.Errorf("%d hits in other bytes", hits)
		}
		raw := marshalNeedles(nil, needles)
		if got, ok := parseNeedles(raw); !ok || !bytes.Equal(marshalNeedles(nil, got), raw) {
			t.Errorf("needles of %d bytes do not parse", size)
		}
		if _, ok := parseNeedles(append(raw, 0)); ok {
			t.Error("needles with a byte too many parse")
		}
		if newHaystack(needles).count(raw) != 0 {
			t.Error("needles hold what they stand for")
		}
	}
	many := make([]needle, 0, 5000)
	for i := range uint64(5000) {
		many = append(many, needlesOf(secretValue(i))...)
	}
	h := newHaystack(many)
	for i := range uint64(6000) {
		if hits := h.count(secretValue(i)); (hits == 2) != (i < 5000) {
			t.Errorf("value %d: %d hits", i, hits)
		}
	}
}

func FuzzParseJournal(f *testing.F) {
	seal := func(j journal) []byte { raw := j.marshal(minutes); return raw[:len(raw)-32] }
	f.Add(seal(testJournal()))
	f.Add(seal(journal{phase: planned, from: 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := checked(journalDomain, minutes, bytes.Clone(body)) // the hash alone would stop all
		j, err := parseJournal(minutes, raw)
		if err == nil && !bytes.Equal(j.marshal(minutes), raw) || err != nil && (j.from != 0 || j.needles != nil) {
			t.Errorf("%x: %+v, %v", body, j, err)
		}
		if _, err := parseJournal(minutes, body); err == nil {
			t.Errorf("%x: parsed without a hash", body)
		}
	})
}

func FuzzParseReport(f *testing.F) {
	seal := func(r Report) []byte { raw := r.marshal(); return raw[:len(raw)-32] }
	f.Add(seal(testReport()))
	f.Add(seal(Report{Ring: minutes, From: 1}))
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := checked(reportDomain, minutes, bytes.Clone(body))
		r, err := parseReport(minutes, raw)
		if err == nil && (!bytes.Equal(r.marshal(), raw) || r.To != r.From+1) || err != nil && (r.From != 0 || r.Remains != nil) {
			t.Errorf("%x: %+v, %v", body, r, err)
		}
	})
}

// FuzzScan plants a value in other bytes: it is found, whatever surrounds it.
func FuzzScan(f *testing.F) {
	f.Add([]byte("before"), secretValue(1), []byte("after"))
	f.Fuzz(func(t *testing.T, before, value, after []byte) {
		needles := needlesOf(value)
		all := append(append(bytes.Clone(before), value...), after...)
		if h := newHaystack(needles); len(needles) > 0 && h.count(all) == 0 {
			t.Errorf("%x not found in %x", value, all)
		}
	})
}
