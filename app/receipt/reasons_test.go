package receipt

import (
	"bytes"
	"encoding/base64"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// TestRareReasons brings about the reasons that no other test does.
func TestRareReasons(t *testing.T) {
	w := newWorld(t, testNetwork(1, 0, 0))
	const size = atLast + 1

	// The last line is the cosignature: name, key hash, time, and 64 bytes.
	text := w.receipt(size, atSingle)
	at := bytes.LastIndexByte(text, ' ') + 1
	signature := must1(base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text[at:]))))
	signature[len(signature)-1] ^= 1
	badCosignature := append(bytes.Clone(text[:at]), base64.StdEncoding.EncodeToString(signature)+"\n"...)

	value := []byte("at 1")
	key := []byte("height/1")
	proof := must1(statetree.Prove(w.state, w.root, statetree.KeyOf(key)))
	state := func(index int64, value []byte) []byte {
		return must1(NewState(w.entries[index], index, w.leaf(size, index).Proof, key, value, proof, w.cosigned(size)))
	}

	later := newWorld(t, w.network)
	unknown := []byte{0x82, 0x01, 0x18, 0x63} // [1, 99]
	later.hashes = append(later.hashes, must1(tlog.StoredHashes(size, unknown, later))...)
	later.entries = append(later.entries, unknown)
	block := later.add(record.BlockEntry{Height: later.height, Time: start, StateRoot: later.root})
	newer := Receipt{
		Index: size, Entry: unknown, Proof: later.leaf(block+1, size).Proof, Leaves: []Leaf{later.leaf(block+1, block)},
		Checkpoint: must1(ParseCheckpoint(later.cosigned(block + 1))),
	}

	entry := func(text []byte) (Verdict, error) { return Verify(w.network, text) }
	ofState := func(text []byte) (Verdict, error) { return VerifyState(w.network, text, nil) }
	for _, c := range []struct {
		name   string
		text   []byte
		verify func([]byte) (Verdict, error)
		want   string
	}{
		{"as it was made", text, entry, "PASSED"},
		{"a bit of the cosignature flipped", badCosignature, entry, "FAILED BAD_COSIGNATURE"},
		{"an entry of a kind that is not known yet", newer.text(), entry, "INDETERMINATE UNKNOWN_ENTRY"},
		{"state as it was made", state(atLast, value), ofState, "PASSED"},
		{"state under an earlier block", state(atBlock2, value), ofState, "FAILED NOT_LAST_BLOCK"},
		{"state under no block", state(atSingle, value), ofState, "FAILED NOT_LAST_BLOCK"},
		{"another value", state(atLast, []byte("at 2")), ofState, "FAILED STATE_NOT_PROVEN"},
		{"absence of what is there", state(atLast, nil), ofState, "FAILED STATE_NOT_PROVEN"},
	} {
		v, err := c.verify(c.text)
		if got := reasonOf(v); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}
