package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// maxMisbehavior is how many misbehavior entries a block has at most.
const maxMisbehavior = 64

// recordMisbehavior states what a block shows evidence of, before its
// transactions. A validator of which nothing was ever registered is left out.
func (d *draft) recordMisbehavior(list []Misbehavior) error {
	count := 0
	for _, m := range list {
		id, known, err := validatorKeyAt(d, m.Validator)
		if err != nil {
			return err
		}
		if !known {
			continue
		}
		if count++; count > maxMisbehavior {
			return nil
		}
		if err := d.add(record.MisbehaviorEntry{Validator: id, Height: m.Height}); err != nil {
			return err
		}
	}
	return nil
}

// validatorKeyAt gives the id of the validator key, of a node that is registered
// or was once, that has an address.
func validatorKeyAt(v View, at [20]byte) (id record.KeyID, known bool, err error) {
	nodes, err := Nodes(v)
	if err != nil {
		return id, false, err
	}
	for _, n := range nodes {
		if address(n.ValidatorKey) == at {
			return record.KeyIDOf(n.ValidatorKey[:]), true, nil
		}
	}
	key := StateKeyAddress(at)
	value, known, err := v.Value(key)
	if err != nil || !known {
		return id, false, err
	}
	r := open(value, 1)
	id = r.keyID()
	return id, true, r.end(key)
}

// addressOf gives the address of the validator key, of a node that is registered
// or was once, that has an id.
func addressOf(v View, id record.KeyID) (at [20]byte, known bool, err error) {
	nodes, err := Nodes(v)
	if err != nil {
		return at, false, err
	}
	for _, n := range nodes {
		if record.KeyIDOf(n.ValidatorKey[:]) == id {
			return address(n.ValidatorKey), true, nil
		}
	}
	_, public, retired, err := retiredOf(v, id)
	if err != nil || !retired {
		return at, false, err
	}
	_, known, err = v.Value(StateKeyAddress(address(public)))
	return address(public), known, err
}

// misbehavior reads the misbehavior entries that follow a jump. The log does not
// hold the evidence, so what they say is taken as given.
func (r *replay) misbehavior(at int) ([]Misbehavior, error) {
	var list []Misbehavior
	for ; record.KindOf(r.logged[at]) == record.KindMisbehavior; at++ {
		e, err := r.parse(at)
		if err != nil {
			return nil, err
		}
		entry := e.(record.MisbehaviorEntry)
		validator, known, err := addressOf(r.view, entry.Validator)
		if err != nil {
			return nil, fmt.Errorf("replay entry %d: %w", r.first+int64(at), err)
		}
		if len(list) == maxMisbehavior {
			return nil, r.differs(at, "its block has more than %d entries of misbehavior", maxMisbehavior)
		}
		if !known {
			return nil, r.differs(at, "no node has or had validator key %x", entry.Validator)
		}
		list = append(list, Misbehavior{Validator: validator, Height: entry.Height})
	}
	return list, nil
}
