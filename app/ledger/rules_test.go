package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// The tests of this file bear the numbers of the requirements that they answer.

// start gives the demonstration city before its first block, and the header of that block.
func start(t testing.TB) (*city, ledger.Header) {
	t.Helper()
	return found(t, demoFacts()), ledger.Header{Height: 1, Time: at("2031-01-01")}
}

// refused wants that a transaction gets the code from Check and from Apply, and
// that it leaves nothing behind.
func (c *city) refused(t *testing.T, raw []byte, want ledger.Code) {
	t.Helper()
	head := c.view.Head()
	h := ledger.Header{Height: head.Height + 1, Time: head.Time}
	if got := c.machine.Check(c.view, h, raw); got != want {
		t.Errorf("Check = %s, want %s", got, want)
	}
	changes, results, err := c.machine.Apply(c.view, ledger.Block{Height: h.Height, Time: h.Time, Txs: [][]byte{raw}})
	if err != nil {
		t.Fatal(err)
	}
	if got := results[0]; got.Code != want || got.Count != 0 || want != ledger.CodeAlreadyAnchored && got.TxIndex != 0 {
		t.Errorf("result = %+v, want %s and no entries", got, want)
	}
	if len(changes.Entries)+len(changes.Values)+len(changes.Nodes)+len(changes.Anchors) != 0 || changes.AppHash != head.AppHash {
		t.Errorf("a refused transaction changed something: %+v", changes)
	}
}

func TestS0_7_UnknownSeriesIsRefused(t *testing.T) {
	c, _ := start(t)
	c.refused(t, c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-LETTERS", 0, "a")), ledger.CodeUnknownSeries)
}

func TestS0_7_InactiveSeriesIsRefused(t *testing.T) {
	c, _ := start(t)
	c.refused(t, c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-OLD", 0, "a")), ledger.CodeSeriesInactive)
}

// TestS0_3_RolesMatrix tries every kind of message as an office of every role,
// governing and not. What is not in the grants is refused.
func TestS0_3_RolesMatrix(t *testing.T) {
	const governs = "governs SECURITY"
	grants := map[string]string{"anchor": "DEPARTMENT", "supersede": "DEPARTMENT", "propose": governs, "approve": governs, "suspend": governs}
	cells := 0
	for _, role := range record.Roles() {
		for _, governing := range []bool{false, true} {
			c, messages := matrixCity(t, role, governing)
			for name, m := range messages {
				cells++
				allowed := grants[name] == role.String() || grants[name] == governs && governing
				want := ledger.OK
				switch {
				case allowed:
				case grants[name] == governs:
					want = ledger.CodeNotGoverning
				default:
					want = ledger.CodeWrongRole
				}
				h := ledger.Header{Height: c.view.Head().Height + 1, Time: c.view.Head().Time}
				got := c.machine.Check(c.view, h, c.sign(t, "OFFICE", record.LedgerDay(h.Time), m))
				if got != want {
					t.Errorf("%s by an office with role %s, governing %t: %s, want %s", name, role, governing, got, want)
				}
			}
		}
	}
	if want := len(record.Roles()) * 2 * len(grants); cells != want {
		t.Errorf("the matrix has %d cells, want %d", cells, want)
	}
}

// matrixCity gives a city with an office OFFICE of one role, and one message of each kind.
func matrixCity(t *testing.T, role record.Role, governing bool) (*city, map[string]record.Message) {
	t.Helper()
	facts := demoFacts()
	facts.Facts = append(facts.Facts, &record.Office{Code: "OFFICE", Roles: []record.Role{role}, Status: record.StatusActive}, signingKey("OFFICE", "OFFICE"))
	for _, f := range facts.Facts {
		if g, ok := f.(*record.Governance); ok && g.Subject == record.SubjectSecurity && governing {
			g.Offices = append(g.Offices, "OFFICE")
		}
	}
	c := found(t, facts)
	proposed := signingKey("DPW", "DPW/2")
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: proposed}))
	hash, err := record.FactHash(proposed)
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string]record.Message{
		"anchor":  anchors("DEMO-MINUTES", 0, "a"),
		"propose": &record.ProposeChange{Fact: signingKey("DPW", "DPW/3")},
		"approve": &record.ApproveChange{Proposal: results[0].TxIndex + 1, FactHash: hash},
		"suspend": &record.SuspendKey{KeyID: keyID("LIBRARY")},
	}
	messages["supersede"] = &record.SupersedeRecord{Record: 1, By: 2}
	if role == record.RoleDepartment {
		_, results := c.apply(t, at("2031-01-01"), c.sign(t, "OFFICE", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "b", "c")))
		messages["supersede"] = &record.SupersedeRecord{Record: results[0].TxIndex + 1, By: results[0].TxIndex + 2}
	}
	return c, messages
}

// Nobody acts who was not admitted: an unknown key is told nothing but that.
func TestS0_15_UnknownKeyIsRefused(t *testing.T) {
	c, _ := start(t)
	for _, m := range []record.Message{
		anchors("DEMO-MINUTES", 0, "a"), anchors("NO-SUCH-SERIES", 0, "a"),
		&record.SuspendKey{KeyID: keyID("DPW")}, &record.ProposeChange{Fact: signingKey("DPW", "nobody")},
	} {
		c.refused(t, c.sign(t, "nobody", day("2031-01-02"), m), ledger.CodeUnknownKey)
	}
	// A node cannot sign for an office, and an access key signs certificates only.
	c.refused(t, c.sign(t, "node", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "a")), ledger.CodeUnknownKey)
	c.refused(t, c.sign(t, "DPW/access", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "a")), ledger.CodeWrongKeyUse)
}

