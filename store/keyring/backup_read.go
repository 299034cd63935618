package keyring

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/muniment/muniment/app/record"
)

// ErrBackup: what is to be restored is not a backup of a keyring, or was changed.
var ErrBackup = errors.New("damaged backup of a keyring")

// backupReader reads a backup item by item and gives away what it has checked: keys
// are unwrapped and states opened. Only when read returns is the whole known to be
// what was written.
type backupReader struct {
	root Root
	// What becomes of the items; what they are given is theirs.
	office func(office record.Code, wrapped []byte) error
	ring   func(r *ring, meta []byte) error // its entries follow; r has no store
	entry  func(key, value []byte) error
	end    func() error // no more entries of the ring come

	from    *bufio.Reader
	sum     hash.Hash // of what was read
	states  uint64
	before  record.Code // the last office
	entries *entries    // of the ring that is read; nil before the first
}

func (b *backupReader) read(r io.Reader) error {
	b.from, b.sum = bufio.NewReaderSize(r, 1<<16), sha256.New()
	head, err := b.take(len(backupHead))
	if err != nil || string(head) != backupHead {
		return fmt.Errorf("%w: it does not begin as one", errors.Join(ErrBackup, err))
	}
	for {
		item, err := b.take(1)
		if err != nil {
			return err
		}
		switch item[0] {
		case itemOffice:
			err = b.takeOffice()
		case itemRing:
			err = b.takeRing()
		case itemEntry:
			err = b.takeEntry()
		case itemEnd:
			return b.takeEnd()
		default:
			err = fmt.Errorf("%w: item of kind %d", ErrBackup, item[0])
		}
		if err != nil {
			return err
		}
	}
}

func (b *backupReader) takeOffice() error {
	name, wrapped, err := b.takeItem(1, 255, 2, maxFile)
	if err != nil {
		return err
	}
	office := record.Code(name)
	if !office.Valid() || office <= b.before || b.entries != nil {
		return fmt.Errorf("%w: office %.40q is not where it belongs", ErrBackup, office)
	}
	b.before = office
	if _, err := unwrapFor(b.root, officeUse(office), wrapped); err != nil {
		return fmt.Errorf("key of office %s: %w", office, err)
	}
	return b.office(office, wrapped)
}

func (b *backupReader) takeRing() error {
	name, raw, err := b.takeItem(1, 255, 2, metaSize+maxWrapped)
	if err != nil {
		return err
	}
	id, ok := parseRingID(string(name))
	if !ok || b.entries != nil && id.String() <= b.entries.ring.id.String() {
		return fmt.Errorf("%w: ring %.80q is not where it belongs", ErrBackup, name)
	}
	if err := b.endRing(); err != nil {
		return err
	}
	r, err := b.openRing(id, raw)
	if err != nil {
		return fmt.Errorf("ring %s: %w", id, err)
	}
	b.entries = &entries{ring: r}
	return b.ring(r, raw)
}

// openRing checks META of a ring and unwraps its key.
func (b *backupReader) openRing(id RingID, raw []byte) (*ring, error) {
	m, err := parseMeta(raw)
	if err != nil {
		return nil, err
	}
	key, err := unwrapFor(b.root, m.use(id), m.wrapped)
	if err != nil {
		return nil, err
	}
	aead, err := newCipher(key)
	if err == nil {
		err = m.check(aead, id)
	}
	if err != nil {
		return nil, err
	}
	return &ring{id: id, meta: m, aead: aead, place: placeOf(id, m.epoch)}, nil
}

func (b *backupReader) takeEntry() error {
	key, value, err := b.takeItem(1, 255, 4, maxEntry)
	if err != nil {
		return err
	}
	if b.entries == nil {
		return fmt.Errorf("%w: an entry of no ring", ErrBackup)
	}
	if err := b.entries.check(key, value); err != nil {
		return err
	}
	return b.entry(key, value)
}

func (b *backupReader) endRing() error {
	if b.entries == nil {
		return nil
	}
	b.states += b.entries.states
	return b.end()
}

// takeEnd reads the hash of all that was read, and demands that nothing follows.
func (b *backupReader) takeEnd() error {
	if err := b.endRing(); err != nil {
		return err
	}
	sum := b.sum.Sum(nil)
	told, err := b.take(len(sum))
	if err != nil {
		return err
	}
	if !bytes.Equal(told, sum) {
		return fmt.Errorf("%w: its hash is another one", ErrBackup)
	}
	if _, err := b.from.ReadByte(); err != io.EOF {
		return fmt.Errorf("%w: something follows its end", errors.Join(ErrBackup, err))
	}
	return nil
}

// takeItem reads two fields, each after its size in so many bytes.
func (b *backupReader) takeItem(firstSize, maxFirst, secondSize, maxSecond int) (first, second []byte, err error) {
	if first, err = b.takeField(firstSize, maxFirst); err != nil {
		return nil, nil, err
	}
	second, err = b.takeField(secondSize, maxSecond)
	return first, second, err
}

func (b *backupReader) takeField(size, limit int) ([]byte, error) {
	head, err := b.take(size)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(append(make([]byte, 4-size), head...))
	if uint64(n) > uint64(limit) {
		return nil, fmt.Errorf("%w: a field of %d bytes, at most %d", ErrBackup, n, limit)
	}
	return b.take(int(n))
}

// take reads n bytes; memory is used as they come, whatever n says.
func (b *backupReader) take(n int) ([]byte, error) {
	var data bytes.Buffer
	if _, err := io.CopyN(&data, b.from, int64(n)); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends early", ErrBackup)
		}
		return nil, err
	}
	b.sum.Write(data.Bytes())
	return data.Bytes(), nil
}
