package main

import (
	"strings"
	"testing"

	"github.com/muniment/muniment/app/receipt"
)

// TestWitnessesThatNoFileCanHold: the ledger has the hash of a name alone, so the
// command refuses what would keep every network file from being refreshed.
func TestWitnessesThatNoFileCanHold(t *testing.T) {
	g := newGovernors(t)
	vkey := func(name, label string) string {
		return receipt.CosignerVKey(name, publicOf(g.city.key(label))).String()
	}
	origin := g.city.network.Origin
	for _, name := range []string{origin, origin + "/witness", strings.Repeat("w", 201)} {
		g.clerk.fails(exitUsage, "has a name of its own", "witness", "propose", "--add", "STATE="+vkey(name, "state"))
	}
	for _, twin := range []string{vkey("a.example.org", "county"), vkey("b.example.org", "state")} {
		g.clerk.fails(exitUsage, "has the name or the key of another one", "witness", "propose", "--add", "COUNTY="+vkey("a.example.org", "state"), "--add", "STATE="+twin)
	}
	if said := g.decide("witness", "propose", "--add", "STATE="+vkey(origin+".example.org", "state")); !strings.Contains(said, "the ledger holds no name") {
		t.Errorf("approval says %q", said)
	}
}
