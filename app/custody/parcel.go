package custody

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// ErrParcel: a parcel does not have its form, or was cut short or changed on its way.
var ErrParcel = errors.New("malformed parcel")

// Frames of a parcel, in this order; changed only with docs/spec/parcel.md.
const (
	parcelTitle = "muniment parcel v1\n"

	frameEnd       = 0
	frameHead      = 1
	frameSecrets   = 2
	frameRedaction = 3
	frameLeaves    = 4
	frameLayout    = 5
	frameTitle     = 6
	frameSegment   = 7
)

// Limits of a parcel.
const (
	maxParcelRedactions = 1024
	maxParcelLeaves     = 4096 // hashes in one frame
	maxParcelTitles     = 2
	maxParcelHead       = 512
	sealing             = 12 + 16 // nonce and tag
)

var (
	maxSealedSegment   = commitment.Padded(4+commitment.MaxPayload) + sealing
	maxSealedRedaction = commitment.Padded(4+MaxRedactionText) + sealing
)

// parcelHead says what a parcel is about, and for how much its receiver makes room.
type parcelHead struct {
	record     vault.Record // rid, codes, manifest, commitment, last day
	size       int64        // bytes of all leaves, as the layout has them
	redactions int64        // bytes of all sealed redactions
}

func (h parcelHead) marshal() []byte {
	b := append([]byte(nil), h.record.RID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(h.record.NotAfter))
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b = binary.BigEndian.AppendUint64(b, uint64(h.redactions))
	for _, code := range []record.Code{h.record.Office, h.record.Series, h.record.Custody} {
		b = append(append(b, byte(len(code))), code...)
	}
	return append(b, h.record.Manifest.Marshal()...)
}

// parseParcelHead reads what marshal wrote.
func parseParcelHead(b []byte) (h parcelHead, err error) {
	const fixed = 16 + 4 + 8 + 8
	if len(b) < fixed {
		return parcelHead{}, fmt.Errorf("%w: head of %d bytes", ErrParcel, len(b))
	}
	h.record.RID = vault.RID(b)
	h.record.NotAfter = record.Day(binary.BigEndian.Uint32(b[16:]))
	h.size, h.redactions = int64(binary.BigEndian.Uint64(b[20:])), int64(binary.BigEndian.Uint64(b[28:]))
	rest := b[fixed:]
	for _, code := range []*record.Code{&h.record.Office, &h.record.Series, &h.record.Custody} {
		if len(rest) == 0 || len(rest)-1 < int(rest[0]) {
			return parcelHead{}, fmt.Errorf("%w: head ends within a code", ErrParcel)
		}
		end := 1 + int(rest[0])
		if *code, rest = record.Code(rest[1:end]), rest[end:]; !code.Valid() {
			return parcelHead{}, fmt.Errorf("%w: code %.40q", ErrParcel, *code)
		}
	}
	if h.record.Manifest, err = commitment.ParseManifest(rest); err != nil {
		return parcelHead{}, fmt.Errorf("%w: %w", ErrParcel, err)
	}
	h.record.Commitment = record.Commitment(h.record.Manifest.Commitment())
	if h.size < 0 || h.size > commitment.MaxContent || h.redactions < 0 || h.redactions > maxParcelRedactions*int64(32+maxSealedRedaction) {
		return parcelHead{}, fmt.Errorf("%w: %d bytes of leaves, %d of redactions", ErrParcel, h.size, h.redactions)
	}
	if !bytes.Equal(h.marshal(), b) {
		return parcelHead{}, fmt.Errorf("%w: head is not canonical", ErrParcel)
	}
	return h, nil
}

// parcelSecrets are what opens a record: the layout key, and the key state; that
// is zero in a slip, which brings redactions alone.
type parcelSecrets struct {
	layout [32]byte
	state  commitment.State
}

// String hides the secrets from logs.
func (parcelSecrets) String() string { return "secrets of a parcel" }

func (s parcelSecrets) marshal() []byte { return append(s.layout[:], s.state.Marshal()...) }

func parseParcelSecrets(b []byte) (s parcelSecrets, err error) {
	if len(b) < 32 {
		return parcelSecrets{}, fmt.Errorf("%w: secrets of %d bytes", ErrParcel, len(b))
	}
	if len(b) > 32 {
		if s.state, err = commitment.ParseState(b[32:]); err != nil {
			return parcelSecrets{}, fmt.Errorf("%w: %w", ErrParcel, err)
		}
	}
	s.layout = [32]byte(b)
	return s, nil
}

