package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// KeyState is a registered key and what became of it.
type KeyState struct {
	record.Key
	Registered record.Index // fact entry that registered it, for good
	Suspended  int64        // height of the suspension; 0: active
	Since      int64        // its approvals at or after this height are void; 0: none are
}

// voids tells whether an approval by the key at a height has been voided.
func (k KeyState) voids(height int64) bool { return k.Since != 0 && height >= k.Since }

// Proposal is a proposed change.
type Proposal struct {
	Office    record.Code // that proposed it
	Fact      record.Fact
	Day       record.Day   // ledger day on which it was proposed
	Executed  record.Index // its fact entry; 0: open or expired
	Approvals []Approval   // ascending by office, the proposer's among them
}

// Approval is one office's approval of a proposal.
type Approval struct {
	Office record.Code
	KeyID  record.KeyID // that signed it
	Height int64        // of the block that holds it
}

// ParametersOf gives the limits in force.
func ParametersOf(v View) (record.Parameters, error) {
	p, ok, err := factOf[record.Parameters](v, StateKeyParameters())
	if err == nil && !ok {
		err = fmt.Errorf("read parameters: there are none: %w", errDamaged)
	}
	return p, err
}

// OfficeOf gives a registered office.
func OfficeOf(v View, code record.Code) (record.Office, bool, error) {
	return factOf[record.Office](v, StateKeyOffice(code))
}

// GovernanceOf tells who decides a subject.
func GovernanceOf(v View, s record.Subject) (record.Governance, bool, error) {
	return factOf[record.Governance](v, StateKeyGovernance(s))
}

// CustodianSetOf gives a custodian set.
func CustodianSetOf(v View, code record.Code) (record.CustodianSet, bool, error) {
	return factOf[record.CustodianSet](v, StateKeyCustodianSet(code))
}

// SeriesOf gives a record series.
func SeriesOf(v View, code record.Code) (record.Series, bool, error) {
	return factOf[record.Series](v, StateKeySeries(code))
}

// NodeOf gives the node whose node key has the id. The value of one that has left
// is the fact that made it leave.
func NodeOf(v View, id record.KeyID) (record.Node, bool, error) {
	n, ok, err := factOf[record.Node](v, StateKeyNode(id))
	if err != nil || !ok || !isPresent(&n, StateKeyNode(id)) {
		return record.Node{}, false, err
	}
	return n, true, nil
}

// Nodes lists the nodes, ascending by the id of their node key.
func Nodes(v View) ([]record.Node, error) {
	ids, err := keyIDsOf(v, StateKeyNodes())
	if err != nil {
		return nil, err
	}
	nodes := make([]record.Node, len(ids))
	for i, id := range ids {
		n, ok, err := NodeOf(v, id)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("read nodes: %x is not there: %w", id, errDamaged)
		}
		nodes[i] = n
	}
	return nodes, nil
}

// KeyOf gives a registered key of an office. Keys of nodes are not among them.
func KeyOf(v View, id record.KeyID) (KeyState, bool, error) {
	key := StateKeyKey(id)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return KeyState{}, false, err
	}
	k, err := parseKey(Value{key, value})
	return k, err == nil, err
}

func parseKey(v Value) (KeyState, error) {
	r := open(v.Value, 4)
	at, fact := r.number(), r.fact()
	k := KeyState{Registered: record.Index(at), Suspended: r.number(), Since: r.number()}
	if err := r.end(v.Key); err != nil {
		return KeyState{}, err
	}
	f, isKey := fact.(*record.Key)
	if !isKey {
		return KeyState{}, fmt.Errorf("read %q: %w", v.Key, errDamaged)
	}
	k.Key = *f
	return k, nil
}

// SigningKeysOf lists the ids of all signing keys that an office has had, ascending.
func SigningKeysOf(v View, office record.Code) ([]record.KeyID, error) {
	return keyIDsOf(v, StateKeySigning(office))
}

// ProposalOf gives the proposal whose proposal entry is entry i.
func ProposalOf(v View, i record.Index) (Proposal, bool, error) {
	key := StateKeyProposal(i)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return Proposal{}, false, err
	}
	p, err := parseProposal(Value{key, value})
	return p, err == nil, err
}

func parseProposal(v Value) (Proposal, error) {
	r := open(v.Value, 5)
	p := Proposal{Office: r.code(), Fact: r.fact(), Day: record.Day(r.number()), Executed: record.Index(r.number())}
	p.Approvals = make([]Approval, r.list(3))
	for i := range p.Approvals {
		r.array(3)
		p.Approvals[i] = Approval{Office: r.code(), KeyID: r.keyID(), Height: r.number()}
	}
	if err := r.end(v.Key); err != nil {
		return Proposal{}, err
	}
	return p, nil
}

// nonceOf gives the transaction entry in which a key has used a nonce.
func nonceOf(v View, id record.KeyID, n record.Nonce) (record.Index, bool, error) {
	key := StateKeyNonce(id, n)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, false, err
	}
	r := open(value, 1)
	at := record.Index(r.number())
	if err := r.end(key); err != nil {
		return 0, false, err
	}
	return at, true, nil
}

// factOf reads a state value that holds a fact of type T.
func factOf[T any](v View, key []byte) (T, bool, error) {
	var none T
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return none, false, err
	}
	r := open(value, 2)
	r.number()
	fact := r.fact()
	if err := r.end(key); err != nil {
		return none, false, err
	}
	f, isT := any(fact).(*T)
	if !isT {
		return none, false, fmt.Errorf("read %q: %w", key, errDamaged)
	}
	return *f, true, nil
}

// keyIDsOf reads a list of key ids; a list that was never written is empty.
func keyIDsOf(v View, key []byte) ([]record.KeyID, error) {
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	r := open(value, 1)
	ids := make([]record.KeyID, r.list(len(record.KeyID{})))
	for i := range ids {
		ids[i] = r.keyID()
	}
	return ids, r.end(key)
}

// withKeyID inserts an id into an ascending list.
func withKeyID(ids []record.KeyID, id record.KeyID) []record.KeyID {
	i, found := slices.BinarySearchFunc(ids, id, func(a, b record.KeyID) int { return slices.Compare(a[:], b[:]) })
	if found {
		return ids
	}
	return slices.Insert(slices.Clone(ids), i, id)
}

// entryOf parses entry i of the log.
func entryOf(v View, i record.Index) (record.Entry, error) {
	raw, err := v.Entry(i)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", i, err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return nil, fmt.Errorf("read entry %d: %w", i, err)
	}
	return e, nil
}
