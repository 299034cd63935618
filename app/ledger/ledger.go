package ledger

import (
	"crypto/ed25519"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// View is what the machine may read: the state after the last committed block.
// Its methods are safe for concurrent use, and what they return does not change
// while a call of this package runs. Returned slices are not changed by the
// caller. An error means that the store cannot answer.
type View interface {
	statetree.Reader
	// Value gives the state value of a state key; ok is false when there is none.
	Value(key []byte) (value []byte, ok bool, err error)
	// Values does so for many state keys, strictly ascending; nil where there is none.
	Values(keys [][]byte) ([][]byte, error)
	// StateRoot gives the root of the state tree.
	StateRoot() statetree.Hash
	// Head tells where the ledger stands.
	Head() Head
	// Frontier gives the roots of the perfect subtrees of the log, largest first.
	Frontier() []record.Hash
	// Entry gives the bytes of entry i, 0 <= i < Head().Size.
	Entry(i record.Index) ([]byte, error)
	// Entries does so for many entries, strictly ascending.
	Entries(indexes []record.Index) ([][]byte, error)
	// AnchorIndex tells at which entry an office anchored a commitment.
	AnchorIndex(office record.Code, c record.Commitment) (record.Index, bool, error)
}

// Head is where the ledger stands after a block.
type Head struct {
	Height  int64
	Time    int64 // of that block, empty or not, Unix nanoseconds
	Size    int64 // entries in the log
	AppHash [32]byte
	Network record.Network
	ChainID string
	Origin  string // first line of the checkpoints
}

// Header is all that Check may know of the block in which a transaction would execute.
type Header struct {
	Height int64
	Time   int64 // Unix nanoseconds
	Live   Live

	first record.Index // entry with which the block begins
	spent spent        // by offices, in the block so far
}

// Block is what consensus decided.
type Block struct {
	Height      int64 // Head().Height + 1
	Time        int64 // Unix nanoseconds, not before Head().Time
	Txs         [][]byte
	Live        Live
	Misbehavior []Misbehavior // that the block shows evidence of, in its order
}

// Live tells by the address of its key (the first 20 bytes of the SHA-256 of the
// public key) whether a validator signed the commit that the block carries. Nil
// means that nobody knows, as with a log alone, and every validator of the state
// counts as live.
type Live func(address [20]byte) bool

// Misbehavior is evidence that a validator signed two things of which it may
// sign one.
type Misbehavior struct {
	Validator [20]byte // address of its key
	Height    int64
}

// VerifyFunc tells whether signature (64 bytes) over message is by the key
// public. ed25519.Verify is one; a caller may pass one that remembers what it
// has verified before.
type VerifyFunc func(public ed25519.PublicKey, message, signature []byte) bool

// Machine is the state machine. It holds no state.
type Machine struct {
	Verify VerifyFunc
	// Rules is the newest version of the rules by which Replay judges; 0: any, as
	// if all were version 1.
	Rules uint32
}

// Result is the outcome of one transaction.
type Result struct {
	Code Code
	// TxIndex is the transaction entry where Code is OK (the first one, when the
	// transaction was accepted before), and the entry that stands in the way
	// where Code is AlreadyAnchored. Where a refusal became an entry, it is the
	// transaction entry too. It is 0 otherwise.
	TxIndex record.Index
	Count   int64 // entries TxIndex+1 ... TxIndex+Count are those of the transaction; 0: it left none
	Bad     int   // first bad item of a refused list of records; -1 when no item is to blame
}

// Entered tells whether the transaction has entries: it was accepted, or its
// refusal was recorded.
func (r Result) Entered() bool { return r.Count > 0 }

// Changes is everything that a block does. Without entries only Height, Time
// and Head differ from what was.
type Changes struct {
	Height     int64
	Time       int64 // Unix nanoseconds
	FirstIndex int64 // index of Entries[0]
	Size       int64 // entries in the log afterwards
	Entries    [][]byte
	LeafHashes []record.Hash // of Entries
	Frontier   []record.Hash // afterwards, largest subtree first
	Root       record.Hash   // of the log afterwards
	StateRoot  statetree.Hash
	Values     []Value // state values that were set, ascending by key
	Nodes      []statetree.NodeWrite
	Anchors    []Anchor // in the order of the log
	Checkpoint []byte   // body of the checkpoint of the log afterwards
	AppHash    [32]byte // SHA-256 of Checkpoint
	Head       Head     // afterwards
}

// Value is one state value. Nothing in the state is ever deleted.
type Value struct{ Key, Value []byte }

// Anchor is one line of the index of anchored records.
type Anchor struct {
	Office     record.Code
	Commitment record.Commitment
	Index      record.Index
}
