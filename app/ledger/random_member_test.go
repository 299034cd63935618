package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Draws of nodes that come and go, witnesses, versions of the rules, custodian
// sets and misbehavior.

// nodeNamed is a node whose keys are derived from its name.
func nodeNamed(name string, power uint32) *record.Node {
	return &record.Node{
		NodeKey: publicKey(name), ValidatorKey: publicKey(name + "/validator"), CosignerKey: publicKey(name + "/cosigner"),
		LogKey: publicKey(name + "/log"), CustodianKey: publicKey(name + "/custodian"), Power: power,
	}
}

// memberCity is a random city with more validators.
func memberCity(seed uint64, more int) ledger.GenesisFacts {
	facts := randomCity(seed)
	for i := range more {
		facts.Facts = append(facts.Facts, nodeNamed(fmt.Sprint("n", i), 10))
	}
	return facts
}

// playMembers plays a chain of random blocks in which the network changes.
func playMembers(t *testing.T, seed uint64, blocks int, seen map[string]int) *duel {
	t.Helper()
	d := newDuelIn(t, seed, memberCity(seed, 3), seen)
	d.generator.names = map[record.KeyID]string{}
	d.random(t, blocks)
	compareView(t, d.model, d.view)
	d.compareMembers(t)
	return d
}

// crowd fills a network up.
func crowd(t *testing.T, seen map[string]int) {
	t.Helper()
	d := newDuelIn(t, 3, memberCity(3, 62), seen)
	until := record.LedgerDay(d.now)
	d.block(t, d.sign(t, "IT", until, &record.ProposeChange{Fact: nodeNamed("more", 0)}))
	replacing := nodeNamed("more", 10)
	replacing.Replaces = keyID("n7")
	d.block(t, d.sign(t, "IT", until, &record.ProposeChange{Fact: replacing}))
	if len(d.model.nodes()) != 64 || d.model.node(keyID("more")) == nil {
		t.Errorf("the network has %d nodes, want 64 with the one that replaced another", len(d.model.nodes()))
	}
	d.compareMembers(t)
}

// compareMembers holds what is read of the network against the model.
func (d *duel) compareMembers(t *testing.T) {
	t.Helper()
	validators, err := ledger.Validators(d.view)
	want := modelValidators(d.model.nodes())
	if err != nil || len(validators) != len(want) {
		t.Fatalf("seed %d: validators %v, %v, want %d", d.seed, validators, err, len(want))
	}
	for i, v := range validators {
		if v.Power != want[v.PublicKey] || i > 0 && bytes.Compare(validators[i-1].PublicKey[:], v.PublicKey[:]) >= 0 {
			t.Errorf("seed %d: validator %d is %v", d.seed, i, v)
		}
	}
	e, err := ledger.EraOf(d.view)
	last := d.model.eras[len(d.model.eras)-1]
	if err != nil || e.Number != int64(len(d.model.eras)) || int64(e.Opened) != last.opened || len(e.Nodes) != len(last.members) {
		t.Errorf("seed %d: the era in force is %+v, %v, want number %d opened by %d", d.seed, e, err, len(d.model.eras), last.opened)
	}
	for number := range int64(len(d.model.eras)) {
		if e, err := ledger.EraNumbered(d.view, number+1); err != nil || e.Number != number+1 || int64(e.Opened) != d.model.eras[number].opened {
			t.Errorf("seed %d: era %d is %+v, %v", d.seed, number+1, e, err)
		}
	}
	if _, err := ledger.EraNumbered(d.view, int64(len(d.model.eras)+1)); err == nil {
		t.Errorf("seed %d: there is an era after the last", d.seed)
	}
	version := uint32(1)
	for _, u := range d.model.upgrades {
		before, err := ledger.VersionAt(d.view, u.height-1)
		after, err2 := ledger.VersionAt(d.view, u.height)
		if err != nil || err2 != nil || before != version || after != version+1 {
			t.Errorf("seed %d: the version is %d, %v, before height %d and %d, %v, at it", d.seed, before, err, u.height, after, err2)
		}
		version++
	}
	number, height, ok, err := ledger.NextVersion(d.view)
	wantOK := len(d.model.upgrades) > 0 && d.model.upgrades[len(d.model.upgrades)-1].height > d.model.height
	if err != nil || ok != wantOK || ok && (number != version || height != d.model.upgrades[version-2].height) {
		t.Errorf("seed %d: the next version is %d at %d, %t, %v, want %d, %t", d.seed, number, height, ok, err, version, wantOK)
	}
}

