package ledger_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	ledgerv1 "github.com/muniment/muniment/proto/muniment/ledger/v1"
)

// personal are the things that must find no place on the ledger: names, social
// security numbers, e-mail addresses, telephone numbers, in the spellings of
// people and in those that look like codes. Two things form cannot keep out: a
// name in capitals without a space has the form of a code, against which stands
// that codes are registered by quorum; and bytes of exactly the length of a nonce,
// a hash or a key are opaque, so none of these texts has 16, 32 or 64 bytes.
var personal = []string{
	"Jane Doe", "DOE, JANE", "Doe", "jane", "Élodie", "Jane Doe, 12 Elm Street, Hartford",
	"078-05-1120", "078051120", "078.05.1120", "SSN-078-05-1120", "SSN078051120", "N.078.05.1120",
	"jane.doe@example.org", "J.DOE@EXAMPLE.ORG", "jane.doe",
	"860-555-0100", "8605550100", "(860) 555-0100", "+18605550100", "TL-860-555-0100", "T8605550100", "555-0100", "T555-0100",
}

// everyMessage gives one acceptable message of each kind, with its signer.
func everyMessage(t *testing.T) (*city, map[string]record.Message) {
	t.Helper()
	c, _ := start(t)
	proposed := signingKey("DPW", "DPW/2")
	_, results := c.apply(t, at("2031-01-01"),
		c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "a", "b")),
		c.sign(t, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: proposed}))
	hash, err := record.FactHash(proposed)
	if err != nil {
		t.Fatal(err)
	}
	return c, map[string]record.Message{
		"DPW":       anchors("DEMO-MINUTES", day("2030-12-31"), "c", "d"),
		"DPW again": &record.SupersedeRecord{Record: results[0].TxIndex + 1, By: results[0].TxIndex + 2},
		"CLERK":     &record.ProposeChange{Fact: signingKey("DPW", "DPW/3")},
		"COUNSEL":   &record.ProposeChange{Fact: &record.Office{Code: "PARKS", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}},
		"IT":        &record.ApproveChange{Proposal: results[1].TxIndex + 1, FactHash: hash},
		"IT again":  &record.SuspendKey{KeyID: keyID("LIBRARY"), SinceHeight: 1},
		"CLERK too": &record.Withhold{Record: results[0].TxIndex + 1, Redaction: commitment("parts")},
	}
}

// signerOf gives the office that signs, from a key of everyMessage.
func signerOf(name string) string {
	if i := slices.Index([]byte(name), ' '); i >= 0 {
		return name[:i]
	}
	return name
}

func TestS0_2_PersonalDataFitsNoField(t *testing.T) {
	c, messages := everyMessage(t)
	personalDataFitsNoField(t, c, messages, "network", "nonce", "series", "custody", "commitment", "office", "code", "public_key", "fact_hash", "key_id", "redaction")
}

