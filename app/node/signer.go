package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cometbft/cometbft/crypto"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/protoio"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

var (
	// ErrSignerStateMissing is returned where the file that says what this
	// validator has signed is not there. Going on without it could sign twice.
	ErrSignerStateMissing = errors.New("validator state file is missing")
	// ErrSignerStateOld is returned where the chain holds a later signature of
	// this validator than its state file knows of: the file was restored.
	ErrSignerStateOld = errors.New("validator state file is older than the chain")
	// ErrSignsBack is returned for a height, round and step below the last one signed.
	ErrSignsBack = errors.New("height, round or step is below the last one signed")
	// ErrConflictingData is returned where the same height, round and step was
	// signed with other content.
	ErrConflictingData = errors.New("other content was signed at this height, round and step")
	// ErrOtherGeneration is returned where another key of this validator has
	// signed at the height: one height has one key.
	ErrOtherGeneration = errors.New("another key of this validator has signed at this height")
	// ErrNotOurKey is returned for a vote in the name of a key that the home has not.
	ErrNotOurKey = errors.New("home has no validator key of this address")
	// ErrVoteExtension is returned for a vote extension: this network has none.
	ErrVoteExtension = errors.New("vote extensions are not signed")
)

// step is the third part of a position in consensus.
type step int8

const (
	stepNone step = iota
	stepPropose
	stepPrevote
	stepPrecommit
)

const signerHeader = "muniment/v1/signer"

// signerState is the last thing that the validator signed.
type signerState struct {
	height    int64
	round     int32
	step      step
	signature []byte // 64 bytes; empty before the first signature
	signBytes []byte // what the signature covers: a delimited canonical vote or proposal
}

// compare orders two positions as -1, 0 or 1.
func (s signerState) compare(height int64, round int32, at step) int {
	for _, d := range []int64{s.height - height, int64(s.round) - int64(round), int64(s.step) - int64(at)} {
		switch {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
	}
	return 0
}

// marshalSignerState writes a state as four lines and their checksum.
func marshalSignerState(s signerState) []byte {
	return withChecksum(
		signerHeader,
		fmt.Sprintf("%d %d %d", s.height, s.round, s.step),
		base64.StdEncoding.EncodeToString(s.signature),
		base64.StdEncoding.EncodeToString(s.signBytes),
	)
}

// parseSignerState reads what marshalSignerState wrote, and nothing else.
func parseSignerState(data []byte) (signerState, error) {
	lines, err := checkedLines(data, 4)
	if err != nil {
		return signerState{}, err
	}
	var s signerState
	if _, err := fmt.Sscanf(lines[1], "%d %d %d", &s.height, &s.round, &s.step); err != nil {
		return signerState{}, fmt.Errorf("%w: position: %w", ErrStateCorrupt, err)
	}
	if s.signature, err = base64.StdEncoding.DecodeString(lines[2]); err != nil {
		return signerState{}, fmt.Errorf("%w: signature: %w", ErrStateCorrupt, err)
	}
	if s.signBytes, err = base64.StdEncoding.DecodeString(lines[3]); err != nil {
		return signerState{}, fmt.Errorf("%w: signed bytes: %w", ErrStateCorrupt, err)
	}
	signed := len(s.signature) == ed25519.SignatureSize && len(s.signBytes) > 0 && s.height > 0 && s.step > stepNone
	fresh := len(s.signature) == 0 && len(s.signBytes) == 0 && s.height == 0 && s.round == 0 && s.step == stepNone
	if s.round < 0 || s.step > stepPrecommit || (!signed && !fresh) || string(marshalSignerState(s)) != string(data) {
		return signerState{}, fmt.Errorf("%w: position and signature do not fit together", ErrStateCorrupt)
	}
	return s, nil
}

// ValidatorKeys are the validator keys of a home, of all generations. Both
// functions may be called from several goroutines.
type ValidatorKeys struct {
	All     func() []ed25519.PrivateKey        // at least one
	Present func() (ed25519.PrivateKey, error) // the one that validates the height after the last block
}

// OneValidatorKey is a home whose validator key never changed.
func OneValidatorKey(key ed25519.PrivateKey) ValidatorKeys {
	return ValidatorKeys{
		All:     func() []ed25519.PrivateKey { return []ed25519.PrivateKey{key} },
		Present: func() (ed25519.PrivateKey, error) { return key, nil },
	}
}

// Signer signs votes and proposals with the validator keys of a home and never
// signs two different ones for the same height, round and step, nor with two
// keys at one height, whatever happens to the machine in between: what it is
// about to sign is on disk, directory included, before the signature leaves. It
// implements CometBFT's PrivValidator.
//
// The engine asks for the key after each block and keeps the answer until the
// next. It names the key of each vote by its address; a proposal is signed with
// the key that was asked for last.
type Signer struct {
	keys  ValidatorKeys
	path  string
	fatal func(error)

	mu     sync.Mutex // guards what follows
	last   signerState
	signed ed25519.PublicKey  // whose signature the last one is; nil: none of the home's keys'
	given  ed25519.PrivateKey // what the engine was told; nil before it asked
	dead   error              // set by a failed write; nothing is signed after it
	at     func(string) error // fails a durable step in tests
}

var _ types.PrivValidator = (*Signer)(nil)

// CreateSignerState writes the state file of a validator that has signed
// nothing. It refuses to replace a file that exists. A validator whose file was
// lost may only be given a new one when its key has never signed, or together
// with a new key.
func CreateSignerState(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("create validator state %s: %w", path, os.ErrExist)
	}
	return replaceFile(path, marshalSignerState(signerState{}), nil)
}

