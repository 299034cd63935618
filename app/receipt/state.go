package receipt

import (
	"encoding/hex"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// formState is the first element of a state receipt's extra.
const formState = 2

// Limits of state receipts.
const (
	maxStateKeyBytes   = 256
	maxStateValueBytes = 32 << 10
)

// StateReceipt is a state receipt as read: what the state tree held under a
// key after the last block of a tree. Nothing in it is verified but form.
type StateReceipt struct {
	Index      int64  // of the block entry, the last of the tree
	Entry      []byte // the block entry
	Proof      tlog.RecordProof
	Key        []byte // the state key, see package ledger
	Value      []byte // nil: the key has none
	StateProof statetree.Proof
	Checkpoint Checkpoint
}

type stateExtra struct {
	_     struct{} `cbor:",toarray"`
	Form  uint64
	Entry []byte
	Key   []byte
	Value *[]byte // null: absent
	Proof []byte
}

// NewState writes a state receipt for a state key. Value is nil if the proof
// is one of absence. The block entry is the last of the checkpoint's tree.
func NewState(blockEntry []byte, index int64, proof tlog.RecordProof, key, value []byte, stateProof statetree.Proof, signedCheckpoint []byte) ([]byte, error) {
	x := stateExtra{Form: formState, Entry: blockEntry, Key: key, Proof: stateProof.Marshal()}
	if value != nil {
		x.Value = &value
	}
	extra, err := encoding.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("encode state receipt: %w", err)
	}
	text := proofText{extra: extra, index: index, proof: proof, signed: signedCheckpoint}.marshal()
	if _, err := ParseState(text); err != nil {
		return nil, err
	}
	return text, nil
}

// ParseState reads the one spelling of a state receipt.
func ParseState(text []byte) (StateReceipt, error) {
	p, c, err := parseProofText(text, MaxReceiptBytes)
	if err != nil {
		return StateReceipt{}, err
	}
	var x stateExtra
	if err := decodeExtra(p.extra, &x); err != nil {
		return StateReceipt{}, err
	}
	r := StateReceipt{Index: p.index, Entry: x.Entry, Proof: p.proof, Key: x.Key, Checkpoint: c}
	if x.Value != nil {
		r.Value = *x.Value
	}
	if x.Form != formState || len(x.Entry) > record.MaxEntryBytes || len(x.Key) < 1 || len(x.Key) > maxStateKeyBytes || len(r.Value) > maxStateValueBytes {
		return StateReceipt{}, fmt.Errorf("state receipt: form, entry, key or value: %w", ErrMalformed)
	}
	if r.StateProof, err = statetree.ParseProof(x.Proof); err != nil {
		return StateReceipt{}, fmt.Errorf("state receipt: proof: %w: %w", ErrMalformed, err)
	}
	return r, nil
}

// VerifyState judges a state receipt against a network file. Like
// [VerifyWith] it takes a consistency proof, needed for closed eras alone.
// What passes answers for the state key in the text alone: the caller compares
// it ([State].Key) with the key that the question is about.
func VerifyState(n Network, text []byte, toPin tlog.TreeProof) (Verdict, error) {
	v := newVerdict(n)
	return v.conclude(v.state(n, text, toPin))
}

func (v *Verdict) state(n Network, text []byte, toPin tlog.TreeProof) error {
	r, block, standing, err := n.checkState(text, toPin)
	if err != nil {
		return err
	}
	if err := checkClocks(block.Time, standing); err != nil {
		return err
	}
	v.tree(standing)
	v.entry(block, r.Index, r.Entry)
	v.block(block, r.Index)
	v.State = &State{Key: hex.EncodeToString(r.Key), Present: r.Value != nil, Value: hex.EncodeToString(r.Value), key: r.Key, value: r.Value}
	if r.Value != nil {
		v.proven("the state after block %d held this value under the key", block.Height)
	} else {
		v.proven("the state after block %d held nothing under the key", block.Height)
	}
	v.notProven("what the state was later, and that the rules led to it: a replay of the log computes it")
	return nil
}

// checkState takes all steps but that of the clocks, which concerns what a state
// receipt says of times and nothing else.
func (n Network) checkState(text []byte, toPin tlog.TreeProof) (StateReceipt, record.BlockEntry, Standing, error) {
	none := func(err error) (StateReceipt, record.BlockEntry, Standing, error) {
		return StateReceipt{}, record.BlockEntry{}, Standing{}, err
	}
	r, err := ParseState(text)
	if err != nil {
		return none(refuse(Malformed, "%v", err))
	}
	standing, err := n.checkSignatures(r.Checkpoint)
	if err != nil {
		return none(err)
	}
	if !inTree(r.Checkpoint, r.Index, r.Entry, r.Proof) {
		return none(refuse(EntryNotInTree, "the inclusion proof of entry %d does not lead to the signed root", r.Index))
	}
	if err := n.checkEra(standing, toPin); err != nil {
		return none(err)
	}
	entry, err := parseEntry(r.Entry, r.Index)
	if err != nil {
		return none(err)
	}
	block, ok := entry.(record.BlockEntry)
	if !ok || r.Index != r.Checkpoint.Size-1 {
		return none(refuse(NotLastBlock, "entry %d is not the block entry that ends a tree of %d", r.Index, r.Checkpoint.Size))
	}
	if err := statetree.Verify(block.StateRoot, statetree.KeyOf(r.Key), r.Value, r.Value != nil, r.StateProof); err != nil {
		return none(refuse(StateNotProven, "the state proof: %v", err))
	}
	return r, block, standing, nil
}