// personalDataFitsNoField tries what is personal in every field of messages, as
// of the day after the city was founded, and wants some fields to be among them.
func personalDataFitsNoField(t *testing.T, c *city, messages map[string]record.Message, reached ...string) {
	t.Helper()
	h := ledger.Header{Height: c.view.Head().Height + 1, Time: at("2031-01-01")}
	fields := map[string]bool{}
	for name, m := range messages {
		body, err := record.NewBody(network, record.Nonce{7}, day("2031-01-02"), m)
		if err != nil {
			t.Fatal(err)
		}
		try := func(where, what string, body []byte, id, signature []byte) {
			raw, err := proto.Marshal(&ledgerv1.SignedTx{Body: body, KeyId: id, Signature: signature})
			if err != nil {
				return // protobuf has no such string
			}
			if code := c.machine.Check(c.view, h, raw); code == ledger.OK {
				t.Errorf("%q in %s of a message of %s is accepted", what, where, name)
			}
			fields[where] = true
		}
		key := privateKey(signerOf(name))
		id := keyID(signerOf(name))
		// The message itself is good, or the test would prove nothing.
		good, err := record.Sign(key, body)
		if err != nil {
			t.Fatal(err)
		}
		if code := c.machine.Check(c.view, h, good); code != ledger.OK {
			t.Fatalf("the message of %s is %s", name, code)
		}
		for _, what := range personal {
			eachTextField(t, body, what, func(where string, changed []byte) {
				hash := record.Tx{Body: changed}
				try(where, what, changed, id[:], ed25519.Sign(key, hash.SignedMessage()))
			})
			signed := ed25519.Sign(key, record.Tx{Body: body}.SignedMessage())
			try("body", what, []byte(what), id[:], signed)
			try("key_id", what, body, []byte(what), signed)
			try("signature", what, body, id[:], []byte(what))
			unknown := append(slices.Clone(body), 0xfa, 0x0f, byte(len(what)))
			unknown = append(unknown, what...) // field 255
			try("an unknown field", what, unknown, id[:], ed25519.Sign(key, record.Tx{Body: unknown}.SignedMessage()))
		}
	}
	for _, want := range reached {
		if !fields[want] {
			t.Errorf("no test reached field %s: %v", want, fields)
		}
	}
}

// eachTextField puts text into each string and bytes field of a body, one at a
// time, and gives the changed body to try.
func eachTextField(t *testing.T, body []byte, text string, try func(where string, changed []byte)) {
	t.Helper()
	message := new(ledgerv1.TxBody)
	if err := proto.Unmarshal(body, message); err != nil {
		t.Fatal(err)
	}
	marshal := func() []byte {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if err != nil {
			return []byte(text) // not UTF-8, or the like: still to be refused
		}
		return b
	}
	var walk func(m protoreflect.Message)
	walk = func(m protoreflect.Message) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			switch {
			case f.IsList() && f.Message() != nil:
				for j := range m.Get(f).List().Len() {
					walk(m.Get(f).List().Get(j).Message())
				}
			case f.Message() != nil:
				if m.Has(f) {
					walk(m.Get(f).Message())
				}
			case f.Kind() == protoreflect.StringKind && f.IsList():
				if list := m.Mutable(f).List(); list.Len() > 0 {
					before := list.Get(list.Len() - 1)
					list.Set(list.Len()-1, protoreflect.ValueOfString(text))
					try(string(f.Name()), marshal())
					list.Set(list.Len()-1, before)
				}
			case f.Kind() == protoreflect.StringKind:
				before := m.Get(f)
				m.Set(f, protoreflect.ValueOfString(text))
				try(string(f.Name()), marshal())
				m.Set(f, before)
			case f.Kind() == protoreflect.BytesKind && f.IsList():
				if list := m.Mutable(f).List(); list.Len() > 0 {
					before := list.Get(list.Len() - 1)
					list.Set(list.Len()-1, protoreflect.ValueOfBytes([]byte(text)))
					try(string(f.Name()), marshal())
					list.Set(list.Len()-1, before)
				}
			case f.Kind() == protoreflect.BytesKind && !f.IsList():
				before := m.Get(f)
				m.Set(f, protoreflect.ValueOfBytes([]byte(text)))
				try(string(f.Name()), marshal())
				m.Set(f, before)
			}
		}
	}
	walk(message.ProtoReflect())
}

// TestS0_2_GenesisHasNoPersonalCodes wants the codes of genesis to be as strict.
func TestS0_2_GenesisHasNoPersonalCodes(t *testing.T) {
	for _, what := range personal {
		code := record.Code(what)
		for _, f := range []record.Fact{
			&record.Office{Code: code, Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive},
			&record.Series{Code: code, Granularity: record.GranularityDay, Status: record.StatusActive},
			&record.CustodianSet{Code: code, Custodians: []record.KeyID{keyID("node/custodian")}},
		} {
			facts := demoFacts()
			facts.Facts = append(facts.Facts, f)
			if _, err := ledger.Genesis(facts); err == nil {
				t.Errorf("genesis accepts %q as the code of a %T", what, f)
			}
		}
	}
}

