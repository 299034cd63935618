//go:build chaos

package chaos

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

const (
	passphrase = "correct horse battery staple"
	validators = 4
	stranger   = 5 // the machine of somebody else
	p2pPort    = 26656
	grpcPort   = 7450
)

// A city is a network of four validators, each on a machine of its own.
type city struct {
	*links
	nodes      []*member
	passphrase string // file
	genesis    []byte
	network    receipt.Network
	later      []receipt.Network // the file, as the network has extended it
	receipts   []string          // folders of the recorders
	began      time.Time
	faults     []fault     // in their order
	own        []operation // of the tests themselves
}

// A member is a node: its machine, its home, and the process that runs it, if one does.
type member struct {
	machine   int // from 1
	id        string
	nodeKey   [32]byte
	validator string // the engine's address of its validator key
	home      node.Home
	process   *process
	started   []*process // all that ever ran here

	backups  int
	wentBack []time.Duration // when it was restored, since the city began
	lapses   []lapse         // what it forgot then
}

func (m *member) p2p() string  { return fmt.Sprintf("%s:%d", addressOf(m.machine), p2pPort) }
func (m *member) grpc() string { return fmt.Sprintf("%s:%d", addressOf(m.machine), grpcPort) }

// facts is a small city with all that a disposition needs.
func facts(keepers []record.KeyID) []record.Fact {
	all := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range []struct {
		code  record.Code
		roles []record.Role
	}{
		{clerk, []record.Role{record.RoleClerk, record.RoleGovernor}}, {counsel, []record.Role{record.RoleCounsel, record.RoleGovernor}},
		{auditor, []record.Role{record.RoleAuditor}}, {department, []record.Role{record.RoleDepartment}}, {it, []record.Role{record.RoleIT, record.RoleGovernor}},
	} {
		all = append(all, &record.Office{Code: o.code, Roles: o.roles, Status: record.StatusActive},
			keyFact(o.code, record.UseSigning, "signing"), keyFact(o.code, record.UseAccess, "access"))
	}
	governors := []record.Code{clerk, counsel, it}
	return append(all,
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2},
		&record.CustodianSet{Code: custody, Custodians: keepers},
		&record.Series{Code: series, Granularity: record.GranularityDay, Status: record.StatusActive},
	)
}

// newCity founds a network. The last member's disk is a small one.
func newCity(t *testing.T) *city {
	t.Helper()
	c := &city{links: newLinks(t, 1, 2, 3, 4, stranger), began: time.Now()}
	dir, err := os.MkdirTemp(work, "city")
	if err != nil {
		t.Fatal(err)
	}
	c.passphrase = filepath.Join(dir, "passphrase")
	if err := os.WriteFile(c.passphrase, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	founding := node.Founding{ChainID: "muniment-chaos-1", Origin: "records.example.org/chaos", Time: time.Now()}
	var keepers []record.KeyID
	for i := range validators {
		m := &member{machine: i + 1, home: node.Home(filepath.Join(dir, fmt.Sprint("node-", i+1)))}
		if i == validators-1 {
			m.home = smallHome(t, filepath.Join(dir, "small"))
		}
		keys := m.makeKeys(t)
		if slices.Contains(custodians, m.machine) {
			keepers = append(keepers, record.KeyIDOf(keys.Custodian.Public().(ed25519.PublicKey)))
		}
		c.nodes = append(c.nodes, m)
		founding.Members = append(founding.Members, node.Member{Node: keys.Fact(10), Address: m.grpc(), Certificate: keys.Certificate})
	}
	slices.SortFunc(keepers, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
	founding.Facts = facts(keepers)
	genesis, network, err := node.Found(founding)
	c.genesis = genesis
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.nodes {
		if err := node.Join(m.home, genesis, network); err != nil {
			t.Fatal(err)
		}
	}
	if c.network, err = receipt.ParseNetwork(network); err != nil {
		t.Fatal(err)
	}
	return c
}

// makeKeys makes the keys of a member in a new home.
func (m *member) makeKeys(t *testing.T) node.Keys {
	t.Helper()
	keys, err := node.MakeKeys(m.home, node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Custodian: true, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m.id, m.validator = keys.ID(), cmted25519.PubKey(keys.Validator.Public().(ed25519.PublicKey)).Address().String()
	m.nodeKey = keys.Fact(0).NodeKey
	return keys
}

// startAll starts every node, and waits until all serve.
func (c *city) startAll(t *testing.T) {
	t.Helper()
	for _, m := range c.nodes {
		c.start(t, m)
	}
	for _, m := range c.nodes {
		m.serves(t)
	}
}
