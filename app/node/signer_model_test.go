package node

import (
	"bytes"
	"path/filepath"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"pgregory.net/rapid"
)

// TestSignerAgainstFilePV asks our signer and CometBFT's own for the same
// random sequence of signatures, with restarts: both must sign the same, at
// the same time, and refuse the same.
func TestSignerAgainstFilePV(t *testing.T) {
	signed, repeated, refused := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		key := filepath.Join(dir, "key.json")
		state := filepath.Join(dir, "state.json")
		theirs := privval.NewFilePV(cmted25519.PrivKey(testKey(1)), key, state)
		theirs.Save()
		ours := newSigner(t)
		var last []byte
		for range rapid.IntRange(1, 25).Draw(rt, "requests") {
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				theirs, ours = privval.LoadFilePV(key, state), reopened(t, ours)
			}
			height, round := rapid.Int64Range(1, 3).Draw(rt, "height"), rapid.Int32Range(0, 1).Draw(rt, "round")
			block, second := rapid.SampledFrom([]byte{'a', 'b'}).Draw(rt, "block"), rapid.Int64Range(100, 102).Draw(rt, "time")
			var a, b []byte
			var same bool
			var errA, errB error
			switch kind := rapid.SampledFrom([]cmtproto.SignedMsgType{cmtproto.ProposalType, cmtproto.PrevoteType, cmtproto.PrecommitType}).Draw(rt, "kind"); kind {
			case cmtproto.ProposalType:
				p, q := proposal(height, round, block, second), proposal(height, round, block, second)
				errA, errB = ours.SignProposal(testChain, p), theirs.SignProposal(testChain, q)
				a, b, same = p.Signature, q.Signature, p.Timestamp.Equal(q.Timestamp)
			default:
				v, w := vote(kind, height, round, block, second), vote(kind, height, round, block, second)
				errA, errB = ours.SignVote(testChain, v), theirs.SignVote(testChain, w)
				a, b, same = v.Signature, w.Signature, v.Timestamp.Equal(w.Timestamp)
			}
			if (errA == nil) != (errB == nil) || !bytes.Equal(a, b) || errA == nil && !same {
				rt.Fatalf("%d/%d: ours gives %x, %v; theirs gives %x, %v; same time %v", height, round, a, errA, b, errB, same)
			}
			switch {
			case errA != nil:
				refused++
			case bytes.Equal(a, last):
				repeated++
			default:
				signed++
			}
			last = a
		}
	})
	if signed == 0 || repeated == 0 || refused == 0 {
		t.Errorf("%d signed, %d repeated, %d refused: not all was compared", signed, repeated, refused)
	}
}