// OpenSigner reads the state file at path, which must exist. Where a signature
// cannot be made durable, fatal is called and must end the process; the signer
// signs nothing after that.
func OpenSigner(keys ValidatorKeys, path string, fatal func(error)) (*Signer, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w: restore nothing in its place; make a new home (munimentd member request) and have it replace this node", path, ErrSignerStateMissing)
	}
	if err != nil {
		return nil, err
	}
	last, err := parseSignerState(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	s := &Signer{keys: keys, path: path, fatal: fatal, last: last}
	for _, key := range keys.All() {
		if public := key.Public().(ed25519.PublicKey); last.height > 0 && ed25519.Verify(public, last.signBytes, last.signature) {
			s.signed = public
		}
	}
	return s, nil
}

// Height returns the height of the last signature, 0 before the first.
func (s *Signer) Height() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.height
}

// GetPubKey returns the public key with which this node validates the height
// after the last block.
func (s *Signer) GetPubKey() (crypto.PubKey, error) {
	key, err := s.keys.Present()
	if err != nil {
		return nil, fmt.Errorf("find validator key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = key
	return cmted25519.PubKey(key.Public().(ed25519.PublicKey)), nil
}

// stale tells whether the engine goes by another key than it should: after
// block sync it does not ask by itself.
func (s *Signer) stale() bool {
	key, err := s.keys.Present()
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && s.given != nil && !key.Equal(s.given)
}

// keyOf gives the key with an address.
func (s *Signer) keyOf(address []byte) (ed25519.PrivateKey, error) {
	for _, key := range s.keys.All() {
		if bytes.Equal(cmted25519.PrivKey(key).PubKey().Address(), address) {
			return key, nil
		}
	}
	return nil, fmt.Errorf("address %x: %w", address, ErrNotOurKey)
}

// SignVote signs a prevote or precommit.
func (s *Signer) SignVote(chainID string, vote *cmtproto.Vote) error {
	var at step
	switch vote.Type {
	case cmtproto.PrevoteType:
		at = stepPrevote
	case cmtproto.PrecommitType:
		at = stepPrecommit
	default:
		return fmt.Errorf("sign vote of type %v: unknown type", vote.Type)
	}
	if len(vote.Extension) > 0 {
		return fmt.Errorf("sign vote at height %d: %w", vote.Height, ErrVoteExtension)
	}
	key, err := s.keyOf(vote.ValidatorAddress)
	if err != nil {
		return fmt.Errorf("sign %v at height %d: %w", vote.Type, vote.Height, err)
	}
	signature, signedAt, err := s.sign(key, vote.Height, vote.Round, at, types.VoteSignBytes(chainID, vote), votesDifferInTime)
	if err != nil {
		return fmt.Errorf("sign %v at height %d round %d: %w", vote.Type, vote.Height, vote.Round, err)
	}
	vote.Signature = signature
	if !signedAt.IsZero() {
		vote.Timestamp = signedAt
	}
	return nil
}

// SignProposal signs a proposal.
func (s *Signer) SignProposal(chainID string, p *cmtproto.Proposal) error {
	s.mu.Lock()
	key := s.given
	s.mu.Unlock()
	if key == nil {
		var err error
		if key, err = s.keys.Present(); err != nil {
			return fmt.Errorf("sign proposal at height %d: %w", p.Height, err)
		}
	}
	signature, signedAt, err := s.sign(key, p.Height, p.Round, stepPropose, types.ProposalSignBytes(chainID, p), proposalsDifferInTime)
	if err != nil {
		return fmt.Errorf("sign proposal at height %d round %d: %w", p.Height, p.Round, err)
	}
	p.Signature = signature
	if !signedAt.IsZero() {
		p.Timestamp = signedAt
	}
	return nil
}

// sign returns a signature over signBytes. Where the position is the last one
// signed, it returns the signature given then: for the same bytes, or for bytes
// that differ in their time alone, and then also that earlier time, which the
// caller must take over. Steps, each safe to repeat after a crash:
//  1. compare with the last position   2. sign in memory
//  3. position and signature on disk   4. hand the signature out
func (s *Signer) sign(key ed25519.PrivateKey, height int64, round int32, at step, signBytes []byte, differ func(a, b []byte) (time.Time, bool)) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead != nil {
		return nil, time.Time{}, s.dead
	}
	public := key.Public().(ed25519.PublicKey)
	if s.last.height == height && !public.Equal(s.signed) {
		return nil, time.Time{}, ErrOtherGeneration
	}
	switch s.last.compare(height, round, at) {
	case 1:
		return nil, time.Time{}, fmt.Errorf("%w: %d/%d/%d", ErrSignsBack, s.last.height, s.last.round, s.last.step)
	case 0:
		if string(signBytes) == string(s.last.signBytes) {
			return s.last.signature, time.Time{}, nil
		}
		if signedAt, ok := differ(s.last.signBytes, signBytes); ok {
			return s.last.signature, signedAt, nil
		}
		return nil, time.Time{}, ErrConflictingData
	}
	signature := ed25519.Sign(key, signBytes)
	next := signerState{height, round, at, signature, signBytes}
	if err := replaceFile(s.path, marshalSignerState(next), s.at); err != nil {
		// What the disk now holds is unknown, and a later write could hide it.
		s.dead = fmt.Errorf("write validator state: %w", err)
		s.fatal(s.dead)
		return nil, time.Time{}, s.dead
	}
	s.last, s.signed = next, public
	return signature, time.Time{}, nil
}

// votesDifferInTime says whether two canonical votes differ in their time at
// most, and gives the first one's time.
func votesDifferInTime(first, second []byte) (time.Time, bool) {
	var a, b cmtproto.CanonicalVote
	if protoio.UnmarshalDelimited(first, &a) != nil || protoio.UnmarshalDelimited(second, &b) != nil {
		return time.Time{}, false
	}
	b.Timestamp = a.Timestamp
	again, err := protoio.MarshalDelimited(&b)
	return a.Timestamp, err == nil && bytes.Equal(again, first)
}

// proposalsDifferInTime is votesDifferInTime for proposals.
func proposalsDifferInTime(first, second []byte) (time.Time, bool) {
	var a, b cmtproto.CanonicalProposal
	if protoio.UnmarshalDelimited(first, &a) != nil || protoio.UnmarshalDelimited(second, &b) != nil {
		return time.Time{}, false
	}
	b.Timestamp = a.Timestamp
	again, err := protoio.MarshalDelimited(&b)
	return a.Timestamp, err == nil && bytes.Equal(again, first)
}
