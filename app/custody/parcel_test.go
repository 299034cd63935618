package custody

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// rewriteParcel reads a parcel and writes what it has read.
func rewriteParcel(r io.Reader, w io.Writer) error {
	in, err := newParcelReader(r)
	if err != nil {
		return err
	}
	h, err := in.head()
	if err != nil {
		return err
	}
	out := newParcelWriter(w)
	out.frame(frameHead, h.marshal())
	s, slip, err := in.secrets(h)
	if err != nil {
		return err
	}
	out.frame(frameSecrets, s.marshal())
	redactions, err := in.redactions(h)
	if err != nil {
		return err
	}
	for _, one := range redactions {
		out.frame(frameRedaction, one.hash[:], one.sealed)
	}
	if !slip {
		leaves, err := in.leaves(h)
		if err != nil {
			return err
		}
		out.leaves(leaves)
		layout, err := in.layout(h)
		if err != nil {
			return err
		}
		out.frame(frameLayout, layout)
		titles, err := in.titles()
		if err != nil {
			return err
		}
		for _, t := range titles {
			out.title(t)
		}
		for {
			sealed, more, err := in.segment()
			if err != nil {
				return err
			}
			if !more {
				break
			}
			out.frame(frameSegment, sealed)
		}
	}
	if err := in.end(); err != nil {
		return err
	}
	return out.end()
}

// parcels are a parcel of a record with redactions, and a slip of the same.
func parcels(t testing.TB) (s *shared, k kept, whole, slip []byte) {
	t.Helper()
	s = newShared(t, 2)
	a := s.houses[0]
	k = a.keep(t, "DEMO-MINUTES", minutes, "title")
	a.file(t, k, 5)
	a.file(t, k, 6)
	whole = a.parcel(t, s.houses[1], k.Ref)
	r, _, err := a.vault.Find(k.Office, k.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := a.state(r)
	if err != nil {
		t.Fatal(err)
	}
	o, err := a.open(r, secret)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := a.vault.Redactions(r.RID)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := a.writeParcel(context.Background(), o, hashes, true, &b); err != nil {
		t.Fatal(err)
	}
	return s, k, whole, b.Bytes()
}

// TestEveryByteOfAParcel: with any byte changed, or cut off anywhere, or with more
// at its end, a parcel is refused and leaves nothing behind.
func TestEveryByteOfAParcel(t *testing.T) {
	s, k, whole, slip := parcels(t)
	to, from := s.houses[1], s.houses[0]
	wantRefused := func(what string, parcel []byte) {
		t.Helper()
		if reason, ok := ReasonOf(to.receive(from, parcel)); !ok {
			t.Fatalf("%s: refused without a reason, or kept", what)
		} else if reason != Malformed && reason != Busy && reason != Denied && reason != Behind && reason != TooLarge && reason != UnknownCustody {
			t.Errorf("%s: %s", what, reason)
		}
	}
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 1 << (i % 8)
		wantRefused(fmt.Sprintf("byte %d of %d", i, len(whole)), changed)
		if i%7 == 0 {
			wantRefused(fmt.Sprintf("the first %d bytes of %d", i, len(whole)), whole[:i])
		}
	}
	wantRefused("a byte more", append(bytes.Clone(whole), 0))
	wantRefused("twice", append(bytes.Clone(whole), whole...))
	rings := to.rings.Rings()
	for _, id := range rings {
		if rids, err := to.rings.RIDs(id); err != nil || len(rids) != 0 {
			t.Errorf("ring %s has %d states, %v", id, len(rids), err)
		}
	}
	if n, err := to.Records(); n != 0 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	if err := to.receive(from, whole); err != nil {
		t.Fatal(err)
	}
	to.wantOpen(t, "the parcel as it was", k)
	// The same, into a record that is there.
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 1 << (i % 8)
		wantRefused(fmt.Sprintf("byte %d of %d again", i, len(whole)), changed)
	}
	for i := range slip {
		changed := bytes.Clone(slip)
		changed[i] ^= 1 << (i % 8)
		wantRefused(fmt.Sprintf("byte %d of %d of a slip", i, len(slip)), changed)
	}
	if err := to.receive(from, slip); err != nil {
		t.Errorf("slip: %v", err)
	}
	to.wantOpen(t, "after all", k)
}

// TestParcelsAreWrittenOneWay: what is read is what would be written.
func TestParcelsAreWrittenOneWay(t *testing.T) {
	_, _, whole, slip := parcels(t)
	for _, parcel := range [][]byte{whole, slip} {
		var again bytes.Buffer
		if err := rewriteParcel(bytes.NewReader(parcel), &again); err != nil || !bytes.Equal(again.Bytes(), parcel) {
			t.Errorf("%d bytes became %d, %v", len(parcel), again.Len(), err)
		}
	}
}

// sealAgain gives a parcel the hash at its end that it should have.
func sealAgain(parcel []byte) []byte {
	var b bytes.Buffer
	p := newParcelWriter(&b)
	p.write(parcel[len(parcelTitle) : len(parcel)-37])
	if p.end() != nil {
		return nil
	}
	return b.Bytes()
}

