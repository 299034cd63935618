package custody

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestNoOldCustodianResurrects puts parts of one custodian back to before its
// erasures, or before the redaction was filed, or has it lose them, beside others
// that are as they should be, and one that is empty. Whoever sends whatever first:
// nobody gets back what was erased, before or after a round, and in the end all have
// the same.
func TestNoOldCustodianResurrects(t *testing.T) {
	mem, s := vfs.NewCrashableMem(), &shared{city: newArchive(t, custodianNames...), clock: &clock{}}
	s.clock.set(today)
	s.houses = []*house{openHouseOf(t, custodianNames[0], mem, "house", s.city, s.clock)}
	for _, name := range custodianNames[1:] {
		s.houses = append(s.houses, openHouseOf(t, name, vfs.NewMem(), "house", s.city, s.clock))
	}
	old, now := s.houses[0], s.houses[1]
	gone, part := old.keep(t, "DEMO-MINUTES", minutes, "title"), old.keep(t, "DEMO-MINUTES", minutes+"part\n", "title")
	beside, elsewhere := now.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title"), old.keep(t, "DEMO-PERMITS", minutes, "title")
	s.replicate(t)
	unfiled := mem.CrashClone(vfs.CrashCloneCfg{})
	redaction := now.file(t, part, 5)
	s.replicate(t)
	redact, destroy := s.redact(t, "DEMO-MINUTES", part, redaction), s.destroy(t, "DEMO-MINUTES", gone)
	filed := mem.CrashClone(vfs.CrashCloneCfg{})
	sent := map[string][]byte{"destroyed": old.blindParcel(t, gone.Ref), "redacted": old.blindParcel(t, part.Ref)}
	for _, h := range s.houses {
		h.round(t)
	}
	_, _ = redact, destroy
	old.close()
	after := mem.CrashClone(vfs.CrashCloneCfg{})
	for _, before := range []*vfs.MemFS{unfiled, filed} {
		for name, parts := range map[string][]string{
			"nothing": nil, "rings": {"rings"}, "vault": {"vault"}, "vault and rings": {"vault", "rings"}, "all": {"vault", "rings", "access-log"},
		} {
			for _, lost := range []bool{false, true} { // instead of put back
				t.Run(fmt.Sprintf("%s lost %t filed %t", name, lost, before == filed), func(t *testing.T) {
					fs := after.CrashClone(vfs.CrashCloneCfg{})
					for _, part := range parts {
						if err := fs.RemoveAll("house/" + part); err != nil {
							t.Fatal(err)
						}
						if lost {
							continue
						}
						if ok, err := vfs.Clone(before, fs, "house/"+part, "house/"+part); !ok || err != nil {
							t.Fatal(ok, err)
						}
					}
					h := openHouseOf(t, custodianNames[0], fs, "house", s.city, s.clock)
					defer h.close()
					empty := openHouseOf(t, custodianNames[2], vfs.NewMem(), "house", s.city, s.clock)
					defer empty.close()
					world := &shared{city: s.city, clock: s.clock, houses: []*house{h, empty, now}}
					shut := func(when string) {
						t.Helper()
						for _, one := range world.houses {
							for _, k := range []kept{gone, part} {
								if got, err := read(one.Custody, works, k.Ref, CaseWork); err == nil || got != "" {
									t.Errorf("%s: %s reads %q", when, one.name, got)
								}
							}
						}
						now.wantClosed(t, when, gone)
						empty.wantClosed(t, when, gone)
						now.wantPart(t, when, part)
					}
					for _, to := range world.houses { // parcels that were on their way all the time
						for what, parcel := range sent {
							_ = to.KeepParcel(context.Background(), keyID(custodianNames[0]), "CITY", bytes.NewReader(parcel))
							_ = to.KeepParcel(context.Background(), keyID(now.name), "CITY", bytes.NewReader(parcel))
							shut("late parcel of what was " + what)
						}
					}
					for _, when := range []string{"first", "second", "third"} {
						world.replicate(t)
						shut("after the " + when + " replication")
						for _, one := range world.houses {
							one.round(t)
						}
						shut("after the " + when + " round")
					}
					for _, one := range world.houses {
						one.wantPart(t, "in the end", part)
						one.wantClosed(t, "in the end", gone)
						one.wantOpen(t, "in the end", beside)
						one.wantOpen(t, "in the end", elsewhere)
						if got, want := fmt.Sprint(one.held(t)), fmt.Sprint(now.held(t)); got != want {
							t.Errorf("%s holds %s, want %s", one.name, got, want)
						}
						if n, quarantined, err := one.Pending(); n != 0 || len(quarantined) != 0 || err != nil {
							t.Errorf("%s: %d pending, %v, %v", one.name, n, quarantined, err)
						}
					}
				})
			}
		}
	}
}
