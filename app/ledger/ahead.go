package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// ahead is a view that has read at one go what the rules are about to ask of
// the records in a list, so that a long list does not cost a search for each.
type ahead struct {
	View
	entries    map[record.Index][]byte
	lifecycles map[string][]byte // by state key; nil: there is none
}

// readAhead has the rest of a transaction judged on such a view. The records
// are ascending, and may be beyond the end of the log.
func (a *act) readAhead(records []record.Index) error {
	size := record.Index(a.view.Head().Size)
	var there []record.Index
	var keys [][]byte
	for _, i := range records {
		if i >= 0 && i < size {
			there, keys = append(there, i), append(keys, StateKeyLifecycle(i))
		}
	}
	if len(there) < 2 {
		return nil
	}
	entries, err := a.view.Entries(there)
	if err != nil {
		return fmt.Errorf("read the entries of %d records: %w", len(there), err)
	}
	values, err := a.view.Values(keys)
	if err != nil {
		return fmt.Errorf("read the lifecycles of %d records: %w", len(there), err)
	}
	v := &ahead{View: a.view, entries: make(map[record.Index][]byte, len(there)), lifecycles: make(map[string][]byte, len(there))}
	for n, i := range there {
		v.entries[i], v.lifecycles[string(keys[n])] = entries[n], values[n]
	}
	a.view = v
	return nil
}

func (a *ahead) Entry(i record.Index) ([]byte, error) {
	if entry, known := a.entries[i]; known {
		return entry, nil
	}
	return a.View.Entry(i)
}

func (a *ahead) Value(key []byte) ([]byte, bool, error) {
	if value, known := a.lifecycles[string(key)]; known {
		return value, value != nil, nil
	}
	return a.View.Value(key)
}

// through looks keys up in a layer of a view, and at one go below it those of
// which the layer knows nothing.
func through[K any](keys []K, layer func(K) (found []byte, known bool), below func([]K) ([][]byte, error)) ([][]byte, error) {
	all := make([][]byte, len(keys))
	var unknown []K
	var at []int
	for n, key := range keys {
		found, known := layer(key)
		if all[n] = found; !known {
			unknown, at = append(unknown, key), append(at, n)
		}
	}
	if len(unknown) == 0 {
		return all, nil
	}
	rest, err := below(unknown)
	if err != nil {
		return nil, err
	}
	for n, found := range rest {
		all[at[n]] = found
	}
	return all, nil
}