// sealedRedaction is a filed redaction as the vault keeps it.
type sealedRedaction struct {
	hash   [32]byte
	sealed []byte
}

// parcelWriter writes the frames of a parcel and hashes them. The first error stays.
type parcelWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
}

func newParcelWriter(w io.Writer) *parcelWriter {
	p := &parcelWriter{w: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()}
	p.write([]byte(parcelTitle))
	return p
}

func (p *parcelWriter) write(b []byte) {
	if p.err == nil {
		p.sum.Write(b)
		_, p.err = p.w.Write(b)
	}
}

// frame writes a frame: kind u8, length u32, the pieces end to end.
func (p *parcelWriter) frame(kind byte, pieces ...[]byte) {
	n := 0
	for _, piece := range pieces {
		n += len(piece)
	}
	p.write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(n)))
	for _, piece := range pieces {
		p.write(piece)
	}
}

func (p *parcelWriter) leaves(all [][32]byte) {
	for len(all) > 0 {
		n := min(len(all), maxParcelLeaves)
		pieces := make([][]byte, n)
		for i := range pieces {
			pieces[i] = all[i][:]
		}
		p.frame(frameLeaves, pieces...)
		all = all[n:]
	}
}

func (p *parcelWriter) title(l vault.CatalogueLeaf) {
	p.frame(frameTitle, binary.BigEndian.AppendUint32(nil, l.Leaf), l.Sealed)
}

// end writes the last frame, the hash of all before, and flushes.
func (p *parcelWriter) end() error {
	p.write(binary.BigEndian.AppendUint32([]byte{frameEnd}, sha256.Size))
	p.write(p.sum.Sum(nil))
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return p.err
}

// parcelReader reads the frames of a parcel. What it gives is new memory.
type parcelReader struct {
	r    *bufio.Reader
	sum  hash.Hash
	kind byte // of the next frame, if head is read
	size uint32
	seen bool // kind and size are of the next frame
}

func newParcelReader(r io.Reader) (*parcelReader, error) {
	p := &parcelReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	title := make([]byte, len(parcelTitle))
	if err := p.fill(title); err != nil {
		return nil, err
	}
	if string(title) != parcelTitle {
		return nil, fmt.Errorf("%w: it begins with %.32q", ErrParcel, title)
	}
	return p, nil
}

// fill reads what must be there.
func (p *parcelReader) fill(b []byte) error {
	_, err := io.ReadFull(p.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", ErrParcel)
	}
	p.sum.Write(b)
	return err
}

// next gives the kind of the next frame.
func (p *parcelReader) next() (byte, error) {
	if !p.seen {
		var head [5]byte
		if err := p.fill(head[:]); err != nil {
			return 0, err
		}
		p.kind, p.size, p.seen = head[0], binary.BigEndian.Uint32(head[1:]), true
	}
	return p.kind, nil
}

