package keyring

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestRIDs: what lives is listed, also after a rotation; what was destroyed or
// forgotten is not.
func TestRIDs(t *testing.T) {
	k, err := Open("rings", testRoot(t), Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if got, err := k.RIDs(minutes); len(got) != 0 || err != nil {
		t.Errorf("without a ring: %v, %v", got, err)
	}
	for i := range byte(5) {
		mustPut(t, k, minutes, RID{9 - i}, "state")
	}
	if err := k.Forget(minutes, RID{5}); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]RID{{{6}, {7}, {8}, {9}}, {{6}, {8}, {9}}} {
		if got, err := k.RIDs(minutes); !slices.Equal(got, want) || err != nil {
			t.Errorf("listed %v, %v; want %v", got, err, want)
		}
		if len(want) == 4 {
			mustCarryOut(t, k, minutes, Plan{Changes: []Change{{RID: RID{7}}}})
		}
	}
}
