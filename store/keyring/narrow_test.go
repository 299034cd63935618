package keyring

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestNarrowedStatesEndWithTheEpoch: the narrower state is there at once and after
// a restart; the one before is counted as forgotten, and the next rotation leaves
// nothing of it in any file.
func TestNarrowedStatesEndWithTheEpoch(t *testing.T) {
	fs, root := vfs.NewMem(), testRoot(t)
	k := openTest(t, fs, root)
	wide, narrow := string(secretValue(1)), string(secretValue(2))
	mustPut(t, k, minutes, rid(1), wide)
	mustPut(t, k, minutes, rid(2), "another")
	sealed, err := k.ring(minutes).sealed(rid(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same again changes nothing
		if err := k.Narrow(minutes, rid(1), []byte(narrow)); err != nil {
			t.Fatal(err)
		}
	}
	wantState(t, k, minutes, rid(1), narrow)
	if n, err := k.Pending(minutes); n != 1 || err != nil {
		t.Errorf("%d states wait for a rotation, %v; want 1", n, err)
	}
	if found := left(t, fs, "rings", [][]byte{sealed}); len(found) == 0 {
		t.Error("the search does not find the state before, though its epoch has not ended")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = openTest(t, fs, root)
	wantState(t, k, minutes, rid(1), narrow)
	if r := mustRotate(t, k, minutes, Erasures{}); r.Ended != 1 || r.Live != 2 {
		t.Errorf("report %+v; want one state ended", r)
	}
	wantState(t, k, minutes, rid(1), narrow)
	wantState(t, k, minutes, rid(2), "another")
	for name, raw := range files(t, fs, "rings") {
		if bytes.Contains(raw, sealed[:16]) {
			t.Errorf("%s holds the state before", name)
		}
	}
}

// TestNarrowRefuses names what cannot be narrowed.
func TestNarrowRefuses(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	mustPut(t, k, minutes, rid(1), "one")
	mustPut(t, k, minutes, rid(2), "two")
	mustDestroy(t, k, minutes, rid(2))
	for name, c := range map[string]struct {
		ring  RingID
		rid   RID
		state []byte
		want  error
	}{
		"no state":         {minutes, rid(1), nil, ErrRing},
		"too large":        {minutes, rid(1), make([]byte, MaxState+1), ErrRing},
		"no such ring":     {RingID{"NONE", "NONE"}, rid(1), []byte("x"), ErrAbsent},
		"no such record":   {minutes, rid(3), []byte("x"), ErrAbsent},
		"destroyed record": {minutes, rid(2), []byte("x"), ErrDestroyed},
	} {
		if err := k.Narrow(c.ring, c.rid, c.state); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	stop := errors.New("the look fails")
	plan := Plan{Changes: []Change{{RID: rid(1), State: []byte("on")}}, LastLook: func() (Preserved, error) { return Preserved{}, stop }}
	if _, err := k.Rotate(minutes, plan); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if err := k.Narrow(minutes, rid(1), []byte("o")); !errors.Is(err, ErrUnfinished) {
		t.Errorf("beside a rotation that is unfinished: %v, want ErrUnfinished", err)
	}
	wantState(t, k, minutes, rid(1), "on")
}
