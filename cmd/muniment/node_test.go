package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// governors are two desks that decide about security, in one city.
type governors struct {
	t         testing.TB
	clerk, it *desk
	city      *city
}

func newGovernors(t testing.TB) governors {
	t.Helper()
	g := governors{t: t, clerk: newDesk(t), it: newDesk(t)}
	g.clerk.must("key", "new", "--office", "CLERK")
	g.it.must("key", "new", "--office", "IT")
	keys := must(g.clerk.places.loadConfig()).Keys
	keys["IT"] = must(g.it.places.loadConfig()).Keys["IT"]
	g.city = newCity(t, keys)
	g.clerk.pin(g.city)
	g.it.pin(g.city)
	return g
}

// decide has the clerk propose and IT approve, and gives what approving said.
func (g governors) decide(args ...string) string {
	g.t.Helper()
	var proposal actResult
	r := g.clerk.must(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(r.stdout), &proposal); err != nil {
		g.t.Fatal(err)
	}
	return g.it.must("office", "approve", numeral(uint64(proposal.Index))).stderr
}

// card makes the card of a node, whose keys hang on labels, and gives its id and
// where it is.
func (g governors) card(name, node, validator, cosigner, log, custodian string) (id, path string) {
	g.t.Helper()
	key := func(label string) ed25519.PrivateKey {
		if label == "" {
			return nil
		}
		return g.city.key(label)
	}
	public := func(label string) (k [32]byte) {
		if label != "" {
			k = publicOf(key(label))
		}
		return k
	}
	n := &record.Node{NodeKey: public(node), ValidatorKey: public(validator), CosignerKey: public(cosigner), LogKey: public(log), CustodianKey: public(custodian)}
	id = receipt.NodeID(n.NodeKey[:])
	certificate := must(identity.ServerCertificate(bytes.NewReader(make([]byte, 64)), key(node), receipt.ServerName(id), time.Unix(1e9, 0)))
	card := receipt.Card{P2P: name + ".example.org:26656", GRPC: name + ".example.org:7450", Certificate: certificate, Node: n, Issued: 1e9}
	text := must(card.Sign([5]ed25519.PrivateKey{key(node), key(validator), key(cosigner), key(log), key(custodian)}))
	return id, g.clerk.file(name+".card", string(text))
}

func (g governors) nodes() (list []memberInfo) {
	g.t.Helper()
	var result struct{ Nodes []memberInfo }
	if err := json.Unmarshal([]byte(g.clerk.must("node", "list", "--output", "json").stdout), &result); err != nil {
		g.t.Fatal(err)
	}
	return result.Nodes
}

