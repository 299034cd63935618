package node

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/crypto/tmhash"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

const testChain = "muniment-test-1"

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func blockID(fill byte) cmtproto.BlockID {
	hash := bytes.Repeat([]byte{fill}, tmhash.Size)
	return cmtproto.BlockID{Hash: hash, PartSetHeader: cmtproto.PartSetHeader{Total: 1, Hash: hash}}
}

func vote(kind cmtproto.SignedMsgType, height int64, round int32, block byte, second int64) *cmtproto.Vote {
	return &cmtproto.Vote{
		Type: kind, Height: height, Round: round, BlockID: blockID(block), Timestamp: time.Unix(second, 0).UTC(), ValidatorAddress: addressOf(testKey(1)),
	}
}

func addressOf(key ed25519.PrivateKey) []byte { return cmted25519.PrivKey(key).PubKey().Address() }

func proposal(height int64, round int32, block byte, second int64) *cmtproto.Proposal {
	return &cmtproto.Proposal{
		Type: cmtproto.ProposalType, Height: height, Round: round, PolRound: -1,
		BlockID: blockID(block), Timestamp: time.Unix(second, 0).UTC(),
	}
}

// noFatal fails the test where a signer reports that it cannot go on.
func noFatal(t testing.TB) func(error) {
	return func(err error) { t.Errorf("fatal: %v", err) }
}

