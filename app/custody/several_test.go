package custody

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// setCustodians has the offices decide who keeps the set CITY, and who is lost.
func (c *city) setCustodians(t testing.TB, names []string, lost ...string) {
	t.Helper()
	fact := setOf(names...)
	for _, name := range lost {
		fact.Lost = append(fact.Lost, keyID(name))
	}
	hash, err := record.FactHash(fact)
	if err != nil {
		t.Fatal(err)
	}
	proposal := c.must(t, "CLERK", &record.ProposeChange{Fact: fact})
	c.must(t, "COUNSEL", &record.ApproveChange{Proposal: proposal, FactHash: hash})
}

// round runs one round of erasing, and gives what the house did.
func (h *house) round(t testing.TB) Erased {
	t.Helper()
	e, err := h.Erase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// wantPart wants a copy of what a redaction has left: not the first paragraph, which
// is leaf 5 of what offer makes, but the last.
func (h *house) wantPart(t testing.TB, what string, k kept) {
	t.Helper()
	_, err := read(h.Custody, works, k.Ref, CaseWork)
	wantReason(t, what+": "+h.name+" reads the original", err, PartlyDestroyed)
	car, err := h.Copy(context.Background(), works, k.Ref, CaseWork, Extent{WithName: true})
	if err != nil {
		t.Fatalf("%s: %s copies: %v", what, h.name, err)
	}
	made, err := commitment.ParseCopy(car)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := made.Verify(commitment.Commitment(k.Commitment))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(opened.Content()); strings.Contains(got, "five members") || !strings.Contains(got, "Adjourned") {
		t.Errorf("%s: %s discloses %q", what, h.name, got)
	}
}

// wantClosed demands that no state in the ring of a house opens a record.
func (h *house) wantClosed(t testing.TB, what string, k kept) {
	t.Helper()
	for _, id := range h.rings.Rings() {
		rids, err := h.rings.RIDs(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, rid := range rids {
			if r, ok, err := h.vault.Record(rid); err != nil || ok && r.Commitment == k.Commitment {
				t.Errorf("%s: ring %s of %s opens the record, %v", what, id, h.name, err)
			}
		}
	}
}

// TestEachCustodianErasesForItself: what was locked is erased by each custodian of
// the set, and the disposition is complete when each has reported. Redactions that
// one has not reach it though the record is locked. A hold that comes when one has
// erased preserves the records at the others, and nothing brings them back to it.
func TestEachCustodianErasesForItself(t *testing.T) {
	s := newShared(t, 3)
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	gone, spared := a.keep(t, "DEMO-MINUTES", minutes, "first title"), b.keep(t, "DEMO-MINUTES", minutes+"spared\n", "second title")
	part, beside := c.keep(t, "DEMO-PERMITS", minutes+"part\n", "third title"), a.keep(t, "DEMO-MINUTES", minutes+"beside\n", "fourth title")
	if refused := s.replicate(t); len(refused) != 0 {
		t.Fatalf("refused %v", refused)
	}
	redaction := s.redact(t, "DEMO-PERMITS", part, a.file(t, part, 5)) // the others have not heard of it
	destruction := s.destroy(t, "DEMO-MINUTES", gone, spared)
	for _, h := range s.houses {
		h.wantShut(t, "locked", gone, Locked)
	}
	if e := b.round(t); len(e.Waiting) != 1 || e.Waiting[0].Disposition != redaction || !strings.Contains(e.Waiting[0].Why, "not filed") {
		t.Errorf("waiting %+v; want the redaction that is not filed", e.Waiting)
	}
	if refused := s.replicate(t); len(refused) != 0 {
		t.Errorf("redactions of what is locked: refused %v", refused)
	}
	if e := a.round(t); !slices.Equal(e.Dispositions, []record.Index{redaction, destruction}) && !slices.Equal(e.Dispositions, []record.Index{destruction, redaction}) {
		t.Errorf("erased %+v", e)
	}
	if got := s.status(t, redaction); got != ledger.DispositionLocked {
		t.Errorf("the redaction is %s after one of three reports", got)
	}
	if e := b.round(t); !slices.Equal(e.Dispositions, []record.Index{redaction}) {
		t.Errorf("erased %+v; want what waited for its redaction", e)
	}
	// B has erased gone and spared by now; the hold finds both at C alone.
	s.hold(t, gone, spared)
	if e := c.round(t); e.Preserved != 2 || e.Redacted != 1 {
		t.Errorf("erased %+v; want both preserved", e)
	}
	for _, d := range []record.Index{redaction, destruction} {
		if got := s.status(t, d); got != ledger.DispositionComplete {
			t.Errorf("disposition %d is %s after three reports", d, got)
		}
	}
	for _, h := range []*house{a, b} {
		h.wantShut(t, "destroyed here", gone, Destroyed)
		h.wantShut(t, "destroyed here", spared, Destroyed)
	}
	c.wantOpen(t, "preserved", gone)
	c.wantOpen(t, "preserved", spared)
	if refused := s.replicate(t); refused[Destroyed] != 4 || len(refused) != 1 {
		t.Errorf("refused %v; want both records at both that have destroyed them", refused)
	}
	for _, h := range s.houses {
		h.wantPart(t, "redacted everywhere", part)
		h.wantOpen(t, "beside them", beside)
		h.round(t)
	}
	a.wantClosed(t, "offered again", gone)
	// A custodian that lost everything gets back what lives, and not what it erased.
	s.lose(t, 1)
	if refused := s.replicate(t); refused[Destroyed] != 4 || len(refused) != 1 {
		t.Errorf("refused %v when the second custodian came back empty", refused)
	}
	s.houses[1].wantOpen(t, "filled again", beside)
	s.houses[1].wantPart(t, "filled again", part)
	s.houses[1].wantClosed(t, "filled again", gone)
	s.houses[1].wantClosed(t, "filled again", spared)
}

// lose replaces a house by an empty one of the same custodian.
func (s *shared) lose(t testing.TB, i int) *house {
	t.Helper()
	s.houses[i].close()
	s.houses[i] = openHouseOf(t, s.houses[i].name, vfs.NewMem(), "house", s.city, s.clock)
	if err := s.houses[i].CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s.houses[i]
}

// TestWhatIsErasedIsNotSent: a custodian that joins a set gets of each record what is
// left of it, whoever sends it, and nothing of what was destroyed.
func TestWhatIsErasedIsNotSent(t *testing.T) {
	s := newShared(t, 3)
	s.setCustodians(t, custodianNames[:1], custodianNames[1:]...)
	a, b := s.houses[0], s.houses[1]
	part, gone := a.keep(t, "DEMO-MINUTES", minutes, "title"), a.keep(t, "DEMO-MINUTES", minutes+"gone\n", "title")
	early := a.blindParcel(t, part.Ref) // by a custodian that does not know that it must not
	a.erase(t, s.redact(t, "DEMO-MINUTES", part, a.file(t, part, 5)), s.destroy(t, "DEMO-MINUTES", gone))
	_, err := b.deposited(t, "from outside of the set")
	wantReason(t, "deposit outside of the set", err, UnknownCustody)
	wantReason(t, "parcel outside of the set", b.receive(a, early), UnknownCustody)
	s.setCustodians(t, custodianNames[:2], custodianNames[2:]...)
	err = b.receive(a, early)
	wantReason(t, "a parcel from before the erasure, without the redaction", err, Quarantined)
	var out bytes.Buffer
	wantReason(t, "send what was destroyed", a.SendParcel(context.Background(), keyID(b.name), gone.Ref, &out), NotFound)
	wantReason(t, "send outside of the set", a.SendParcel(context.Background(), keyID(custodianNames[2]), part.Ref, &out), Denied)
	wantReason(t, "send to itself", a.SendParcel(context.Background(), keyID(a.name), part.Ref, &out), Denied)
	if out.Len() != 0 {
		t.Errorf("%d bytes were sent", out.Len())
	}
	if refused := s.replicate(t); len(refused) != 0 {
		t.Errorf("refused %v", refused)
	}
	b.wantPart(t, "came by parcel", part)
	if got := len(b.held(t)); got != 1 {
		t.Errorf("%d records are held, want 1", got)
	}
	segments, err := b.Segments(context.Background(), works, part.Ref, CaseWork)
	if err != nil || !segments[5].Destroyed || segments[5].Size != 0 || segments[6].Destroyed {
		t.Errorf("segments %+v, %v", segments, err)
	}
	b.erase(t)
	b.wantPart(t, "after a round", part)
}

// blindParcel writes a parcel as a custodian would that asks no ledger.
func (h *house) blindParcel(t testing.TB, ref Ref) []byte {
	t.Helper()
	r, ok, err := h.vault.Find(ref.Office, ref.Commitment)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	s, ok, err := h.state(r)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	o, err := h.open(r, s)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := h.vault.Redactions(r.RID)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := h.writeParcel(context.Background(), o, hashes, false, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// deposited deposits a content for DPW.
func (h *house) deposited(t testing.TB, content string) (record.Commitment, error) {
	t.Helper()
	header, raw := offer(content, "title")
	d, err := h.Deposit(context.Background(), works, header, bytes.NewReader(raw))
	return d.Commitment, err
}

// TestNarrowerParcels: parts that were erased under a disposition go at a custodian
// that has the whole record and owes no report, as soon as it hears of that from
// another custodian and no hold stands. They stay where a hold has preserved them.
func TestNarrowerParcels(t *testing.T) {
	s := newShared(t, 3)
	s.setCustodians(t, custodianNames[:2], custodianNames[2])
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	part := a.keep(t, "DEMO-MINUTES", minutes, "title")
	redaction := a.file(t, part, 2, 5)
	s.replicate(t)
	d := s.redact(t, "DEMO-MINUTES", part, redaction)
	a.round(t)
	hold := s.hold(t, part)
	b.round(t)
	if got := s.status(t, d); got != ledger.DispositionComplete {
		t.Fatalf("disposition is %s", got)
	}
	a.wantPart(t, "redacted", part)
	b.wantOpen(t, "preserved", part)
	s.setCustodians(t, custodianNames[:3])
	send(t, b, c, part.Ref)
	c.wantOpen(t, "from the one that preserved it", part)
	send(t, b, a, part.Ref)
	a.wantPart(t, "after a parcel with more", part)
	for _, to := range []*house{b, c} {
		send(t, a, to, part.Ref)
		to.wantOpen(t, "under the hold", part)
	}
	if hits, _, err := c.Search(context.Background(), works, Query{Text: "title", Limit: 5}); err != nil || len(hits) != 1 || hits[0].Title == "" {
		t.Errorf("found %+v, %v", hits, err)
	}
	s.must(t, "COUNSEL", &record.ResolveIssue{Hold: hold})
	s.must(t, "CLERK", &record.ReleaseHold{Hold: hold})
	for range 2 {
		for _, to := range []*house{b, c} {
			send(t, a, to, part.Ref)
		}
	}
	b.wantOpen(t, "preserved by its own report", part)
	c.wantPart(t, "after a parcel with less", part)
	if hits, _, err := c.Search(context.Background(), works, Query{Text: "title", Limit: 5}); err != nil || len(hits) != 1 || hits[0].Title != "" {
		t.Errorf("found %+v, %v; want it without its title", hits, err)
	}
	send(t, b, c, part.Ref)
	c.wantPart(t, "after a parcel with more", part)
	if n, _, err := c.Pending(); n != 1 || err != nil {
		t.Errorf("%d pending, %v; want the state before", n, err)
	}
	if e := c.erase(t); e.Rings != 1 {
		t.Errorf("erased %+v; want the ring rotated", e)
	}
	c.wantPart(t, "after the rotation", part)
	s.restart(t, 2).wantPart(t, "after a restart", part)
	// A custodian that has reported, and lost everything, gets no more than it had.
	a = s.lose(t, 0)
	send(t, b, a, part.Ref)
	a.wantPart(t, "filled again by the one that has more", part)
}

// TestOneCustodianDestroysNothingOfAnother: a parcel that lacks what no disposition
// has erased is refused, by one that has the record and by one that has not.
func TestOneCustodianDestroysNothingOfAnother(t *testing.T) {
	s := newShared(t, 3)
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	a.file(t, k, 5)
	send(t, a, b, k.Ref)
	a.punctures(t, k.Ref, commitment.Range{First: 5, Last: 5})
	parcel := a.blindParcel(t, k.Ref)
	wantReason(t, "to one that has it", b.receive(a, parcel), Malformed)
	wantReason(t, "to one that has it not", c.receive(a, parcel), Malformed)
	b.wantOpen(t, "after it", k)
	if n, err := c.Records(); n != 0 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
	send(t, b, c, k.Ref)
	c.wantOpen(t, "from another one", k)
}

// TestLostCustodianComesBack: a custodian that was away as a lost one while records
// were erased has their secrets again when its old home is found. It is shut, sends
// none of it, and erases it without owing a report.
func TestLostCustodianComesBack(t *testing.T) {
	s := newShared(t, 2)
	a := s.houses[0]
	gone, part := a.keep(t, "DEMO-MINUTES", minutes, "title"), a.keep(t, "DEMO-MINUTES", minutes+"part\n", "title")
	beside := a.keep(t, "DEMO-MINUTES", minutes+"beside\n", "title")
	s.replicate(t)
	s.setCustodians(t, custodianNames[:1], custodianNames[1])
	a.erase(t, s.redact(t, "DEMO-MINUTES", part, a.file(t, part, 5)), s.destroy(t, "DEMO-MINUTES", gone))
	s.setCustodians(t, custodianNames[:2])
	b := s.restart(t, 1)
	b.wantShut(t, "destroyed by the others", gone, Locked)
	b.wantShut(t, "redacted by the others, and the redaction is not here", part, Quarantined)
	b.wantShut(t, "beside them", beside, Quarantined)
	var out bytes.Buffer
	for _, k := range []kept{gone, part, beside} {
		if err := b.SendParcel(context.Background(), keyID(a.name), k.Ref, &out); err == nil || out.Len() != 0 {
			t.Errorf("%d bytes were sent: %v", out.Len(), err)
		}
	}
	if got := len(b.held(t)); got != 0 {
		t.Errorf("%d records are held in quarantine", got)
	}
	wantReason(t, "a parcel into a ring in quarantine", b.receive(a, a.parcel(t, b, beside.Ref)), Quarantined)
	if e := b.erase(t); e.Rings != 1 {
		t.Errorf("erased %+v; want one ring rotated", e)
	}
	b.wantOpen(t, "beside them, after a round", beside)
	b.wantShut(t, "the redaction is still not here", part, Quarantined)
	if refused := s.replicate(t); len(refused) != 0 {
		t.Errorf("refused %v", refused)
	}
	b.erase(t)
	b.wantPart(t, "after the redaction came", part)
	b.wantClosed(t, "after a round", gone)
	if n, quarantined, err := b.Pending(); n != 0 || len(quarantined) != 0 || err != nil {
		t.Errorf("%d pending, %v, %v", n, quarantined, err)
	}
	if _, ok, err := b.vault.Find("DPW", gone.Commitment); ok || err != nil {
		t.Errorf("what was destroyed is in the vault: %v, %v", ok, err)
	}
}

// TestNoHuskForARecord: a parcel that lacks parts, and the redaction by which one
// could tell whether these were erased, is not kept by a custodian that has nothing
// yet: it would take nothing from the others any more.
func TestNoHuskForARecord(t *testing.T) {
	s := newShared(t, 3)
	s.setCustodians(t, custodianNames[:2], custodianNames[2])
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	send(t, a, b, k.Ref)
	a.punctures(t, k.Ref, commitment.Range{First: 5, Last: 7}) // more than is going to be redacted
	husk := a.blindParcel(t, k.Ref)
	redaction := b.file(t, k, 5)
	d := s.redact(t, "DEMO-MINUTES", k, redaction)
	if err := a.receive(b, b.parcel(t, a, k.Ref)); err != nil { // the redaction alone
		t.Fatal(err)
	}
	a.round(t)
	s.hold(t, k)
	b.round(t)
	if got := s.status(t, d); got != ledger.DispositionComplete {
		t.Fatalf("disposition is %s", got)
	}
	b.wantOpen(t, "preserved", k)
	s.setCustodians(t, custodianNames[:3])
	wantReason(t, "a husk", c.receive(a, husk), Quarantined)
	send(t, b, c, k.Ref)
	c.wantOpen(t, "from the one that preserved it", k)
}

// TestNoOraclesForAHusk: what a redaction takes along is marked in the layout, and a
// false mark lets nothing go that is not redacted.
func TestNoOraclesForAHusk(t *testing.T) {
	s := newShared(t, 3)
	s.setCustodians(t, custodianNames[:2], custodianNames[2])
	a, b, c := s.houses[0], s.houses[1], s.houses[2]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	send(t, a, b, k.Ref)
	a.punctures(t, k.Ref, commitment.Range{First: 6, Last: 7})
	s.redact(t, "DEMO-MINUTES", k, b.file(t, k, 5))
	send(t, b, a, k.Ref)
	a.round(t)
	s.hold(t, k)
	b.round(t)
	s.setCustodians(t, custodianNames[:3])
	marked := relayout(t, a, k, func(facts []vault.LeafFact) { facts[6].Oracle, facts[7].Oracle = true, true })
	wantReason(t, "a husk", c.receive(a, sealAgain(joinFrames(marked(framesOf(t, a.blindParcel(t, k.Ref)))))), Malformed)
	send(t, b, c, k.Ref)
	c.wantOpen(t, "from the one that preserved it", k)
}