func TestNodesComeChangeAndLeave(t *testing.T) {
	g := newGovernors(t)
	first := g.nodes()[0]
	if len(g.nodes()) != 1 || first.Power != 10 || fmt.Sprint(first.Sets) != "[CITY]" {
		t.Fatalf("nodes at first: %+v", g.nodes())
	}
	library, card := g.card("library", "library", "library-validator", "library-cosigner", "library-log", "library-custodian")
	// One validator cannot take in another by itself: two of two would be needed.
	var proposal actResult
	if err := json.Unmarshal([]byte(g.clerk.must("node", "admit", card, "--output", "json").stdout), &proposal); err != nil {
		t.Fatal(err)
	}
	height := g.city.view.Head().Height
	refused := g.it.fails(exitRefused, "see that every validator is up", "office", "approve", numeral(uint64(proposal.Index)))
	if tried := g.city.view.Head().Height - height; tried != quorumAttempts || strings.Count(refused.stderr, "trying again") != quorumAttempts-1 {
		t.Errorf("handed in %d times: %q", tried, refused.stderr)
	}
	said := g.decide("node", "admit", card, "--power", "0")
	for _, want := range []string{"approving: node " + library + ", without a vote: node key ", "the node is new: compare its card with its operator"} {
		if !strings.Contains(said, want) {
			t.Errorf("approval says %q, want %q", said, want)
		}
	}
	if got := g.clerk.must("node", "list").stdout; !strings.Contains(got, library+"  does not vote") || !strings.Contains(got, "in no custodian set") || !strings.Contains(got, "validator, power 10  custodian of CITY") {
		t.Errorf("node list: %q", got)
	}
	g.clerk.fails(exitRefused, "is registered already (KEY_REGISTERED)", "node", "admit", card)
	g.clerk.fails(exitRefused, "(NO_CHANGE)", "node", "change", card)

	_, next := g.card("library2", "library", "library-validator", "library-cosigner", "library-log-2", "library-custodian")
	if said := g.decide("node", "change", next); !strings.Contains(said, "its log key changes") || strings.Contains(said, "its validator key changes") {
		t.Errorf("approval of a change says %q", said)
	}
	g.clerk.fails(exitRefused, "(KEY_REGISTERED)", "node", "change", card) // a key comes once

	g.clerk.fails(exitRefused, "is of the node that is to go (KEY_REGISTERED)", "node", "replace", next, "--old", library)
	g.clerk.fails(exitNotFound, "there is no file nothere.card (NO_SUCH_FILE)", "node", "change", "nothere.card")
	archive, replacement := g.card("archive", "archive", "library-validator", "library-cosigner", "library-log-2", "library-custodian")
	if said := g.decide("node", "replace", replacement, "--old", library[:6]); !strings.Contains(said, "its node key changes") ||
		!strings.Contains(said, "the one that goes is node "+library) ||
		!strings.Contains(said, "node "+archive+" takes the place of the one whose node key has the id") {
		t.Errorf("approval of a replacement says %q", said)
	}
	if nodes := g.nodes(); len(nodes) != 2 || nodes[0].ID != archive && nodes[1].ID != archive {
		t.Errorf("after the replacement: %+v", nodes)
	}
	if said := g.decide("node", "remove", archive); !strings.Contains(said, "node "+archive+" leaves: its keys are never used again: node key ") || !strings.Contains(said, "the node is without a vote now") {
		t.Errorf("approval of a removal says %q", said)
	}
	if len(g.nodes()) != 1 {
		t.Errorf("after the removal: %+v", g.nodes())
	}
	g.clerk.fails(exitNotFound, "(UNKNOWN_NODE)", "node", "remove", archive)
	g.clerk.fails(exitNotFound, "(UNKNOWN_NODE)", "node", "change", next)
	g.clerk.fails(exitRefused, "(KEY_REGISTERED)", "node", "admit", replacement, "--power", "0")
	g.clerk.fails(exitRefused, "munimentd custody leave", "node", "remove", first.ID)
}

func TestCardsAreHeldAgainstProposals(t *testing.T) {
	g := newGovernors(t)
	_, card := g.card("library", "library", "library-validator", "library-cosigner", "library-log", "")
	_, other := g.card("other", "library", "library-validator", "library-cosigner", "other-log", "")
	var proposal actResult
	if err := json.Unmarshal([]byte(g.clerk.must("node", "admit", card, "--power", "0", "--output", "json").stdout), &proposal); err != nil {
		t.Fatal(err)
	}
	index := numeral(uint64(proposal.Index))
	g.it.fails(exitRefused, "(OTHER_FACT)", "office", "approve", index, "--card", other)
	damaged := g.clerk.file("damaged.card", strings.Replace(string(must(os.ReadFile(card))), "library.example.org", "liberty.example.org", 1))
	g.it.fails(exitContradicted, "(BAD_CARD)", "office", "approve", index, "--card", damaged)
	g.clerk.fails(exitContradicted, "(BAD_CARD)", "node", "admit", damaged)
	if len(g.nodes()) != 1 {
		t.Errorf("nodes: %+v", g.nodes())
	}
	g.it.must("office", "approve", index, "--card", card)
	if len(g.nodes()) != 2 {
		t.Errorf("nodes: %+v", g.nodes())
	}
}

