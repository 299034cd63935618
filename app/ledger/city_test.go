package ledger_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// city is a demonstration city for tests: a genesis, and the private keys of
// its offices. Every key is derived from its name.
type city struct {
	view    ledger.View
	genesis ledger.Changes
	facts   ledger.GenesisFacts
	machine ledger.Machine
	nonces  uint64
	state   map[string][]byte // every state value

	live     ledger.Live          // who signed the commit in the next block
	evidence []ledger.Misbehavior // in the next block
}

var network = record.Network(sha256.Sum256([]byte("genesis.json of the demonstration")))

// at gives the Unix nanoseconds of noon, UTC, of a date; at noon the ledger
// day is the date.
func at(date string) int64 { return dayOf(date).Unix()*1e9 + 12*3600*1e9 }

// day gives the day of a date.
func day(date string) record.Day { return record.Day(dayOf(date).Unix() / 86400) }

func dayOf(date string) time.Time {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return t
}

// privateKey gives the private key of a name, as "DPW" or "DPW/access".
func privateKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("demonstration key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKey(name string) [32]byte {
	return [32]byte(privateKey(name).Public().(ed25519.PublicKey))
}

func keyID(name string) record.KeyID {
	public := publicKey(name)
	return record.KeyIDOf(public[:])
}

func commitment(name string) record.Commitment {
	return sha256.Sum256([]byte("demonstration record " + name))
}

func signingKey(office record.Code, name string) *record.Key {
	return &record.Key{Office: office, Use: record.UseSigning, PublicKey: publicKey(name), Status: record.StatusActive}
}

// demoFacts is the genesis of the demonstration city.
func demoFacts() ledger.GenesisFacts {
	active := record.StatusActive
	custodian := record.KeyIDOf(keyBytes("node/custodian"))
	offices := []struct {
		code  record.Code
		roles []record.Role
	}{
		{"CLERK", []record.Role{record.RoleClerk, record.RoleGovernor}},
		{"DPW", []record.Role{record.RoleDepartment}},
		{"IT", []record.Role{record.RoleIT, record.RoleGovernor}},
		{"LIBRARY", []record.Role{record.RoleDepartment, record.RoleLibraryCEO}},
		{"AUDIT", []record.Role{record.RoleAuditor}},
		{"COUNSEL", []record.Role{record.RoleCounsel, record.RoleGovernor}},
	}
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range offices {
		facts = append(facts, &record.Office{Code: o.code, Roles: o.roles, Status: active})
	}
	for _, o := range offices {
		facts = append(facts, signingKey(o.code, string(o.code)),
			&record.Key{Office: o.code, Use: record.UseAccess, PublicKey: publicKey(string(o.code) + "/access"), Status: active})
	}
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK", "COUNSEL"}, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "COUNSEL", "IT"}, Threshold: 2, Required: []record.Code{"IT"}},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: active},
		&record.Series{Code: "DEMO-PERMITS", Granularity: record.GranularityMonth, Status: active, Departments: []record.Code{"DPW"}},
		&record.Series{Code: "DEMO-PLANS", Granularity: record.GranularityYear, Status: active},
		&record.Series{Code: "DEMO-OLD", Granularity: record.GranularityDay, Status: record.StatusInactive},
		&record.Node{
			NodeKey: publicKey("node"), ValidatorKey: publicKey("node/validator"), CosignerKey: publicKey("node/cosigner"),
			LogKey: publicKey("node/log"), CustodianKey: publicKey("node/custodian"), Power: 10,
		})
	return ledger.GenesisFacts{
		Network: network, ChainID: "muniment-demo-1", Origin: "records.example.org/demo", Time: at("2031-01-01"), Facts: facts,
	}
}

func keyBytes(name string) []byte {
	public := publicKey(name)
	return public[:]
}

// found gives the city after genesis.
func found(t testing.TB, facts ledger.GenesisFacts) *city {
	t.Helper()
	c, err := ledger.Genesis(facts)
	if err != nil {
		t.Fatalf("found the city: %v", err)
	}
	founded := &city{
		view: ledger.Overlay(ledger.Blank(), c), genesis: c, facts: facts, machine: ledger.Machine{Verify: ed25519.Verify},
		state: map[string][]byte{},
	}
	founded.keep(c)
	return founded
}

// keep notes the state values that a block set.
func (c *city) keep(changes ledger.Changes) {
	for _, v := range changes.Values {
		c.state[string(v.Key)] = v.Value
	}
}

// sign gives a transaction of a message, signed by the key of a name, with a
// fresh nonce.
func (c *city) sign(t testing.TB, name string, notAfter record.Day, m record.Message) []byte {
	t.Helper()
	c.nonces++
	nonce := sha256.Sum256(fmt.Appendf(nil, "nonce %d", c.nonces))
	return sign(t, name, record.Nonce(nonce[:16]), notAfter, m)
}

func sign(t testing.TB, name string, nonce record.Nonce, notAfter record.Day, m record.Message) []byte {
	t.Helper()
	body, err := record.NewBody(network, nonce, notAfter, m)
	if err != nil {
		t.Fatalf("make a body: %v", err)
	}
	raw, err := record.Sign(privateKey(name), body)
	if err != nil {
		t.Fatalf("sign a body: %v", err)
	}
	return raw
}

// apply carries out the next block and moves on to the view after it.
func (c *city) apply(t testing.TB, time int64, txs ...[]byte) (ledger.Changes, []ledger.Result) {
	t.Helper()
	changes, results, err := c.machine.Apply(c.view, ledger.Block{
		Height: c.view.Head().Height + 1, Time: time, Txs: txs, Live: c.live, Misbehavior: c.evidence,
	})
	c.live, c.evidence = nil, nil
	if err != nil {
		t.Fatalf("apply a block: %v", err)
	}
	c.view = ledger.Overlay(c.view, changes)
	c.keep(changes)
	return changes, results
}
