package node

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/receipt"
)

// TestNetworkFileUpToDate: the file of a home with its handovers, as far as they
// have the quorum.
func TestNetworkFileUpToDate(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	home := Home(t.TempDir())
	if err := os.WriteFile(home.Network(), c.network.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := home.UpToDate(); err != nil || n.Fingerprint() != c.network.Fingerprint() {
		t.Errorf("nothing has happened: %d eras, %v", len(n.Eras), err)
	}
	fourth := c.members[3]
	members := slices.Clone(c.members)
	members[3] = memberKeys("fourth")
	sees(c.opens(members...), ps[:3]...)
	all(ps[:3]...)
	if err := os.CopyFS(home.Eras(), os.DirFS(ps[0].trust.dir)); err != nil {
		t.Fatal(err)
	}
	n, err := home.UpToDate()
	if err != nil || len(n.Eras) != 2 || len(n.Nodes) != 3 || slices.ContainsFunc(n.Nodes, func(n receipt.Node) bool { return n.ID == fourth.ID() }) {
		t.Errorf("%d eras, %d nodes, %v", len(n.Eras), len(n.Nodes), err)
	}

	sees(c.opens(c.members[:3]...), ps[0]) // and not the others
	draft, err := os.ReadFile(handoverFile(ps[0].trust.dir, 3))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"without the quorum": draft, "damaged": draft[:100]} {
		if err := os.WriteFile(handoverFile(home.Eras(), 3), text, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := home.UpToDate()
		refusal, _ := errors.AsType[*receipt.Refusal](err)
		if ok := err == nil && again.Fingerprint() == n.Fingerprint(); ok != (name == "without the quorum") || !ok && (refusal == nil || refusal.Reason != receipt.Malformed) {
			t.Errorf("a handover %s: %d eras, %v", name, len(again.Eras), err)
		}
	}
	if _, err := Home(t.TempDir()).UpToDate(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}