func TestS0_20_OfficesAndKeysAreDecidedBySecurity(t *testing.T) {
	facts := demoFacts()
	for _, f := range facts.Facts {
		if g, ok := f.(*record.Governance); ok && g.Subject == record.SubjectSecurity {
			g.Offices, g.Threshold, g.Required = []record.Code{"IT"}, 1, nil
		}
	}
	c := found(t, facts)
	key := &record.ProposeChange{Fact: signingKey("DPW", "DPW/2")}
	c.refused(t, c.sign(t, "CLERK", day("2031-01-02"), key), ledger.CodeNotGoverning)
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), key))
	if results[0].Code != ledger.OK || results[0].Count != 2 {
		t.Errorf("a threshold of one: %+v, want OK with a proposal and a fact", results[0])
	}
	if k, ok, err := ledger.KeyOf(c.view, keyID("DPW/2")); !ok || err != nil || k.Registered != results[0].TxIndex+2 {
		t.Errorf("key = %+v, %t, %v, want it registered by entry %d", k, ok, err, results[0].TxIndex+2)
	}
}

// The same office signing twice, with two keys, is one approval.
func TestS0_21_OneOfficeIsOneApproval(t *testing.T) {
	facts := demoFacts()
	facts.Facts = append(facts.Facts, signingKey("IT", "IT/2"))
	c := found(t, facts)
	office := &record.Office{Code: "PARKS", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), &record.ProposeChange{Fact: office}))
	hash, err := record.FactHash(office)
	if err != nil {
		t.Fatal(err)
	}
	approval := &record.ApproveChange{Proposal: results[0].TxIndex + 1, FactHash: hash}
	c.refused(t, c.sign(t, "IT", day("2031-01-02"), approval), ledger.CodeAlreadyApproved)
	c.refused(t, c.sign(t, "IT/2", day("2031-01-02"), approval), ledger.CodeAlreadyApproved)
}

func TestS1_21_RevokedKeyIsRefusedFromThatHeight(t *testing.T) {
	c, _ := start(t)
	before := c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "before"))
	_, first := c.apply(t, at("2031-01-01"), before)
	c.apply(t, at("2031-01-01"), c.sign(t, "COUNSEL", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW")}))
	c.refused(t, c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "after")), ledger.CodeKeySuspended)

	// What was signed before still verifies: the entry is there, and the key with it.
	raw, err := c.view.Entry(first[0].TxIndex)
	if err != nil {
		t.Fatal(err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	tx := e.(record.TxEntry)
	k, ok, err := ledger.KeyOf(c.view, tx.KeyID)
	if err != nil || !ok || !c.machine.Verify(k.PublicKey[:], record.SignedMessage(tx.BodyHash), tx.Signature[:]) {
		t.Errorf("the signature of entry %d no longer verifies", first[0].TxIndex)
	}
}

// Nobody can act as another office: there is no office in a transaction to
// forge, and the key id cannot be swapped for another's.
func TestS1_26_ForgedOfficeIsRefused(t *testing.T) {
	c, _ := start(t)
	raw := c.sign(t, "LIBRARY", day("2031-01-02"), anchors("DEMO-PERMITS", day("2030-12-31"), "a"))
	c.refused(t, raw, ledger.CodeWrongOffice)
	tx, err := record.ParseTx(raw)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := record.AssembleTx(tx.Body, keyID("DPW"), tx.Signature[:])
	if err != nil {
		t.Fatal(err)
	}
	c.refused(t, forged, ledger.CodeBadSignature)
	changes, results := c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-PERMITS", day("2030-12-31"), "a")))
	e, err := record.ParseEntry(changes.Entries[1])
	if err != nil || results[0].Code != ledger.OK || e.(record.AnchorEntry).Office != "DPW" {
		t.Errorf("entry = %+v, %v, want an anchor of DPW", e, err)
	}
}

// TestT19_ReplayIsRefusedOrAnsweredAlike takes every transaction of a chain to
// another network, where none counts, and to the same one again, where none does
// anything.
func TestT19_ReplayIsRefusedOrAnsweredAlike(t *testing.T) {
	c, txs := randomChain(t, 11, 60)
	facts := demoFacts()
	facts.Network = record.Network(sha256.Sum256([]byte("another genesis.json, same chain id")))
	other := found(t, facts)
	accepted := 0
	for _, raw := range txs {
		h := ledger.Header{Height: 1, Time: at("2031-01-01")}
		if code := other.machine.Check(other.view, h, raw); code == ledger.OK {
			t.Errorf("another network accepts a transaction")
		}
		before := c.view.Head()
		changes, results := c.apply(t, before.Time, raw)
		if results[0].Code == ledger.OK && int64(results[0].TxIndex) >= before.Size {
			continue // it had been refused before, and is good now: judged anew
		}
		if results[0].Code == ledger.OK {
			accepted++
		}
		if len(changes.Entries) != 0 || c.view.Head().AppHash != before.AppHash {
			t.Errorf("a transaction that was accepted before changed something")
		}
	}
	if accepted == 0 {
		t.Error("no transaction was answered again")
	}
}

// TestCodesAreDocumented wants a row in docs/spec/ledger.md for each code.
func TestCodesAreDocumented(t *testing.T) {
	spec, err := os.ReadFile("../../docs/spec/ledger.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Count(string(spec), "\n| ")
	for _, code := range ledger.Codes() {
		if row := fmt.Sprintf("| %d | `%s` | ", uint32(code), code); !strings.Contains(string(spec), row) {
			t.Errorf("docs/spec/ledger.md has no row %q", row)
		}
	}
	if len(ledger.Codes()) < 30 || rows < len(ledger.Codes()) {
		t.Errorf("%d codes, %d rows", len(ledger.Codes()), rows)
	}
	if got := ledger.Code(999).String(); got != "CODE_999" {
		t.Errorf("an unknown code is called %q", got)
	}
}
