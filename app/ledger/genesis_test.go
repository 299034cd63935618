package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// withFacts gives the demonstration facts with each fact of type T changed.
func withFacts[T any](change func(*T)) func(*ledger.GenesisFacts) {
	return func(g *ledger.GenesisFacts) {
		for _, f := range g.Facts {
			if f, ok := any(f).(*T); ok {
				change(f)
			}
		}
	}
}

func withFact(f record.Fact) func(*ledger.GenesisFacts) {
	return func(g *ledger.GenesisFacts) { g.Facts = append(g.Facts, f) }
}

func without[T any]() func(*ledger.GenesisFacts) {
	return func(g *ledger.GenesisFacts) {
		var kept []record.Fact
		for _, f := range g.Facts {
			if _, ok := any(f).(*T); !ok {
				kept = append(kept, f)
			}
		}
		g.Facts = kept
	}
}

func security(change func(*record.Governance)) func(*ledger.GenesisFacts) {
	return withFacts(func(g *record.Governance) {
		if g.Subject == record.SubjectSecurity {
			change(g)
		}
	})
}

func TestGenesisRefusesWhatDoesNotFit(t *testing.T) {
	otherKey := signingKey("DPW", "DPW/2")
	suspended := signingKey("DPW", "DPW/2")
	suspended.Status = record.StatusSuspended
	nodeLog := signingKey("DPW", "node/log")
	tests := []struct {
		name   string
		change func(*ledger.GenesisFacts)
		want   string
	}{
		{"no time", func(g *ledger.GenesisFacts) { g.Time = 0 }, "time 0 is not after 1970-01-01"},
		{"no chain id", func(g *ledger.GenesisFacts) { g.ChainID = "" }, "chain id"},
		{"an origin of two lines", func(g *ledger.GenesisFacts) { g.Origin = "a\nb" }, "origin"},
		{"no facts", func(g *ledger.GenesisFacts) { g.Facts = nil }, "0 facts state the parameters"},
		{"a missing fact", withFact(nil), "fact 27 is missing"},
		{"parameters twice", withFact(&record.Parameters{AnchorDays: 1, OtherDays: 1, ProposalDays: 1, JumpSeconds: 1}), "2 facts state the parameters"},
		{"parameters of zero", withFacts(func(p *record.Parameters) { p.AnchorDays = 0 }), "parameters: days"},
		{"an office twice", withFact(&record.Office{Code: "DPW", Roles: []record.Role{record.RoleIT}, Status: record.StatusActive}), "office DPW is listed twice"},
		{"an office without roles", withFact(&record.Office{Code: "PARKS", Status: record.StatusActive}), "office: code, roles or status"},
		{"a key of no office", withFact(signingKey("PARKS", "PARKS")), "of office PARKS, which is not listed"},
		{"a key twice", withFact(signingKey("LIBRARY", "DPW")), "of office LIBRARY is listed twice"},
		{"a key of a node", withFact(nodeLog), "which is listed before"},
		{"a suspended key", withFact(suspended), "is not active"},
		{"no governance", without[record.Governance](), "0 facts say who governs RECORDS"},
		{"a subject twice", withFact(&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"IT"}, Threshold: 1}), "2 facts say who governs RECORDS"},
		{"a governing office that is not", security(func(g *record.Governance) { g.Offices[0] = "BOARD" }), "office BOARD, which is not listed"},
		{"a threshold of zero", security(func(g *record.Governance) { g.Threshold = 0 }), "governance: subject, offices or threshold"},
		{"a threshold above the offices", security(func(g *record.Governance) { g.Threshold = 4 }), "governance: subject, offices or threshold"},
		{"more required than needed", security(func(g *record.Governance) { g.Threshold, g.Required = 1, g.Offices[:2] }), "needs 1 approvals, but 2 offices are required"},
		{"a required office that does not govern", security(func(g *record.Governance) { g.Required = []record.Code{"DPW"} }), "required office DPW does not govern"},
		{"governing offices without keys", withFacts(func(k *record.Key) {
			if k.Office == "IT" {
				k.Office = "DPW"
			}
		}), "too few active signing keys"},
		{"governing offices that are suspended", withFacts(func(o *record.Office) {
			if o.Code == "IT" {
				o.Status = record.StatusSuspended
			}
		}), "too few active signing keys"},
		{"a custodian that is no node's", withFact(&record.CustodianSet{Code: "ELSE", Custodians: []record.KeyID{otherKey.ID()}}), "is the custodian key of no node"},
		{"a custodian set twice", withFact(&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{keyID("node/custodian")}}), "custodian set CITY is listed twice"},
		{"a series twice", withFact(&record.Series{Code: "DEMO-OLD", Granularity: record.GranularityDay, Status: record.StatusActive}), "series DEMO-OLD is listed twice"},
		{"a series for no department", withFact(&record.Series{
			Code: "DEMO-MAIL", Granularity: record.GranularityDay, Status: record.StatusActive, Departments: []record.Code{"AUDIT"},
		}), "series DEMO-MAIL is for office AUDIT, which is not listed as a DEPARTMENT"},
		{"no node", without[record.Node](), "none of 0 nodes is a validator"},
		{"no validator", withFacts(func(n *record.Node) { n.Power = 0 }), "none of 1 nodes is a validator"},
		{"a weak validator", withFacts(func(n *record.Node) { n.Power = 9 }), "power"},
		{"a node with one key twice", withFacts(func(n *record.Node) { n.LogKey = n.NodeKey }), "one key has two uses"},
		{"a node that has left", withFacts(func(n *record.Node) { n.Removed, n.Power = true, 0 }), "node 0 leaves or replaces another"},
		{"a node in the place of another", withFacts(func(n *record.Node) { n.Replaces = keyID("other") }), "node 0 leaves or replaces another"},
		{"65 nodes", func(g *ledger.GenesisFacts) {
			for i := range 64 {
				g.Facts = append(g.Facts, nodeNamed(fmt.Sprint("n", i), 10))
			}
		}, "65 nodes are listed, at most 64 can be"},
		{"a lost custodian", withFacts(func(s *record.CustodianSet) { s.Lost = []record.KeyID{keyID("other/custodian")} }), "has lost a custodian"},
		{"witnesses", withFact(&record.Witnesses{}), "as are witnesses and upgrades"},
		{"an upgrade", withFact(&record.Upgrade{Version: 2, Height: 20}), "as are witnesses and upgrades"},
		{"a code like a number", withFact(&record.Office{Code: "T555-0100", Roles: []record.Role{record.RoleIT}, Status: record.StatusActive}), "seven digits in a row"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			facts := demoFacts()
			test.change(&facts)
			c, err := ledger.Genesis(facts)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Genesis = %v, want an error with %q", err, test.want)
			}
			if c.Entries != nil || c.Size != 0 {
				t.Errorf("Genesis gives changes with its error: %+v", c)
			}
		})
	}
}

