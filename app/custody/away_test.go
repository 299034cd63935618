package custody

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/store/keyring"
)

// mobile is a root that can be away, as a token is.
type mobile struct {
	keyring.Root
	away bool
}

func (m *mobile) Wrap(key []byte) ([]byte, error) {
	if m.away {
		return nil, fmt.Errorf("wrap key by token \"city\": %w: no such token", keyring.ErrToken)
	}
	return m.Root.Wrap(key)
}

// TestErasureWaitsForTheToken: a token that is away is something to wait for, of a
// disposition and of what was forgotten, and no failure of the node.
func TestErasureWaitsForTheToken(t *testing.T) {
	fs, c := vfs.NewMem(), &clock{}
	c.set(today)
	h := openHouse(t, fs, "house", newArchive(t), c)
	root, err := testRoot()
	if err != nil {
		t.Fatal(err)
	}
	token := &mobile{Root: root}
	if err := h.rings.Close(); err != nil {
		t.Fatal(err)
	}
	if h.rings, err = keyring.Open("house/rings", token, keyring.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	h.Custody.rings = h.rings
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	header, content := offer(minutes+"orphan", "title")
	mustDeposit(t, h.Custody, works, header, content)
	h.city.pass(t, startOf(today+3))
	h.clock.set(today + 3)
	waits := func(disposition string, d ...any) {
		t.Helper()
		e, err := h.Erase(context.Background())
		if err != nil || len(e.Waiting) != 1 || fmt.Sprint(e.Waiting[0].Disposition) != fmt.Sprint(d...) || len(e.Dispositions) != 0 || e.Rings != 0 ||
			!strings.HasPrefix(e.Waiting[0].Why, "the token that keeps the keys of ring DPW_DEMO-MINUTES is not there: ") {
			t.Errorf("%s: erased %+v, %v", disposition, e, err)
		}
	}
	token.away = true
	waits("of none", 0)
	d := h.city.destroy(t, "DEMO-MINUTES", k)
	waits("of one", d)
	if got := h.city.status(t, d); got != ledger.DispositionLocked {
		t.Errorf("disposition is %s", got)
	}
	h.wantShut(t, "without the token", k, Locked)
	token.away = false
	if e := h.erase(t, d); e.Destroyed != 1 {
		t.Errorf("erased %+v when the token is back", e)
	}
}
