package keyring

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"

	"github.com/muniment/muniment/app/record"
)

// Report is what a rotation did. Counts are of states unless they say otherwise.
type Report struct {
	Ring     RingID
	From, To uint64 // epochs; To is From plus one
	Erasures Erasures
	Claim    record.Claim

	Live       uint64 // sealed again in the new epoch, punctured and preserved ones included
	Tombstones uint64 // in the new epoch
	Ended      uint64 // states of the old epoch, destroyed, punctured or forgotten: no key of them is left
	Preserved  uint64 // records of the plan that go on as they were

	Needles uint64   // pieces of the old wrapped ring key and of ended sealed states that were looked for
	Files   uint64   // that were read for it: all below the keyring's directory
	Bytes   uint64   // in them
	Hits    uint64   // times that a piece was found
	Remains []string // files with hits, at most 16, by names below the keyring's directory
}

const (
	reportVersion = 2
	reportDomain  = "MUN1 ring report\n"
	reportHead    = 1 + 8 + 8 + 32 + 1 + 8*8 + 1
	maxReport     = reportHead + maxRemains*(1+math.MaxUint8) + sha256.Size
)

// marshal gives the report without its ring, which seals it: a hash of the ring's
// name and everything before ends it.
func (r Report) marshal() []byte {
	b := []byte{reportVersion}
	b = binary.BigEndian.AppendUint64(b, r.From)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Erasures.Through))
	b = append(b, r.Erasures.Digest[:]...)
	b = append(b, byte(r.Claim))
	for _, n := range []uint64{r.Live, r.Tombstones, r.Ended, r.Preserved, r.Needles, r.Files, r.Bytes, r.Hits} {
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
		Erasures: Erasures{Through: int64(binary.BigEndian.Uint64(b[9:])), Digest: [32]byte(b[17:])},
		Claim:    record.Claim(b[49]),
	}
	r.To = r.From + 1
	for i, n := range []*uint64{&r.Live, &r.Tombstones, &r.Ended, &r.Preserved, &r.Needles, &r.Files, &r.Bytes, &r.Hits} {
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
	if r.From == 0 || r.Erasures.Through < 0 || !bytes.Equal(r.marshal(), raw) {
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
