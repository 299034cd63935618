package ledger_test

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// list lists state values by prefix, as a store does.
func list(all map[string][]byte) func([]byte) iter.Seq2[ledger.Value, error] {
	return func(prefix []byte) iter.Seq2[ledger.Value, error] {
		return func(yield func(ledger.Value, error) bool) {
			for _, key := range slices.Sorted(maps.Keys(all)) {
				if strings.HasPrefix(key, string(prefix)) && !yield(ledger.Value{Key: []byte(key), Value: all[key]}, nil) {
					return
				}
			}
		}
	}
}

// TestRegistryListsWhatIsRegistered holds the listing against the model after
// random blocks, and at the genesis of the same city, where the listing is later.
func TestRegistryListsWhatIsRegistered(t *testing.T) {
	c, g := playRandom(t, 7, 90, map[string]int{})
	registryIsTheModel(t, c, g)
	d := playMembers(t, 1, 90, map[string]int{})
	if len(d.model.upgrades) == 0 || d.model.facts["witnesses"].fact == nil || len(d.model.nodes()) == len(d.model.members) {
		t.Error("nothing about the network has changed")
	}
	registryIsTheModel(t, d.city, d.generator)
}

func registryIsTheModel(t *testing.T, c *city, g *generator) {
	t.Helper()
	values := g.model.values()
	r, err := ledger.RegistryOf(c.view, list(values))
	if err != nil {
		t.Fatal(err)
	}
	var want, got [][]byte
	for _, f := range g.model.facts {
		if _, node := f.fact.(*record.Node); !node { // those that have left are among them
			want = append(want, marshalFact(t, f.fact))
		}
	}
	for _, n := range g.model.nodes() {
		want = append(want, marshalFact(t, n))
	}
	for _, u := range g.model.upgrades {
		want = append(want, marshalFact(t, &record.Upgrade{Version: uint32(u.number), Height: u.height}))
	}
	for _, k := range g.model.keys {
		want = append(want, marshalFact(t, &k.fact))
	}
	for _, f := range g.model.scheduleFacts() {
		want = append(want, marshalFact(t, f))
	}
	for _, f := range r.Facts {
		got = append(got, marshalFact(t, f))
	}
	slices.SortFunc(want, bytes.Compare)
	slices.SortFunc(got, bytes.Compare)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("the registry lists %d facts, want %d, or others", len(got), len(want))
	}

	open := map[record.Index]record.Day{}
	today := record.LedgerDay(c.view.Head().Time)
	for at, p := range g.model.proposals {
		if last := p.day + 30; p.executed == 0 && today <= last {
			open[record.Index(at)] = last
		}
	}
	listed := map[record.Index]record.Day{}
	for _, p := range r.Proposals {
		listed[p.Index] = p.LastDay
	}
	if !maps.Equal(listed, open) || len(open) == 0 || len(open) == len(g.model.proposals) {
		t.Errorf("open proposals and their last days = %v, want %v", listed, open)
	}
	if _, err := ledger.RegistryOf(ledger.Overlay(ledger.Blank(), c.genesis), list(values)); err != nil {
		t.Errorf("a listing that is later than the view: %v", err)
	}
}

func TestKeyByPrefix(t *testing.T) {
	_, g := playRandom(t, 3, 10, map[string]int{})
	values := list(g.model.values())
	want := keyID("DPW")
	if id, ok, err := ledger.KeyByPrefix(want[:20], values); err != nil || !ok || id != want {
		t.Errorf("KeyByPrefix = %x, %t, %v, want %x", id, ok, err, want)
	}
	if id, ok, err := ledger.KeyByPrefix(bytes.Repeat([]byte{0x5a}, 20), values); err != nil || ok || id != (record.KeyID{}) {
		t.Errorf("KeyByPrefix of no key = %x, %t, %v", id, ok, err)
	}
}

// TestRegistryPassesErrorsOn wants no registry from a store that fails or is damaged.
func TestRegistryPassesErrorsOn(t *testing.T) {
	c, messages := everyMessage(t)
	c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), messages["CLERK"]))
	good := map[string][]byte{"parameters": value(t, c.view, ledger.StateKeyParameters())}
	for _, key := range []string{"office/X", "key/X", "series/X", "proposal/12345678", "proposal/1"} {
		bad := maps.Clone(good)
		bad[key] = []byte{0x80}
		if key == "proposal/1" { // sound, under a key that is no index
			bad[key] = value(t, c.view, ledger.StateKeyProposal(c.proposalIndex(t)))
		}
		if r, err := ledger.RegistryOf(c.view, list(bad)); err == nil || r.Facts != nil {
			t.Errorf("with a damaged value of %s the registry = %+v, %v", key, r, err)
		}
	}
	failing := func([]byte) iter.Seq2[ledger.Value, error] {
		return func(yield func(ledger.Value, error) bool) { yield(ledger.Value{}, errDisk) }
	}
	if _, err := ledger.RegistryOf(c.view, failing); !errors.Is(err, errDisk) {
		t.Errorf("RegistryOf = %v, want the store's error", err)
	}
	if _, _, err := ledger.KeyByPrefix(nil, failing); !errors.Is(err, errDisk) {
		t.Errorf("KeyByPrefix = %v, want the store's error", err)
	}
}

func marshalFact(t *testing.T, f record.Fact) []byte {
	t.Helper()
	b, err := record.MarshalFact(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func value(t *testing.T, v ledger.View, key []byte) []byte {
	t.Helper()
	b, ok, err := v.Value(key)
	if err != nil || !ok {
		t.Fatalf("value of %q: %t, %v", key, ok, err)
	}
	return b
}

// proposalIndex gives the last proposal in the log.
func (c *city) proposalIndex(t *testing.T) record.Index {
	t.Helper()
	for i := c.view.Head().Size - 1; i >= 0; i-- {
		if _, ok := entry(t, c.view, i).(record.ProposalEntry); ok {
			return record.Index(i)
		}
	}
	t.Fatal("the log has no proposal")
	return 0
}
