package receipt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestTheNetworkIsDescribed has what befalls a network described in plain words.
func TestTheNetworkIsDescribed(t *testing.T) {
	node := func(change func(*record.Node)) record.Entry {
		n := &record.Node{NodeKey: [32]byte{1}, ValidatorKey: [32]byte{2}, CosignerKey: [32]byte{3}, LogKey: [32]byte{4}, Power: 10}
		change(n)
		return fact(t, n)
	}
	witnesses := &record.Witnesses{Witnesses: []record.Witness{{Code: "W", PublicKey: [32]byte{1}}}, Threshold: 1}
	for _, test := range []struct {
		entry record.Entry
		kind  string
		says  string
	}{
		{record.MisbehaviorEntry{Validator: record.KeyID{0xab}, Height: 7}, "misbehavior of a validator", "height 7"},
		{record.DepartureEntry{Custodian: record.KeyID{0xab}, Set: "CITY", Departure: record.DepartureHandedOver}, "departure of a custodian", "departure HANDED_OVER"},
		{node(func(*record.Node) {}), "fact", "about node " + NodeID([]byte{1, 31: 0})},
		{node(func(n *record.Node) { n.Removed, n.Power = true, 0 }), "fact", "about removal of node "},
		{node(func(n *record.Node) { n.Replaces = record.KeyID{1} }), "fact", "in the place of another"},
		{fact(t, witnesses), "fact", "about witnesses: 1, a quorum of 1"},
		{fact(t, &record.Upgrade{Version: 2, Height: 90}), "fact", "about rules version 2 from height 90"},
	} {
		kind, fields := describe(test.entry)
		var said strings.Builder
		for _, f := range fields {
			fmt.Fprintln(&said, f.Name, f.Value)
		}
		if kind != test.kind || !strings.Contains(said.String(), test.says) {
			t.Errorf("%+v is described as %s:\n%s", test.entry, kind, said.String())
		}
	}
}

func fact(t *testing.T, f record.Fact) record.Entry {
	t.Helper()
	raw, err := record.MarshalFact(f)
	if err != nil {
		t.Fatal(err)
	}
	return record.FactEntry{Fact: raw}
}
