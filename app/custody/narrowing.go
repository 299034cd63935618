package custody

import (
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// redaction gives a redaction that the parcel brings, or that is filed here with a
// record.
func (k *keeping) redaction(rid vault.RID, layout, hash [32]byte) (f filed, ok bool, err error) {
	if i := slices.IndexFunc(k.filed, func(f filed) bool { return f.hash == hash }); i >= 0 {
		return k.filed[i], true, nil
	}
	return k.redactionOf(rid, layout, hash)
}

// gone gives the leaves that a redaction takes away when it erases.
func (f filed) gone(facts []vault.LeafFact) []commitment.Range {
	segments := make([]commitment.Segment, len(facts))
	for i, fact := range facts {
		segments[i] = commitment.Segment{Kind: fact.Kind, Oracle: fact.Oracle}
	}
	return commitment.Redact(segments, f.Ranges(), true)
}

// ruling is what the ledger says about the leaves of a record that is not locked.
type ruling struct {
	lost    []commitment.Range // erased by some custodian: a parcel may lack them
	barred  []commitment.Range // may not be here
	leave   []commitment.Range // erased elsewhere, and not preserved here: may go with a parcel that lacks them
	unknown record.Index       // a disposition whose redaction was carried out somewhere and is not known here; 0: none
}

// rule finds the leaves of each erasure in the redaction that names them.
func (k *keeping) rule(rid vault.RID, layout [32]byte, facts []vault.LeafFact) (all ruling, err error) {
	for _, e := range k.erased {
		f, ok, err := k.redaction(rid, layout, e.redaction)
		if err != nil {
			return ruling{}, err
		}
		if !ok && e.here {
			return ruling{}, refuse(Quarantined, "parts of the record were erased under disposition %d, and the parcel lacks the redaction that names them: file it where the parcel comes from", e.disposition)
		}
		if !ok {
			if e.done {
				all.unknown = e.disposition
			}
			continue
		}
		gone := f.gone(facts)
		if e.done {
			all.lost = append(all.lost, gone...)
		}
		if e.here {
			all.barred = append(all.barred, gone...)
		}
		if e.done && !e.spared {
			all.leave = append(all.leave, gone...)
		}
	}
	return all, nil
}

// allows refuses a key state that lacks what no erasure on the ledger is known to
// name: with it one custodian could take from the others what it likes, or have one
// that joins keep a husk for a record.
func (r ruling) allows(state commitment.State) error {
	switch lost := stateWithout(state.N(), r.lost); {
	case lost.Within(state):
	case r.unknown != 0:
		return refuse(Quarantined, "parts of the record were erased under disposition %d, and the parcel lacks them and the redaction that names them: file it where the parcel comes from", r.unknown)
	default:
		return refuse(Malformed, "the parcel lacks leaves that no disposition has erased")
	}
	return nil
}

// stateWithout is a state of some record, of which leaves are gone: for comparing
// sets of leaves.
func stateWithout(n uint32, gone []commitment.Range) commitment.State {
	s := commitment.NewState(commitment.RecordKey{}, n)
	s.PunctureRanges(gone)
	return s
}

// both gives the leaves that are in either of two lists of ranges, each sorted and
// merged.
func both(a, b []commitment.Range) (common []commitment.Range) {
	for len(a) > 0 && len(b) > 0 {
		if first, last := max(a[0].First, b[0].First), min(a[0].Last, b[0].Last); first <= last {
			common = append(common, commitment.Range{First: first, Last: last})
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return common
}
