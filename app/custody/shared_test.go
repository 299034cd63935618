package custody

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// shared are the custodians of a set over one ledger, each with a disk of its own.
type shared struct {
	*city
	clock  *clock
	houses []*house
}

var custodianNames = []string{"custodian", "second custodian", "third custodian"}

// newShared opens n houses of an archive.
func newShared(t testing.TB, n int) *shared {
	t.Helper()
	s := &shared{city: newArchive(t, custodianNames[:n]...), clock: &clock{}}
	s.clock.set(today)
	for i := range n {
		s.houses = append(s.houses, openHouseOf(t, custodianNames[i], vfs.NewMem(), "house", s.city, s.clock))
	}
	return s
}

// parcel gives what one house sends another one of a record.
func (h *house) parcel(t testing.TB, to *house, ref Ref) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := h.SendParcel(context.Background(), keyID(to.name), ref, &b); err != nil {
		t.Fatalf("send parcel: %v", err)
	}
	return b.Bytes()
}

// receive keeps a parcel.
func (h *house) receive(from *house, parcel []byte) error {
	return h.KeepParcel(context.Background(), keyID(from.name), "CITY", bytes.NewReader(parcel))
}

// send brings a record from one house to another.
func send(t testing.TB, from, to *house, ref Ref) {
	t.Helper()
	if err := to.receive(from, from.parcel(t, to, ref)); err != nil {
		t.Fatalf("keep parcel: %v", err)
	}
}

func (h *house) held(t testing.TB) (all []Held) {
	t.Helper()
	for one, err := range h.Held(context.Background(), "CITY") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// keeps tells whether a house is open, and its custodian one of the set.
func (s *shared) keeps(t testing.TB, h *house) bool {
	t.Helper()
	is, err := keeps(s.View(), "CITY", keyID(h.name))
	if err != nil {
		t.Fatal(err)
	}
	return is && h.vault != nil
}

// replicate is a round of all houses: each sends each other one what it lacks, as
// Held says, until nothing changes. Refusals are counted by their reasons.
func (s *shared) replicate(t testing.TB) map[Reason]int {
	t.Helper()
	refused := map[Reason]int{}
	for _, from := range s.houses {
		for _, to := range s.houses {
			if from == to || !s.keeps(t, from) || !s.keeps(t, to) {
				continue
			}
			theirs := to.held(t)
			for _, h := range from.held(t) {
				if slices.ContainsFunc(theirs, func(x Held) bool { return x.Office == h.Office && x.Commitment == h.Commitment && x.Digest == h.Digest }) {
					continue
				}
				var b bytes.Buffer
				err := from.SendParcel(context.Background(), keyID(to.name), Ref{h.Office, h.Commitment}, &b)
				if err == nil {
					err = to.receive(from, b.Bytes())
				}
				if err == nil {
					continue
				}
				reason, ok := ReasonOf(err)
				if !ok {
					t.Fatalf("parcel from %s to %s: %v", from.name, to.name, err)
				}
				refused[reason]++
			}
		}
	}
	return refused
}

// TestParcelsMakeAnotherCustodian: a record that was deposited at one custodian is
// kept by the others after a parcel; each gives out the same, finds it by its title
// and by its bytes, and has nothing to send that the others lack.
func TestParcelsMakeAnotherCustodian(t *testing.T) {
	s := newShared(t, 3)
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	news := b.Anchored()
	one := a.keep(t, "DEMO-MINUTES", minutes, "first title")
	other := a.keep(t, "DEMO-PERMITS", minutes+"more\n", "second title")
	a.file(t, one, 5)
	if held, err := b.Holds(one.Office, one.Commitment); held || err != nil {
		t.Fatalf("held before the parcel: %v, %v", held, err)
	}
	send(t, a, b, one.Ref)
	select {
	case <-news:
	default:
		t.Error("a record that came by parcel is no news")
	}
	send(t, b, c, one.Ref) // which B has from A
	for _, from := range []*house{a, c} {
		send(t, from, b, one.Ref) // the same again
	}
	send(t, a, c, other.Ref)
	if refused := s.replicate(t); len(refused) != 0 {
		t.Errorf("refused %v", refused)
	}
	want := a.held(t)
	if len(want) != 2 || want[0].Digest == want[1].Digest {
		t.Errorf("held %+v", want)
	}
	for _, h := range s.houses {
		for _, k := range []kept{one, other} {
			h.wantOpen(t, h.name, k)
		}
		if got := h.held(t); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s holds %v, want %v", h.name, got, want)
		}
		hits, _, err := h.Search(context.Background(), works, Query{Text: "first title", Limit: 5})
		if err != nil || len(hits) != 1 || !hits[0].Anchored || hits[0].FileName != "first title.txt" {
			t.Errorf("%s finds %+v, %v", h.name, hits, err)
		}
		texts, err := h.Redactions(context.Background(), works, one.Ref)
		if err != nil || len(texts) != 1 || !bytes.Equal(texts[0], marksText(t, one, 5)) {
			t.Errorf("%s has redactions %q, %v", h.name, texts, err)
		}
		car, err := h.Copy(context.Background(), works, one.Ref, CaseWork, Extent{WithName: true})
		if err != nil {
			t.Fatal(err)
		}
		if opened := verify(t, car, one.Commitment); string(opened.Content()) != minutes {
			t.Errorf("%s copies %q", h.name, opened.Content())
		}
		header, content := offer(minutes, "again")
		attempt := mustDeposit(t, h.Custody, works, header, content)
		r, _, err := h.vault.Find("DPW", attempt)
		if err != nil {
			t.Fatal(err)
		}
		if alike, err := h.equals(r); err != nil || len(alike) != 1 || alike[0].Commitment != one.Commitment {
			t.Errorf("%s finds the same bytes %d times, %v", h.name, len(alike), err)
		}
	}
	restarted := s.restart(t, 1)
	restarted.wantOpen(t, "after a restart", one)
	if n, err := restarted.Records(); n != 3 || err != nil {
		t.Errorf("%d records after a restart, %v", n, err)
	}
}

// restart closes a house and opens it again.
func (s *shared) restart(t testing.TB, i int) *house {
	t.Helper()
	old := s.houses[i]
	old.close()
	s.houses[i] = openHouseOf(t, old.name, old.fs, "house", s.city, s.clock)
	if err := s.houses[i].CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.houses[i]
}
