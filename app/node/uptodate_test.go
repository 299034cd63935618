package node

import (
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/muniment/muniment/app/identity"
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
	// Who was replaced is in no handout of now.
	old := Handout{Genesis: []byte("genesis")}
	for _, keys := range append([]*Keys{fourth}, c.members[:3]...) {
		old.Cards = append(old.Cards, cardOf(t, keys))
	}
	if out, err := old.Of(n); err != nil || !slices.EqualFunc(out.Cards, old.Cards[1:], slices.Equal) || string(out.Network) != string(n.Marshal()) {
		t.Errorf("%d of %d cards are handed out, %v", len(out.Cards), len(old.Cards), err)
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

// cardOf gives the card of a node of a chronicle.
func cardOf(t *testing.T, keys *Keys) []byte {
	t.Helper()
	certificate, err := identity.ServerCertificate(rand.Reader, keys.Node, receipt.ServerName(keys.ID()), time.Unix(1_890_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	with := *keys
	with.Certificate = certificate
	text, err := MakeCard(with, "127.0.0.1:1", "127.0.0.1:2", time.Unix(1_890_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
