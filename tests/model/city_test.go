package model

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// The machine takes every signature: who signs is the key id alone.
var machine = ledger.Machine{Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }}

var network = record.Network(sha256.Sum256([]byte("genesis.json of the model")))

// begin is when the moves begin; a block takes a second, or a day.
var begin = time.Date(2031, time.January, 2, 12, 0, 0, 0, time.UTC)

// setting says under which series and rules the two records are kept.
type setting struct {
	name   string
	series [2]record.Code
	rules  []*record.ScheduleRule
	parts  bool // parts of the records are withheld and erased, and fewer other moves are made
}

// settings: two records of different series, of which the first is due at once
// and asks for two approvals, the second is due a day later and asks for one
// and a day of notice; two records of one series; and two that ask for one
// approval, but for more when parts of them are erased.
var settings = []setting{
	{"two series", [2]record.Code{"DEMO-MINUTES", "DEMO-PLANS"}, []*record.ScheduleRule{
		demoRule("DEMO-MINUTES", 0, record.RoleClerk, record.RoleChiefAdmin),
		demoRule("DEMO-PLANS", 1, record.RoleClerk),
	}, false},
	{"one series", [2]record.Code{"DEMO-MINUTES", "DEMO-MINUTES"}, []*record.ScheduleRule{
		demoRule("DEMO-MINUTES", 0, record.RoleClerk, record.RoleChiefAdmin),
	}, false},
	{"parts of records", [2]record.Code{"DEMO-MINUTES", "DEMO-PLANS"}, []*record.ScheduleRule{
		demoRule("DEMO-MINUTES", 0, record.RoleClerk),
		demoRule("DEMO-PLANS", 0, record.RoleClerk),
	}, true},
}

// demoRule keeps records for a day after they were created.
func demoRule(series record.Code, notice uint32, approvals ...record.Role) *record.ScheduleRule {
	return &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Action: record.ActionDestroy, Approvals: approvals,
		Rule:       retention.Rule{Kind: retention.After, Count: 1, Unit: retention.Days, Event: retention.Created},
		NoticeDays: notice, NoticeHeights: 1, FiscalStart: 7,
	}
}

func publicKey(name string) [32]byte {
	seed := sha256.Sum256([]byte("model key " + name))
	return [32]byte(ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
}

func keyID(name string) record.KeyID {
	public := publicKey(name)
	return record.KeyIDOf(public[:])
}

// keys names the signers. Second keys take over when the first are suspended.
var keys = func() map[string]record.KeyID {
	ids := map[string]record.KeyID{}
	for _, name := range []string{"DPW", "DPW/2", "CLERK", "CLERK/2", "COUNSEL", "CAO", "IT", "AUDIT", "OPRA", "node/custodian"} {
		ids[name] = keyID(name)
	}
	return ids
}()

func facts(s setting) []record.Fact {
	active := record.StatusActive
	all := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 40 * 86400}}
	offices := []record.Office{
		{Code: "AUDIT", Roles: []record.Role{record.RoleAuditor}},
		caoOffice(record.RoleChiefAdmin),
		// The clerk could fill either of two roles, but not both.
		{Code: "CLERK", Roles: []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleGovernor}},
		{Code: "COUNSEL", Roles: []record.Role{record.RoleCounsel}},
		{Code: "DPW", Roles: []record.Role{record.RoleDepartment}},
		{Code: "IT", Roles: []record.Role{record.RoleIT, record.RoleGovernor}},
		{Code: "OPRA", Roles: []record.Role{record.RoleStateRecords}},
	}
	signing := func(office record.Code, name string) {
		all = append(all, &record.Key{Office: office, Use: record.UseSigning, PublicKey: publicKey(name), Status: active})
	}
	for i := range offices {
		offices[i].Status = active
		all = append(all, &offices[i])
	}
	for i := range offices {
		signing(offices[i].Code, string(offices[i].Code))
	}
	signing("CLERK", "CLERK/2")
	signing("DPW", "DPW/2")
	all = append(all,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK"}, Threshold: 1},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "IT"}, Threshold: 1},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{keys["node/custodian"]}})
	for i, code := range s.series {
		if !slices.Contains(s.series[:i], code) {
			all = append(all, &record.Series{Code: code, Granularity: record.GranularityDay, Status: active})
		}
	}
	return append(all, &record.Node{
		NodeKey: publicKey("node"), ValidatorKey: publicKey("node/validator"), CosignerKey: publicKey("node/cosigner"),
		LogKey: publicKey("node/log"), CustodianKey: publicKey("node/custodian"), Power: 10,
	})
}

