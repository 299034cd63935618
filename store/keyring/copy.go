package keyring

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

const maxWorkers = 8

// part is one range of records of a copy: those whose rid begins with a byte of
// [from, to). Each part is copied, and read back, by one worker.
type part struct {
	from, to   int
	pace       *pace
	live, dead uint64    // states and tombstones
	digest     hash.Hash // of all rids, kinds and states in order
	files      []string  // tables that were written
}

// parts divides a ring. Rids are random, so the parts are about equal. Half of
// the processors stay with those who wait for answers.
func parts(p *pace) []*part {
	workers := min(max(runtime.GOMAXPROCS(0)/2, 1), maxWorkers)
	all := make([]*part, workers)
	for i := range all {
		all[i] = &part{from: 256 * i / workers, to: 256 * (i + 1) / workers, pace: p, digest: sha256.New()}
	}
	return all
}

// together runs do for each part at once.
func together(all []*part, do func(*part) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { errs[i] = do(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// equal tells whether two readings of a part saw the same.
func (p *part) equal(q *part) bool {
	return p.live == q.live && p.dead == q.dead && slices.Equal(p.digest.Sum(nil), q.digest.Sum(nil))
}

// copyRing makes the store of the next epoch in dir, which is there and empty,
// of the states that a snapshot of the old one holds, changed as decided, and reads
// it back. On return its files are on disk and META is among them.
func copyRing(o Options, dir string, old *ring, m meta, key [32]byte, snapshot *pebble.Snapshot, plan decided, beside *pace) (next *ring, counts part, err error) {
	aead, err := newCipher(key)
	if err != nil {
		return nil, part{}, err
	}
	m.erasures = old.applied()
	written := parts(beside)
	err = together(written, func(p *part) error {
		c := copier{tables: newTables(o, dir, fmt.Sprintf("part-%d", p.from)), aead: aead, place: placeOf(old.id, m.epoch)}
		err := p.each(snapshot, old.aead, old.place, plan, c.add)
		p.files, err = c.tables.close(err)
		return err
	})
	if err != nil {
		return nil, part{}, err
	}
	for _, p := range written {
		counts.files = append(counts.files, p.files...)
		counts.live, counts.dead = counts.live+p.live, counts.dead+p.dead
	}
	m.carried = counts.live + counts.dead
	db, err := storeOf(o, dir, counts.files)
	if err != nil {
		return nil, part{}, err
	}
	if err := readBack(db, aead, placeOf(old.id, m.epoch), written); err != nil {
		return nil, part{}, errors.Join(err, db.Close())
	}
	next, err = beginRing(db, old.id, m, key)
	return next, counts, err
}

// readBack opens every state of a new store and compares them with what was
// written.
func readBack(db *pebble.DB, aead cipher.AEAD, place []byte, written []*part) error {
	read := make([]*part, len(written))
	for i, p := range written {
		read[i] = &part{from: p.from, to: p.to, pace: p.pace, digest: sha256.New()}
	}
	err := together(read, func(p *part) error {
		return p.each(db, aead, place, nil, func(RID, []byte) error { return nil })
	})
	if err != nil {
		return err
	}
	for i := range read {
		if !read[i].equal(written[i]) {
			return fmt.Errorf("%w: the new epoch holds other states than the old one", ErrDamaged)
		}
	}
	return nil
}

// each gives every state of a part, opened or as decided, in the order of rids, and
// takes it down. What it gives is valid until visit returns. A state that the plan
// changes need not open: a damaged one can be destroyed.
func (p *part) each(from pebble.Reader, aead cipher.AEAD, place []byte, plan decided, visit func(rid RID, plain []byte) error) (err error) {
	iterator, err := from.NewIter(&pebble.IterOptions{LowerBound: p.bound(p.from), UpperBound: p.bound(p.to)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iterator.Error(), iterator.Close()) }()
	var plain []byte
	defer func() { clear(plain[:cap(plain)]) }()
	where, work := slices.Clone(place), p.pace.shift()
	for valid := iterator.First(); valid; valid = iterator.Next() {
		if (p.live+p.dead)%paceStates == 0 {
			work.giveWay()
		}
		if len(iterator.Key()) != 1+len(RID{}) {
			return fmt.Errorf("%w: state under a key of %d bytes", ErrDamaged, len(iterator.Key()))
		}
		rid := RID(iterator.Key()[1:])
		sealed, err := iterator.ValueAndErr()
		if err != nil {
			return err
		}
		where = append(where[:len(place)], rid[:]...)
		if change, ok := plan[rid]; ok {
			plain = change.append(plain[:0])
		} else if plain, err = openSealed(aead, plain[:0], sealed, where); err != nil {
			return fmt.Errorf("record %x: %w", rid, err)
		}
		p.note(rid, plain)
		if err := visit(rid, plain); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) bound(first int) []byte {
	if first == 256 {
		return []byte{prefixState + 1}
	}
	return []byte{prefixState, byte(first)}
}

func (p *part) note(rid RID, plain []byte) {
	if kind(plain[0]) == kindLive {
		p.live++
	} else {
		p.dead++
	}
	var head [24]byte
	binary.BigEndian.PutUint64(head[copy(head[:], rid[:]):], uint64(len(plain)))
	p.digest.Write(head[:])
	p.digest.Write(plain)
}

// copier writes one part's states, sealed again, into tables.
type copier struct {
	tables *tables
	aead   cipher.AEAD
	place  []byte

	key, value, where []byte
}

func (c *copier) add(rid RID, plain []byte) error {
	c.where = append(append(c.where[:0], c.place...), rid[:]...)
	c.value = c.aead.Seal(c.value[:0], nil, plain, c.where)
	c.key = append(append(c.key[:0], prefixState), rid[:]...)
	return c.tables.set(c.key, c.value)
}
