package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// Who approves that a validator leaves is told before how many may be down afterwards.
func TestHowManyMayBeDownAfterwards(t *testing.T) {
	for _, c := range []struct {
		powers []uint32 // the first one leaves
		says   string
	}{
		{[]uint32{10, 10}, "afterwards there will be 1 validator, of which none can be down"},
		{[]uint32{10, 10, 10}, "afterwards there will be 2 validators, of which none can be down"},
		{[]uint32{10, 10, 10, 10}, "afterwards there will be 3 validators, of which none can be down"},
		{[]uint32{10, 10, 0, 10, 10, 10}, "afterwards there will be 4 validators, of which 1 can be down"},
		{[]uint32{10, 10, 10, 10, 30}, "afterwards there will be 4 validators, of which none can be down"},
		{[]uint32{10, 10, 10, 10, 10, 10, 10, 10}, "afterwards there will be 7 validators, of which 2 can be down"},
		{[]uint32{0, 10, 10, 10}, ""},
	} {
		var r registry
		for i, power := range c.powers {
			r.facts = append(r.facts, &record.Node{NodeKey: [32]byte{byte(i + 1)}, Power: power})
		}
		var said bytes.Buffer
		r.sayNode(&program{stderr: &said, output: "text"}, &record.Node{NodeKey: [32]byte{1}, Removed: true})
		if !strings.Contains(said.String(), c.says) || c.says == "" && strings.Contains(said.String(), "afterwards") {
			t.Errorf("%v: %q, want %q", c.powers, said.String(), c.says)
		}
	}
}
