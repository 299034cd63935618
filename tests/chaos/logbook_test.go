package chaos

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// A violation is a broken invariant (RELIABILITY I-01 to I-15), in a sentence.
type violation struct {
	invariant string
	what      string
}

func (v violation) String() string { return v.invariant + ": " + v.what }

func violated(invariant, format string, args ...any) violation {
	return violation{invariant, fmt.Sprintf(format, args...)}
}

// A logbook is what the entries of a log alone tell, by the plainest rules that say
// what may happen to a record: it is anchored once; holds come and go; a disposition
// is proposed, approved by somebody else, and locks what nobody holds, once. It knows
// nothing of package ledger.
type logbook struct {
	places       map[record.Commitment]record.Index
	records      map[record.Index]*life
	txs          map[record.Nonce]*entered
	holds        map[record.Index]*hold
	dispositions map[record.Index]*disposition
	heights      []int64 // of blocks with entries
	violations   []violation
}

// A life is what befell a record.
type life struct {
	commitment record.Commitment
	holds      map[record.Index]bool // that stand
	locked     record.Index          // disposition; 0: none
}

// entered is a transaction in the log.
type entered struct {
	at      record.Index
	count   int64
	height  int64
	refusal bool
	message record.Message // nil: anchors
}

type hold struct {
	office   record.Code
	records  []record.Index
	resolved bool // the action is closed
	released bool
}

type disposition struct {
	office    record.Code
	hash      [32]byte
	records   []record.Index
	approvals map[record.Code]int64 // height by office
	locked    bool
	reports   map[record.KeyID]bool // of custodians
}

func (l *logbook) violate(invariant, format string, args ...any) {
	l.violations = append(l.violations, violated(invariant, format, args...))
}