// network draws who is live and who misbehaved, for both sides.
func (d *duel) network() {
	g := d.generator
	if g.names == nil {
		return
	}
	var all [][20]byte
	for _, one := range d.model.members {
		all = append(all, modelAddress(one.node.ValidatorKey))
	}
	if g.rand.IntN(3) > 0 {
		live := map[[20]byte]bool{}
		for _, address := range all {
			live[address] = g.rand.IntN(8) > 0
		}
		d.model.live, d.live = live, func(address [20]byte) bool { return live[address] }
	}
	count := pick(g.rand, 0, 0, 0, 0, 1, 2)
	if g.rand.IntN(40) == 0 {
		count = 80
	}
	for i := range count {
		address := pick(g.rand, append(all, [20]byte{1, 2, 3})...)
		d.model.evidence = append(d.model.evidence, modelEvidence{address, int64(i)})
		d.evidence = append(d.evidence, ledger.Misbehavior{Validator: address, Height: int64(i)})
	}
}

// named gives the public key of a name, and notes the name.
func (g *generator) named(name string) [32]byte {
	g.names[keyID(name)] = name
	return publicKey(name)
}

// member draws a message about the network and the key that would rightly sign it.
func (g *generator) member() (string, record.Message) {
	governor := g.able("IT", "IT", "CLERK", "COUNSEL")
	switch n := g.rand.IntN(20); {
	case n < 11:
		return governor, &record.ProposeChange{Fact: g.node()}
	case n < 13:
		return governor, &record.ProposeChange{Fact: g.witnesses()}
	case n < 14:
		return governor, &record.ProposeChange{Fact: g.upgrade()}
	case n < 17:
		return g.able("CLERK", "COUNSEL", "COUNSEL", "IT"), &record.ProposeChange{Fact: g.set()}
	}
	m := &record.LeaveCustody{
		Set:       pick[record.Code](g.rand, "CITY", "CITY", "CITY", "COUNTY", "TOWN"),
		Departure: pick(g.rand, record.DepartureHandedOver, record.DepartureDestroyed),
	}
	signer := pick(g.rand, "node/custodian", "other/custodian", "n1/custodian", "CLERK")
	if ids := g.model.custodianSet(m.Set).Custodians; len(ids) > 0 && g.names[ids[0]] != "" && g.rand.IntN(4) > 0 {
		signer = g.names[pick(g.rand, ids...)]
	}
	if signer == "" {
		signer = "node/custodian"
	}
	return signer, m
}

// node draws the fact of one that comes, changes, leaves or replaces another.
func (g *generator) node() *record.Node {
	fresh := fmt.Sprint("m", g.rand.IntN(25))
	for _, suffix := range []string{"", "/validator", "/cosigner", "/log", "/custodian"} {
		g.named(fresh + suffix)
	}
	f := nodeNamed(fresh, pick[uint32](g.rand, 0, 10, 10, 10, 11, 1000))
	if g.rand.IntN(3) == 0 {
		f.CustodianKey = [32]byte{}
	}
	n := *pick(g.rand, g.model.nodes()...)
	n.Replaces = record.KeyID{}
	switch g.rand.IntN(8) {
	case 0, 1:
		return f
	case 2:
		n.Removed, n.Power = true, 0
		if g.rand.IntN(6) == 0 {
			n.CosignerKey = g.named("somebody")
		}
		return &n
	case 3:
		f.Replaces = modelID(n.NodeKey)
		if g.rand.IntN(2) == 0 {
			f.ValidatorKey, f.CosignerKey, f.CustodianKey = n.ValidatorKey, n.CosignerKey, n.CustodianKey
		}
		f.Power = n.Power
		if g.rand.IntN(8) == 0 {
			f.Replaces = keyID("nobody")
		}
		if g.rand.IntN(8) == 0 {
			f.NodeKey = pick(g.rand, g.model.nodes()...).NodeKey
		}
		if f.Replaces == modelID(f.NodeKey) {
			f.Replaces = record.KeyID{}
		}
		return f
	case 4:
		n.Power = pick[uint32](g.rand, 0, 10, 11, 500)
		return &n
	}
	keys := []*[32]byte{&n.ValidatorKey, &n.CosignerKey, &n.LogKey, &n.CustodianKey}
	for range 1 + g.rand.IntN(2) {
		key := g.named(fmt.Sprint("fresh ", g.rand.IntN(200)))
		if g.rand.IntN(8) == 0 {
			key = publicKey(pick(g.rand, "DPW", "CLERK/access", "node/log", "n0/validator", "W1"))
		}
		if slices.Contains(modelKeysOf(&n), key) {
			continue
		}
		*pick(g.rand, keys...) = key
	}
	return &n
}