func TestMistakesAboutNodes(t *testing.T) {
	g := newGovernors(t)
	_, card := g.card("library", "library", "library-validator", "library-cosigner", "library-log", "")
	for _, test := range []struct {
		says string
		args []string
	}{
		{"it takes one card", []string{"node", "admit"}},
		{"power 9: use 10 to 1000", []string{"node", "admit", card, "--power", "9"}},
		{"power 1001: use 10 to 1000", []string{"node", "change", card, "--power", "1001"}},
		{"which node goes? give --old ID", []string{"node", "replace", card}},
		{"is no node id, nor how one begins", []string{"node", "remove", "CLERK"}},
		{"which nodes? give their ids", []string{"node", "override"}},
		{"on which day? give --until", []string{"node", "override", strings.Repeat("ab", 20)}},
		{"where to? give -o FILE", []string{"node", "override", strings.Repeat("ab", 20), "--until", "2031-01-01"}},
		{"use today or one of the 30 days after it", []string{"node", "override", strings.Repeat("ab", 20), "--until", "2001-01-01", "-o", "x"}},
		{"is no node id: 40 hex digits", []string{"node", "override", "abc", "--until", time.Now().UTC().Format(time.DateOnly), "-o", "x"}},
		{"say what to do: list, set", []string{"custody"}},
		{"who comes or goes?", []string{"custody", "set", "CITY"}},
		{"is not a code", []string{"custody", "set", "city", "--add", "ab"}},
		{"what is to change?", []string{"witness", "propose"}},
		{"use CODE=VKEY", []string{"witness", "propose", "--add", "STATE"}},
		{"no verifier key of a cosigner", []string{"witness", "propose", "--add", "STATE=x+y+z"}},
		{"of that many witnesses there would be 0", []string{"witness", "propose", "--threshold", "1"}},
		{"use the number after the one in force", []string{"upgrade", "propose", "1", "--at", "100"}},
		{"from which block on? give --at HEIGHT", []string{"upgrade", "propose", "2"}},
	} {
		g.clerk.fails(exitUsage, test.says, test.args...)
	}
	g.clerk.fails(exitNotFound, "(NO_SUCH_FILE)", "node", "admit", g.clerk.path("absent"))
}

func TestOverrideIsSigned(t *testing.T) {
	g := newGovernors(t)
	ids := []string{strings.Repeat("cd", 20), strings.Repeat("ab", 20)}
	day := time.Now().UTC().Add(24 * time.Hour).Format(time.DateOnly)
	path := g.clerk.path("override.mun")
	r := g.clerk.must("node", "override", ids[0], ids[1], "--until", day, "-o", path)
	if !strings.Contains(r.stderr, "munimentd member override "+path) || !strings.Contains(r.stdout, "until      "+day) {
		t.Errorf("stdout %q, stderr %q", r.stdout, r.stderr)
	}
	o, err := receipt.ParseOverride(must(os.ReadFile(path)))
	if err != nil || fmt.Sprint(o.Nodes) != fmt.Sprint([]string{ids[1], ids[0]}) || o.Network != record.Network(g.city.network.ID) || dayText(o.Until) != day {
		t.Fatalf("override %+v, %v", o, err)
	}
	var signing [32]byte
	if err := unhex(signing[:], must(g.clerk.places.loadConfig()).Keys["CLERK"].Signing); err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(signing); err != nil {
		t.Error(err)
	}
}

func TestCustodiansComeAndGo(t *testing.T) {
	g := newGovernors(t)
	library, card := g.card("library", "library", "library-validator", "library-cosigner", "library-log", "library-custodian")
	bare, second := g.card("bare", "bare", "bare-validator", "bare-cosigner", "bare-log", "")
	g.decide("node", "admit", card, "--power", "0")
	g.decide("node", "admit", second, "--power", "0")
	g.clerk.fails(exitRefused, "has no custodian key (UNKNOWN_CUSTODIAN)", "custody", "set", "CITY", "--add", bare)
	g.clerk.fails(exitRefused, "is not in set CITY (UNKNOWN_CUSTODIAN)", "custody", "set", "CITY", "--remove", library)
	g.clerk.fails(exitRefused, "(UNKNOWN_CUSTODIAN)", "custody", "set", "CITY", "--add", strings.Repeat("ab", 32))
	g.clerk.fails(exitRefused, "custodian set TOWN is not registered (UNKNOWN_CUSTODY)", "custody", "set", "TOWN", "--remove", library)
	g.clerk.fails(exitNotFound, "(UNKNOWN_NODE)", "custody", "set", "CITY", "--add", "0000")
	if said := g.decide("custody", "set", "CITY", "--add", library); !strings.Contains(said, "node "+library+" comes") || !strings.Contains(said, "custodian set CITY: 2 custodians, ") {
		t.Errorf("approval says %q", said)
	}
	g.clerk.fails(exitRefused, "(NO_CHANGE)", "custody", "set", "CITY", "--add", library)
	g.clerk.fails(exitRefused, "(CUSTODIAN_STAYS)", "custody", "set", "CITY", "--remove", library)
	var sets struct{ Sets []setInfo }
	list := func() setInfo {
		t.Helper()
		if err := json.Unmarshal([]byte(g.clerk.must("custody", "list", "--output", "json").stdout), &sets); err != nil || len(sets.Sets) == 0 {
			t.Fatal(err, sets)
		}
		return sets.Sets[0]
	}
	if got := list(); len(got.Custodians) != 2 || len(got.Lost) != 0 {
		t.Errorf("set %+v", got)
	}
	if said := g.decide("custody", "set", "CITY", "--lost", library); !strings.Contains(said, "node "+library+" is stated to be lost") || strings.Contains(said, "goes") {
		t.Errorf("approval of a loss says %q", said)
	}
	if got := list(); len(got.Custodians) != 1 || len(got.Lost) != 1 {
		t.Errorf("set after the loss %+v", got)
	}
	if text := g.clerk.must("custody", "list").stdout; !strings.Contains(text, "lost") {
		t.Errorf("custody list: %q", text)
	}
	g.clerk.fails(exitUsage, "nobody would be left in set CITY", "custody", "set", "CITY", "--lost", list().Custodians[0].ID)
	g.decide("custody", "set", "TOWN", "--add", library)
}

