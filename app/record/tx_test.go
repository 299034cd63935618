package record

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	ledgerv1 "github.com/muniment/muniment/proto/muniment/ledger/v1"
)

var sampleKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func sampleFacts() []Fact {
	return []Fact{
		&Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600},
		sampleOffice,
		&Key{Office: "CLERK", Use: UseSigning, PublicKey: fill[[32]byte](1), Status: StatusActive},
		&Governance{Subject: SubjectSecurity, Offices: []Code{"CIO", "CLERK"}, Threshold: 2, Required: []Code{"CIO"}},
		&CustodianSet{Code: "CITY", Custodians: []KeyID{fill[KeyID](1), fill[KeyID](2)}},
		&Series{Code: "DEMO-MAIL", Granularity: GranularityMonth, Departments: []Code{"CLERK", "DPW"}, Status: StatusActive},
		&Node{NodeKey: fill[[32]byte](1), ValidatorKey: fill[[32]byte](2), CosignerKey: fill[[32]byte](3), LogKey: fill[[32]byte](4), CustodianKey: fill[[32]byte](5), Power: 10},
		&Node{NodeKey: fill[[32]byte](1), ValidatorKey: fill[[32]byte](2), CosignerKey: fill[[32]byte](3), LogKey: fill[[32]byte](4)},
		&Node{NodeKey: fill[[32]byte](1), ValidatorKey: fill[[32]byte](2), CosignerKey: fill[[32]byte](3), LogKey: fill[[32]byte](4), Removed: true},
		&Node{NodeKey: fill[[32]byte](1), ValidatorKey: fill[[32]byte](2), CosignerKey: fill[[32]byte](3), LogKey: fill[[32]byte](4), Power: 10, Replaces: fill[KeyID](6)},
		&CustodianSet{Code: "CITY", Custodians: []KeyID{fill[KeyID](1)}, Lost: []KeyID{fill[KeyID](2), fill[KeyID](3)}},
		&Witnesses{},
		&Witnesses{Witnesses: []Witness{
			{Code: "COUNTY", PublicKey: fill[[32]byte](1), NameHash: fill[[32]byte](2)}, {Code: "STATE", PublicKey: fill[[32]byte](3), NameHash: fill[[32]byte](4)},
		}, Threshold: 1},
		&Upgrade{Version: 2, Height: 70_000},
		sampleRule, sampleTransitoryRule,
		&Schedule{Code: "CT-M1", Version: 3, State: true, Effective: 22_000, Count: 60, Root: fill[[32]byte](1)},
		&Schedule{Code: "CITY", Version: 1, Effective: -1, Count: 1},
		&Activation{Series: "CT-M1-105", Office: "DPW", Granularity: GranularityYear, Assessment: fill[[32]byte](1), Assessed: 21_000, Review: 22_000, DataMap: fill[[32]byte](2)},
		&StandingAuthorization{Office: "DPW", Series: []Code{"CT-M1-105", "CT-M1-280"}, From: 22_000, Until: 22_365},
	}
}

func sampleMessages() []Message {
	items := []AnchorItem{
		{Commitment: fill[Commitment](1), Day: 20_000},
		{Commitment: fill[Commitment](2), Day: -25_567},
		{Commitment: fill[Commitment](3), Flags: FlagUndated},
		{},
	}
	messages := []Message{
		&AnchorRecords{Series: "DEMO-MAIL", Custody: "CITY", Items: items},
		&AnchorRecords{Series: "DEMO-MAIL", Items: items[:1]},
		&SupersedeRecord{Record: 0, By: 5},
		&ApproveChange{Proposal: 9, FactHash: fill[[32]byte](1)},
		&SuspendKey{KeyID: fill[KeyID](1), SinceHeight: 3},
	}
	messages = append(messages, sampleRetentionMessages()...)
	for _, f := range sampleFacts() {
		messages = append(messages, &ProposeChange{Fact: f})
	}
	return messages
}

func sampleTx(t testing.TB, m Message) []byte {
	body, err := NewBody(fill[Network](9), Nonce{1, 2, 3}, 21_000, m)
	if err != nil {
		t.Fatalf("%T: %v", m, err)
	}
	raw, err := Sign(sampleKey, body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestTransactionsAreProtobuf holds our encoder against the library's: it must
// read what we wrote and write the same bytes.
func TestTransactionsAreProtobuf(t *testing.T) {
	for _, m := range sampleMessages() {
		raw := sampleTx(t, m)
		var tx ledgerv1.SignedTx
		var body ledgerv1.TxBody
		if err := proto.Unmarshal(raw, &tx); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(tx.Body, &body); err != nil {
			t.Fatal(err)
		}
		for _, pair := range []struct {
			m    proto.Message
			want []byte
		}{{&tx, raw}, {&body, tx.Body}} {
			if hasUnknown(pair.m.ProtoReflect()) {
				t.Errorf("%T: the schema does not know a field of %x", m, pair.want)
			}
			got, err := proto.MarshalOptions{Deterministic: true}.Marshal(pair.m)
			if err != nil || !bytes.Equal(got, pair.want) {
				t.Errorf("%T: protobuf %x, ours %x (%v)", m, got, pair.want, err)
			}
		}
	}
}

func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Kind() == protoreflect.MessageKind {
			if fd.IsList() {
				for i := range v.List().Len() {
					found = found || hasUnknown(v.List().Get(i).Message())
				}
			} else {
				found = found || hasUnknown(v.Message())
			}
		}
		return true
	})
	return found
}

