package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// signedByCustodian tells whether a message of the kinds that custodians sign is
// signed with a custodian's key, which belongs to no office, and notes it.
func (a *act) signedByCustodian() (bool, error) {
	switch a.tx.Message.(type) {
	case *record.ReportErasure, *record.LeaveCustody:
	default:
		return false, nil
	}
	nodes, err := Nodes(a.view)
	if err != nil {
		return false, err
	}
	for _, n := range nodes {
		if n.CustodianKey == [32]byte{} || record.KeyIDOf(n.CustodianKey[:]) != a.tx.KeyID {
			continue
		}
		a.custodian = a.tx.KeyID
		a.key = KeyState{Key: record.Key{Use: record.UseSigning, PublicKey: n.CustodianKey, Status: record.StatusActive}}
		return true, nil
	}
	return false, nil
}

// CustodianRegistered gives the fact entry that registered a custodian key, of a
// node that is there or has left, for good: a receipt of what the key signed
// needs it.
func CustodianRegistered(v View, id record.KeyID) (at record.Index, ok bool, err error) {
	key := StateKeyCustodian(id)
	value, ok, err := v.Value(key)
	if err != nil {
		return 0, false, err
	}
	if ok {
		r := open(value, 1)
		at = r.index()
		return at, true, r.end(key)
	}
	err = eachInGenesis(v, func(i record.Index, f record.Fact) bool {
		if n, isNode := f.(*record.Node); isNode && n.CustodianKey != [32]byte{} && record.KeyIDOf(n.CustodianKey[:]) == id {
			at = i
		}
		return at == 0
	})
	return at, at != 0, err
}

// custodianValue is [1, index of the fact entry that registered the key].
func custodianValue(at record.Index) []byte { return appendNumber(newValue(1), at) }

// leave judges a custodian's word that it keeps nothing of a set any more. The
// offices can take it out of the set from then on.
func (a *act) leave(m *record.LeaveCustody) (Code, error) {
	set, _, err := CustodianSetOf(a.view, m.Set)
	if err != nil {
		return 0, err
	}
	if a.custodian == (record.KeyID{}) || !slices.Contains(set.Custodians, a.custodian) {
		return CodeUnknownCustody, nil
	}
	_, departed, err := DepartureOf(a.view, m.Set, a.custodian)
	if err != nil {
		return 0, err
	}
	if departed {
		return CodeNoChange, nil
	}
	owes, err := owesReport(a.view, a.custodian)
	if err != nil {
		return 0, err
	}
	if owes {
		return CodeCustodianStays, nil
	}
	at := a.add(record.DepartureEntry{Custodian: a.custodian, Set: m.Set, Departure: m.Departure})
	a.set(StateKeyDeparted(m.Set, a.custodian), departedValue(at))
	return OK, nil
}

// changeCustodianSet judges who keeps the content of a set. Who goes has left it,
// or is lost; who comes is a node's custodian.
func changeCustodianSet(v View, f *record.CustodianSet, at record.Index) ([]Value, Code, error) {
	now, known, err := CustodianSetOf(v, f.Code)
	if err != nil {
		return nil, 0, err
	}
	if known && slices.Equal(now.Custodians, f.Custodians) && slices.Equal(now.Lost, f.Lost) {
		return nil, CodeNoChange, nil
	}
	for _, id := range f.Lost {
		if !slices.Contains(now.Custodians, id) && !slices.Contains(now.Lost, id) {
			return nil, CodeUnknownCustodian, nil
		}
	}
	fact, err := record.MarshalFact(f)
	if err != nil {
		return nil, 0, err
	}
	values := []Value{{StateKeyCustodianSet(f.Code), factValue(at, fact)}}
	come, code, err := arrivals(v, now.Custodians, f)
	if err != nil || code != OK {
		return nil, code, err
	}
	values = append(values, come...)
	for _, id := range now.Custodians {
		if slices.Contains(f.Custodians, id) || slices.Contains(f.Lost, id) {
			continue
		}
		free, err := mayGo(v, f.Code, id)
		if err != nil {
			return nil, 0, err
		}
		if !free {
			return nil, CodeCustodianStays, nil
		}
	}
	if known {
		return values, OK, nil
	}
	codes, err := custodianSets(v)
	if err != nil {
		return nil, 0, err
	}
	n, _ := slices.BinarySearch(codes, f.Code)
	return append(values, Value{StateKeyCustodianSets(), setsValue(slices.Insert(codes, n, f.Code))}), OK, nil
}

