package ledger

import (
	"fmt"
	"iter"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// OfficeStatedBefore gives the fact entry that last stated an office before an
// entry; ok is false where none did. The state holds the newest statement of
// each office, and every proposal that was executed; what the genesis stated
// stands at the start of the log. values lists all state values whose keys start
// with a prefix.
func OfficeStatedBefore(v View, values func(prefix []byte) iter.Seq2[Value, error], code record.Code, before record.Index) (at record.Index, ok bool, err error) {
	value, known, err := v.Value(StateKeyOffice(code))
	if err != nil || !known {
		return 0, false, err
	}
	_, at, err = listedFact(prefixOffice, Value{StateKeyOffice(code), value})
	if err != nil || at < before {
		return at, err == nil, err
	}
	if at, err = officeInGenesis(v, code); err != nil {
		return 0, false, err
	}
	for value, err := range values([]byte(prefixProposal)) {
		if err != nil {
			return 0, false, err
		}
		p, err := parseProposal(value)
		if err != nil {
			return 0, false, err
		}
		office, isOffice := p.Fact.(*record.Office)
		if isOffice && office.Code == code && p.Executed < before {
			at = max(at, p.Executed)
		}
	}
	return at, at != 0 && at < before, nil
}

// officeInGenesis gives the fact entry of the genesis that states an office; 0
// where it states none.
func officeInGenesis(v View, code record.Code) (record.Index, error) {
	at := record.Index(0)
	err := eachInGenesis(v, func(i record.Index, f record.Fact) bool {
		if office, isOffice := f.(*record.Office); isOffice && office.Code == code {
			at = i
		}
		return at == 0
	})
	return at, err
}

// eachInGenesis gives the facts of the genesis with their entries, until it is
// told false.
func eachInGenesis(v View, yield func(record.Index, record.Fact) bool) error {
	for i := record.Index(1); int64(i) < v.Head().Size; i++ {
		e, err := entryOf(v, i)
		if err != nil {
			return err
		}
		stated, isFact := e.(record.FactEntry)
		if !isFact {
			break // the block entry that ends the genesis
		}
		fact, err := record.ParseFact(stated.Fact)
		if err != nil {
			return err
		}
		if !yield(i, fact) {
			break
		}
	}
	return nil
}

// ItemOf gives the item entry of a record that is locked for disposition; ok is
// false where it is not.
func ItemOf(v View, i record.Index) (item record.Index, ok bool, err error) {
	l, _, err := LifecycleOf(v, i)
	if err != nil || l.Disposition == 0 {
		return 0, false, err
	}
	d, known, err := DispositionOf(v, l.Disposition)
	if err != nil || !known {
		return 0, false, err
	}
	return ItemUnder(v, d, i)
}

// ItemUnder gives the item entry of a record under a disposition, whether the
// record is still locked or not; ok is false where the disposition was not locked
// or is not about the record.
func ItemUnder(v View, d Disposition, i record.Index) (item record.Index, ok bool, err error) {
	if d.Lock == 0 {
		return 0, false, nil
	}
	records, err := RecordsOf(v, d)
	if err != nil {
		return 0, false, err
	}
	place, ours := slices.BinarySearch(records, i)
	if !ours {
		return 0, false, nil
	}
	return d.Lock + 1 + record.Index(place), true, nil
}

// DayOf gives the ledger day on which an entry was written.
func DayOf(v View, i record.Index) (record.Day, error) {
	for at := max(i, 0); int64(at) < v.Head().Size; at++ {
		raw, err := v.Entry(at)
		if err != nil {
			return 0, fmt.Errorf("read entry %d: %w", at, err)
		}
		if record.KindOf(raw) != record.KindBlock {
			continue
		}
		e, err := entryOf(v, at)
		if err != nil {
			return 0, err
		}
		return record.LedgerDay(e.(record.BlockEntry).Time), nil
	}
	return 0, fmt.Errorf("find the block of entry %d: it is beyond the end of the log: %w", i, errDamaged)
}
