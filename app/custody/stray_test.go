package custody

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// withOld closes a house and opens it with one part of an older one in its place.
func (h *house) withOld(t *testing.T, now, old *vfs.MemFS, part string) *house {
	t.Helper()
	h.close()
	fs := now.CrashClone(vfs.CrashCloneCfg{})
	if err := fs.RemoveAll("house/" + part); err != nil {
		t.Fatal(err)
	}
	if ok, err := vfs.Clone(old, fs, "house/"+part, "house/"+part); !ok || err != nil {
		t.Fatal(ok, err)
	}
	return openHouse(t, fs, "house", h.city, h.clock)
}

func (h *house) found(t *testing.T, ref Ref) vault.Record {
	t.Helper()
	r, ok, err := h.vault.Find(ref.Office, ref.Commitment)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return r
}

// TestStatesOfLostDepositsEnd: the vault was restored from before two deposits, and
// one of them was made again. Its ring has two states of one record then, and an
// older copy of the vault has what the first one opens. It ends with the record.
func TestStatesOfLostDepositsEnd(t *testing.T) {
	for name, lock := range map[string]func(*testing.T, *house, kept) record.Index{
		"destroyed": func(t *testing.T, h *house, k kept) record.Index { return h.city.destroy(t, "DEMO-MINUTES", k) },
		"redacted": func(t *testing.T, h *house, k kept) record.Index {
			return h.city.redact(t, "DEMO-MINUTES", k, h.file(t, k, 5))
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem, c := vfs.NewCrashableMem(), &clock{}
			c.set(today)
			h := openHouse(t, mem, "house", newArchive(t), c)
			h.keep(t, "DEMO-MINUTES", minutes+"other\n", "title")
			before := mem.CrashClone(vfs.CrashCloneCfg{})
			header, content := offer(minutes, "title")
			header.Series = "DEMO-MINUTES"
			k := h.keepAs(t, "DEMO-MINUTES", header, content)
			first, lost := h.found(t, k.Ref), h.found(t, h.keep(t, "DEMO-MINUTES", minutes+"lost\n", "title").Ref)
			h = h.withOld(t, mem, before, "vault")
			mustDeposit(t, h.Custody, works, header, content)
			h.wantOpen(t, "deposited again", k)
			h.erase(t, lock(t, h, k))
			_, _, err := h.state(first)
			wantReason(t, "first deposit", err, Destroyed)
			if _, ok, err := h.state(lost); !ok || err != nil {
				t.Errorf("what was lost, and is to live: %v, %v", ok, err)
			}
			if e := h.erase(t); e.Rings != 0 {
				t.Errorf("a second round rotates %d rings", e.Rings)
			}
		})
	}
}

// TestRemovedDepositsEndAgain: rings from before an attempt was erased and an
// orphan was swept have both again; the vault knows that they are to go.
func TestRemovedDepositsEndAgain(t *testing.T) {
	mem, c := vfs.NewCrashableMem(), &clock{}
	c.set(today)
	h := openHouse(t, mem, "house", newArchive(t), c)
	k, ctx := h.keep(t, "DEMO-MINUTES", minutes, "title"), context.Background()
	var gone []vault.Record
	for _, text := range []string{minutes, minutes + "orphan\n"} { // an attempt, and an orphan
		header, content := offer(text, "title again")
		header.Series = "DEMO-PERMITS"
		gone = append(gone, h.found(t, Ref{"DPW", mustDeposit(t, h.Custody, works, header, content)}))
	}
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	h.erase(t, h.city.destroy(t, "DEMO-MINUTES", k))
	h.city.pass(t, startOf(today+3)+3600e9)
	h.clock.set(today + 4)
	if err := h.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	h.erase(t)
	h = h.withOld(t, mem, before, "rings")
	if e := h.erase(t); e.Rings != 2 {
		t.Errorf("erased %+v", e)
	}
	for i, r := range gone {
		if _, ok, err := h.state(r); ok || err != nil {
			t.Errorf("deposit %d: a ring opens it again: %v", i, err)
		}
		if n, err := h.rings.Pending(ringOf(r)); n != 0 || err != nil {
			t.Errorf("deposit %d: %d states wait for a rotation, %v", i, n, err)
		}
	}
}
