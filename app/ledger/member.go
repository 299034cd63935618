package ledger

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// maxNodes is how many nodes a network has at most.
const maxNodes = 64

// Validator is a node's part in consensus.
type Validator struct {
	PublicKey [32]byte // Ed25519
	Power     int64    // 10 to 1000
}

// Validators lists the validators, ascending by key; each key is there once.
// What a block decides about them the engine applies two heights later.
func Validators(v View) ([]Validator, error) {
	nodes, err := Nodes(v)
	if err != nil {
		return nil, err
	}
	var list []Validator
	for _, n := range nodes {
		if n.Power > 0 {
			list = append(list, Validator{n.ValidatorKey, int64(n.Power)})
		}
	}
	slices.SortFunc(list, func(a, b Validator) int { return bytes.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return list, nil
}

// address gives the first 20 bytes of the SHA-256 of a public key, by which the
// engine names a validator.
func address(public [32]byte) [20]byte {
	sum := sha256.Sum256(public[:])
	return [20]byte(sum[:20])
}

// changeNode judges that a node comes, changes, leaves or takes the place of another.
func changeNode(v View, f *record.Node, at record.Index) ([]Value, Code, error) {
	id := record.KeyIDOf(f.NodeKey[:])
	ids, err := keyIDsOf(v, StateKeyNodes())
	if err != nil {
		return nil, 0, err
	}
	before, code, err := predecessor(v, f, id)
	if err != nil || code != OK {
		return nil, code, err
	}
	after := *f
	if f.Removed {
		after = record.Node{}
	}
	values, code, err := succeed(v, &before, &after, at)
	if err != nil || code != OK {
		return nil, code, err
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	left := f.Replaces
	if f.Removed {
		left = id
	}
	list := slices.DeleteFunc(slices.Clone(ids), func(k record.KeyID) bool { return k == left })
	if left != (record.KeyID{}) {
		values = append(values, Value{StateKeyNode(left), factValue(at, fact)})
	}
	if !f.Removed {
		list = withKeyID(list, id)
		values = append(values, Value{StateKeyNode(id), factValue(at, fact)})
	}
	if len(list) > maxNodes {
		return nil, CodeTooManyMembers, nil
	}
	if !slices.Equal(list, ids) {
		values = append(values, Value{StateKeyNodes(), keyIDsValue(list)})
	}
	return values, OK, nil
}

// predecessor finds the node whose keys a fact changes: its own, the one that it
// replaces, or none.
func predecessor(v View, f *record.Node, id record.KeyID) (record.Node, Code, error) {
	now, known, err := NodeOf(v, id)
	if err != nil {
		return record.Node{}, 0, err
	}
	now.Replaces = record.KeyID{} // how it came is history
	gone := now
	gone.Removed, gone.Power = true, 0
	switch {
	case f.Removed && !known:
		return record.Node{}, CodeUnknownNode, nil
	case f.Removed && gone != *f:
		return record.Node{}, CodeBadFact, nil
	case known && f.Replaces != record.KeyID{}:
		return record.Node{}, CodeKeyRegistered, nil
	case known && now == *f:
		return record.Node{}, CodeNoChange, nil
	case f.Replaces != record.KeyID{}:
		replaced, known, err := NodeOf(v, f.Replaces)
		if err == nil && !known {
			return record.Node{}, CodeUnknownNode, nil
		}
		return replaced, OK, err
	}
	return now, OK, nil
}

// succeed retires the keys that a node had and no longer has, and wants those
// that it did not have to be new. The zero node has no keys.
func succeed(v View, before, after *record.Node, at record.Index) ([]Value, Code, error) {
	var values []Value
	olds, news := keysByUse(before), keysByUse(after)
	for use, public := range news {
		if public == olds[use] || public == [32]byte{} {
			continue
		}
		taken, err := isTaken(v, record.KeyIDOf(public[:]))
		if err != nil {
			return nil, 0, err
		}
		if taken {
			return nil, CodeKeyRegistered, nil
		}
		if use == useOfCustodian {
			values = append(values, Value{StateKeyCustodian(record.KeyIDOf(public[:])), custodianValue(at)})
		}
	}
	for use, public := range olds {
		if public == news[use] || public == [32]byte{} {
			continue
		}
		id := record.KeyIDOf(public[:])
		if use == useOfCustodian {
			keeps, err := isCustodian(v, id)
			if err != nil {
				return nil, 0, err
			}
			if keeps {
				return nil, CodeCustodianStays, nil
			}
		}
		values = append(values, Value{StateKeyRetired(id), retiredValue(at, public)})
		if use == useOfValidator {
			values = append(values, Value{StateKeyAddress(address(public)), addressValue(id)})
		}
	}
	return values, OK, nil
}

// Positions of keys in keysByUse.
const (
	useOfValidator = 1
	useOfCustodian = 4
)

// keysByUse lists the keys of a node: node, validator, cosigner, log, custodian;
// zero where it has none.
func keysByUse(n *record.Node) [5][32]byte {
	return [5][32]byte{n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey, n.CustodianKey}
}

// isTaken tells whether a key is an office's, or was or is a node's or is a witness's.
func isTaken(v View, id record.KeyID) (bool, error) {
	_, known, err := KeyOf(v, id)
	if err != nil || known {
		return known, err
	}
	return isNodeKey(v, id)
}

// isNodeKey tells whether a node holds the key for one of its own uses, or ever
// did, or a witness holds it.
func isNodeKey(v View, id record.KeyID) (bool, error) {
	_, retired, err := RetiredBy(v, id)
	if err != nil || retired {
		return retired, err
	}
	nodes, err := Nodes(v)
	if err != nil {
		return false, err
	}
	for i := range nodes {
		for _, public := range nodeKeys(&nodes[i]) {
			if record.KeyIDOf(public[:]) == id {
				return true, nil
			}
		}
	}
	w, err := WitnessesOf(v)
	return err == nil && slices.ContainsFunc(w.Witnesses, func(w record.Witness) bool {
		return record.KeyIDOf(w.PublicKey[:]) == id
	}), err
}

// nodeKeys lists the public keys that a node has.
func nodeKeys(n *record.Node) [][32]byte {
	keys := keysByUse(n)
	if n.CustodianKey == ([32]byte{}) {
		return keys[:4]
	}
	return keys[:]
}

// quorumStays lets a change pass if the validators that are known to be live
// have more than two thirds of the power after it: those that were validators
// before and signed the last commit. A key that is new has yet to show itself.
// So no change that is carried out can stop the chain, whoever is mistaken
// about a machine.
func (a *act) quorumStays(values []Value) (Code, error) {
	before, err := Validators(a.view)
	if err != nil {
		return 0, err
	}
	after, err := Validators(patched{a.view, values})
	if err != nil {
		return 0, err
	}
	if slices.Equal(before, after) {
		return OK, nil
	}
	var live, all int64
	for _, one := range after {
		all += one.Power
		was := slices.ContainsFunc(before, func(b Validator) bool { return b.PublicKey == one.PublicKey })
		if was && (a.header.Live == nil || a.header.Live(address(one.PublicKey))) {
			live += one.Power
		}
	}
	if 3*live <= 2*all {
		return CodeQuorumAtRisk, nil
	}
	return OK, nil
}

// RetiredBy gives the fact entry that took a key away from a node; ok is false
// for a key that no node had, or that one has still.
func RetiredBy(v View, id record.KeyID) (at record.Index, ok bool, err error) {
	at, _, ok, err = retiredOf(v, id)
	return at, ok, err
}

// retiredOf gives that entry, and the public key.
func retiredOf(v View, id record.KeyID) (at record.Index, public [32]byte, ok bool, err error) {
	key := StateKeyRetired(id)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, public, false, err
	}
	r := open(value, 2)
	at, public = r.index(), r.hash()
	r.wrong = r.wrong || record.KeyIDOf(public[:]) != id
	if err := r.end(key); err != nil {
		return 0, [32]byte{}, false, err
	}
	return at, public, true, nil
}

// retiredValue is [1, index of the fact entry that took it away, public key].
func retiredValue(at record.Index, public [32]byte) []byte {
	return appendBytes(appendNumber(newValue(2), at), public[:])
}

// addressValue is [1, id of the validator key].
func addressValue(id record.KeyID) []byte { return appendBytes(newValue(1), id[:]) }