// TestParcelsThatLie: parcels that are well formed and untrue are refused: each part
// is compared with the commitment, the layout, the profile and the ledger.
func TestParcelsThatLie(t *testing.T) {
	s, k, whole, _ := parcels(t)
	a, b := s.houses[0], s.houses[1]
	other := a.keep(t, "DEMO-PERMITS", minutes+"another\n", "title")
	frames := framesOf(t, whole)
	strange := framesOf(t, a.parcel(t, b, other.Ref))
	first := func(frames []parcelFrame, kind byte) int {
		for i, f := range frames {
			if f.kind == kind {
				return i
			}
		}
		t.Fatalf("no frame of kind %d", kind)
		return 0
	}
	swap := func(kind byte) func([]parcelFrame) []parcelFrame {
		return func(f []parcelFrame) []parcelFrame {
			f[first(f, kind)] = strange[first(strange, kind)]
			return f
		}
	}
	drop := func(kind byte, n int) func([]parcelFrame) []parcelFrame {
		return func(f []parcelFrame) []parcelFrame {
			at := first(f, kind) + n
			return append(f[:at:at], f[at+1:]...)
		}
	}
	for name, change := range map[string]func([]parcelFrame) []parcelFrame{
		"secrets of another record":   swap(frameSecrets),
		"redaction of another record": func(f []parcelFrame) []parcelFrame { f[first(f, frameRedaction)].payload[0] ^= 1; return f },
		"leaves of another record":    swap(frameLeaves),
		"layout of another record":    swap(frameLayout),
		"title of another record":     swap(frameTitle),
		"segment of another record":   swap(frameSegment),
		"a title less":                drop(frameTitle, 0),
		"another title less":          drop(frameTitle, 1),
		"a segment less":              drop(frameSegment, 3),
		"the last segment less":       drop(frameSegment, 7),
		"a segment more":              func(f []parcelFrame) []parcelFrame { return append(f, f[len(f)-1]) },
		"a segment that was dropped":  func(f []parcelFrame) []parcelFrame { f[first(f, frameSegment)+5].payload = nil; return f },
		"titles in another order": func(f []parcelFrame) []parcelFrame {
			i := first(f, frameTitle)
			f[i], f[i+1] = f[i+1], f[i]
			return f
		},
		"redactions in another order": func(f []parcelFrame) []parcelFrame {
			i := first(f, frameRedaction)
			f[i], f[i+1] = f[i+1], f[i]
			return f
		},
		"a redaction less":                drop(frameRedaction, 0),
		"an oracle that is none":          relayout(t, a, k, func(facts []vault.LeafFact) { facts[5].Oracle = true }),
		"a size that is wrong":            relayout(t, a, k, func(facts []vault.LeafFact) { facts[5].Size++; facts[6].Size-- }),
		"content in the place of padding": relayout(t, a, k, func(facts []vault.LeafFact) { facts[15].Kind = commitment.Content }),
	} {
		copied := make([]parcelFrame, len(frames))
		for i, f := range frames {
			copied[i] = parcelFrame{f.kind, bytes.Clone(f.payload)}
		}
		if reason, ok := ReasonOf(b.receive(a, joinFrames(change(copied)))); !ok || reason != Malformed {
			t.Errorf("%s: %s", name, reason)
		}
		if n, err := b.Records(); n != 0 || err != nil {
			t.Fatalf("%s: %d records, %v", name, n, err)
		}
	}
	if again := joinFrames(frames); !bytes.Equal(again, whole) || !bytes.Equal(sealAgain(whole), whole) {
		t.Error("the test does not write parcels as they are")
	}
	unanchored, err := a.deposited(t, minutes+"not anchored\n")
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, "a deposit without an anchor", b.receive(a, a.blindParcel(t, Ref{"DPW", unanchored})), Behind)
	wantReason(t, "another set", b.KeepParcel(context.Background(), keyID(a.name), "OTHERS", bytes.NewReader(whole)), Denied)
	wantReason(t, "a stranger", b.KeepParcel(context.Background(), keyID("stranger"), "CITY", bytes.NewReader(whole)), Denied)
	wantReason(t, "itself", b.KeepParcel(context.Background(), keyID(b.name), "CITY", bytes.NewReader(whole)), Denied)
	if err := b.receive(a, whole); err != nil {
		t.Fatal(err)
	}
	b.wantOpen(t, "the truth", k)
	if lines := strings.Join(logLines(t, b.fs), "\n"); !strings.Contains(lines, " keep ") {
		t.Errorf("no line of what came in\n%s", lines)
	}
	if lines := strings.Join(logLines(t, a.fs), "\n"); strings.Count(lines, " transfer ") != 2 || !strings.Contains(lines, "CUSTODIAN/") {
		t.Errorf("no line of what was sent in\n%s", lines)
	}
}

