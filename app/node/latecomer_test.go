package node

import (
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// TestALatecomerKnowsNobodyOfTheFounding: a node begins with an empty ledger when no
// node of the genesis is there any more, and so does one that lost its ledger. What
// they trust names those who have the blocks. Caught up, the ledger alone decides.
func TestALatecomerKnowsNobodyOfTheFounding(t *testing.T) {
	dir, configs := newTestnet(t, 1, 1)
	home, config := TestnetHome(dir, 1), configs[0]
	founder := open(t, home, config, time.Second)
	if err := founder.Start(); err != nil {
		t.Fatal(err)
	}
	founded, chain := founder.keys.ID(), founder.keys.chain
	makeGeneration(t, chain, "node")
	fact, old := chain.Newest().Fact(10), public(founder.keys.Node)
	fact.Replaces = record.KeyIDOf(old[:])
	enact(t, founder, fact)
	eventually(t, "the era is handed over", func() bool { return len(founder.Network().Eras) == 2 })
	if err := founder.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := chain.UseNode(2); err != nil {
		t.Fatal(err)
	}
	card, err := MakeCard(chain.InUse(), config.P2P.Listen, config.GRPC.Listen, time.Now())
	if err == nil {
		err = home.PutOwnCard(card)
	}
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, home, config, time.Second)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}

	late, listens := TestnetHome(dir, 2), testConfig()
	listens.P2P.Listen = ports.Free(t)
	keys := newcomerHome(t, late, listens.P2P.Listen, home)
	now, err := home.UpToDate()
	if err == nil {
		err = replaceFile(late.Network(), now.Marshal(), nil) // as munimentd member export gives it
	}
	if err != nil {
		t.Fatal(err)
	}
	decide(t, second, keys.Fact(0))
	newcomer := open(t, late, listens, time.Second)
	if newcomer.allowed("00112233445566778899aabbccddeeff00112233") {
		t.Error("anybody may connect")
	}
	if !newcomer.allowed(second.keys.ID()) {
		t.Error("the one that has the blocks may not connect")
	}
	if err := newcomer.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the latecomer has all blocks", func() bool {
		return !newcomer.Status().CatchingUp && newcomer.View().Head().Size == second.View().Head().Size
	})
	for _, id := range []string{founded, newcomer.Network().Nodes[0].ID} {
		if may, err := newcomer.app.MayConnect(id); err != nil || may != (id == second.keys.ID()) {
			t.Errorf("node %s may connect: %v, %v", id, may, err)
		}
	}
}
