package vault

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
)

// TestAnchoredRecordsOfASet: the records that a set keeps come in the order in which
// two custodians compare them; buried ones, deposits and those of other sets are
// not among them.
func TestAnchoredRecordsOfASet(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	var want []Record
	for i := byte(1); i <= 20; i++ {
		if i%7 == 0 { // a deposit that waits
			d, _ := testDeposit(i, 1, 8)
			if err := v.Put(d); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r, sealed := putAnchored(t, v, i, 1, 8)
		if i%5 == 0 {
			if err := v.Bury([]Record{r}, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := v.Catalogued(r); !errors.Is(err, ErrAbsent) {
				t.Errorf("catalogue entry of a buried record: %v", err)
			}
			continue
		}
		if got, err := v.Catalogued(r); err != nil || len(got) != 1 || got[0].Leaf != 1 || !bytes.Equal(got[0].Sealed, sealed[0]) {
			t.Errorf("catalogue entry %v, %v", got, err)
		}
		want = append(want, r)
	}
	slices.SortFunc(want, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Office, b.Office), bytes.Compare(a.Commitment[:], b.Commitment[:]))
	})
	list := func() (got []Record) {
		t.Helper()
		if err := v.EachAnchored("CITY", func(r Record) error { got = append(got, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := list(); !slices.Equal(got, want) {
		t.Errorf("%d records, want %d in order", len(got), len(want))
	}
	if sets, err := v.Sets(); err != nil || !slices.Equal(sets, []record.Code{"CITY"}) {
		t.Errorf("sets %v, %v", sets, err)
	}
	stop := errors.New("enough")
	if err := v.EachAnchored("CITY", func(Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the caller: %v", err)
	}
	if err := v.EachAnchored("OTHERS", func(r Record) error { t.Errorf("%x is of another set", r.RID); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, hash := range [][32]byte{{2}, {1}} {
		if err := v.PutRedaction(want[0].RID, hash, []byte("sealed")); err != nil {
			t.Fatal(err)
		}
	}
	var hashes [][32]byte
	err := v.EachRedaction(func(rid RID, hash [32]byte) error {
		if rid != want[0].RID {
			t.Errorf("redaction of record %x", rid)
		}
		hashes = append(hashes, hash)
		return nil
	})
	if err != nil || !slices.Equal(hashes, [][32]byte{{1}, {2}}) {
		t.Errorf("redactions %v, %v", hashes, err)
	}
}
