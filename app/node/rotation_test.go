package node

import (
	"crypto/ed25519"
	"errors"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"github.com/muniment/muniment/app/record"
)

// rotating are validator keys of which one is present.
type rotating struct {
	keys    []ed25519.PrivateKey
	present int
}

func (r *rotating) validatorKeys() ValidatorKeys {
	return ValidatorKeys{
		All:     func() []ed25519.PrivateKey { return r.keys },
		Present: func() (ed25519.PrivateKey, error) { return r.keys[r.present], nil },
	}
}

func voteOf(key ed25519.PrivateKey, kind cmtproto.SignedMsgType, height int64, round int32, block byte) *cmtproto.Vote {
	v := vote(kind, height, round, block, 100)
	v.ValidatorAddress = addressOf(key)
	return v
}

func newRotatingSigner(t testing.TB, r *rotating) *Signer {
	t.Helper()
	path := t.TempDir() + "/validator.state"
	if err := CreateSignerState(path); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSigner(r.validatorKeys(), path, noFatal(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The engine names the key of a vote; a proposal is signed with the key that the
// engine was told. Both verify, and no height is signed with two.
func TestEachHeightHasOneKey(t *testing.T) {
	r := &rotating{keys: []ed25519.PrivateKey{testKey(1), testKey(2)}}
	s := newRotatingSigner(t, r)
	told, err := s.GetPubKey()
	if err != nil || !told.Equals(cmted25519.PrivKey(testKey(1)).PubKey()) {
		t.Fatalf("told %v, %v", told, err)
	}
	first := voteOf(testKey(1), cmtproto.PrevoteType, 7, 0, 'b')
	if err := s.SignVote(testChain, first); err != nil || !told.VerifySignature(types.VoteSignBytes(testChain, first), first.Signature) {
		t.Fatalf("first key: %v", err)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			if s, err = OpenSigner(r.validatorKeys(), s.path, noFatal(t)); err != nil {
				t.Fatal(err)
			}
		}
		for name, v := range map[string]*cmtproto.Vote{
			"the same vote":  voteOf(testKey(2), cmtproto.PrevoteType, 7, 0, 'b'),
			"the next step":  voteOf(testKey(2), cmtproto.PrecommitType, 7, 0, 'b'),
			"the next round": voteOf(testKey(2), cmtproto.PrevoteType, 7, 1, 'b'),
		} {
			if err := s.SignVote(testChain, v); !errors.Is(err, ErrOtherGeneration) || v.Signature != nil {
				t.Errorf("%s by the second key: got %x, %v", name, v.Signature, err)
			}
		}
		if err := s.SignVote(testChain, voteOf(testKey(3), cmtproto.PrevoteType, 8, 0, 'b')); !errors.Is(err, ErrNotOurKey) {
			t.Errorf("a vote of a stranger: %v", err)
		}
		again := voteOf(testKey(1), cmtproto.PrevoteType, 7, 0, 'b')
		if err := s.SignVote(testChain, again); err != nil || string(again.Signature) != string(first.Signature) {
			t.Errorf("the same vote again: %x, %v", again.Signature, err)
		}
	}
	if s.stale() {
		t.Error("nothing has changed, and the engine was told something else")
	}
	if told, err = s.GetPubKey(); err != nil {
		t.Fatal(err)
	}
	r.present = 1
	if !s.stale() {
		t.Error("the engine goes by the first key, and nobody notices")
	}
	// A proposal is the engine's idea: it is signed with the key that it knows.
	p := proposal(8, 0, 'b', 100)
	if err := s.SignProposal(testChain, p); err != nil || !told.VerifySignature(types.ProposalSignBytes(testChain, p), p.Signature) {
		t.Errorf("proposal: %v", err)
	}
	if told, err = s.GetPubKey(); err != nil || s.stale() {
		t.Errorf("after asking: stale %v, %v", s.stale(), err)
	}
	p = proposal(8, 0, 'b', 100)
	if err := s.SignProposal(testChain, p); !errors.Is(err, ErrOtherGeneration) {
		t.Errorf("the same proposal by the second key: %v", err)
	}
	p = proposal(9, 0, 'b', 100)
	if err := s.SignProposal(testChain, p); err != nil || !told.VerifySignature(types.ProposalSignBytes(testChain, p), p.Signature) {
		t.Errorf("proposal by the second key: %v", err)
	}
	// A key that is gone for good leaves its height closed, and none above it.
	r.keys, r.present = []ed25519.PrivateKey{testKey(3)}, 0
	if s, err = OpenSigner(r.validatorKeys(), s.path, noFatal(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.SignVote(testChain, voteOf(testKey(3), cmtproto.PrevoteType, 9, 0, 'b')); !errors.Is(err, ErrOtherGeneration) {
		t.Errorf("at the height of the dropped key: %v", err)
	}
	if err := s.SignVote(testChain, voteOf(testKey(3), cmtproto.PrevoteType, 10, 0, 'b')); err != nil {
		t.Errorf("above it: %v", err)
	}
}

// TestRotatingSignerModel asks a signer of several keys for a random sequence of
// signatures, with new keys, dropped keys, changes of the present key and
// restarts, and holds what it gave against what a validator may sign.
func TestRotatingSignerModel(t *testing.T) {
	type position struct {
		height int64
		round  int32
		step   cmtproto.SignedMsgType
	}
	signed, refused, rotated := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := &rotating{keys: []ed25519.PrivateKey{testKey(1)}}
		s := newRotatingSigner(t, r)
		bytesAt := map[position]string{}
		keyAt := map[int64]string{}
		for made := byte(1); len(bytesAt) < 12; {
			key := r.keys[rapid.IntRange(0, len(r.keys)-1).Draw(rt, "key")]
			switch rapid.IntRange(0, 9).Draw(rt, "act") {
			case 0:
				if made++; made > 6 {
					return
				}
				r.keys = append(r.keys, testKey(made))
				continue
			case 1:
				r.present = rapid.IntRange(0, len(r.keys)-1).Draw(rt, "present")
				if _, err := s.GetPubKey(); err != nil {
					rt.Fatal(err)
				}
				rotated++
				continue
			case 2:
				if len(r.keys) > 1 {
					r.keys, r.present = r.keys[1:], 0
				}
				fallthrough
			case 3:
				var err error
				if s, err = OpenSigner(r.validatorKeys(), s.path, noFatal(t)); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			at := position{
				height: rapid.Int64Range(1, 4).Draw(rt, "height"), round: rapid.Int32Range(0, 1).Draw(rt, "round"),
				step: rapid.SampledFrom([]cmtproto.SignedMsgType{cmtproto.ProposalType, cmtproto.PrevoteType, cmtproto.PrecommitType}).Draw(rt, "step"),
			}
			block := rapid.SampledFrom([]byte{'a', 'b'}).Draw(rt, "block")
			var text, signature []byte
			var err error
			if at.step == cmtproto.ProposalType {
				p := proposal(at.height, at.round, block, 100)
				err = s.SignProposal(testChain, p)
				text, signature = types.ProposalSignBytes(testChain, p), p.Signature
				key = s.given
				if key == nil {
					key = r.keys[r.present]
				}
			} else {
				v := voteOf(key, at.step, at.height, at.round, block)
				err = s.SignVote(testChain, v)
				text, signature = types.VoteSignBytes(testChain, v), v.Signature
			}
			if err != nil {
				if refused++; signature != nil {
					rt.Fatalf("%+v: a signature came with %v", at, err)
				}
				continue
			}
			signed++
			public := key.Public().(ed25519.PublicKey)
			if !ed25519.Verify(public, text, signature) {
				rt.Fatalf("%+v: the signature is not that of the key", at)
			}
			if earlier, ok := bytesAt[at]; ok && earlier != string(text) {
				rt.Fatalf("%+v was signed twice, differently", at)
			}
			if earlier, ok := keyAt[at.height]; ok && earlier != string(public) {
				rt.Fatalf("height %d was signed with two keys", at.height)
			}
			bytesAt[at], keyAt[at.height] = string(text), string(public)
		}
	})
	if signed == 0 || refused == 0 || rotated == 0 {
		t.Errorf("%d signed, %d refused, %d rotated: not all was tried", signed, refused, rotated)
	}
}

// A node goes by the custodian key that it was started with; that it has another one
// is noticed.
func TestAnotherCustodianKeyIsNoticed(t *testing.T) {
	keys := *memberKeys("custodian")
	keys.Custodian = officeKey("custodian 1")
	for _, c := range []struct {
		node Keys
		fact *record.Node
		want bool
	}{
		{keys, &record.Node{CustodianKey: public(officeKey("custodian 1"))}, false},
		{keys, &record.Node{CustodianKey: public(officeKey("custodian 2"))}, true},
		{*memberKeys("no custodian"), &record.Node{}, false},
	} {
		if got := (&Node{keys: c.node}).otherCustodian(c.fact); got != c.want {
			t.Errorf("another one: %v, want %v", got, c.want)
		}
	}
}