func TestTransactionsRoundTrip(t *testing.T) {
	for _, m := range sampleMessages() {
		raw := sampleTx(t, m)
		tx, err := ParseTx(raw)
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		if tx.Network != fill[Network](9) || tx.NotAfter != 21_000 || tx.KeyID != KeyIDOf(sampleKey.Public().(ed25519.PublicKey)) {
			t.Errorf("%T: header %+v", m, tx)
		}
		if !ed25519.Verify(sampleKey.Public().(ed25519.PublicKey), tx.SignedMessage(), tx.Signature[:]) {
			t.Errorf("%T: signature does not verify", m)
		}
		if again := sampleTx(t, tx.Message); !bytes.Equal(again, raw) {
			t.Errorf("%T: got %x, want %x", m, again, raw)
		}
	}
}

// TestT20_MalleatedTransactionsAreRefused changes bytes at random: whatever
// still parses must encode to exactly the bytes that were parsed.
func TestT20_MalleatedTransactionsAreRefused(t *testing.T) {
	rng := rand.New(rand.NewSource(20))
	for _, m := range sampleMessages() {
		raw := sampleTx(t, m)
		for range 2000 {
			bad := bytes.Clone(raw)
			switch at := rng.Intn(len(bad)); rng.Intn(4) {
			case 0:
				bad[at] ^= byte(1 + rng.Intn(255))
			case 1:
				bad = append(bad[:at], bad[at+1:]...)
			case 2:
				bad = append(bad[:at], append([]byte{byte(rng.Intn(256))}, bad[at:]...)...)
			case 3:
				bad = append(bad, bad[at:]...)
			}
			tx, err := ParseTx(bad)
			if err != nil {
				continue
			}
			body, err := NewBody(tx.Network, tx.Nonce, tx.NotAfter, tx.Message)
			if err != nil {
				t.Fatalf("%T: parsed a message that cannot be written: %v", m, err)
			}
			again, err := AssembleTx(body, tx.KeyID, tx.Signature[:])
			if err != nil || !bytes.Equal(again, bad) {
				t.Fatalf("%T: parsed %x, means %x", m, bad, again)
			}
		}
	}
}

func TestBodiesAreRebuiltFromTheLog(t *testing.T) {
	m := sampleMessages()[0].(*AnchorRecords)
	tx, err := ParseTx(sampleTx(t, m))
	if err != nil {
		t.Fatal(err)
	}
	entry := TxEntry{KeyID: tx.KeyID, Signature: tx.Signature, BodyHash: tx.BodyHash(), Nonce: tx.Nonce, NotAfter: tx.NotAfter, Count: int64(len(m.Items))}
	var anchors []AnchorEntry
	for _, it := range m.Items {
		anchors = append(anchors, AnchorEntry{Office: "CLERK", Series: m.Series, Custody: m.Custody, Commitment: it.Commitment, Day: it.Day, Flags: it.Flags})
	}
	body, err := RebuildAnchorBody(tx.Network, entry, anchors)
	if err != nil || sha256.Sum256(body) != entry.BodyHash {
		t.Fatalf("rebuilt %x, want %x (%v)", body, tx.Body, err)
	}
	anchors[2].Day++
	if body, err := RebuildAnchorBody(tx.Network, entry, anchors); err == nil && sha256.Sum256(body) == entry.BodyHash {
		t.Error("another day gives the same body")
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	for name, m := range map[string]Message{
		"no items":             &AnchorRecords{Series: "A"},
		"4097 items":           &AnchorRecords{Series: "A", Items: make([]AnchorItem, MaxItems+1)},
		"series in lower case": &AnchorRecords{Series: "a", Items: make([]AnchorItem, 1)},
		"undated with a day":   &AnchorRecords{Series: "A", Items: []AnchorItem{{Day: 1, Flags: FlagUndated}}},
		"nothing proposed":     &ProposeChange{},
		"later one first":      &SupersedeRecord{Record: 5, By: 4},
	} {
		if _, err := NewBody(Network{}, Nonce{}, 1, m); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	full := &AnchorRecords{Series: "ABCDEFGHIJKLMNOP", Custody: "ABCDEFGHIJKLMNOP", Items: make([]AnchorItem, MaxItems)}
	for i := range full.Items {
		full.Items[i] = AnchorItem{Commitment: fill[Commitment](byte(i)), Day: -1 << 31}
	}
	if tx := sampleTx(t, full); len(tx) > MaxAnchorTxBytes {
		t.Errorf("the largest batch has %d bytes", len(tx))
	}
	if _, err := ParseTx(make([]byte, MaxAnchorTxBytes+1)); err == nil {
		t.Error("an oversize transaction parses")
	}
}

func TestLedgerDay(t *testing.T) {
	const hour, day = int64(3600e9), int64(24 * 3600e9)
	for _, c := range []struct {
		t    int64
		want Day
	}{{0, -1}, {12*hour - 1, -1}, {12 * hour, 0}, {day, 0}, {day + 12*hour, 1}, {day + 12*hour - 1, 0}} {
		if got := LedgerDay(c.t); got != c.want {
			t.Errorf("LedgerDay(%d) = %d, want %d", c.t, got, c.want)
		}
	}
}

// TestS0_2_OnlyClosedFieldsOnChain walks the schema: a field is an enum, an
// integer, a bool, a byte string or a code; there is no map, and text appears
// only under the names that this package reads as registered codes.
func TestS0_2_OnlyClosedFieldsOnChain(t *testing.T) {
	codes := map[string]bool{"series": true, "custody": true, "code": true, "office": true, "offices": true, "required": true, "departments": true,
		"department": true, "to": true, "schedule": true, "set": true}
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			m := messages.Get(i)
			walk(m.Messages())
			for j := range m.Fields().Len() {
				f := m.Fields().Get(j)
				switch f.Kind() {
				case protoreflect.EnumKind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Sint32Kind, protoreflect.BoolKind,
					protoreflect.BytesKind, protoreflect.MessageKind:
					if f.IsMap() {
						t.Errorf("%s is a map", f.FullName())
					}
				case protoreflect.StringKind:
					if !codes[string(f.Name())] {
						t.Errorf("%s is text", f.FullName())
					}
				default:
					t.Errorf("%s is a %s", f.FullName(), f.Kind())
				}
			}
		}
	}
	walk(ledgerv1.File_muniment_ledger_v1_ledger_proto.Messages())
}