func TestWitnessesAndVersions(t *testing.T) {
	g := newGovernors(t)
	if got := g.clerk.must("witness", "list").stdout; got != "no witnesses\n" {
		t.Errorf("at first %q", got)
	}
	vkey := func(label string) string {
		return receipt.CosignerVKey(label+".example.org/w", publicOf(g.city.key(label))).String()
	}
	if said := g.decide("witness", "propose", "--add", "STATE="+vkey("state"), "--add", "COUNTY="+vkey("county")); !strings.Contains(said, "witnesses: 2 of 2 make a quorum: COUNTY with key ") {
		t.Errorf("approval says %q", said)
	}
	g.clerk.fails(exitRefused, "(NO_CHANGE)", "witness", "propose", "--threshold", "2")
	g.clerk.fails(exitNotFound, "(NO_SUCH_WITNESS)", "witness", "propose", "--remove", "PRESS")
	g.decide("witness", "propose", "--remove", "COUNTY")
	if got := g.clerk.must("witness", "list").stdout; !strings.Contains(got, "quorum  1 of 1\n") || !strings.Contains(got, "STATE") || strings.Contains(got, "COUNTY") {
		t.Errorf("witness list: %q", got)
	}
	g.decide("witness", "propose", "--remove", "STATE")

	g.clerk.fails(exitRefused, "(BAD_HEIGHT)", "upgrade", "propose", "2", "--at", "12")
	g.clerk.fails(exitRefused, "(BAD_FACT)", "upgrade", "propose", "3", "--at", "1000")
	if said := g.decide("upgrade", "propose", "2", "--at", "1000"); !strings.Contains(said, "approving: rules of the ledger: version 2 from block 1000 on") {
		t.Errorf("approval says %q", said)
	}
	g.clerk.fails(exitRefused, "(UPGRADE_PENDING)", "upgrade", "propose", "3", "--at", "2000")
	if got := g.clerk.must("office", "show").stdout; !strings.Contains(got, "rules of the ledger: version 2 from block 1000 on\n") || !strings.Contains(got, "witnesses: none") {
		t.Errorf("office show: %q", got)
	}
}

// TestARefusalThatDoesNotLast: a node answers with the refusal of one block, and
// another node brings the same transaction into the next one, where it is executed.
func TestARefusalThatDoesNotLast(t *testing.T) {
	g := newGovernors(t)
	_, card := g.card("library", "library", "library-validator", "library-cosigner", "library-log", "library-custodian")
	var proposal actResult
	if err := json.Unmarshal([]byte(g.clerk.must("node", "admit", card, "--power", "0", "--output", "json").stdout), &proposal); err != nil {
		t.Fatal(err)
	}
	answers := 0
	g.city.set(hooks{lie: func(r *apiv1.SubmitResponse) {
		if answers++; answers == 1 {
			r.Reason, r.FirstIndex, r.Count, r.TransactionIndex = "QUORUM_AT_RISK", 0, 0, 0
		}
	}})
	if said := g.it.must("office", "approve", numeral(uint64(proposal.Index))).stderr; answers != 2 || !strings.Contains(said, "trying again") {
		t.Errorf("after %d answers: %q", answers, said)
	}
	if len(g.nodes()) != 2 {
		t.Errorf("nodes: %+v", g.nodes())
	}
}

