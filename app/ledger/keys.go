package ledger

import (
	"encoding/binary"

	"github.com/muniment/muniment/app/record"
)

// The state keys. Fixed parts are ASCII, ids are raw bytes, indexes are eight
// bytes big-endian. No key is a prefix of another kind's keys. The values are
// in value.go and in docs/spec/ledger.md.
const (
	keyParameters   = "parameters"  //                            -> fact
	prefixOffice    = "office/"     // code                       -> fact
	prefixSigning   = "signing/"    // office code                -> ids of its signing keys
	prefixKey       = "key/"        // key id                     -> key
	prefixGoverning = "governance/" // subject, one byte          -> fact
	prefixCustody   = "custody/"    // code                       -> fact
	prefixSeries    = "series/"     // code                       -> fact
	prefixNode      = "node/"       // id of the node key         -> fact
	keyNodes        = "nodes"       //                            -> ids of the node keys
	prefixProposal  = "proposal/"   // index of the proposal      -> proposal
	prefixRecord    = "record/"     // index of the anchor        -> lifecycle
	prefixNonce     = "nonce/"      // key id, nonce              -> index of the transaction entry
)

// StateKeyParameters gives the state key of the parameters.
func StateKeyParameters() []byte { return []byte(keyParameters) }

// StateKeyOffice gives the state key of an office.
func StateKeyOffice(code record.Code) []byte { return join(prefixOffice, []byte(code)) }

// StateKeySigning gives the state key of the list of an office's signing keys.
func StateKeySigning(office record.Code) []byte { return join(prefixSigning, []byte(office)) }

// StateKeyKey gives the state key of an office's key.
func StateKeyKey(id record.KeyID) []byte { return join(prefixKey, id[:]) }

// StateKeyGovernance gives the state key of who decides a subject.
func StateKeyGovernance(s record.Subject) []byte { return join(prefixGoverning, []byte{byte(s)}) }

// StateKeyCustodianSet gives the state key of a custodian set.
func StateKeyCustodianSet(code record.Code) []byte { return join(prefixCustody, []byte(code)) }

// StateKeySeries gives the state key of a record series.
func StateKeySeries(code record.Code) []byte { return join(prefixSeries, []byte(code)) }

// StateKeyNode gives the state key of a node, named by the id of its node key.
func StateKeyNode(id record.KeyID) []byte { return join(prefixNode, id[:]) }

// StateKeyNodes gives the state key of the list of nodes.
func StateKeyNodes() []byte { return []byte(keyNodes) }

// StateKeyProposal gives the state key of a proposal.
func StateKeyProposal(i record.Index) []byte { return join(prefixProposal, indexBytes(i)) }

// StateKeyLifecycle gives the state key of what befell the record anchored at
// entry i. A record that was only anchored has no such value.
func StateKeyLifecycle(i record.Index) []byte { return join(prefixRecord, indexBytes(i)) }

// StateKeyNonce gives the state key of a nonce that a key has used.
func StateKeyNonce(id record.KeyID, n record.Nonce) []byte {
	return append(join(prefixNonce, id[:]), n[:]...)
}

func indexBytes(i record.Index) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func join(prefix string, rest []byte) []byte {
	b := make([]byte, 0, len(prefix)+len(rest)+len(record.Nonce{}))
	return append(append(b, prefix...), rest...)
}
