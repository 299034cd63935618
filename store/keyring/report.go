package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Claim is what may be said of states that a rotation ended.
type Claim uint8

const (
	// ClaimFiles: no file of the keyring holds them. Old copies of files, free
	// blocks of the medium and snapshots hold them sealed, under a key that
	// whoever has the root key can still unwrap there.
	ClaimFiles Claim = 1
	// ClaimKey: besides, the key that unwraps the old ring key was inside a device
	// that has destroyed it. Left-over copies open for nobody.
	ClaimKey Claim = 3
)

// String gives the level's name, "C1" or "C3".
func (c Claim) String() string { return fmt.Sprintf("C%d", uint8(c)) }

// Report is what a rotation did. Counts are of states unless they say otherwise.
type Report struct {
	Ring     RingID
	From, To uint64 // epochs; To is From plus one
	Erasures Erasures
	Claim    Claim

	Live       uint64 // copied to the new epoch
	Tombstones uint64 // copied to the new epoch
	Ended      uint64 // destroyed, forgotten or replaced before the copy began: no key of them is left

	Needles uint64   // pieces of the old wrapped ring key and of ended sealed states that were looked for
	Files   uint64   // that were read for it: all below the keyring's directory
	Bytes   uint64   // in them
	Hits    uint64   // times that a piece was found
	Remains []string // files with hits, at most 16, by names below the keyring's directory
}

const (
	reportVersion = 1
	reportDomain  = "MUN1 ring report\n"
	reportHead    = 1 + 8 + 8 + 32 + 1 + 7*8 + 1
	maxReport     = reportHead + maxRemains*(1+math.MaxUint8) + sha256.Size
)

// marshal gives the report without its ring, which seals it: a hash of the ring's
// name and everything before ends it.
func (r Report) marshal() []byte {
	b := []byte{reportVersion}
	b = binary.BigEndian.AppendUint64(b, r.From)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Erasures.Height))
	b = append(b, r.Erasures.Digest[:]...)
	b = append(b, byte(r.Claim))
	for _, n := range []uint64{r.Live, r.Tombstones, r.Ended, r.Needles, r.Files, r.Bytes, r.Hits} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	b = append(b, byte(len(r.Remains)))
	for _, name := range r.Remains {
		name = name[:min(len(name), math.MaxUint8)]
		b = append(append(b, byte(len(name))), name...)
	}
	return checked(reportDomain, r.Ring, b)
}

var errReport = errors.New("damaged report of a ring rotation")

// parseReport reads what marshal wrote for a ring.
func parseReport(id RingID, raw []byte) (Report, error) {
	b, ok := unchecked(reportDomain, id, raw)
	if !ok || len(raw) > maxReport || len(b) < reportHead || b[0] != reportVersion {
		return Report{}, errReport
	}
	r := Report{
		Ring:     id,
		From:     binary.BigEndian.Uint64(b[1:]),
		Erasures: Erasures{Height: int64(binary.BigEndian.Uint64(b[9:])), Digest: [32]byte(b[17:])},
		Claim:    Claim(b[49]),
	}
	r.To = r.From + 1
	for i, n := range []*uint64{&r.Live, &r.Tombstones, &r.Ended, &r.Needles, &r.Files, &r.Bytes, &r.Hits} {
		*n = binary.BigEndian.Uint64(b[50+8*i:])
	}
	names := b[reportHead:]
	for range b[reportHead-1] {
		if len(names) == 0 || len(names) <= int(names[0]) {
			return Report{}, errReport
		}
		r.Remains = append(r.Remains, string(names[1:1+int(names[0])]))
		names = names[1+int(names[0]):]
	}
	if r.From == 0 || r.Erasures.Height < 0 || !bytes.Equal(r.marshal(), raw) {
		return Report{}, errReport
	}
	return r, nil
}

// checked appends the hash that unchecked demands: a file of one ring is none of
// another, and no byte of it can change by accident.
func checked(domain string, id RingID, body []byte) []byte {
	sum := checksum(domain, id, body)
	return append(body, sum[:]...)
}

func unchecked(domain string, id RingID, raw []byte) (body []byte, ok bool) {
	if len(raw) < sha256.Size {
		return nil, false
	}
	body = raw[:len(raw)-sha256.Size]
	return body, checksum(domain, id, body) == [32]byte(raw[len(body):])
}

func checksum(domain string, id RingID, body []byte) (sum [32]byte) {
	h := sha256.New()
	h.Write([]byte(domain + id.String() + "\n"))
	h.Write(body)
	return [32]byte(h.Sum(sum[:0]))
}