// TestS0_2_SchemaHasNoFreeText walks every message of the schema: a field is a
// number, an enum, a bool, a byte string of fixed length or a registered code.
func TestS0_2_SchemaHasNoFreeText(t *testing.T) {
	codes := []string{
		"AnchorRecords.series", "AnchorRecords.custody", "Office.code", "Key.office", "Governance.offices", "Governance.required",
		"CustodianSet.code", "Series.code", "Series.departments",
		"AnchorBatch.series", "AnchorBatch.custody", "FileRecords.series", "PostAuditedThrough.department", "Scope.department", "Scope.series",
		"ProposeDisposition.series", "ProposeDisposition.to", "ScheduleRule.schedule", "ScheduleRule.series", "Rule.series", "Schedule.code",
		"LeaveCustody.set", "Witness.code",
		"Activation.series", "Activation.office", "StandingAuthorization.office", "StandingAuthorization.series",
	}
	fixed := []string{ // SignedTx.body is the canonical TxBody
		"SignedTx.body", "SignedTx.key_id", "SignedTx.signature", "TxBody.network", "TxBody.nonce", "AnchorItem.commitment",
		"ApproveChange.fact_hash", "SuspendKey.key_id", "Key.public_key", "CustodianSet.custodians",
		"Node.node_key", "Node.validator_key", "Node.cosigner_key", "Node.log_key", "Node.custodian_key",
		"CustodianSet.lost", "Node.replaces", "Witness.public_key", "Witness.name_hash",
		"AnchorBatch.commitment", "PlaceHold.matter", "ApproveDisposition.hash", "LockDisposition.hash", "ReportErasure.report", "ProposeDisposition.redaction", "Withhold.redaction",
		"Schedule.root", "Activation.assessment", "Activation.data_map",
	}
	messages := ledgerv1.File_muniment_ledger_v1_ledger_proto.Messages()
	for i := range messages.Len() {
		fields := messages.Get(i).Fields()
		for j := range fields.Len() {
			f := fields.Get(j)
			name := string(f.Parent().Name()) + "." + string(f.Name())
			switch f.Kind() {
			case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Sint32Kind:
			case protoreflect.MessageKind:
				if f.IsMap() || f.Message().ParentFile() != f.ParentFile() {
					t.Errorf("%s is a map, or a message from elsewhere", name)
				}
			case protoreflect.StringKind:
				if !slices.Contains(codes, name) {
					t.Errorf("%s is a string and not a registered code", name)
				}
			case protoreflect.BytesKind:
				if !slices.Contains(fixed, name) {
					t.Errorf("%s is a byte string of no fixed length", name)
				}
			default:
				t.Errorf("%s is a %s", name, f.Kind())
			}
		}
	}
	if messages.Len() < 16 {
		t.Errorf("the schema has %d messages, want at least 16", messages.Len())
	}
}

// TestS0_16_OnlyACommitmentFits tries byte strings of every length where the
// commitment goes: content does not fit, and neither does a hash with something beside it.
func TestS0_16_OnlyACommitmentFits(t *testing.T) {
	c, _ := start(t)
	key := privateKey("DPW")
	for length := range 113 {
		m := &ledgerv1.TxBody{
			Network: network[:], Nonce: make([]byte, 16), NotAfterDay: uint32(day("2031-01-02")),
			Message: &ledgerv1.TxBody_AnchorRecords{AnchorRecords: &ledgerv1.AnchorRecords{
				Series: "DEMO-MINUTES", Items: []*ledgerv1.AnchorItem{{Commitment: make([]byte, length)}},
			}},
		}
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := record.Sign(key, body)
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.CodeMalformed
		if length == 32 {
			want = ledger.OK
		}
		if got := c.machine.Check(c.view, ledger.Header{Height: 1, Time: at("2031-01-01")}, raw); got != want {
			t.Errorf("a commitment of %d bytes: %s, want %s", length, got, want)
		}
	}
}
