package keyring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrJournal: the journal of a rotation is damaged, or does not fit the ring.
var ErrJournal = errors.New("damaged journal of a ring rotation")

// phase is how far a rotation has come, by its journal. The ring's marker tells
// the rest: it moves from one epoch to the next while the phase is copied.
type phase uint8

const (
	planned   phase = 1 // the next epoch's directory may be there, or parts of it
	copied    phase = 2 // the next epoch is whole; the marker may name it; then the last look is due
	destroyed phase = 3 // the old ring key is gone; parts of the old directory may be left
)

// journal lets a rotation that a crash interrupted be finished or undone. It holds
// no state, sealed or not: only counts, what to look for, and which key of a device
// was made for the next epoch.
type journal struct {
	phase    phase
	from     uint64   // epoch; the next one is from+1
	erasures Erasures // of the plan
	live     uint64   // as in Report before the last look, known once copied
	dead     uint64
	ended    uint64
	next     []byte // wrapped ring key of the next epoch; empty where the root destroys none
	needles  []needle
}

const (
	journalVersion = 1
	journalDomain  = "MUN1 ring journal\n"
	journalHead    = 1 + 1 + 8 + 8 + 32 + 3*8 + 2
	maxJournal     = journalHead + maxWrapped + maxNeedles*needleSize + 32
)

func (j journal) marshal(id RingID) []byte {
	b := make([]byte, 0, journalHead+len(j.next)+len(j.needles)*needleSize+32)
	b = append(b, journalVersion, byte(j.phase))
	b = binary.BigEndian.AppendUint64(b, j.from)
	b = binary.BigEndian.AppendUint64(b, uint64(j.erasures.Through))
	b = append(b, j.erasures.Digest[:]...)
	for _, n := range []uint64{j.live, j.dead, j.ended} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(j.next))), j.next...)
	return checked(journalDomain, id, marshalNeedles(b, j.needles))
}

// parseJournal reads what marshal wrote for a ring.
func parseJournal(id RingID, raw []byte) (journal, error) {
	b, ok := unchecked(journalDomain, id, raw)
	if !ok || len(b) < journalHead || b[0] != journalVersion {
		return journal{}, fmt.Errorf("%w: %d bytes", ErrJournal, len(raw))
	}
	size := int(binary.BigEndian.Uint16(b[journalHead-2:]))
	if size > maxWrapped || len(b) < journalHead+size {
		return journal{}, fmt.Errorf("%w: key of %d bytes", ErrJournal, size)
	}
	needles, ok := parseNeedles(b[journalHead+size:])
	j := journal{
		phase:    phase(b[1]),
		from:     binary.BigEndian.Uint64(b[2:]),
		erasures: Erasures{Through: int64(binary.BigEndian.Uint64(b[10:])), Digest: [32]byte(b[18:])},
		live:     binary.BigEndian.Uint64(b[50:]),
		dead:     binary.BigEndian.Uint64(b[58:]),
		ended:    binary.BigEndian.Uint64(b[66:]),
		next:     bytes.Clone(b[journalHead : journalHead+size]),
		needles:  needles,
	}
	if !ok || j.phase < planned || j.phase > destroyed || j.from == 0 || j.from == math.MaxUint64 || j.erasures.Through < 0 ||
		!bytes.Equal(j.marshal(id), raw) {
		return journal{}, fmt.Errorf("%w: phase %d, epoch %d", ErrJournal, b[1], j.from)
	}
	return j, nil
}

func (k *Keyring) writeJournal(id RingID, j journal) error {
	return replaceFile(k.fs, k.dir, id.journal(), j.marshal(id))
}

// readJournal reads a ring's journal; ok is false when there is none.
func (k *Keyring) readJournal(id RingID) (j journal, ok bool, err error) {
	raw, err := readFile(k.fs, k.dir, id.journal(), maxJournal)
	if isNotExist(err) {
		return journal{}, false, nil
	}
	if err == nil {
		j, err = parseJournal(id, raw)
	}
	return j, err == nil, err
}

func (k *Keyring) removeJournal(id RingID) error {
	if err := ignoreNotExist(k.fs.Remove(k.fs.PathJoin(k.dir, id.journal()))); err != nil {
		return err
	}
	return syncDir(k.fs, k.dir)
}
