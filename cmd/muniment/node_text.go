package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// memberText says in one line what a fact about the network's members states:
// all of it, since that is what an approval is bound to.
func memberText(f record.Fact) (string, bool) {
	switch f := f.(type) {
	case *record.Node:
		return nodeText(f), true
	case *record.CustodianSet:
		text := fmt.Sprintf("custodian set %s: %s, %s", f.Code, counted(len(f.Custodians), "custodian"), idList(f.Custodians))
		if len(f.Lost) > 0 {
			text += "; lost without a report of their own: " + idList(f.Lost)
		}
		return text, true
	case *record.Witnesses:
		if len(f.Witnesses) == 0 {
			return "witnesses: none", true
		}
		var list []string
		for _, w := range f.Witnesses {
			list = append(list, fmt.Sprintf("%s with key %x and a name whose SHA-256 is %x", w.Code, w.PublicKey, w.NameHash))
		}
		return fmt.Sprintf("witnesses: %d of %d make a quorum: %s", f.Threshold, len(f.Witnesses), strings.Join(list, "; ")), true
	case *record.Upgrade:
		return fmt.Sprintf("rules of the ledger: version %d from block %d on", f.Version, f.Height), true
	}
	return "", false
}

func nodeText(n *record.Node) string {
	keys := fmt.Sprintf("node key %x, validator key %x, cosigner key %x, log key %x", n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey)
	if n.CustodianKey != [32]byte{} {
		keys += fmt.Sprintf(", custodian key %x", n.CustodianKey)
	}
	id := receipt.NodeID(n.NodeKey[:])
	switch {
	case n.Removed:
		return fmt.Sprintf("node %s leaves: its keys are never used again: %s", id, keys)
	case n.Replaces != record.KeyID{}:
		return fmt.Sprintf("node %s takes the place of the one whose node key has the id %x, %s: %s", id, n.Replaces, powerText(n.Power), keys)
	}
	return fmt.Sprintf("node %s, %s: %s", id, powerText(n.Power), keys)
}

func powerText(power uint32) string {
	if power == 0 {
		return "without a vote"
	}
	return fmt.Sprintf("validator with power %d", power)
}

func idList(ids []record.KeyID) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf("%x", id)
	}
	return strings.Join(list, ", ")
}

// sayChanges says what a fact would change of what is registered, where that is
// about members. It serves to understand; the signature is bound to the fact.
func (r registry) sayChanges(p *program, f record.Fact) {
	switch f := f.(type) {
	case *record.Node:
		r.sayNode(p, f)
	case *record.CustodianSet:
		r.saySet(p, f)
	case *record.Witnesses:
		for w := range facts[*record.Witnesses](r) {
			p.say("registered now: %s", factText(w))
		}
		if len(f.Witnesses) > 0 {
			p.say("the ledger holds no name: have each of them told to you, and compare its SHA-256. Without the names nobody can refresh a network file")
		}
	}
}

func (r registry) sayNode(p *program, f *record.Node) {
	var now *record.Node
	for n := range facts[*record.Node](r) {
		if n.NodeKey == f.NodeKey || f.Replaces == record.KeyIDOf(n.NodeKey[:]) {
			now = n
		}
	}
	switch {
	case now == nil:
		p.say("the node is new: compare its card with its operator, by another way than it came")
		return
	case f.Removed:
		p.say("the node is %s now", powerText(now.Power))
		if now.Power > 0 {
			p.say("%s", r.afterwards(now))
		}
		return
	}
	if now.NodeKey != f.NodeKey {
		p.say("the one that goes is node %s", nodeIDOf(now))
	}
	for _, one := range []struct {
		name        string
		before, now [32]byte
	}{
		{"node", now.NodeKey, f.NodeKey}, {"validator", now.ValidatorKey, f.ValidatorKey}, {"cosigner", now.CosignerKey, f.CosignerKey},
		{"log", now.LogKey, f.LogKey}, {"custodian", now.CustodianKey, f.CustodianKey},
	} {
		if one.before != one.now {
			p.say("its %s key changes", one.name)
		}
	}
	if now.Power != f.Power {
		p.say("it is %s now", powerText(now.Power))
	}
}

// afterwards says how many validators may be down when one has left: those that
// are up have more than two thirds of the votes.
func (r registry) afterwards(gone *record.Node) string {
	var powers []int
	total := 0
	for n := range facts[*record.Node](r) {
		if n.Power > 0 && !n.Removed && n.NodeKey != gone.NodeKey {
			powers, total = append(powers, int(n.Power)), total+int(n.Power)
		}
	}
	slices.Sort(powers)
	slices.Reverse(powers)
	down, lost := 0, 0
	for _, power := range powers {
		if lost += power; 3*lost >= total {
			break
		}
		down++
	}
	if down == 0 {
		return fmt.Sprintf("afterwards there will be %s, of which none can be down", counted(len(powers), "validator"))
	}
	return fmt.Sprintf("afterwards there will be %s, of which %d can be down", counted(len(powers), "validator"), down)
}

func (r registry) saySet(p *program, f *record.CustodianSet) {
	var now record.CustodianSet
	for set := range facts[*record.CustodianSet](r) {
		if set.Code == f.Code {
			now = *set
		}
	}
	for _, id := range f.Custodians {
		if !slices.Contains(now.Custodians, id) {
			p.say("%s comes", r.custodianName(id))
		}
	}
	for _, id := range now.Custodians {
		if !slices.Contains(f.Custodians, id) && !slices.Contains(f.Lost, id) {
			p.say("%s goes", r.custodianName(id))
		}
	}
	for _, id := range f.Lost {
		if !slices.Contains(now.Lost, id) {
			p.say("%s is stated to be lost: nobody reports what becomes of what it held", r.custodianName(id))
		}
	}
}

// custodianName names a custodian by its node where one is registered.
func (r registry) custodianName(id record.KeyID) string {
	for n := range facts[*record.Node](r) {
		if of, ok := custodianOf(n); ok && of == id {
			return "node " + nodeIDOf(n)
		}
	}
	return fmt.Sprintf("custodian %x", id)
}