// frame gives the next frame, which is of a kind and not above a limit in bytes.
func (p *parcelReader) frame(kind byte, limit int) ([]byte, error) {
	got, err := p.next()
	switch {
	case err != nil:
		return nil, err
	case got != kind:
		return nil, fmt.Errorf("%w: frame of kind %d, want %d", ErrParcel, got, kind)
	case int64(p.size) > int64(limit):
		return nil, fmt.Errorf("%w: frame of kind %d and %d bytes, at most %d", ErrParcel, kind, p.size, limit)
	}
	p.seen = false
	b := make([]byte, 0, min(int(p.size), 2<<20)) // what is only announced takes no memory
	for len(b) < int(p.size) {
		n := len(b)
		b = append(b, make([]byte, min(int(p.size)-n, 2<<20))...)
		if err := p.fill(b[n:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (p *parcelReader) head() (parcelHead, error) {
	b, err := p.frame(frameHead, maxParcelHead)
	if err != nil {
		return parcelHead{}, err
	}
	return parseParcelHead(b)
}

// secrets reads what opens the record; slip tells that there is no key state.
func (p *parcelReader) secrets(h parcelHead) (s parcelSecrets, slip bool, err error) {
	b, err := p.frame(frameSecrets, 32+keyring.MaxState)
	if err != nil {
		return parcelSecrets{}, false, err
	}
	defer clear(b)
	if s, err = parseParcelSecrets(b); err != nil {
		return parcelSecrets{}, false, err
	}
	if slip = len(b) == 32; !slip && s.state.N() != h.record.Manifest.N {
		return parcelSecrets{}, false, fmt.Errorf("%w: %s for %d leaves", ErrParcel, s.state, h.record.Manifest.N)
	}
	return s, slip, nil
}

// redactions reads the sealed redactions, ascending by hash.
func (p *parcelReader) redactions(h parcelHead) (all []sealedRedaction, err error) {
	left := h.redactions
	for {
		kind, err := p.next()
		if err != nil {
			return nil, err
		}
		if kind != frameRedaction {
			break
		}
		b, err := p.frame(frameRedaction, 32+maxSealedRedaction)
		if err != nil {
			return nil, err
		}
		if left -= int64(len(b)); len(b) <= 32 || left < 0 || len(all) == maxParcelRedactions {
			return nil, fmt.Errorf("%w: redaction of %d bytes", ErrParcel, len(b))
		}
		one := sealedRedaction{[32]byte(b), b[32:]}
		if len(all) > 0 && bytes.Compare(all[len(all)-1].hash[:], one.hash[:]) >= 0 {
			return nil, fmt.Errorf("%w: redactions are out of order", ErrParcel)
		}
		all = append(all, one)
	}
	if left != 0 {
		return nil, fmt.Errorf("%w: %d bytes of redactions are missing", ErrParcel, left)
	}
	return all, nil
}

// leaves reads all leaf hashes and compares them with the manifest.
func (p *parcelReader) leaves(h parcelHead) ([][32]byte, error) {
	n := int(h.record.Manifest.N)
	all := make([][32]byte, 0, min(n, 1<<16))
	for len(all) < n {
		b, err := p.frame(frameLeaves, 32*maxParcelLeaves)
		if err != nil {
			return nil, err
		}
		if len(b) != 32*min(n-len(all), maxParcelLeaves) {
			return nil, fmt.Errorf("%w: leaf hashes of %d bytes", ErrParcel, len(b))
		}
		for ; len(b) > 0; b = b[32:] {
			all = append(all, [32]byte(b))
		}
	}
	if !h.record.Manifest.Binds(all) {
		return nil, fmt.Errorf("%w: the leaf hashes are not those of the manifest", ErrParcel)
	}
	return all, nil
}

func (p *parcelReader) layout(h parcelHead) ([]byte, error) {
	return p.frame(frameLayout, 5+6*int(h.record.Manifest.N)+sealing)
}

// titles reads the catalogue entry, ascending by leaf.
func (p *parcelReader) titles() (all []vault.CatalogueLeaf, err error) {
	for {
		kind, err := p.next()
		if err != nil || kind != frameTitle {
			return all, err
		}
		b, err := p.frame(frameTitle, 4+maxSealedSegment)
		if err != nil {
			return nil, err
		}
		if len(b) <= 4 || len(all) == maxParcelTitles {
			return nil, fmt.Errorf("%w: title of %d bytes", ErrParcel, len(b))
		}
		one := vault.CatalogueLeaf{Leaf: binary.BigEndian.Uint32(b), Sealed: b[4:]}
		if len(all) > 0 && all[len(all)-1].Leaf >= one.Leaf {
			return nil, fmt.Errorf("%w: titles are out of order", ErrParcel)
		}
		all = append(all, one)
	}
}

// segment reads the next sealed segment; an empty one was dropped. Ok is false
// after the last.
func (p *parcelReader) segment() (sealed []byte, ok bool, err error) {
	kind, err := p.next()
	if err != nil || kind != frameSegment {
		return nil, false, err
	}
	sealed, err = p.frame(frameSegment, maxSealedSegment)
	return sealed, err == nil, err
}

// end reads the last frame. Nothing follows it.
func (p *parcelReader) end() error {
	kind, err := p.next()
	if err != nil {
		return err
	}
	if kind != frameEnd || p.size != sha256.Size {
		return fmt.Errorf("%w: frame of kind %d in the place of the end", ErrParcel, kind)
	}
	want := p.sum.Sum(nil)
	got, err := p.frame(frameEnd, sha256.Size)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: it was changed on its way", ErrParcel)
	}
	switch _, err := p.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: it goes on after its end", ErrParcel)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
