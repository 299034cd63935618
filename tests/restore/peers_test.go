package restore

import (
	"testing"
)

// TestF25_ACustodianWithPeersRejoins: the ledger of before lacks the lock, and all
// that came after. The node fetches the blocks from its peer and gives nothing
// out until it has them; then what was destroyed is destroyed again.
func TestF25_ACustodianWithPeersRejoins(t *testing.T) {
	a := buildArchive(t, 2, 110, 100) // its validator runs until the test ends
	for _, c := range []struct {
		name    string
		lost    []string
		keyring string
		behind  bool // a ledger of before was put back
	}{
		{"nothing lost", nil, "", false},
		{"everything, keyring too", append([]string{"rings"}, everything...), a.before.keyring, true},
		{"everything but rings", everything, "", true},
		{"everything, with the consensus log", append([]string{"wal"}, everything...), "", true},
		{"ledger older than the vault", []string{"ledger"}, "", true},
		{"ledger and keyring older than the vault", []string{"ledger", "rings"}, a.before.keyring, true},
		{"keyring", []string{"rings"}, a.before.keyring, false},
		{"vault", []string{"vault"}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := copied(t, a.home)
			lose(t, home, c.lost...)
			data := a.before.data
			if len(c.lost) == 0 || c.lost[0] == "rings" && len(c.lost) == 1 {
				data = ""
			}
			a.restored(t, home, data, c.keyring)
			w := a.settles(t, home)
			if c.behind && w.living["BEHIND"] == 0 {
				t.Errorf("it was never behind: %v", w)
			}
		})
	}
}
