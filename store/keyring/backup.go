package keyring

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/record"
)

// A backup is a head and items, each with its kind first. All integers are
// big-endian; offices come before rings, and each sort ascends.
const (
	backupHead = "muniment keyring backup v1\n"

	itemEnd    = 0 // SHA-256 of everything before it (32); nothing follows
	itemOffice = 1 // size u8, office; size u16, wrapped key
	itemRing   = 2 // size u8, name; size u16, META
	itemEntry  = 3 // of the ring before: size u8, key; size u32, value
)

// Backup writes all rings as they are, each at its current epoch under its ring
// key, and the offices' keys, all wrapped by the root; nothing in it is in the clear.
// It tells how many states it holds, tombstones included. Reading and writing go on;
// each ring is as at one moment. It waits for a rotation that goes on, and
// rotations wait for it. A ring with an unfinished rotation is ErrUnfinished, a
// state that does not open ErrDamaged: such a backup would be of no use.
func (k *Keyring) Backup(w io.Writer) (states uint64, err error) {
	k.rotation.Lock()
	defer k.rotation.Unlock()
	buffer := bufio.NewWriterSize(w, 1<<16)
	b := backupWriter{to: buffer, sum: sha256.New()}
	b.write([]byte(backupHead))
	if err := k.backupOffices(&b); err != nil {
		return 0, fmt.Errorf("back up keyring: %w", err)
	}
	for _, id := range k.Rings() {
		if k.Unfinished(id) {
			return 0, fmt.Errorf("back up ring %s: %w", id, ErrUnfinished)
		}
		if err := k.ring(id).backup(&b); err != nil {
			return 0, fmt.Errorf("back up ring %s: %w", id, err)
		}
	}
	b.write([]byte{itemEnd})
	b.write(b.sum.Sum(nil))
	if b.err == nil {
		b.err = buffer.Flush()
	}
	if b.err != nil {
		return 0, fmt.Errorf("write backup of keyring: %w", b.err)
	}
	return b.states, nil
}

func (k *Keyring) backupOffices(b *backupWriter) error {
	names, err := k.fs.List(k.dir)
	if err != nil {
		return err
	}
	var offices []record.Code
	for _, name := range names {
		if office, ok := parseOfficeFile(name); ok {
			offices = append(offices, office)
		}
	}
	slices.Sort(offices)
	for _, office := range offices {
		wrapped, err := readFile(k.fs, k.dir, officeFile(office), maxFile)
		if err == nil {
			_, err = unwrapFor(k.root, officeUse(office), wrapped)
		}
		if err != nil {
			return fmt.Errorf("key of office %s: %w", office, err)
		}
		b.item(itemOffice, 1, []byte(office), 2, wrapped)
	}
	return nil
}

// backup writes the ring as of one moment.
func (r *ring) backup(b *backupWriter) (err error) {
	snapshot := r.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	m, closer, err := snapshot.Get([]byte{prefixMeta})
	if err != nil {
		return err
	}
	b.item(itemRing, 1, []byte(r.id.String()), 2, m)
	if err := closer.Close(); err != nil {
		return err
	}
	iterator, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixMeta + 1}, UpperBound: []byte{prefixState + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iterator.Error(), iterator.Close()) }()
	entries := entries{ring: r}
	for valid := iterator.First(); valid && b.err == nil; valid = iterator.Next() {
		value, err := iterator.ValueAndErr()
		if err == nil {
			err = entries.check(iterator.Key(), value)
		}
		if err != nil {
			return err
		}
		b.item(itemEntry, 1, iterator.Key(), 4, value)
	}
	b.states += entries.states
	return nil
}

// entries checks what a store holds besides META, in the order of keys.
type entries struct {
	ring   *ring // of which id, aead and place are known
	last   []byte
	plain  []byte
	states uint64
}

const maxEntry = sealedTombstone + MaxState

func (e *entries) check(key, value []byte) error {
	if len(key) != 1+len(RID{}) || string(key) <= string(e.last) || len(value) > maxEntry {
		return fmt.Errorf("%w: entry %x of %d bytes", ErrDamaged, key, len(value))
	}
	e.last = append(e.last[:0], key...)
	switch key[0] {
	case prefixEnded:
		if needles, ok := parseNeedles(value); ok && len(needles) > 0 && len(needles) <= maxPieces+2 {
			return nil
		}
	case prefixPreserved:
		if len(value) == 1 && (kind(value[0]) == kindLive || kind(value[0]) == kindDestroyed) {
			return nil
		}
	case prefixState:
		rid := RID(key[1:])
		plain, err := openSealed(e.ring.aead, e.plain[:0], value, e.ring.context(rid))
		if err != nil {
			return fmt.Errorf("record %x: %w", rid, err)
		}
		clear(plain)
		e.plain = plain
		e.states++
		return nil
	}
	return fmt.Errorf("%w: entry %x of %d bytes", ErrDamaged, key, len(value))
}

// backupWriter writes items; the first error stays.
type backupWriter struct {
	to     io.Writer
	sum    hash.Hash
	states uint64
	err    error
}

func (b *backupWriter) write(data []byte) {
	if b.err == nil {
		b.sum.Write(data)
		_, b.err = b.to.Write(data)
	}
}

// item writes two fields, each after its size in so many bytes.
func (b *backupWriter) item(kind byte, firstSize int, first []byte, secondSize int, second []byte) {
	b.write([]byte{kind})
	b.field(firstSize, first)
	b.field(secondSize, second)
}

func (b *backupWriter) field(size int, data []byte) {
	if len(data) > math.MaxUint32 {
		b.err = fmt.Errorf("%w: %d bytes", ErrDamaged, len(data))
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b.write(head[4-size:])
	b.write(data)
}

func officeFile(office record.Code) string { return "office-" + string(office) + ".key" }

func officeUse(office record.Code) string { return "office key " + string(office) }

// parseOfficeFile reads what officeFile wrote.
func parseOfficeFile(name string) (record.Code, bool) {
	middle, isKey := strings.CutSuffix(name, ".key")
	office, isOffice := strings.CutPrefix(middle, "office-")
	return record.Code(office), isKey && isOffice && record.Code(office).Valid()
}
