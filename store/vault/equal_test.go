package vault

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestEqualsAreNoted notes groups, joins them, and takes records out by burying
// and rewriting them.
func TestEqualsAreNoted(t *testing.T) {
	v := openVault(t, vfs.NewMem())
	defer v.Close()
	var rids []RID
	var records []Record
	for i := byte(1); i <= 6; i++ {
		r, _ := putAnchored(t, v, i, 2, 10)
		rids, records = append(rids, r.RID), append(records, r)
	}
	note := func(groups ...[]RID) {
		t.Helper()
		for range 2 { // again changes nothing
			if err := v.NoteEqual(groups); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(of int, others ...int) {
		t.Helper()
		got, err := v.NotedEqual(rids[of])
		var all []RID
		for _, i := range others {
			all = append(all, rids[i])
		}
		if err != nil || !slices.Equal(got, all) {
			t.Errorf("with %d: %x, %v; want %d", of, got, err, others)
		}
	}
	note([]RID{rids[0]}) // nothing to note
	want(0)
	note([]RID{rids[1], rids[0]}, []RID{rids[3], rids[4]}, []RID{rids[4], rids[5]})
	want(0, 0, 1)
	want(2)
	want(5, 3, 4, 5)
	note([]RID{rids[5], rids[2], rids[0]}) // which joins both
	want(2, 0, 2, 3, 4, 5)
	note([]RID{rids[0], rids[1]})
	want(1, 0, 1, 2, 3, 4, 5)
	if err := v.Bury(records[:1], records[1:2]); err != nil {
		t.Fatal(err)
	}
	if err := v.Rewrite(records[2], func(uint32) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for gone := range 3 {
		want(gone)
	}
	want(4, 3, 4, 5)
}