func (g *generator) witnesses() *record.Witnesses {
	f := &record.Witnesses{}
	for _, name := range []string{"W1", "W2", "W3"} {
		if g.rand.IntN(2) == 0 {
			w := record.Witness{Code: record.Code(name), PublicKey: publicKey(pick(g.rand, name, name, name+"/2")), NameHash: commitment(name)}
			f.Witnesses, f.Threshold = append(f.Witnesses, w), 1
		}
	}
	if len(f.Witnesses) > 0 && g.rand.IntN(10) == 0 {
		f.Witnesses[0].PublicKey = pick(g.rand, g.model.nodes()...).LogKey
	}
	if len(f.Witnesses) > 0 && g.rand.IntN(20) == 0 {
		f.Witnesses[0].Code = "P.555-0100"
		slices.SortFunc(f.Witnesses, func(a, b record.Witness) int { return bytes.Compare([]byte(a.Code), []byte(b.Code)) })
	}
	return f
}

func (g *generator) upgrade() *record.Upgrade {
	next := uint32(len(g.model.upgrades)) + 2
	return &record.Upgrade{
		Version: max(2, next+pick[uint32](g.rand, 0, 0, 0, 0, 1)-pick[uint32](g.rand, 0, 0, 0, 1)),
		Height:  max(2, g.model.height+1+pick[int64](g.rand, 9, 10, 12, 14, 22)),
	}
}

func (g *generator) set() *record.CustodianSet {
	code := pick[record.Code](g.rand, "CITY", "CITY", "CITY", "COUNTY", "TOWN")
	now := g.model.custodianSet(code)
	f := &record.CustodianSet{Code: code}
	for _, id := range now.Custodians {
		switch g.rand.IntN(6) {
		case 0:
		case 1:
			f.Lost = append(f.Lost, id)
		default:
			f.Custodians = append(f.Custodians, id)
		}
	}
	for _, n := range g.model.nodes() {
		if id := modelID(n.CustodianKey); n.CustodianKey != [32]byte{} && g.rand.IntN(5) == 0 && !slices.Contains(slices.Concat(f.Custodians, f.Lost), id) {
			f.Custodians = append(f.Custodians, id)
		}
	}
	if g.rand.IntN(15) == 0 {
		f.Lost = append(f.Lost, keyID("nobody"))
	}
	if len(f.Custodians) == 0 || g.rand.IntN(15) == 0 {
		f.Custodians = append(f.Custodians, pick(g.rand, keyID("nobody either"), keyID("node/log")))
	}
	ascend := func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(f.Custodians, ascend)
	slices.SortFunc(f.Lost, ascend)
	f.Lost = slices.Compact(f.Lost)
	if len(f.Lost) == 0 {
		f.Lost = nil
	}
	return f
}

// TestReplayOfANetworkThatChanges replays what a network that changes leaves in the log.
func TestReplayOfANetworkThatChanges(t *testing.T) {
	misbehavior := int64(0)
	for _, seed := range []uint64{3, 4} {
		d := playMembers(t, seed, 60, map[string]int{})
		got, err := d.machine.Replay(logOf(d.model.raw), nil)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got.View.StateRoot() != d.view.StateRoot() || got.View.Head().AppHash != d.view.Head().AppHash {
			t.Errorf("seed %d: the replay ends at another state", seed)
		}
		compareView(t, d.model, got.View)
		misbehavior += got.Misbehavior
	}
	if misbehavior == 0 {
		t.Error("no history has an entry of misbehavior")
	}
}
