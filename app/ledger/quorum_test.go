package ledger_test

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestEveryReachableSetHasALiveQuorum tries every short sequence of admissions,
// removals, rotations, replacements and changes of power, each under every
// pattern of one or two validators that are down, from networks of one to four.
//
// Validators sign as the engine has them: the commit in block H is by the set
// that the state had after block H-3. Right after every change more than two
// thirds of the power are with keys in that commit, a refusal for want of a
// quorum is for want of a quorum, no key comes back, and what the engine would be
// told is what it takes.
func TestEveryReachableSetHasALiveQuorum(t *testing.T) {
	for _, start := range []struct{ nodes, depth int }{{1, 5}, {2, 4}, {3, 3}, {4, 3}} {
		s := newSearch(t, start.nodes)
		for range start.depth {
			s.step(t)
		}
		t.Logf("from %d validators: %d networks, %d changes, %d refused", start.nodes, len(s.seen), s.changes, s.refused)
		if s.changes == 0 || s.refused == 0 || len(s.seen) < 5 {
			t.Errorf("from %d validators: the search leads nowhere", start.nodes)
		}
	}
}

// search is a search through networks, all of the same height.
type search struct {
	machine          ledger.Machine
	reached          []reachedNetwork
	seen             map[string]bool
	changes, refused int
}

// reachedNetwork is a network with the sets of validators that sign next: of the
// commit in the next block, of that after it, and so on; the last is the state's.
type reachedNetwork struct {
	view    ledger.View
	signing [3]map[[32]byte]int64
	engine  map[[32]byte]int64 // what the engine was told
	nonces  byte
	used    [][32]byte // keys that some node has or had
}

func newSearch(t *testing.T, nodes int) *search {
	t.Helper()
	facts := demoFacts()
	first := facts.Facts[len(facts.Facts)-1].(*record.Node)
	facts.Facts = facts.Facts[:len(facts.Facts)-1]
	for i, f := range facts.Facts {
		switch f := f.(type) {
		case *record.Governance:
			f.Threshold, f.Required = 1, nil
		case *record.CustodianSet:
			facts.Facts = slices.Delete(slices.Clone(facts.Facts), i, i+1)
		}
	}
	first.CustodianKey = [32]byte{}
	facts.Facts = append(facts.Facts, first)
	for i := range nodes - 1 {
		n := nodeNamed(fmt.Sprint("n", i), 10)
		n.CustodianKey = [32]byte{}
		facts.Facts = append(facts.Facts, n)
	}
	c := found(t, facts)
	set := validatorSet(t, c.view)
	var used [][32]byte
	present, err := ledger.Nodes(c.view)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range present {
		used = append(used, modelKeysOf(&n)[:4]...)
	}
	return &search{
		machine: ledger.Machine{Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }},
		reached: []reachedNetwork{{view: c.view, signing: [3]map[[32]byte]int64{set, set, set}, engine: set, used: used}}, seen: map[string]bool{},
	}
}

func validatorSet(t *testing.T, v ledger.View) map[[32]byte]int64 {
	t.Helper()
	list, err := ledger.Validators(v)
	if err != nil {
		t.Fatal(err)
	}
	set := map[[32]byte]int64{}
	for _, one := range list {
		set[one.PublicKey] = one.Power
	}
	return set
}

// step carries out a block after each network that was reached, in every way.
func (s *search) step(t *testing.T) {
	t.Helper()
	var next []reachedNetwork
	for _, from := range s.reached {
		s.noKeyComesBack(t, from)
		for _, change := range changesOf(t, from.view) {
			for _, live := range patterns(from.signing[0]) {
				to, ok := s.try(t, from, change, live)
				if name := to.name(); ok && !s.seen[name] {
					s.seen[name] = true
					next = append(next, to)
				}
			}
		}
	}
	s.reached = next
}

