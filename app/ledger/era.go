package ledger

import (
	"crypto/sha256"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Era is a set of keys whose word counts for trees of the log: the nodes' log
// keys, the validators' cosigners and the witnesses.
//
// The change that opens an era stands in a block whose tree is the last one of
// the era before: its cosigners answer for it, and with it for the keys that
// follow. Every larger tree is the new era's.
type Era struct {
	Number    int64        // from 1
	Opened    record.Index // fact entry that opened it; 0: genesis
	Nodes     []EraNode    // ascending by the id of the node key
	Witnesses record.Witnesses
}

// EraNode is a node of an era.
type EraNode struct {
	NodeKey, LogKey, CosignerKey [32]byte
	Validator                    bool // its cosigner counts
}

// EraOf gives the era in force after the last block.
func EraOf(v View) (Era, error) {
	value, ok, err := v.Value(StateKeyEras())
	if err != nil {
		return Era{}, err
	}
	if !ok {
		return firstEra(v)
	}
	r := open(value, 1)
	number := r.number()
	if err := r.end(StateKeyEras()); err != nil {
		return Era{}, err
	}
	return EraNumbered(v, number)
}

// EraNumbered gives an era that is in force or over.
func EraNumbered(v View, number int64) (Era, error) {
	value, ok, err := v.Value(StateKeyEra(number))
	if err != nil {
		return Era{}, err
	}
	if !ok && number == 1 {
		return firstEra(v)
	}
	return ParseEra(value)
}

// firstEra gives the era of genesis, for as long as it is in force.
func firstEra(v View) (Era, error) {
	nodes, err := Nodes(v)
	return eraOfNodes(1, 0, nodes, record.Witnesses{}), err
}

// openingEra adds to the values of a change the era that it opens, if it opens
// one: when log keys, cosigners, the set of validators or the witnesses are others
// than before. What is changed in one block opens one era.
func (a *act) openingEra(at record.Index) func([]Value, Code, error) ([]Value, Code, error) {
	return func(values []Value, code Code, err error) ([]Value, Code, error) {
		if err != nil || code != OK {
			return nil, code, err
		}
		now, err := EraOf(a.view)
		if err != nil {
			return nil, 0, err
		}
		after := patched{a.view, values}
		nodes, err := Nodes(after)
		if err != nil {
			return nil, 0, err
		}
		witnesses, err := WitnessesOf(after)
		if err != nil {
			return nil, 0, err
		}
		next := eraOfNodes(now.Number, now.Opened, nodes, witnesses)
		if slices.Equal(now.Nodes, next.Nodes) && sameWitnesses(now.Witnesses, next.Witnesses) {
			return values, OK, nil
		}
		if ambiguous(a.view.Head().Origin, next.Nodes) {
			return nil, CodeKeyRegistered, nil
		}
		eras := []Era{next}
		if now.Opened < a.header.first { // by an earlier block
			eras[0].Number, eras[0].Opened = now.Number+1, at
			eras = append(eras, now)
		}
		for _, e := range eras {
			value, err := eraValue(e)
			if err != nil {
				return nil, 0, err
			}
			values = append(values, Value{StateKeyEra(e.Number), value})
		}
		return append(values, Value{StateKeyEras(), appendNumber(newValue(1), eras[0].Number)}), OK, nil
	}
}

// ambiguous tells whether the signatures of two log keys look as if one key had
// made them: they bear the name of the origin and the first four bytes of a hash
// (C2SP signed-note). Such keys are found at leisure, and an era that has two of
// them fits into no network file: nobody could be told of it, nor of those after it.
func ambiguous(origin string, nodes []EraNode) bool {
	hashes := make([][4]byte, len(nodes))
	for i, n := range nodes {
		const logKey = 1
		sum := sha256.Sum256(append(append([]byte(origin), '\n', logKey), n.LogKey[:]...))
		hashes[i] = [4]byte(sum[:])
		if slices.Contains(hashes[:i], hashes[i]) {
			return true
		}
	}
	return false
}

func eraOfNodes(number int64, opened record.Index, nodes []record.Node, w record.Witnesses) Era {
	e := Era{Number: number, Opened: opened, Witnesses: w}
	for _, n := range nodes {
		e.Nodes = append(e.Nodes, EraNode{NodeKey: n.NodeKey, LogKey: n.LogKey, CosignerKey: n.CosignerKey, Validator: n.Power > 0})
	}
	return e
}

// eraValue is [1, number, index of the fact entry that opened it, [[node key,
// log key, cosigner key, 1 for a validator or 0], ...], witnesses fact].
func eraValue(e Era) ([]byte, error) {
	b := appendNumber(appendNumber(newValue(4), e.Number), e.Opened)
	b = appendHead(b, majorArray, uint64(len(e.Nodes)))
	for _, n := range e.Nodes {
		b = appendHead(b, majorArray, 4)
		b = appendBytes(appendBytes(appendBytes(b, n.NodeKey[:]), n.LogKey[:]), n.CosignerKey[:])
		b = appendFlag(b, n.Validator)
	}
	witnesses, err := record.MarshalFact(&e.Witnesses)
	return appendBytes(b, witnesses), err
}

// ParseEra reads the value that the state holds for an era.
func ParseEra(value []byte) (Era, error) {
	r := open(value, 4)
	e := Era{Number: r.number(), Opened: r.index()}
	for range r.list(3 * 34) {
		r.array(4)
		n := EraNode{NodeKey: r.hash(), LogKey: r.hash(), CosignerKey: r.hash(), Validator: r.flag()}
		e.Nodes = append(e.Nodes, n)
	}
	if w, ok := r.fact().(*record.Witnesses); ok {
		e.Witnesses = *w
	} else {
		r.wrong = true
	}
	if err := r.end([]byte(prefixEra)); err != nil {
		return Era{}, err
	}
	return e, nil
}
