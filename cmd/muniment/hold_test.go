package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func (d *staffDesk) holds(index uint64) []ledger.HoldOn {
	d.t.Helper()
	return must(ledger.HoldsOn(d.view(), record.Index(index)))
}

// TestS4_10_HoldToItsRelease: every issue and the action are closed, by whom
// may, and another office releases.
func TestS4_10_HoldToItsRelease(t *testing.T) {
	d := newStaff(t)
	r := d.anchored("2020-05-01", "a", "b", "c")
	var placed placed
	d.json("COUNSEL", &placed, "hold", "place", "--kind", "anticipated", "--issues", "2", "--matter", "Elm v. City", numeral(r[0]))
	hold := numeral(uint64(placed.Index))
	if got := d.holds(r[0]); len(got) != 1 || got[0].Hold != record.Index(placed.Index) || got[0].Kind != record.HoldAnticipated || got[0].Office != "COUNSEL" {
		t.Fatalf("holds on the record: %+v", got)
	}
	d.as("COUNSEL", "hold", "extend", hold, "--issues", "1", numeral(r[1])+"-"+numeral(r[2]))
	if len(d.holds(r[1])) != 1 || len(d.holds(r[2])) != 1 {
		t.Error("the extension does not cover the range")
	}
	d.refused("CLERK", "(OPEN_ISSUES)", "hold", "release", hold)
	d.as("COUNSEL", "hold", "resolve", hold, "--action-closed")
	for _, issue := range []string{"1", "3"} {
		d.as("COUNSEL", "hold", "resolve", hold, "--issue", issue)
	}
	d.refused("COUNSEL", "(ISSUE_RESOLVED)", "hold", "resolve", hold, "--issue", "1")
	d.refused("COUNSEL", "(UNKNOWN_ISSUE)", "hold", "resolve", hold, "--issue", "4")
	d.refused("CLERK", "(OPEN_ISSUES)", "hold", "release", hold)
	d.as("COUNSEL", "hold", "resolve", hold, "--issue", "2")
	d.refused("COUNSEL", "(SAME_OFFICE)", "hold", "release", hold)
	d.as("CLERK", "hold", "release", hold)
	if got := d.holds(r[0]); len(got) != 1 || got[0].Released == 0 || got[0].By != "CLERK" {
		t.Errorf("after the release: %+v", got)
	}
	d.refused("COUNSEL", "(HOLD_RELEASED)", "hold", "extend", hold, "--issues", "1")
}

// TestHoldScopes: a department, a series of it, days, the city.
func TestHoldScopes(t *testing.T) {
	d := newStaff(t)
	old, young := d.anchored("2019-01-15", "old")[0], d.anchored("2021-01-15", "young")[0]
	place := func(args ...string) {
		t.Helper()
		d.as("COUNSEL", append([]string{"hold", "place", "--kind", "litigation", "--matter", "a matter"}, args...)...)
	}
	count := func(wantOld, wantYoung int) {
		t.Helper()
		if o, y := len(d.holds(old)), len(d.holds(young)); o != wantOld || y != wantYoung {
			t.Errorf("holds on the old and the young record: %d and %d, want %d and %d", o, y, wantOld, wantYoung)
		}
	}
	place("--department", "PERMITS", "--series", "DEMO-PERMITS", "--from", "2021-01-01")
	count(0, 1)
	place("--department", "PERMITS", "--to", "2020-12-31")
	count(1, 1)
	place("--department", "POLICE")
	count(1, 1)
	place("--city")
	count(2, 2)
	later := d.anchored("2022-01-01", "later")[0]
	if got := d.holds(later); len(got) != 2 {
		t.Errorf("a record that came later: %+v", got)
	}
}

