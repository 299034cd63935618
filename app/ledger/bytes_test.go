package ledger_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// unhex reads hexadecimal digits; blanks are for the reader.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStateValueBytes pins the bytes of docs/spec/ledger.md, field by field.
func TestStateValueBytes(t *testing.T) {
	c, _ := start(t)
	c.apply(t, at("2031-01-01"), // entries 29 to 34
		c.sign(t, "IT", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("LIBRARY"), SinceHeight: 1}),
		c.sign(t, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: &record.Office{
			Code: "PARKS", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive,
		}}))
	library, clerk := publicKey("LIBRARY"), keyID("CLERK")
	tests := []struct {
		name string
		key  []byte
		text string // the state key as the page spells it
		want []byte
	}{
		{"parameters", ledger.StateKeyParameters(), "parameters", unhex(t, "83 01"+ // array of 3, version
			"01"+ // entry 1
			"4c 0a0a 0807 10b401 181e 20d804")}, // Fact.parameters: 7, 180, 30, 600
		{"a suspended key", ledger.StateKeyKey(keyID("LIBRARY")), "key/", slices.Concat(unhex(t, "85 01"+ // array of 5, version
			"0e"+ // entry 14 registered it
			"58 31 1a2f 0a07 4c494252415259 1001 1a20"), library[:], unhex(t, "2002"+ // Fact.key: LIBRARY, signing, its public key, suspended
			"01"+ // at height 1
			"01"))}, // approvals from height 1 are void
		{"a proposal", ledger.StateKeyProposal(32), "proposal/\x00\x00\x00\x00\x00\x00\x00\x20", slices.Concat(unhex(t, "86 01"+ // array of 6, version
			"65 434c45524b"+ // by CLERK
			"4e 120c 0a05 5041524b53 1201 01 1801"+ // Fact.office: PARKS, department, active
			"19 5708"+ // 2031-01-01, day 22280
			"00"+ // not executed
			"81 83 65 434c45524b 58 20"), clerk[:], unhex(t, "01"))}, // one approval: CLERK, its key, height 1
	}
	for _, test := range tests {
		if !bytes.HasPrefix(test.key, []byte(test.text)) {
			t.Errorf("the state key of %s is %q, want %q", test.name, test.key, test.text)
		}
		got, ok, err := c.view.Value(test.key)
		if err != nil || !ok || !bytes.Equal(got, test.want) {
			t.Errorf("value of %s = %x, %t, %v, want %x", test.name, got, ok, err, test.want)
		}
	}
}