// name tells networks apart that can behave differently: keys are called by
// their order, since which ones were used up does not matter.
func (r *reachedNetwork) name() string {
	if r.view == nil {
		return ""
	}
	order := map[[32]byte]int{}
	var b strings.Builder
	for _, set := range r.signing {
		var keys [][32]byte
		for key := range set {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
		for _, key := range keys {
			if _, named := order[key]; !named {
				order[key] = len(order)
			}
			fmt.Fprint(&b, order[key], ":", set[key], " ")
		}
		b.WriteString("| ")
	}
	return b.String()
}

// changesOf lists the facts to try: nil is a block without one.
func changesOf(t *testing.T, v ledger.View) []*record.Node {
	t.Helper()
	nodes, err := ledger.Nodes(v)
	if err != nil {
		t.Fatal(err)
	}
	height := v.Head().Height
	bare := func(name string, power uint32) *record.Node {
		n := nodeNamed(fmt.Sprint(name, " of height ", height), power)
		n.CustodianKey = [32]byte{}
		return n
	}
	list := []*record.Node{nil, bare("admitted", 10)}
	for i, n := range nodes {
		n.Replaces = record.KeyID{}
		gone, rotated, strong := n, n, n
		gone.Removed, gone.Power = true, 0
		rotated.ValidatorKey = publicKey(fmt.Sprint("rotated ", i, " of height ", height))
		strong.Power = 1010 - n.Power // 10 or 1,000
		list = append(list, &gone, &rotated)
		if i == 0 {
			another := bare("replacing", n.Power)
			another.Replaces = record.KeyIDOf(n.NodeKey[:])
			list = append(list, &strong, another)
		}
	}
	return list
}

// patterns lists who may be live of those who sign: all, all but one, all but two.
func patterns(signing map[[32]byte]int64) []map[[32]byte]bool {
	var keys [][32]byte
	for key := range signing {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
	var all []map[[32]byte]bool
	for i := -1; i < len(keys); i++ {
		for j := i; j < len(keys) && (i >= 0 || j < 0); j++ {
			live := map[[32]byte]bool{}
			for n, key := range keys {
				live[key] = n != i && n != j
			}
			all = append(all, live)
		}
	}
	return all
}

// try carries out a block with a change, and looks at what it leads to.
func (s *search) try(t *testing.T, from reachedNetwork, change *record.Node, live map[[32]byte]bool) (reachedNetwork, bool) {
	t.Helper()
	head := from.view.Head()
	b := ledger.Block{Height: head.Height + 1, Time: head.Time}
	addresses := map[[20]byte]bool{}
	for key, is := range live {
		addresses[modelAddress(key)] = is
	}
	b.Live = func(address [20]byte) bool { return addresses[address] }
	from.nonces++
	if change != nil {
		b.Txs = [][]byte{sign(t, "IT", record.Nonce{1, from.nonces}, record.LedgerDay(head.Time), &record.ProposeChange{Fact: change})}
	}
	changes, results, err := s.machine.Apply(from.view, b)
	if err != nil {
		t.Fatal(err)
	}
	to := from
	if change != nil && results[0].Code == ledger.OK {
		to.used = append(slices.Clone(from.used), modelKeysOf(change)[:4]...)
	}
	to.view = ledger.Overlay(from.view, changes)
	after := validatorSet(t, to.view)
	to.signing = [3]map[[32]byte]int64{from.signing[1], from.signing[2], after}
	if change != nil {
		s.judged(t, from, to, change, live, results[0].Code)
	}
	to.engine = tell(t, from.engine, from.signing[2], after)
	return to, true
}

// noKeyComesBack has a node come with a key that was used, in this use or another.
func (s *search) noKeyComesBack(t *testing.T, from reachedNetwork) {
	t.Helper()
	head := from.view.Head()
	for i, key := range from.used {
		n := nodeNamed("thief", 0)
		n.CustodianKey = [32]byte{}
		*[]*[32]byte{&n.NodeKey, &n.ValidatorKey, &n.CosignerKey, &n.LogKey, &n.CustodianKey}[i%5] = key
		raw := sign(t, "IT", record.Nonce{2}, record.LedgerDay(head.Time), &record.ProposeChange{Fact: n})
		code := s.machine.Check(from.view, ledger.Header{Height: head.Height + 1, Time: head.Time}, raw)
		known, err := ledger.Nodes(from.view)
		if err != nil {
			t.Fatal(err)
		}
		own := slices.ContainsFunc(known, func(k record.Node) bool { return k.NodeKey == n.NodeKey })
		if code != ledger.CodeKeyRegistered && !(own && i%5 == 0) {
			t.Fatalf("height %d: key %x, which was used, is taken again: %s", head.Height, key, code)
		}
	}
}

// judged holds the answer to a change against what was live.
func (s *search) judged(t *testing.T, from, to reachedNetwork, change *record.Node, live map[[32]byte]bool, code ledger.Code) {
	t.Helper()
	before, after := validatorSet(t, from.view), validatorSet(t, to.view)
	quorum := func(set map[[32]byte]int64) bool {
		known, all := int64(0), int64(0)
		for key, power := range set {
			all += power
			if live[key] && before[key] > 0 {
				known += power
			}
		}
		return 3*known > 2*all
	}
	switch code {
	case ledger.OK:
		s.changes++
		if !quorum(after) {
			t.Fatalf("height %d: after %+v the validators that are live are no quorum of %v", to.view.Head().Height, change, after)
		}
	case ledger.CodeQuorumAtRisk:
		s.refused++
		would := map[[32]byte]int64{}
		nodes, err := ledger.Nodes(from.view)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			if n.Power > 0 && n.NodeKey != change.NodeKey && record.KeyIDOf(n.NodeKey[:]) != change.Replaces {
				would[n.ValidatorKey] = int64(n.Power)
			}
		}
		if change.Power > 0 {
			would[change.ValidatorKey] = int64(change.Power)
		}
		if quorum(would) {
			t.Fatalf("height %d: %+v is refused, and a quorum of %v is live", to.view.Head().Height, change, would)
		}
	default:
		t.Fatalf("height %d: %+v is answered %s", to.view.Head().Height, change, code)
	}
	keys := map[[32]byte]bool{}
	nodes, err := ledger.Nodes(to.view)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		for _, key := range [][32]byte{n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey} {
			if _, retired, err := ledger.RetiredBy(to.view, record.KeyIDOf(key[:])); keys[key] || retired || err != nil {
				t.Fatalf("a key has two uses, or came back: %v", err)
			}
			keys[key] = true
		}
	}
}

// tell gives the engine the difference of two sets of the state, as it takes it:
// what it removes it knows, something is left, and it has what the state has.
func tell(t *testing.T, engine, before, after map[[32]byte]int64) map[[32]byte]int64 {
	t.Helper()
	next := maps.Clone(engine)
	for key := range before {
		if after[key] != 0 {
			continue
		}
		if next[key] == 0 {
			t.Fatal("the engine is told to remove a validator that it does not have")
		}
		delete(next, key)
	}
	for key, power := range after {
		if before[key] != power {
			next[key] = power
		}
	}
	if len(next) == 0 || !maps.Equal(next, after) {
		t.Fatalf("the engine has the validators %v, the state %v", next, after)
	}
	return next
}