// TestHoldMistakes are found before anything is signed.
func TestHoldMistakes(t *testing.T) {
	d := newStaff(t)
	size := d.view().Head().Size
	base := []string{"--office", "COUNSEL", "hold", "place", "--kind", "litigation", "--matter", "a matter"}
	for _, test := range []struct {
		says string
		args []string
	}{
		{"what is to be held?", nil},
		{"and one of them alone", []string{"5", "--city"}},
		{"and one of them alone", []string{"--city", "--department", "PERMITS"}},
		{"give --department CODE", []string{"--series", "DEMO-PERMITS"}},
		{"days bound", []string{"5", "--from", "2020-01-01"}},
		{"end before they begin", []string{"--city", "--from", "2020-01-02", "--to", "2020-01-01"}},
		{"no day of the calendar: write it as YYYY-MM-DD", []string{"--city", "--from", "2020-13-01"}},
		{"not a code", []string{"--department", "permits"}},
		{"not an entry index", []string{"5-"}},
		{"names no record", []string{"007"}},
		{"is no range", []string{"9-5"}},
		{"named twice", []string{"5-9", "7"}},
		{"at most 1024 issues", []string{"5", "--issues", "1025"}},
		{"(TOO_LARGE)", []string{"1-5000"}},
		{"more than 1048576 records", []string{"1-9999999"}},
	} {
		d.fails(exitUsage, test.says, append(base, test.args...)...)
	}
	for _, args := range [][]string{
		{"place", "--kind", "grudge", "--matter", "x", "5"}, {"place", "--matter", "x", "5"}, {"place", "--kind", "audit", "5"},
		{"place", "--kind", "audit", "--matter", "x", "--matter-file", "y", "5"}, {"extend", "5"}, {"extend"}, {"resolve", "5"},
		{"resolve", "5", "--issue", "1", "--action-closed"}, {"release", "x"}, {"show", "x"}, {"prove", "5"}, {"list", "5"},
	} {
		d.fails(exitUsage, "", append([]string{"--office", "COUNSEL", "hold"}, args...)...)
	}
	if got := d.view().Head().Size; got != size {
		t.Errorf("the log grew from %d to %d entries", size, got)
	}
	if left := must(filepath.Glob(filepath.Join(d.places.state, "*", "*", "matters", "*"))); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestMatterStaysWithTheOffice: the ledger has a salted hash; the opening shows
// which matter it was, and nothing else does.
func TestMatterStaysWithTheOffice(t *testing.T) {
	d := newStaff(t)
	r := numeral(d.anchored("2020-05-01", "a")[0])
	d.file("matter.txt", "Elm v. City\nfile 7\x1b[2J\n")
	var first, second placed
	d.json("COUNSEL", &first, "hold", "place", "--kind", "sealed", "--matter-file", d.path("matter.txt"), r)
	d.json("COUNSEL", &second, "hold", "place", "--kind", "sealed", "--matter-file", d.path("matter.txt"), "--opening", d.path("second.opening"), r)
	a, _, err := ledger.HoldOf(d.view(), record.Index(first.Index))
	b, _, err2 := ledger.HoldOf(d.view(), record.Index(second.Index))
	if err != nil || err2 != nil || a.Matter == b.Matter {
		t.Errorf("two holds of one matter: %x, %x, %v, %v", a.Matter, b.Matter, err, err2)
	}
	if want := filepath.Join("COUNSEL", "matters", hex.EncodeToString(a.Matter[:])+".opening"); !strings.HasSuffix(first.Opening, want) || second.Opening != d.path("second.opening") {
		t.Errorf("openings in %s and %s", first.Opening, second.Opening)
	}
	for _, file := range []string{first.Opening, second.Opening} {
		if mode := must(os.Stat(file)).Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v", file, mode)
		}
	}
	if got := d.as("COUNSEL", "hold", "matter", numeral(uint64(first.Index))); got.stdout != "Elm v. City\nfile 7\\x1b[2J\n" {
		t.Errorf("matter: %q", got.stdout)
	}
	d.as("COUNSEL", "hold", "matter", numeral(uint64(second.Index)), "--opening", d.path("second.opening"))
	d.fails(exitContradicted, "(OTHER_MATTER)", "--office", "COUNSEL", "hold", "matter", numeral(uint64(first.Index)), "--opening", d.path("second.opening"))
	d.fails(exitNotFound, "(NO_SUCH_FILE)", "--office", "COUNSEL", "hold", "matter", numeral(uint64(second.Index)))
	d.fails(exitNotFound, "places no hold", "--office", "COUNSEL", "hold", "matter", r, "--opening", d.path("second.opening"))
	d.refused("COUNSEL", "(FILE_EXISTS)", "hold", "place", "--kind", "sealed", "--matter", "x", "--opening", d.path("second.opening"), r)
	for i := range d.view().Head().Size {
		if bytes.Contains(must(d.view().Entry(record.Index(i))), []byte("Elm v.")) {
			t.Errorf("entry %d has the matter", i)
		}
	}
	d.refused("IT", "(WRONG_ROLE)", "hold", "place", "--kind", "litigation", "--matter", "x", "--opening", d.path("third.opening"), r)
	if exists(d.path("third.opening")) {
		t.Error("the opening of a hold that was refused is still there")
	}
	d.refused("COUNSEL", "place: record 1: there is no such record (UNKNOWN_RECORD)", "hold", "place", "--kind", "litigation", "--matter", "x", r, "1")
	d.refused("COUNSEL", "extend: record 99999: there is no such record (UNKNOWN_RECORD)", "hold", "extend", numeral(uint64(first.Index)), r, "99999")
	d.refused("PERMITS", "record 1: there is no such record (UNKNOWN_RECORD)", "event", "follow", "--series", "DEMO-PERMITS", "1", r)
}