// arrivals wants those who come into a set to be custodians of nodes. A custodian
// that has left the set before, and is in it again, has yet to leave.
func arrivals(v View, before []record.KeyID, f *record.CustodianSet) ([]Value, Code, error) {
	nodes, err := Nodes(v)
	if err != nil {
		return nil, 0, err
	}
	var values []Value
	for _, id := range f.Custodians {
		if slices.Contains(before, id) {
			continue
		}
		if !slices.ContainsFunc(nodes, func(n record.Node) bool {
			return n.CustodianKey != [32]byte{} && record.KeyIDOf(n.CustodianKey[:]) == id
		}) {
			return nil, CodeUnknownCustodian, nil
		}
		_, departed, err := DepartureOf(v, f.Code, id)
		if err != nil {
			return nil, 0, err
		}
		if departed {
			values = append(values, Value{StateKeyDeparted(f.Code, id), departedValue(0)})
		}
	}
	return values, OK, nil
}

// mayGo tells whether a custodian has left a set and owes no report. One may have
// come due after it left.
func mayGo(v View, set record.Code, id record.KeyID) (bool, error) {
	_, departed, err := DepartureOf(v, set, id)
	if err != nil || !departed {
		return false, err
	}
	owes, err := owesReport(v, id)
	return err == nil && !owes, err
}

// owesReport tells whether a custodian has yet to report on a locked disposition.
func owesReport(v View, id record.KeyID) (bool, error) {
	locks, err := LocksOf(v)
	if err != nil {
		return false, err
	}
	for _, i := range locks {
		d, _, err := DispositionOf(v, i)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(d.Reports, func(r Report) bool { return r.Custodian == id && r.Entry == 0 }) {
			return true, nil
		}
	}
	return false, nil
}

// isCustodian tells whether a key is in any custodian set.
func isCustodian(v View, id record.KeyID) (bool, error) {
	codes, err := custodianSets(v)
	if err != nil {
		return false, err
	}
	for _, code := range codes {
		set, _, err := CustodianSetOf(v, code)
		if err != nil || slices.Contains(set.Custodians, id) {
			return err == nil, err
		}
	}
	return false, nil
}

// custodianSets lists the codes of the custodian sets, ascending. As long as
// there are none but those of genesis, they stand in the log alone.
func custodianSets(v View) ([]record.Code, error) {
	key := StateKeyCustodianSets()
	value, ok, err := v.Value(key)
	if err != nil {
		return nil, err
	}
	if ok {
		r := open(value, 1)
		codes := r.codes()
		return codes, r.end(key)
	}
	var codes []record.Code
	err = eachInGenesis(v, func(_ record.Index, f record.Fact) bool {
		if set, is := f.(*record.CustodianSet); is {
			codes = append(codes, set.Code)
		}
		return true
	})
	slices.Sort(codes)
	return codes, err
}

// DepartureOf gives the departure entry of a custodian that has left a set and
// was not taken into it again since; ok is false for any other.
func DepartureOf(v View, set record.Code, custodian record.KeyID) (at record.Index, ok bool, err error) {
	key := StateKeyDeparted(set, custodian)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return 0, false, err
	}
	r := open(value, 1)
	at = r.index()
	return at, at != 0, r.end(key)
}

// departedValue is [1, index of the departure entry, or 0 once it is in the set again].
func departedValue(at record.Index) []byte { return appendNumber(newValue(1), at) }

// setsValue is [1, [code, ...]], ascending.
func setsValue(codes []record.Code) []byte { return appendCodes(newValue(1), codes) }
