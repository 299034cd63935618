package record

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func fill[T ~[32]byte](b byte) (v T) {
	for i := range v {
		v[i] = b + byte(i)
	}
	return v
}

var sampleOffice = &Office{Code: "CLERK", Roles: []Role{RoleDepartment, RoleClerk}, Status: StatusActive}

func sampleEntries(t testing.TB) []Entry {
	fact, err := MarshalFact(sampleOffice)
	if err != nil {
		t.Fatal(err)
	}
	return append(sampleRetentionEntries(),
		GenesisEntry{Network: fill[Network](1), ChainID: "muniment-demo-1", Origin: "records.example.org/demo", Time: 1_900_000_000_000_000_000},
		FactEntry{Fact: fact},
		BlockEntry{Height: 7, Time: 1_900_000_000_000_000_001, First: 31, StateRoot: fill[[32]byte](2)},
		BlockEntry{Time: 1_900_000_000_000_000_000},
		TxEntry{KeyID: fill[KeyID](3), BodyHash: fill[[32]byte](4), Nonce: Nonce{5}, NotAfter: 22_000, Count: 2, Body: []byte{1, 2, 3}},
		TxEntry{KeyID: fill[KeyID](3), Count: 4096},
		JumpEntry{Height: 9, Before: 10, After: 11},
		AnchorEntry{Office: "DPW", Series: "DEMO-PERMITS", Custody: "CITY", Commitment: fill[Commitment](6), Day: 20_000},
		AnchorEntry{Office: "A", Series: "B", Commitment: fill[Commitment](7), Day: -25_600, Flags: 0},
		AnchorEntry{Office: "A", Series: "B", Flags: FlagUndated},
		SupersedeEntry{Office: "DPW", Record: 3, By: 300_000},
		ProposalEntry{Office: "CLERK", FactHash: fill[[32]byte](8)},
		ApprovalEntry{Office: "CIO", Proposal: 12, FactHash: fill[[32]byte](8)},
		SuspensionEntry{Office: "CIO", KeyID: fill[KeyID](9), SinceHeight: 4},
	)
}

func TestEntriesRoundTrip(t *testing.T) {
	for _, e := range sampleEntries(t) {
		b, err := MarshalEntry(e)
		if err != nil {
			t.Fatalf("marshal %T: %v", e, err)
		}
		got, err := ParseEntry(b)
		if err != nil {
			t.Fatalf("parse %T %x: %v", e, b, err)
		}
		again, err := MarshalEntry(got)
		if err != nil || !bytes.Equal(again, b) || got.Kind() != e.Kind() {
			t.Errorf("%T: got %x, want %x (%v)", e, again, b, err)
		}
		if KindOf(b) != e.Kind() {
			t.Errorf("%T: kind of the bytes is %d", e, KindOf(b))
		}
	}
}

// TestAnchorEntryBytes pins the form byte by byte and against the codec.
func TestAnchorEntryBytes(t *testing.T) {
	e := AnchorEntry{Office: "DPW", Series: "DEMO-MAIL", Commitment: fill[Commitment](0), Day: 20_000, Flags: 0}
	got := AppendAnchorEntry(nil, e)
	want := "88" + "01" + "10" + // array of 8, version 1, kind 16
		"63445057" + // "DPW"
		"6944454d4f2d4d41494c" + // "DEMO-MAIL"
		"60" + // "": external
		"5820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" +
		"194e20" + // day 20000
		"00" // flags
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
	for _, day := range []Day{0, 23, 24, 255, 256, 65535, 65536, -1, -24, -25, -256, -257, -70000, 1<<31 - 1, -1 << 31} {
		e.Day = day
		lib, err := encoding.Marshal([]any{1, KindAnchor, e.Office, e.Series, e.Custody, e.Commitment, e.Day, e.Flags})
		if err != nil || !bytes.Equal(AppendAnchorEntry(nil, e), lib) {
			t.Errorf("day %d: hot path %x, codec %x (%v)", day, AppendAnchorEntry(nil, e), lib, err)
		}
	}
}

