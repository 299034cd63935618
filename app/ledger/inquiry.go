package ledger

import (
	"fmt"
	"iter"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Inquiry judges records on the ledger day of a view, by the code that judges a
// proposal and a lock: what it says of a record is what they would find. It
// remembers what it read of rules, holds and audits, and is not safe for
// concurrent use.
type Inquiry struct {
	view  View
	day   record.Day
	items *itemReader
}

// NewInquiry begins an inquiry into the state of a view.
func NewInquiry(v View) *Inquiry {
	day := record.LedgerDay(v.Head().Time)
	return &Inquiry{view: v, day: day, items: newItemReader(v, day)}
}

// Day gives the ledger day by which is judged.
func (q *Inquiry) Day() record.Day { return q.day }

// Item judges the record that entry i anchored; ok is false where entry i
// anchors none or is not there yet.
func (q *Inquiry) Item(i record.Index) (Item, bool, error) { return q.items.item(i) }

// Explain does so and says why, in the verdict's Why.
func (q *Inquiry) Explain(i record.Index) (Item, bool, error) {
	q.items.explain = true
	defer func() { q.items.explain = false }()
	return q.items.item(i)
}

// Roles gives the roles whose approval a disposition of records needs, were it
// locked on the ledger day, ascending.
func (q *Inquiry) Roles(d Disposition, records []record.Index) ([]record.Role, error) {
	var need demand
	for _, i := range records {
		it, _, err := q.items.item(i)
		if err != nil {
			return nil, err
		}
		need.add(it, d.Action, nil)
	}
	return (&act{view: q.view, today: q.day}).rolesFor(d, need)
}

// Touched lists who placed, extended or released a hold on one of the records of
// a disposition since entry at proposed it, each hold of an office once. A lock
// is refused while one of them proposed, takes over, approved or locks.
func (q *Inquiry) Touched(at record.Index, records []record.Index) ([]Touch, error) {
	var all []Touch
	for _, i := range records {
		it, _, err := q.items.item(i)
		if err != nil {
			return nil, err
		}
		touched, err := q.items.touchedSince(it, at)
		if err != nil {
			return nil, err
		}
		for _, t := range touched {
			if !slices.Contains(all, t) {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// EntryLine is an entry of the log.
type EntryLine struct {
	Index record.Index
	Entry []byte
}

// Items judges the records that are anchored among entries, in their order, and
// leaves out those that keep refuses. entries are ascending; lifecycles are the
// values of [LifecyclePrefix], ascending. Both are of the view, and their bytes
// are not needed any longer once the next line is asked for.
func (q *Inquiry) Items(entries iter.Seq2[EntryLine, error], lifecycles iter.Seq2[Value, error], keep func(*record.AnchorEntry) bool) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		next, stop := iter.Pull2(lifecycles)
		defer stop()
		befallen := lifecycleReader{next: next}
		var anchor record.AnchorReader
		for line, err := range entries {
			if err != nil {
				yield(Item{}, err)
				return
			}
			if record.KindOf(line.Entry) != record.KindAnchor {
				continue
			}
			it, err := Item{}, anchor.Read(line.Entry)
			if err != nil {
				err = fmt.Errorf("read entry %d: %w", line.Index, err)
			} else if keep != nil && !keep(&anchor.Entry) {
				continue
			} else {
				it, err = q.line(line.Index, &anchor.Entry, &befallen)
			}
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

// line judges a record on its way through a list.
func (q *Inquiry) line(i record.Index, anchor *record.AnchorEntry, befallen *lifecycleReader) (Item, error) {
	l, err := befallen.of(i)
	if err != nil {
		return Item{}, err
	}
	return q.items.judge(i, *anchor, l)
}

// LifecyclePrefix starts the state keys of what befell records.
func LifecyclePrefix() []byte { return []byte(prefixRecord) }

// lifecycleReader finds what befell records that are asked for in ascending
// order, in a list that is ascending too.
type lifecycleReader struct {
	next  func() (Value, error, bool)
	at    record.Index // of the line that was read last
	value Value        // of that line
	begun bool         // a line was read
	ended bool         // there are no more
}

// of gives what befell the record that entry i anchored.
func (r *lifecycleReader) of(i record.Index) (Lifecycle, error) {
	for !r.ended && (!r.begun || r.at < i) {
		if err := r.advance(); err != nil {
			return Lifecycle{}, err
		}
	}
	if r.ended || r.at != i {
		return Lifecycle{}, nil
	}
	return parseLifecycle(r.value)
}

func (r *lifecycleReader) advance() error {
	value, err, ok := r.next()
	if err != nil || !ok {
		r.ended = true
		return err
	}
	r.at, err = indexIn(value.Key, prefixRecord)
	r.value, r.begun = value, true
	return err
}
