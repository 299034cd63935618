package crash

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

const (
	passphrase = "correct horse battery staple"
	department = record.Code("DPW")
	series     = record.Code("DEMO-MINUTES")
	fewItems   = 8   // at most, in most transactions
	manyItems  = 500 // in every sixteenth or so
)

// A city is a network of one validator, and where its node listens.
type city struct {
	home       node.Home
	passphrase string // file
	address    string // host:port of gRPC, the same at every start
	network    receipt.Network
	calls      string // call log
	started    []*process
}

func keyOf(office, use string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + office + " " + use))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keyFact(office record.Code, use record.KeyUse, name string) *record.Key {
	return &record.Key{
		Office: office, Use: use, Status: record.StatusActive,
		PublicKey: [32]byte(keyOf(string(office), name).Public().(ed25519.PublicKey)),
	}
}

// facts is a small city: two governing offices, a department with a signing and
// an access key, one series.
func facts(custodian record.KeyID) []record.Fact {
	governors := []record.Code{"CLERK", "IT"}
	return []record.Fact{
		&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600},
		&record.Office{Code: "CLERK", Roles: []record.Role{record.RoleGovernor}, Status: record.StatusActive},
		&record.Office{Code: department, Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive},
		&record.Office{Code: "IT", Roles: []record.Role{record.RoleGovernor}, Status: record.StatusActive},
		keyFact("CLERK", record.UseSigning, "signing"),
		keyFact(department, record.UseSigning, "signing"),
		keyFact(department, record.UseAccess, "access"),
		keyFact("IT", record.UseSigning, "signing"),
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}},
		&record.Series{Code: series, Granularity: record.GranularityDay, Status: record.StatusActive},
	}
}

// found makes a city.
func found(t *testing.T) *city { return foundWith(t, facts) }

func foundWith(t *testing.T, facts func(custodian record.KeyID) []record.Fact) *city {
	t.Helper()
	c := &city{home: node.Home(filepath.Join(t.TempDir(), "home")), address: ports.Free(t), calls: callLogOf(t)}
	_, err := node.Init(c.home, node.InitOptions{
		Keys:    node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Custodian: true, Now: time.Now()},
		ChainID: "muniment-crash-1", Origin: "records.example.org/crash", Address: c.address, Facts: facts,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.passphrase = filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(c.passphrase, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c.network, err = networkOf(c.home); err != nil {
		t.Fatal(err)
	}
	return c
}

func networkOf(home node.Home) (receipt.Network, error) {
	text, err := os.ReadFile(home.Network())
	if err != nil {
		return receipt.Network{}, err
	}
	return receipt.ParseNetwork(text)
}

// A batch is a transaction that follows from its name alone, so that whoever
// knows the name can hand it in again.
type batch struct {
	name        string
	commitments []record.Commitment
	raw         []byte
}

// batchOf makes a transaction that anchors a few records, or many.
func batchOf(network record.Network, day record.Day, name string) (batch, error) {
	hash := sha256.Sum256([]byte(name))
	b := batch{name: name}
	m := &record.AnchorRecords{Series: series}
	items := 1 + int(hash[31])%fewItems
	if hash[30]%16 == 0 {
		items = manyItems
	}
	for i := range items {
		commitment := record.Commitment(sha256.Sum256(fmt.Appendf(nil, "%s, item %d", name, i)))
		b.commitments = append(b.commitments, commitment)
		m.Items = append(m.Items, record.AnchorItem{Commitment: commitment, Day: day})
	}
	body, err := record.NewBody(network, record.Nonce(hash[:16]), day+5, m)
	if err != nil {
		return batch{}, err
	}
	b.raw, err = record.Sign(keyOf(string(department), "signing"), body)
	return b, err
}

// today is the ledger day on which a test began.
var today = record.LedgerDay(time.Now().UnixNano())

func (c *city) batch(t *testing.T, name string) batch {
	t.Helper()
	b, err := batchOf(c.network.ID, today, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