// TestBlockEntryBytes pins the form byte by byte.
func TestBlockEntryBytes(t *testing.T) {
	got, err := MarshalEntry(BlockEntry{Height: 7, Time: 1_900_000_000_000_000_001, First: 300, StateRoot: fill[[32]byte](0)})
	want := "86" + "01" + "03" + // array of 6, version 1, kind 3
		"07" + // height
		"1b1a5e27eef13e0001" + // time
		"19012c" + // first entry 300
		"5820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	if err != nil || hex.EncodeToString(got) != want {
		t.Errorf("got  %x, %v\nwant %s", got, err, want)
	}
}

// TestEachByteOfAnEntryCounts flips every byte: what still parses must be the
// canonical form of something else.
func TestEachByteOfAnEntryCounts(t *testing.T) {
	for _, e := range sampleEntries(t) {
		b, _ := MarshalEntry(e)
		for i := range b {
			for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
				bad := bytes.Clone(b)
				bad[i] ^= mask
				got, err := ParseEntry(bad)
				if err != nil {
					if got != nil {
						t.Fatalf("%T byte %d: an entry beside an error", e, i)
					}
					continue
				}
				if again, err := MarshalEntry(got); err != nil || !bytes.Equal(again, bad) {
					t.Fatalf("%T byte %d: parsed %x, means %x", e, i, bad, again)
				}
			}
		}
		for cut := range b {
			if _, err := ParseEntry(b[:cut]); err == nil {
				t.Fatalf("%T cut to %d bytes parses", e, cut)
			}
		}
		if _, err := ParseEntry(append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%T with a trailing byte parses", e)
		}
	}
}

func TestEntriesOfBadFormAreRefused(t *testing.T) {
	raw := func(values ...any) []byte {
		b, err := cbor.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	office := make([]byte, 32)
	for name, b := range map[string][]byte{
		"empty":                       {},
		"version 2":                   raw(2, 3, 1, 1, 1, office),
		"unknown kind":                raw(1, 99, 1),
		"block with a field too many": raw(1, 3, 1, 1, 1, office, 1),
		"block without its first":     raw(1, 3, 1, 1, office),
		"block with a short root":     raw(1, 3, 1, 1, 1, office[:31]),
		"negative height":             raw(1, 3, -1, 1, 1, office),
		"negative first":              raw(1, 3, 1, 1, -1, office),
		"null body":                   raw(1, 4, office, make([]byte, 64), office, make([]byte, 16), 1, 1, nil),
		"office in lower case":        raw(1, 48, "clerk", office),
		"float day":                   raw(1, 16, "A", "B", "", office, 1.5, 0),
		"unknown flag":                raw(1, 16, "A", "B", "", office, 1, 4),
		"undated batch":               raw(1, 16, "A", "B", "", office, 0, 3),
		"number in two bytes":         append([]byte{0x86, 0x18}, raw(1, 3, 1, 1, 1, office)[1:]...),
		"indefinite array":            {0x9f, 0x01, 0x03, 0xff},
		"supersedes itself":           raw(1, 17, "A", 5, 5),
	} {
		if e, err := ParseEntry(b); err == nil {
			t.Errorf("%s: parsed as %#v", name, e)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	for _, e := range sampleEntries(f) {
		b, _ := MarshalEntry(e)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b)
		if err != nil {
			return
		}
		if again, err := MarshalEntry(e); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("parsed %x, means %x (%v)", b, again, err)
		}
	})
}

func BenchmarkAppendAnchorEntry(b *testing.B) {
	e := AnchorEntry{Office: "DPW", Series: "DEMO-PERMITS", Custody: "CITY", Commitment: fill[Commitment](6), Day: 20_000}
	buf := make([]byte, 0, 128)
	for b.Loop() {
		buf = AppendAnchorEntry(buf[:0], e)
	}
}