func TestOpeningOfAMatterIsStrict(t *testing.T) {
	o := newOpening([]byte("Elm v. City\n"))
	good := o.marshal()
	if got, err := parseOpening(good); err != nil || got.commitment() != o.commitment() || o.commitment() == ([32]byte{}) {
		t.Fatalf("%q: %v", good, err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if got, err := parseOpening(bad); err == nil && got.commitment() == o.commitment() {
			t.Errorf("byte %d changed: opens the same matter", i)
		}
	}
	for _, bad := range []string{"", matterDomain, matterDomain + strings.Repeat("a", 64) + "\n", matterDomain + strings.Repeat("A", 64) + "\nx",
		matterDomain + strings.Repeat("a", 62) + "\nx", matterDomain + strings.Repeat("a", 64) + "\n\xff", matterDomain + strings.Repeat("a", 64) + "\n" + strings.Repeat("x", maxMatterBytes+1)} {
		if got, err := parseOpening([]byte(bad)); err == nil || got.text != nil {
			t.Errorf("%.90q: accepted", bad)
		}
	}
}

func FuzzOpening(f *testing.F) {
	f.Add(newOpening([]byte("a matter")).marshal())
	f.Add([]byte(matterDomain))
	f.Fuzz(func(t *testing.T, data []byte) {
		if o, err := parseOpening(data); err == nil && !bytes.Equal(o.marshal(), data) {
			t.Errorf("%q reads as what is written %q", data, o.marshal())
		}
	})
}

// TestHoldProof: the file proves not held, held, and released, in one tree.
func TestHoldProof(t *testing.T) {
	d := newStaff(t)
	index := d.anchored("2020-05-01", "a")[0]
	prove := func() heldProof {
		t.Helper()
		var got heldProof
		d.json("CLERK", &got, "hold", "prove", numeral(index), "-o", d.path("held"))
		text := must(os.ReadFile(d.path("held")))
		body, ok := bytes.CutPrefix(text, []byte(heldDomain))
		if n := bytes.Count(body, []byte("c2sp.org/tlog-proof@v1\n")); !ok || n != 5+len(got.Holds) {
			t.Errorf("%d receipts for %d holds: %.60q", n, len(got.Holds), text)
		}
		return got
	}
	if got := prove(); got.Held || len(got.Holds) != 0 || got.Grade != receipt.GradeCity || got.Record != index {
		t.Errorf("without a hold: %+v", got)
	}
	hold := d.acted("COUNSEL", "hold", "place", "--kind", "litigation", "--matter", "x", "--department", "PERMITS")
	own := d.acted("COUNSEL", "hold", "place", "--kind", "audit", "--matter", "x", numeral(index))
	if got := prove(); !got.Held || len(got.Holds) != 2 || numeral(uint64(got.Holds[0].Hold)) != hold || got.Holds[0].Kind != "LITIGATION" || got.Holds[0].Office != "COUNSEL" {
		t.Errorf("with two holds: %+v", got)
	}
	for _, h := range []string{hold, own} {
		d.as("COUNSEL", "hold", "resolve", h, "--action-closed")
		d.as("CLERK", "hold", "release", h)
	}
	if got := prove(); got.Held || len(got.Holds) != 2 || got.Holds[0].Released == 0 || got.Holds[1].Released == 0 {
		t.Errorf("after the releases: %+v", got)
	}
	if r := d.as("CLERK", "hold", "prove", numeral(index), "-o", d.path("again")); !strings.Contains(r.stdout, "not held, after block") || !strings.Contains(r.stderr, "next: muniment-verify") {
		t.Errorf("as text: %q, %q", r.stdout, r.stderr)
	}
	moves := 0
	d.city.set(hooks{moved: func() bool { moves++; return moves == 2 || moves == 7 }})
	if got := prove(); got.Held || moves < 12 {
		t.Errorf("while the ledger moves: %+v after %d proofs", got, moves)
	}
	d.city.set(hooks{stateKey: func(key []byte) []byte { return bytes.ReplaceAll(key, []byte("PERMITS"), []byte("POLICE")) }})
	d.fails(exitContradicted, "(RECEIPT_OF_ANOTHER)", "--office", "CLERK", "hold", "prove", numeral(index), "-o", d.path("never"))
	d.city.set(hooks{moved: func() bool { return true }})
	d.fails(exitUnavailable, "(BUSY)", "--office", "CLERK", "hold", "prove", numeral(index), "-o", d.path("never"))
	if exists(d.path("never")) {
		t.Error("proofs of different trees were written")
	}
}