// readLog reads a log from its first entry.
func readLog(entries [][]byte) (*logbook, error) {
	l := &logbook{
		places: map[record.Commitment]record.Index{}, records: map[record.Index]*life{}, txs: map[record.Nonce]*entered{},
		holds: map[record.Index]*hold{}, dispositions: map[record.Index]*disposition{},
	}
	starts := 0
	for i, raw := range entries {
		if record.KindOf(raw) != record.KindBlock {
			continue
		}
		e, err := record.ParseEntry(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		block := e.(record.BlockEntry)
		if n := len(l.heights); n > 0 && block.Height <= l.heights[n-1] {
			l.violate("I-06", "the block at entry %d has height %d after %d", i, block.Height, l.heights[n-1])
		}
		l.heights = append(l.heights, block.Height)
		if err := l.readBlock(entries[starts:i], record.Index(starts), block.Height); err != nil {
			return nil, err
		}
		starts = i + 1
	}
	if starts != len(entries) {
		return nil, fmt.Errorf("%d entries after the last block", len(entries)-starts)
	}
	return l, nil
}

func (l *logbook) readBlock(entries [][]byte, first record.Index, height int64) error {
	var tx *entered
	left := int64(0)
	for i, raw := range entries {
		at := first + record.Index(i)
		e, err := record.ParseEntry(raw)
		if err != nil {
			return fmt.Errorf("entry %d: %w", at, err)
		}
		t, ok := e.(record.TxEntry)
		if !ok {
			if left--; left >= 0 {
				l.take(at, e, tx)
			}
			continue
		}
		tx, left = &entered{at: at, count: t.Count, height: height}, t.Count
		if len(t.Body) > 0 {
			if tx.message, err = record.ParseBody(t.Body); err != nil {
				return fmt.Errorf("entry %d: %w", at, err)
			}
		}
		if before := l.txs[t.Nonce]; before != nil {
			l.violate("I-02", "one nonce at entries %d and %d", before.at, at)
		}
		l.txs[t.Nonce] = tx
	}
	return nil
}

// take has an entry of a transaction come true.
func (l *logbook) take(at record.Index, e record.Entry, tx *entered) {
	switch e := e.(type) {
	case record.AnchorEntry:
		if before, ok := l.places[e.Commitment]; ok {
			l.violate("I-02", "commitment %x is at entries %d and %d", e.Commitment[:4], before, at)
		}
		l.places[e.Commitment] = at
		l.records[at] = &life{commitment: e.Commitment, holds: map[record.Index]bool{}}
	case record.HoldEntry:
		if m, ok := tx.message.(*record.PlaceHold); ok {
			l.holds[at] = &hold{office: e.Office, records: m.Scope.Records}
			for _, r := range m.Scope.Records {
				if known := l.records[r]; known != nil {
					known.holds[at] = true
				}
			}
		}
	case record.ResolutionEntry:
		if h := l.holds[e.Hold]; h == nil || h.released {
			l.violate("I-04", "entry %d resolves hold %d, which does not stand", at, e.Hold)
		} else if e.Issue == 0 {
			h.resolved = true
		}
	case record.ReleaseEntry:
		l.release(at, e)
	case record.DispositionEntry:
		if m, ok := tx.message.(*record.ProposeDisposition); ok {
			l.dispositions[at] = &disposition{office: e.Office, hash: e.Hash, records: m.Records, approvals: map[record.Code]int64{}, reports: map[record.KeyID]bool{}}
		}
	case record.AuthorizationEntry:
		if d := l.dispositions[e.Disposition]; d == nil || d.locked || d.hash != e.Hash || d.office == e.Office {
			l.violate("I-05", "entry %d approves disposition %d, which cannot be", at, e.Disposition)
		} else {
			d.approvals[e.Office] = tx.height
		}
	case record.LockEntry:
		l.lock(at, e, tx.height)
	case record.ReportEntry:
		if d := l.dispositions[e.Disposition]; d == nil || !d.locked || d.reports[e.Custodian] {
			l.violate("I-03", "entry %d reports on disposition %d, which is not locked or was reported", at, e.Disposition)
		} else {
			d.reports[e.Custodian] = true
		}
	case record.RefusalEntry:
		tx.refusal = true
	}
}

func (l *logbook) release(at record.Index, e record.ReleaseEntry) {
	h := l.holds[e.Hold]
	switch {
	case h == nil || h.released:
		l.violate("I-04", "entry %d releases hold %d, which does not stand", at, e.Hold)
		return
	case !h.resolved:
		l.violate("I-04", "entry %d releases hold %d, whose action is open", at, e.Hold)
	case h.office == e.Office:
		l.violate("I-04", "entry %d releases hold %d, by who placed it", at, e.Hold)
	}
	h.released = true
	for _, r := range h.records {
		if known := l.records[r]; known != nil {
			delete(known.holds, e.Hold)
		}
	}
}

func (l *logbook) lock(at record.Index, e record.LockEntry, height int64) {
	d := l.dispositions[e.Disposition]
	if d == nil || d.locked {
		l.violate("I-05", "entry %d locks disposition %d, which is not open", at, e.Disposition)
		return
	}
	d.locked = true
	approved := slices.Collect(func(yield func(int64) bool) {
		for office, h := range d.approvals {
			if office != d.office && !yield(h) {
				return
			}
		}
	})
	switch {
	case len(approved) == 0:
		l.violate("I-05", "entry %d locks disposition %d, which nobody else approved", at, e.Disposition)
	case height <= slices.Min(approved):
		l.violate("I-05", "entry %d locks disposition %d at height %d, approved at %d", at, e.Disposition, height, slices.Min(approved))
	}
	for _, r := range d.records {
		known := l.records[r]
		switch {
		case known == nil:
			l.violate("I-05", "entry %d locks record %d, which is none", at, r)
			continue
		case len(known.holds) > 0:
			l.violate("I-04", "entry %d locks record %d, on which %d holds stand", at, r, len(known.holds))
		case known.locked != 0:
			l.violate("I-05", "entry %d locks record %d, which disposition %d has locked", at, r, known.locked)
		}
		known.locked = e.Disposition
	}
}

// heldBy and disposedBy give the records of a hold and of a disposition, if there is one.
func (l *logbook) heldBy(at record.Index) []record.Index {
	if h := l.holds[at]; h != nil {
		return h.records
	}
	return nil
}

func (l *logbook) disposedBy(at record.Index) []record.Index {
	if d := l.dispositions[at]; d != nil {
		return d.records
	}
	return nil
}