// caoOffice is the office whose role is taken away. It could lock, too, were
// it not for the approval that it gives.
func caoOffice(roles ...record.Role) record.Office {
	return record.Office{Code: "CAO", Roles: append(roles, record.RoleOperator), Status: record.StatusActive}
}

// node is a state of the ledger on the way.
type node struct {
	view   ledger.View
	oracle *oracle
}

// act is one transaction of a move.
type act struct {
	signer  string
	message record.Message
}

// block makes the transactions of a block and carries it out.
func (n node) block(step time.Duration, acts ...act) (ledger.Changes, []ledger.Result, error) {
	head := n.view.Head()
	b := ledger.Block{Height: head.Height + 1, Time: head.Time + int64(step)}
	for i, a := range acts {
		var nonce record.Nonce
		binary.BigEndian.PutUint64(nonce[:], uint64(b.Height))
		nonce[15] = byte(i)
		days := record.Day(90)
		if _, anchors := a.message.(*record.AnchorRecords); anchors {
			days = 1
		}
		body, err := record.NewBody(network, nonce, record.LedgerDay(b.Time)+days, a.message)
		if err != nil {
			return ledger.Changes{}, nil, err
		}
		raw, err := record.AssembleTx(body, keys[a.signer], make([]byte, ed25519.SignatureSize))
		if err != nil {
			return ledger.Changes{}, nil, err
		}
		b.Txs = append(b.Txs, raw)
	}
	return machine.Apply(n.view, b)
}

// found gives the state in which the moves begin, and the two records.
func found(t *testing.T, s setting) (node, [2]record.Index) {
	t.Helper()
	genesis, err := ledger.Genesis(ledger.GenesisFacts{
		Network: network, ChainID: "model-1", Origin: "records.example.org/model", Time: begin.UnixNano(), Facts: facts(s),
	})
	if err != nil {
		t.Fatal(err)
	}
	n := node{view: ledger.Overlay(ledger.Blank(), genesis), oracle: newOracle(s)}
	n.learn(t, genesis)
	var rules [][]byte
	for _, r := range s.rules {
		n.must(t, act{"CLERK", &record.ProposeChange{Fact: r}})
		fact, err := record.MarshalFact(r)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, fact)
	}
	root, err := record.ScheduleRoot(rules)
	if err != nil {
		t.Fatal(err)
	}
	n.must(t, act{"CLERK", &record.ProposeChange{Fact: &record.Schedule{
		Code: "DEMO", Version: 1, Effective: record.LedgerDay(begin.UnixNano()), Count: uint32(len(rules)), Root: root,
	}}})
	var records [2]record.Index
	for i, series := range s.series {
		m := &record.AnchorRecords{Series: series, Items: []record.AnchorItem{{
			Commitment: sha256.Sum256([]byte{byte(i)}), Day: record.LedgerDay(begin.UnixNano()) - 2 + record.Day(i),
		}}}
		if i == 0 {
			m.Custody = "CITY"
		}
		records[i] = n.must(t, act{"DPW", m})
	}
	return n, records
}

// must carries out a block of one transaction that has to be accepted, and
// gives its first item.
func (n *node) must(t *testing.T, a act) record.Index {
	t.Helper()
	changes, results, err := n.block(time.Second, a)
	if err != nil {
		t.Fatal(err)
	}
	if results[0].Code != ledger.OK {
		t.Fatalf("%T by %s: %s", a.message, a.signer, results[0].Code)
	}
	n.view = ledger.Overlay(n.view, changes)
	n.learn(t, changes)
	return results[0].TxIndex + 1
}

func (n *node) learn(t *testing.T, c ledger.Changes) {
	t.Helper()
	var err error
	if n.oracle, err = n.oracle.after(c); err != nil {
		t.Fatal(err)
	}
}