// relayout seals another layout for a parcel of a record.
func relayout(t testing.TB, h *house, k kept, change func([]vault.LeafFact)) func([]parcelFrame) []parcelFrame {
	t.Helper()
	r, _, err := h.vault.Find(k.Office, k.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := h.state(r)
	if err != nil {
		t.Fatal(err)
	}
	o, err := h.open(r, s)
	if err != nil {
		t.Fatal(err)
	}
	change(o.facts)
	sealed, err := vault.SealLayout(s.layout, r.RID, o.facts)
	if err != nil {
		t.Fatal(err)
	}
	return func(f []parcelFrame) []parcelFrame {
		for i := range f {
			if f[i].kind == frameLayout {
				f[i].payload = sealed
			}
		}
		return f
	}
}

type parcelFrame struct {
	kind    byte
	payload []byte
}

func framesOf(t testing.TB, parcel []byte) (all []parcelFrame) {
	t.Helper()
	for b := parcel[len(parcelTitle):]; len(b) > 0; {
		n := binary.BigEndian.Uint32(b[1:])
		if b[0] != frameEnd {
			all = append(all, parcelFrame{b[0], b[5 : 5+n]})
		}
		b = b[5+n:]
	}
	return all
}

func joinFrames(all []parcelFrame) []byte {
	var b bytes.Buffer
	p := newParcelWriter(&b)
	for _, f := range all {
		p.frame(f.kind, f.payload)
	}
	if p.end() != nil {
		return nil
	}
	return b.Bytes()
}

// TestParcelLimits: what is announced beyond the limits is refused before room is
// made for it.
func TestParcelLimits(t *testing.T) {
	m := commitment.Manifest{N: 16, Profile: commitment.Text}
	good := parcelHead{size: 1, redactions: 1}
	good.record.Office, good.record.Series, good.record.Custody, good.record.Manifest = "A", "B", "C", m
	good.record.Commitment = record.Commitment(m.Commitment())
	if got, err := parseParcelHead(good.marshal()); err != nil || got != good {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*parcelHead){
		"too large":           func(h *parcelHead) { h.size = commitment.MaxContent + 1 },
		"negative size":       func(h *parcelHead) { h.size = -1 },
		"too many redactions": func(h *parcelHead) { h.redactions = 1 << 40 },
		"negative redactions": func(h *parcelHead) { h.redactions = -1 },
		"no office":           func(h *parcelHead) { h.record.Office = "" },
		"no code":             func(h *parcelHead) { h.record.Series = "b" },
		"no leaves":           func(h *parcelHead) { h.record.Manifest.N = 0 },
	} {
		bad := good
		change(&bad)
		if got, err := parseParcelHead(bad.marshal()); !errors.Is(err, ErrParcel) || got != (parcelHead{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for kind := range byte(9) {
		raw := binary.BigEndian.AppendUint32(append([]byte(parcelTitle), kind), 1<<32-1)
		p, err := newParcelReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := p.frame(kind, 1<<20); !errors.Is(err, ErrParcel) || b != nil {
			t.Errorf("a frame of 4 GiB: %d bytes, %v", len(b), err)
		}
	}
}

// FuzzParcel holds the reader to what the writer writes.
func FuzzParcel(f *testing.F) {
	m := commitment.Manifest{N: 1, Profile: commitment.Raw}
	h := parcelHead{redactions: 33}
	h.record.Office, h.record.Series, h.record.Custody, h.record.Manifest = "A", "B", "C", m
	var slip bytes.Buffer
	p := newParcelWriter(&slip)
	p.frame(frameHead, h.marshal())
	p.frame(frameSecrets, make([]byte, 32))
	p.frame(frameRedaction, make([]byte, 33))
	if err := p.end(); err != nil {
		f.Fatal(err)
	}
	leaf := [32]byte{1}
	h.record.Manifest.Root, h.redactions = leaf, 0
	var whole bytes.Buffer
	p = newParcelWriter(&whole)
	p.frame(frameHead, h.marshal())
	p.frame(frameSecrets, make([]byte, 32), commitment.NewState(commitment.RecordKey{}, 1).Marshal())
	p.leaves([][32]byte{leaf})
	p.frame(frameLayout, []byte("layout"))
	p.frame(frameTitle, []byte("\x00\x00\x00\x00sealed"))
	p.frame(frameSegment, []byte("sealed"))
	p.frame(frameSegment)
	if err := p.end(); err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{slip.Bytes(), whole.Bytes()} {
		if err := rewriteParcel(bytes.NewReader(seed), io.Discard); err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte(parcelTitle))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > len(parcelTitle)+37 { // no fuzzer finds the hash
			raw = sealAgain(raw)
		}
		var again bytes.Buffer
		if err := rewriteParcel(bytes.NewReader(raw), &again); err != nil {
			if !errors.Is(err, ErrParcel) {
				t.Errorf("another error: %v", err)
			}
			return
		}
		if !bytes.Equal(again.Bytes(), raw) {
			t.Errorf("%d bytes are also written in %d", len(raw), again.Len())
		}
	})
}