// TestS0_2_IdentifiersHaveNowhereToGo writes names, numbers and addresses of
// people into every text and byte field of every message. None may parse.
func TestS0_2_IdentifiersHaveNowhereToGo(t *testing.T) {
	lures := []string{"Jane Q. Public", "078-05-1120", "jane.public@example.org", "+1 860 555 0100", "12 Example Street", "jane"}
	for _, m := range sampleMessages() {
		var tx ledgerv1.SignedTx
		if err := proto.Unmarshal(sampleTx(t, m), &tx); err != nil {
			t.Fatal(err)
		}
		for _, lure := range lures {
			var body ledgerv1.TxBody
			if err := proto.Unmarshal(tx.Body, &body); err != nil {
				t.Fatal(err)
			}
			eachText(body.ProtoReflect(), func(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
				was := m.Get(fd)
				value := protoreflect.ValueOfString(lure)
				if fd.Kind() == protoreflect.BytesKind {
					value = protoreflect.ValueOfBytes([]byte(lure))
				}
				if fd.IsList() {
					value = oneItem(m.NewField(fd), value)
				}
				m.Set(fd, value)
				changed, err := proto.Marshal(&body)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := Sign(sampleKey, changed)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := ParseTx(raw); err == nil {
					t.Errorf("%s takes %q", fd.FullName(), lure)
				}
				m.Set(fd, was)
			})
		}
	}
}

func oneItem(list, item protoreflect.Value) protoreflect.Value {
	list.List().Append(item)
	return list
}

func eachText(m protoreflect.Message, visit func(protoreflect.Message, protoreflect.FieldDescriptor)) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Kind() == protoreflect.StringKind, fd.Kind() == protoreflect.BytesKind:
			visit(m, fd)
		case fd.Kind() == protoreflect.MessageKind && fd.IsList():
			for i := range v.List().Len() {
				eachText(v.List().Get(i).Message(), visit)
			}
		case fd.Kind() == protoreflect.MessageKind:
			eachText(v.Message(), visit)
		}
		return true
	})
}

func FuzzParseTx(f *testing.F) {
	for _, m := range sampleMessages() {
		f.Add(sampleTx(f, m))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := ParseTx(raw)
		if err != nil {
			return
		}
		body, err := NewBody(tx.Network, tx.Nonce, tx.NotAfter, tx.Message)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := AssembleTx(body, tx.KeyID, tx.Signature[:]); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("parsed %x, means %x (%v)", raw, again, err)
		}
	})
}

func FuzzParseFact(f *testing.F) {
	for _, fact := range sampleFacts() {
		b, _ := MarshalFact(fact)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, err := ParseFact(b)
		if err != nil {
			return
		}
		if again, err := MarshalFact(fact); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("parsed %x, means %x (%v)", b, again, err)
		}
	})
}

func BenchmarkParseTx(b *testing.B) {
	raw := sampleTx(b, &AnchorRecords{Series: "DEMO-MAIL", Custody: "CITY", Items: make([]AnchorItem, 1000)})
	for b.Loop() {
		if _, err := ParseTx(raw); err != nil {
			b.Fatal(err)
		}
	}
}