func TestGenesisState(t *testing.T) {
	c := found(t, demoFacts())
	nodes, err := ledger.Nodes(c.view)
	if err != nil || len(nodes) != 1 || nodes[0].LogKey != publicKey("node/log") {
		t.Errorf("Nodes = %+v, %v, want the one of genesis", nodes, err)
	}
	p, err := ledger.ParametersOf(c.view)
	if want := (record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}); err != nil || p != want {
		t.Errorf("ParametersOf = %+v, %v, want %+v", p, err, want)
	}
	set, ok, err := ledger.CustodianSetOf(c.view, "CITY")
	if err != nil || !ok || len(set.Custodians) != 1 || set.Custodians[0] != keyID("node/custodian") {
		t.Errorf("CustodianSetOf(CITY) = %+v, %t, %v", set, ok, err)
	}
	ids, err := ledger.SigningKeysOf(c.view, "IT")
	if err != nil || len(ids) != 1 || ids[0] != keyID("IT") {
		t.Errorf("SigningKeysOf(IT) = %x, %v", ids, err)
	}
	if _, ok, err := ledger.SeriesOf(c.view, "DEMO-MAIL"); ok || err != nil {
		t.Errorf("SeriesOf(DEMO-MAIL) = %t, %v, want none", ok, err)
	}
	head := c.view.Head()
	if head.Height != 0 || head.Time != at("2031-01-01") || head.Network != network || head.ChainID != "muniment-demo-1" ||
		head.Origin != "records.example.org/demo" || head.AppHash != c.genesis.AppHash {
		t.Errorf("Head = %+v", head)
	}
	if _, err := ledger.ParametersOf(ledger.Blank()); err == nil {
		t.Error("there are parameters before genesis")
	}
	if _, _, err := c.machine.Apply(ledger.Blank(), ledger.Block{Height: 1}); err == nil {
		t.Error("a block is applied before genesis")
	}
}
