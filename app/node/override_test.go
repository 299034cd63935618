package node

import (
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// letIn has an office let nodes connect to a node.
func letIn(t testing.TB, home Home, o receipt.Override, key ed25519.PrivateKey) {
	t.Helper()
	text, err := o.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(home.Override(), text, nil); err != nil {
		t.Fatal(err)
	}
}

func today() record.Day { return record.LedgerDay(time.Now().UnixNano()) }

// TestOverrideLetsIn is about one node that no ledger lists: who lets it in, and
// what lets nobody in.
func TestOverrideLetsIn(t *testing.T) {
	home := newHome(t)
	n := run(t, home, time.Hour)
	eventually(t, "the registry", func() bool { return n.View().Head().Size > 0 })
	id := strings.Repeat("ab", 20)
	clerk := officeKey("CLERK")
	good := receipt.Override{Network: n.NetworkID(), Nodes: []string{id, strings.Repeat("cd", 20)}, Until: today()}
	if n.allowed(id) {
		t.Error("without an override")
	}
	other, yesterday, forEver := good, good, good
	forEver.Until += receipt.OverrideDays + 2
	other.Network[0] ^= 1
	yesterday.Until--
	for name, c := range map[string]struct {
		o   receipt.Override
		key ed25519.PrivateKey
	}{
		"another network":                  {other, clerk},
		"yesterday":                        {yesterday, clerk},
		"more than a month ahead":          {forEver, clerk},
		"an office that decides nothing":   {good, officeKey("DPW")},
		"a key that nobody has registered": {good, officeKey("NOBODY")},
		"a key of this node":               {good, n.keys.Node},
	} {
		letIn(t, home, c.o, c.key)
		if n.allowed(id) {
			t.Errorf("%s: it is let in", name)
		}
		text, _ := c.o.Sign(c.key)
		o, err := receipt.ParseOverride(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := JudgeOverride(o, n.View(), n.NetworkID(), time.Now()); !errors.Is(err, ErrOverride) {
			t.Errorf("%s: %v", name, err)
		}
	}
	letIn(t, home, good, clerk)
	if !n.allowed(id) || n.allowed(strings.Repeat("ef", 20)) {
		t.Error("an office lets in whom it names, and nobody else")
	}
	// The signature of another office under the name of this one.
	text, _ := good.Sign(clerk)
	forged := receipt.Override{}
	forged, _ = receipt.ParseOverride(text)
	forged.Until++
	if err := JudgeOverride(forged, n.View(), n.NetworkID(), time.Now()); !errors.Is(err, receipt.ErrOverrideSignature) {
		t.Errorf("a day longer: %v", err)
	}
	if err := os.WriteFile(home.Override(), text[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	if n.allowed(id) {
		t.Error("a damaged override lets it in")
	}
	letIn(t, home, good, clerk)
	if !n.allowed(id) {
		t.Error("a good one after a damaged one does not")
	}
	// The key is suspended by those who decide.
	suspended := record.Key{Office: "CLERK", Use: record.UseSigning, PublicKey: public(clerk), Status: record.StatusSuspended}
	spare := record.Key{Office: "CLERK", Use: record.UseSigning, PublicKey: public(officeKey("CLERK spare")), Status: record.StatusActive}
	decide(t, n, &spare)
	decide(t, n, &suspended)
	if n.allowed(id) {
		t.Error("a suspended key lets it in")
	}
	letIn(t, home, good, officeKey("CLERK spare"))
	if !n.allowed(id) {
		t.Error("the office's other key does not")
	}
	if err := os.Remove(home.Override()); err != nil {
		t.Fatal(err)
	}
	if n.allowed(id) {
		t.Error("an override that is gone lets it in")
	}
}
