package rpc

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"iter"
	"sync"
	"time"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/record"
)

// This file is how two custodians find out quickly that they have the same records.
// What each has of a set, ascending by office and commitment, is cut into parts
// after every record whose commitment ends in a zero byte. Commitments are hashes,
// so a part has 256 records in the mean, and wherever both have the same records
// they have the same parts, without having talked about it. Hashes of parts are
// compared, and only where they differ are records.

const (
	partRecords = 4096 // of a part at most, should commitments be chosen so that none ends it

	partDomain = "muniment/v1/inventory-part\n" // before the records of a part
	allDomain  = "muniment/v1/inventory\n"      // before the hashes of all parts
)

// part is a piece of what a custodian has of a set.
type part struct {
	hash    [32]byte
	records []custody.Held // valid until the next part is asked for
}

// partsOf cuts what a custodian has into parts. An error comes last.
func partsOf(held iter.Seq2[custody.Held, error]) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		var records []custody.Held
		line := []byte(partDomain)
		for h, err := range held {
			if err != nil {
				yield(part{}, err)
				return
			}
			records = append(records, h)
			line = append(append(line, byte(len(h.Office))), h.Office...)
			line = append(append(line, h.Commitment[:]...), h.Digest[:]...)
			if h.Commitment[len(h.Commitment)-1] != 0 && len(records) < partRecords {
				continue
			}
			if !yield(part{sha256.Sum256(line), records}, nil) {
				return
			}
			records, line = records[:0], line[:len(partDomain)]
		}
		if len(records) > 0 {
			yield(part{sha256.Sum256(line), records}, nil)
		}
	}
}

// compareHeld orders records as an inventory does.
func compareHeld(a, b custody.Held) int {
	return cmp.Or(cmp.Compare(a.Office, b.Office), bytes.Compare(a.Commitment[:], b.Commitment[:]))
}

// inventory sums up what a custodian has of a set.
type inventory struct {
	records uint64
	all     [32]byte
	parts   [][32]byte
	known   map[[32]byte]bool // the same
}

func newInventory(held iter.Seq2[custody.Held, error]) (*inventory, error) {
	i := &inventory{known: map[[32]byte]bool{}}
	sum := sha256.New()
	sum.Write([]byte(allDomain))
	for p, err := range partsOf(held) {
		if err != nil {
			return nil, err
		}
		i.records += uint64(len(p.records))
		i.parts = append(i.parts, p.hash)
		i.known[p.hash] = true
		sum.Write(p.hash[:])
	}
	i.all = [32]byte(sum.Sum(nil))
	return i, nil
}

// inventories keeps the inventory of each set for as long as reading it anew would
// take more than a tenth of the time. Where one is old, more records are compared
// than need be, and none is missed: what differs in the end is read anew.
type inventories struct {
	custody *custody.Custody
	now     func() time.Time

	mu   sync.Mutex // also held while one is read: there is no use in reading two at a time
	sets map[record.Code]*lastInventory
}

type lastInventory struct {
	*inventory
	read time.Time // when reading it began
	took time.Duration
	news <-chan struct{} // closed at the first anchor since then
}

// kept is how long it is kept.
func (l *lastInventory) kept() time.Duration { return 10 * l.took }

// isOld tells whether a record that is kept here was anchored since it was read.
func (l *lastInventory) isOld() bool {
	select {
	case <-l.news:
		return true
	default:
		return false
	}
}

func (i *inventories) of(ctx context.Context, set record.Code, anew bool) (*lastInventory, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.now()
	if k := i.sets[set]; k != nil && !anew && !now.Before(k.read) && now.Sub(k.read) < k.kept() {
		return k, nil
	}
	delete(i.sets, set)
	news := i.custody.Anchored()
	inventory, err := newInventory(i.custody.Held(ctx, set))
	if err != nil {
		return nil, err
	}
	if i.sets == nil {
		i.sets = map[record.Code]*lastInventory{}
	}
	i.sets[set] = &lastInventory{inventory, now, i.now().Sub(now), news}
	return i.sets[set], nil
}

// Inventory sums up what this node has of a set, a moment ago at most: a hash of all,
// and the number of records. It is current if nothing was anchored since then.
func (s *Server) Inventory(ctx context.Context, set record.Code) (all [32]byte, records uint64, current bool, err error) {
	i, err := s.inventories.of(ctx, set, false)
	if err != nil {
		return [32]byte{}, 0, false, err
	}
	return i.all, i.records, !i.isOld(), nil
}