func newSigner(t *testing.T) *Signer {
	t.Helper()
	path := filepath.Join(t.TempDir(), "validator.state")
	if err := CreateSignerState(path); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSigner(OneValidatorKey(testKey(1)), path, noFatal(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reopened is the signer that a restart would give.
func reopened(t *testing.T, s *Signer) *Signer {
	t.Helper()
	again, err := OpenSigner(OneValidatorKey(testKey(1)), s.path, noFatal(t))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestSignaturesVerify(t *testing.T) {
	s := newSigner(t)
	public := testKey(1).Public().(ed25519.PublicKey)
	p := proposal(1, 0, 'b', 100)
	if err := s.SignProposal(testChain, p); err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(public, types.ProposalSignBytes(testChain, p), p.Signature) {
		t.Error("the proposal's signature does not verify")
	}
	for _, kind := range []cmtproto.SignedMsgType{cmtproto.PrevoteType, cmtproto.PrecommitType} {
		v := vote(kind, 1, 0, 'b', 100)
		if err := s.SignVote(testChain, v); err != nil {
			t.Fatal(err)
		}
		if !ed25519.Verify(public, types.VoteSignBytes(testChain, v), v.Signature) {
			t.Errorf("the signature of %v does not verify", kind)
		}
	}
	if got := s.Height(); got != 1 {
		t.Errorf("height is %d, want 1", got)
	}
}

// TestSignerNeverSignsTwice asks again, before and after a restart, for what
// lies beside a precommit at height 5, round 2.
func TestSignerNeverSignsTwice(t *testing.T) {
	first := vote(cmtproto.PrecommitType, 5, 2, 'b', 100)
	cases := []struct {
		name string
		ask  func(*Signer) ([]byte, time.Time, error)
		want error // nil with same: the first signature and time again
		same bool
	}{
		{"the same vote", askVote(vote(cmtproto.PrecommitType, 5, 2, 'b', 100)), nil, true},
		{"the same vote at a later time", askVote(vote(cmtproto.PrecommitType, 5, 2, 'b', 200)), nil, true},
		{"the same vote at an earlier time", askVote(vote(cmtproto.PrecommitType, 5, 2, 'b', 50)), nil, true},
		{"another block", askVote(vote(cmtproto.PrecommitType, 5, 2, 'c', 100)), ErrConflictingData, false},
		{"another block and time", askVote(vote(cmtproto.PrecommitType, 5, 2, 'c', 200)), ErrConflictingData, false},
		{"no block", askVote(&cmtproto.Vote{Type: cmtproto.PrecommitType, Height: 5, Round: 2, Timestamp: time.Unix(100, 0), ValidatorAddress: addressOf(testKey(1))}), ErrConflictingData, false},
		{"another chain", func(s *Signer) ([]byte, time.Time, error) {
			v := vote(cmtproto.PrecommitType, 5, 2, 'b', 100)
			err := s.SignVote("other", v)
			return v.Signature, v.Timestamp, err
		}, ErrConflictingData, false},
		{"an earlier step", askVote(vote(cmtproto.PrevoteType, 5, 2, 'b', 100)), ErrSignsBack, false},
		{"a proposal of the round", askProposal(proposal(5, 2, 'b', 100)), ErrSignsBack, false},
		{"an earlier round", askVote(vote(cmtproto.PrecommitType, 5, 1, 'b', 100)), ErrSignsBack, false},
		{"an earlier height", askVote(vote(cmtproto.PrecommitType, 4, 9, 'b', 100)), ErrSignsBack, false},
		{"the next round", askVote(vote(cmtproto.PrevoteType, 5, 3, 'c', 100)), nil, false},
		{"the next height", askProposal(proposal(6, 0, 'c', 100)), nil, false},
	}
	for _, restart := range []string{"", " after a restart"} {
		for _, c := range cases {
			t.Run(c.name+restart, func(t *testing.T) {
				s := newSigner(t)
				v := *first
				if err := s.SignVote(testChain, &v); err != nil {
					t.Fatal(err)
				}
				if restart != "" {
					s = reopened(t, s)
				}
				signature, at, err := c.ask(s)
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				if c.want != nil && signature != nil {
					t.Error("a signature came with the refusal")
				}
				if c.same && (!bytes.Equal(signature, v.Signature) || !at.Equal(v.Timestamp)) {
					t.Errorf("got signature %x at %v, want %x at %v", signature, at, v.Signature, v.Timestamp)
				}
				if c.want == nil && !c.same && bytes.Equal(signature, v.Signature) {
					t.Error("a new position got the old signature")
				}
			})
		}
	}
}

func askVote(v *cmtproto.Vote) func(*Signer) ([]byte, time.Time, error) {
	return func(s *Signer) ([]byte, time.Time, error) {
		again := *v
		err := s.SignVote(testChain, &again)
		return again.Signature, again.Timestamp, err
	}
}

func askProposal(p *cmtproto.Proposal) func(*Signer) ([]byte, time.Time, error) {
	return func(s *Signer) ([]byte, time.Time, error) {
		again := *p
		err := s.SignProposal(testChain, &again)
		return again.Signature, again.Timestamp, err
	}
}

func TestSignerRepeatsProposals(t *testing.T) {
	s := newSigner(t)
	signature, at, err := askProposal(proposal(3, 1, 'b', 100))(s)
	if err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	again, againAt, err := askProposal(proposal(3, 1, 'b', 200))(s)
	if err != nil || !bytes.Equal(again, signature) || !againAt.Equal(at) {
		t.Errorf("later time: got %x at %v, %v; want %x at %v", again, againAt, err, signature, at)
	}
	if _, _, err := askProposal(proposal(3, 1, 'c', 100))(s); !errors.Is(err, ErrConflictingData) {
		t.Errorf("another block: got %v, want %v", err, ErrConflictingData)
	}
}

// TestSignerBreaksAtEachStep fails each durable step: no signature may leave,
// nothing is signed afterwards, and a restart may sign again but never differently.
func TestSignerBreaksAtEachStep(t *testing.T) {
	broken := errors.New("disk is broken")
	for _, step := range []string{beforeWrite, beforeSync, beforeRename, beforeDirectory} {
		t.Run(step, func(t *testing.T) {
			s := newSigner(t)
			if _, _, err := askVote(vote(cmtproto.PrecommitType, 1, 0, 'a', 100))(s); err != nil {
				t.Fatal(err)
			}
			var fatal error
			s.fatal = func(err error) { fatal = err }
			s.at = func(at string) error {
				if at == step {
					return broken
				}
				return nil
			}
			signature, _, err := askVote(vote(cmtproto.PrevoteType, 2, 0, 'b', 100))(s)
			if !errors.Is(err, broken) || signature != nil {
				t.Fatalf("got signature %x, %v; want none, %v", signature, err, broken)
			}
			if !errors.Is(fatal, broken) {
				t.Errorf("fatal got %v, want %v", fatal, broken)
			}
			s.at = nil
			if _, _, err := askVote(vote(cmtproto.PrevoteType, 9, 0, 'b', 100))(s); !errors.Is(err, broken) {
				t.Errorf("after the failure: got %v, want %v", err, broken)
			}
			s = reopened(t, s)
			persisted := step == beforeDirectory
			if got := s.Height() == 2; got != persisted {
				t.Errorf("after a restart the height is %d", s.Height())
			}
			_, _, err = askVote(vote(cmtproto.PrevoteType, 2, 0, 'c', 100))(s)
			if persisted && !errors.Is(err, ErrConflictingData) {
				t.Errorf("other vote after a restart: got %v, want %v", err, ErrConflictingData)
			}
			if !persisted && err != nil {
				t.Errorf("vote after a restart: %v", err)
			}
		})
	}
}

func TestSignerRefusesExtensionsAndUnknownTypes(t *testing.T) {
	s := newSigner(t)
	v := vote(cmtproto.PrecommitType, 1, 0, 'b', 100)
	v.Extension = []byte{1}
	if err := s.SignVote(testChain, v); !errors.Is(err, ErrVoteExtension) {
		t.Errorf("extension: got %v, want %v", err, ErrVoteExtension)
	}
	if err := s.SignVote(testChain, vote(cmtproto.ProposalType, 1, 0, 'b', 100)); err == nil {
		t.Error("a vote of type proposal was signed")
	}
	if s.Height() != 0 {
		t.Error("a refusal moved the state")
	}
}

func TestSignerStateMustExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "validator.state")
	if _, err := OpenSigner(OneValidatorKey(testKey(1)), path, noFatal(t)); !errors.Is(err, ErrSignerStateMissing) {
		t.Errorf("missing: got %v, want %v", err, ErrSignerStateMissing)
	}
	if err := CreateSignerState(path); err != nil {
		t.Fatal(err)
	}
	if err := CreateSignerState(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("create again: got %v, want %v", err, os.ErrExist)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSigner(OneValidatorKey(testKey(1)), path, noFatal(t)); !errors.Is(err, ErrStateCorrupt) {
		t.Errorf("empty file: got %v, want %v", err, ErrStateCorrupt)
	}
}

func validSignerState() []byte {
	return marshalSignerState(signerState{12, 3, stepPrecommit, bytes.Repeat([]byte{7}, 64), []byte("signed")})
}

func TestSignerStateFileNoticesEveryByte(t *testing.T) {
	flipEveryByte(t, validSignerState(), func(b []byte) error { _, err := parseSignerState(b); return err })
	flipEveryByte(t, marshalSignerState(signerState{}), func(b []byte) error { _, err := parseSignerState(b); return err })
}

func flipEveryByte(t *testing.T, valid []byte, parse func([]byte) error) {
	t.Helper()
	if err := parse(valid); err != nil {
		t.Fatalf("the valid input is refused: %v", err)
	}
	for i := range valid {
		changed := bytes.Clone(valid)
		changed[i] ^= 1
		if parse(changed) == nil {
			t.Errorf("a flip of byte %d of %d went unnoticed", i, len(valid))
		}
		if parse(valid[:i]) == nil {
			t.Errorf("a cut after %d of %d bytes went unnoticed", i, len(valid))
		}
	}
	if parse(append(bytes.Clone(valid), '\n')) == nil {
		t.Error("a trailing byte went unnoticed")
	}
}

// TestSignerStateWithGoodChecksum refuses contents that no signer writes.
func TestSignerStateWithGoodChecksum(t *testing.T) {
	signature := strings.Repeat("A", 86) + "=="
	for name, lines := range map[string][]string{
		"other header":          {"muniment/v2/signer", "0 0 0", "", ""},
		"negative round":        {signerHeader, "1 -1 3", signature, "c2ln"},
		"unknown step":          {signerHeader, "1 0 4", signature, "c2ln"},
		"leading zero":          {signerHeader, "01 0 3", signature, "c2ln"},
		"position, not signed":  {signerHeader, "1 0 3", "", ""},
		"signed at no position": {signerHeader, "0 0 0", signature, "c2ln"},
		"short signature":       {signerHeader, "1 0 3", "c2ln", "c2ln"},
		"no bytes signed":       {signerHeader, "1 0 3", signature, ""},
		"not base64":            {signerHeader, "1 0 3", signature, "*"},
		"trailing word":         {signerHeader, "1 0 3 4", signature, "c2ln"},
	} {
		if s, err := parseSignerState(withChecksum(lines...)); !errors.Is(err, ErrStateCorrupt) || s.height != 0 {
			t.Errorf("%s: got %+v, %v; want %v", name, s, err, ErrStateCorrupt)
		}
	}
}

func FuzzParseSignerState(f *testing.F) {
	f.Add(validSignerState())
	f.Add(marshalSignerState(signerState{}))
	f.Add([]byte("muniment/v1/signer\n1 0 1\n\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSignerState(data)
		if err == nil && !bytes.Equal(marshalSignerState(s), data) {
			t.Errorf("%q parses and marshals to something else", data)
		}
	})
}
