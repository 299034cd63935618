package receipt

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// formLegality is the first element of a legality file's extra.
const formLegality = 3

// Limits of legality files.
const (
	MaxLegalityBytes  = 1 << 20
	maxLegalityLeaves = 128
)

var legalityForm = form{formLegality, MaxLegalityBytes, maxLegalityLeaves}

// LegalitySource is where the parts of a legality file come from: a log, or the
// file itself. Each function gives an index, or an error where there is none.
type LegalitySource struct {
	Entry    func(index int64) ([]byte, error)
	Block    func(index int64) (int64, error)                            // block entry that closes the block of an entry
	Tx       func(index int64) (int64, error)                            // transaction entry that an entry is an item of
	Key      func(id record.KeyID) (int64, error)                        // fact entry that registered an office's key
	Office   func(code record.Code, before int64) (int64, error)         // fact entry that last stated an office before an entry
	Adoption func(schedule record.Code, version uint32) (int64, error)   // fact entry that adopted a version of a schedule
	Prove    func(size, index int64) (proof tlog.RecordProof, err error) // inclusion of an entry in the tree of a size; unused in reading
}

// NewLegality writes the legality file of an item entry under a signed
// checkpoint: the entries by which the lock of that record was lawful. It makes
// the judgement that [VerifyLegality] makes, and writes what it took; where the
// judgement does not hold, the error says why.
func NewLegality(network record.Network, source LegalitySource, item int64, signedCheckpoint []byte) ([]byte, error) {
	c, err := ParseCheckpoint(signedCheckpoint)
	if err != nil {
		return nil, err
	}
	used := map[int64][]byte{}
	if _, err := judgeLegality(network, source.recorded(used), item); err != nil {
		return nil, fmt.Errorf("legality of entry %d: %w", item, err)
	}
	var main Leaf
	var leaves []Leaf
	for _, at := range slices.Sorted(maps.Keys(used)) {
		proof, err := source.Prove(c.Size, at)
		if err != nil {
			return nil, fmt.Errorf("legality of entry %d: prove entry %d: %w", item, at, err)
		}
		leaf := Leaf{Index: at, Entry: used[at], Proof: proof}
		if at == item {
			main = leaf
			continue
		}
		leaves = append(leaves, leaf)
	}
	if len(leaves) > maxLegalityLeaves {
		return nil, fmt.Errorf("legality of entry %d: %d parts: %w: at most %d", item, len(leaves), ErrTooLarge, maxLegalityLeaves)
	}
	return legalityForm.write(main, leaves, signedCheckpoint)
}

// ParseLegality reads the one spelling of a legality file of at most
// MaxLegalityBytes. It checks form alone; see [VerifyLegality].
func ParseLegality(text []byte) (Receipt, error) { return legalityForm.parse(text) }

// recorded notes every entry that is read.
func (s LegalitySource) recorded(used map[int64][]byte) LegalitySource {
	entry := s.Entry
	s.Entry = func(index int64) ([]byte, error) {
		raw, err := entry(index)
		if err == nil {
			used[index] = raw
		}
		return raw, err
	}
	return s
}

// held are the entries of a legality file, ascending by index.
type held struct {
	indexes []int64
	raw     map[int64][]byte
	entries map[int64]record.Entry
}

// holdEntries takes step 8 for the entry and all parts.
func holdEntries(r Receipt) (held, error) {
	h := held{raw: map[int64][]byte{r.Index: r.Entry}, entries: map[int64]record.Entry{}}
	for _, l := range r.Leaves {
		h.raw[l.Index] = l.Entry
	}
	h.indexes = slices.Sorted(maps.Keys(h.raw))
	for _, at := range h.indexes {
		e, err := parseEntry(h.raw[at], at)
		if err != nil {
			return held{}, err
		}
		h.entries[at] = e
	}
	return h, nil
}

// source finds parts among the entries of the file. What is not there is missing.
func (h held) source() LegalitySource {
	return LegalitySource{Entry: h.entry, Block: h.block, Tx: h.tx, Key: h.key, Office: h.office, Adoption: h.adoption}
}

func missing(format string, args ...any) error {
	return refuse(PartMissing, "%s is missing", fmt.Sprintf(format, args...))
}

func (h held) entry(index int64) ([]byte, error) {
	raw, ok := h.raw[index]
	if !ok {
		return nil, missing("entry %d", index)
	}
	return raw, nil
}

func (h held) block(index int64) (int64, error) {
	for _, at := range h.indexes {
		if b, ok := h.entries[at].(record.BlockEntry); ok && at > index {
			if int64(b.First) <= index {
				return at, nil
			}
			break
		}
	}
	return 0, missing("the entry that ends the block of entry %d", index)
}

func (h held) tx(index int64) (int64, error) {
	for _, at := range slices.Backward(h.indexes) {
		if tx, ok := h.entries[at].(record.TxEntry); ok && at < index {
			if index-at <= tx.Count {
				return at, nil
			}
			break
		}
	}
	return 0, missing("the transaction of entry %d", index)
}

func (h held) key(id record.KeyID) (int64, error) {
	at, ok := h.lastFact(math.MaxInt64, func(f record.Fact) bool {
		k, ok := f.(*record.Key)
		return ok && k.ID() == id
	})
	if !ok {
		return 0, missing("the entry that registered key %x", id)
	}
	return at, nil
}

func (h held) office(code record.Code, before int64) (int64, error) {
	at, ok := h.lastFact(before, func(f record.Fact) bool {
		o, ok := f.(*record.Office)
		return ok && o.Code == code
	})
	if !ok {
		return 0, missing("the entry that stated office %s before entry %d", code, before)
	}
	return at, nil
}

func (h held) adoption(schedule record.Code, version uint32) (int64, error) {
	at, ok := h.lastFact(math.MaxInt64, func(f record.Fact) bool {
		s, ok := f.(*record.Schedule)
		return ok && s.Code == schedule && s.Version == version
	})
	if !ok {
		return 0, missing("the entry that adopted version %d of schedule %s", version, schedule)
	}
	return at, nil
}

// lastFact finds the last fact of a kind before an entry.
func (h held) lastFact(before int64, is func(record.Fact) bool) (int64, bool) {
	for _, at := range slices.Backward(h.indexes) {
		e, ok := h.entries[at].(record.FactEntry)
		if !ok || at >= before {
			continue
		}
		if fact, err := record.ParseFact(e.Fact); err == nil && is(fact) {
			return at, true
		}
	}
	return 0, false
}