// TestActsOfANewEra: an act goes through whose receipt is of keys that the pinned
// file does not have, if the keys before have signed them; the file stays as it
// is. A node that does not show that is not believed.
func TestActsOfANewEra(t *testing.T) {
	g := newGovernors(t)
	before := g.clerk.must("network", "show").stdout
	g.city.generation = " second"
	_, card := g.card("first", "node", "validator", "cosigner", "log", "custodian")
	g.city.generation = ""
	g.decide("node", "change", card)
	g.city.handOver(2)
	g.city.generation = " second"
	const word = "the keys of the network have changed: run muniment network refresh"
	vkey := receipt.CosignerVKey("state.example.org/w", publicOf(g.city.key("state"))).String()
	if said := g.clerk.must("witness", "propose", "--add", "STATE="+vkey).stderr; !strings.Contains(said, word) {
		t.Errorf("a proposal under new keys says %q", said)
	}
	if now := g.clerk.must("network", "show").stdout; now != before {
		t.Errorf("an act has changed the pinned file from\n%s\nto\n%s", before, now)
	}
	handovers := g.city.handovers
	g.city.handovers = nil
	g.clerk.fails(exitIndeterminate, "(UNKNOWN_SIGNER)", "witness", "propose", "--add", "STATE="+vkey, "--threshold", "1")
	g.city.handovers = handovers
	g.clerk.must("network", "refresh")
	if said := g.clerk.must("witness", "propose", "--add", "STATE="+vkey).stderr; strings.Contains(said, word) {
		t.Errorf("a proposal with the new file says %q", said)
	}
}

// TestNetworkFilesNameWitnesses: the decision about a witness opens an era; the
// pinned file follows for those who know its name, and keeps it.
func TestNetworkFilesNameWitnesses(t *testing.T) {
	g := newGovernors(t)
	const name = "state.example.org/w"
	eras := 1
	decide := func(args ...string) {
		t.Helper()
		g.decide(append([]string{"witness", "propose"}, args...)...)
		eras++
		g.city.handOver(int64(eras))
		g.city.block(g.city.sign("AUDIT", &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{byte(eras)}, Scope: record.Scope{Department: "POLICE"}}))
	}
	vkey := func(label string) string { return receipt.CosignerVKey(name, publicOf(g.city.key(label))).String() }
	decide("--add", "STATE="+vkey("first"))
	g.clerk.fails(exitIndeterminate, "give it with --witness NAME", "network", "refresh")
	if r := refreshed(t, g.clerk, "--witness", name); r.Eras != 2 || r.Added != 1 {
		t.Errorf("one era has come: %+v", r)
	}
	if got := g.clerk.must("witness", "list").stdout; !strings.Contains(got, name) {
		t.Errorf("witness list has no name: %q", got)
	}
	g.it.must("network", "refresh", "--witness", name)
	decide("--add", "STATE="+vkey("second")) // another key, the same name
	decide("--remove", "STATE")
	if r := refreshed(t, g.clerk); r.Eras != 4 || r.Added != 2 {
		t.Errorf("two more eras have come: %+v", r)
	}
	n := must(receipt.ParseNetwork(must(os.ReadFile(g.clerk.places.networkFile(g.city.network.ChainID)))))
	for i, label := range []string{"", "first", "second", ""} {
		e := n.Eras[i]
		if label == "" && len(e.Witnesses) != 0 {
			t.Errorf("era %d has witnesses: %+v", i+1, e.Witnesses)
		}
		if label != "" && (len(e.Witnesses) != 1 || e.Witnesses[0] != (receipt.Witness{Label: "w-state", Name: name, Key: publicOf(g.city.key(label))}) || e.WitnessThreshold != 1) {
			t.Errorf("era %d has the witnesses %+v, a quorum of %d", i+1, e.Witnesses, e.WitnessThreshold)
		}
	}
}
