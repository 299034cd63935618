package custody

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// do commits a block with one message, a second after the last one.
func (c *city) do(name string, m record.Message) (ledger.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nonces++
	nonce := sha256.Sum256(fmt.Append(nil, "do ", c.nonces))
	body, err := record.NewBody(network, record.Nonce(nonce[:16]), record.LedgerDay(c.view.Head().Time)+1, m)
	if err != nil {
		return ledger.Result{}, err
	}
	raw, err := record.Sign(key(name), body)
	if err != nil {
		return ledger.Result{}, err
	}
	at := ledger.Block{Height: c.view.Head().Height + 1, Time: c.view.Head().Time + 1e9, Txs: [][]byte{raw}}
	changes, results, err := ledger.Machine{Verify: ed25519.Verify}.Apply(c.view, at)
	if err != nil {
		return ledger.Result{}, err
	}
	c.view = ledger.Overlay(c.view, changes)
	return results[0], nil
}

// submit is what a node does with a custodian's report, or departure.
func (c *city) submit(name string, m record.Message) error {
	r, err := c.do(name, m)
	if err == nil && r.Code != ledger.OK && r.Code != ledger.CodeAlreadyReported {
		err = errors.New(r.Code.String())
	}
	return err
}

// must is do for what has to be accepted; it gives the index of the first item.
func (c *city) must(t testing.TB, name string, m record.Message) record.Index {
	t.Helper()
	r, err := c.do(name, m)
	if err != nil || r.Code != ledger.OK {
		t.Fatalf("%T of %s: %s, %v", m, name, r.Code, err)
	}
	return r.TxIndex + 1
}

// newArchive is a city in which records of two series of DPW can be destroyed and
// redacted: their period, sixty days, is long over.
func newArchive(t testing.TB, custodians ...string) *city {
	t.Helper()
	c := newCity(t, custodians...)
	var rules [][]byte
	for _, series := range []record.Code{"DEMO-MINUTES", "DEMO-PERMITS"} {
		rule := &record.ScheduleRule{
			Schedule: "DEMO", Version: 1, Series: series, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
			Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
		}
		c.must(t, "CLERK", &record.ProposeChange{Fact: rule})
		raw, err := record.MarshalFact(rule)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, raw)
	}
	root, err := record.ScheduleRoot(rules)
	if err != nil {
		t.Fatal(err)
	}
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: today, Count: 2, Root: root}
	hash, err := record.FactHash(schedule)
	if err != nil {
		t.Fatal(err)
	}
	proposal := c.must(t, "CLERK", &record.ProposeChange{Fact: schedule})
	c.must(t, "COUNSEL", &record.ApproveChange{Proposal: proposal, FactHash: hash})
	return c
}

// archiveHouse is a custodian of an archive, in memory.
func archiveHouse(t testing.TB) *house {
	t.Helper()
	c := &clock{}
	c.set(today)
	return openHouse(t, vfs.NewMem(), "house", newArchive(t), c)
}

// kept is a record of DPW that was anchored.
type kept struct {
	Ref
	index   record.Index
	content string
}

// keep deposits a content for DPW and anchors it as a record of long ago.
func (h *house) keep(t testing.TB, series record.Code, content, title string) kept {
	t.Helper()
	header, raw := offer(content, title)
	return h.keepAs(t, series, header, raw)
}

func (h *house) keepAs(t testing.TB, series record.Code, header Header, content []byte) kept {
	t.Helper()
	header.Series = series
	c := mustDeposit(t, h.Custody, works, header, content)
	at := h.city.must(t, "DPW", &record.AnchorRecords{Series: series, Custody: "CITY", Items: []record.AnchorItem{{Commitment: c, Day: today - 1000}}})
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	return kept{Ref{"DPW", c}, at, string(content)}
}

// destroy locks records of one series for destruction.
func (c *city) destroy(t testing.TB, series record.Code, records ...kept) record.Index {
	t.Helper()
	m := &record.ProposeDisposition{Series: series, Action: record.ActionDestroy}
	for _, k := range records {
		m.Records = append(m.Records, k.index)
	}
	slices.Sort(m.Records)
	return c.lock(t, m)
}

// lock brings a disposition from its proposal to its lock.
func (c *city) lock(t testing.TB, m *record.ProposeDisposition) record.Index {
	t.Helper()
	at := c.must(t, "DPW", m)
	d, _, err := ledger.DispositionOf(c.View(), at)
	if err != nil {
		t.Fatal(err)
	}
	c.must(t, "CLERK", &record.ApproveDisposition{Disposition: at, Hash: d.Hash})
	if m.Action == record.ActionRedact {
		c.must(t, "COUNSEL", &record.ApproveDisposition{Disposition: at, Hash: d.Hash})
	}
	c.must(t, "IT", &record.LockDisposition{Disposition: at, Hash: d.Hash})
	return at
}

// file files a redaction that marks some leaves of a record, with the digest of
// its content, which is leaf 3 of what offer makes.
func (h *house) file(t testing.TB, k kept, leaves ...uint32) [32]byte {
	t.Helper()
	return h.fileText(t, k, marksText(t, k, leaves...))
}

func marksText(t testing.TB, k kept, leaves ...uint32) []byte {
	t.Helper()
	r := commitment.Redaction{Salt: sha256.Sum256(fmt.Append(nil, k.index, leaves)), Authority: "CT-FOI", Dated: "2026-11-01"}
	r.Marks = append(r.Marks, commitment.Mark{Range: commitment.Range{First: 3, Last: 3}, Code: commitment.Betrays})
	for _, leaf := range leaves {
		if last := &r.Marks[len(r.Marks)-1]; last.Code != commitment.Betrays && last.Last+1 == leaf {
			last.Last = leaf
			continue
		}
		r.Marks = append(r.Marks, commitment.Mark{Range: commitment.Range{First: leaf, Last: leaf}, Code: "CT-1-210-b-2"})
	}
	slices.SortFunc(r.Marks, func(a, b commitment.Mark) int { return cmp.Compare(a.First, b.First) })
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (h *house) fileText(t testing.TB, k kept, text []byte) [32]byte {
	t.Helper()
	hash, err := h.FileRedaction(context.Background(), works, k.Ref, text)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// redact locks a filed redaction of a record.
func (c *city) redact(t testing.TB, series record.Code, k kept, redaction [32]byte) record.Index {
	t.Helper()
	return c.lock(t, &record.ProposeDisposition{Series: series, Action: record.ActionRedact, Records: []record.Index{k.index}, Redaction: redaction})
}

// hold places a hold on records and gives its index.
func (c *city) hold(t testing.TB, records ...kept) record.Index {
	t.Helper()
	m := &record.PlaceHold{Kind: record.HoldAnticipated, Matter: sha256.Sum256([]byte("matter"))}
	for _, k := range records {
		m.Scope.Records = append(m.Scope.Records, k.index)
	}
	slices.Sort(m.Scope.Records)
	return c.must(t, "COUNSEL", m)
}

// status gives how far a disposition has come.
func (c *city) status(t testing.TB, d record.Index) ledger.DispositionStatus {
	t.Helper()
	got, _, err := ledger.DispositionOf(c.View(), d)
	if err != nil {
		t.Fatal(err)
	}
	return got.Status
}

// erase runs one round and wants these dispositions carried out.
func (h *house) erase(t testing.TB, want ...record.Index) Erased {
	t.Helper()
	e, err := h.Erase(context.Background())
	if err != nil || !slices.Equal(e.Dispositions, want) {
		t.Errorf("erased %+v, %v; want dispositions %v", e, err, want)
	}
	for _, d := range want {
		if got := h.city.status(t, d); got != ledger.DispositionComplete {
			t.Errorf("disposition %d is %s after its erasure", d, got)
		}
	}
	return e
}

// report gives the report of a disposition.
func (h *house) reportOn(t testing.TB, d record.Index) record.ErasureReport {
	t.Helper()
	text, ok, err := h.ErasureReport(d)
	if err != nil || !ok {
		t.Fatalf("report on %d: %v, %v", d, ok, err)
	}
	r, err := record.ParseErasureReport(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantOpen reads a record that has to be whole.
func (h *house) wantOpen(t testing.TB, what string, k kept) {
	t.Helper()
	if got, err := read(h.Custody, works, k.Ref, CaseWork); err != nil || got != k.content {
		t.Errorf("%s: read %q, %v", what, got, err)
	}
}

// wantShut asks for a record in every way and wants nothing but a reason.
func (h *house) wantShut(t testing.TB, what string, k kept, want Reason) {
	t.Helper()
	ctx := context.Background()
	got, err := read(h.Custody, works, k.Ref, CaseWork)
	wantReason(t, what+": read", err, want)
	segments, err := h.Segments(ctx, works, k.Ref, CaseWork)
	wantReason(t, what+": segments", err, want)
	car, err := h.Copy(ctx, works, k.Ref, CaseWork, Extent{WithName: true})
	wantReason(t, what+": copy", err, want)
	evidence, err := h.Evidence(ctx, works, k.Ref, CaseWork, Extent{}, func([][32]byte) ([][]byte, error) { return nil, nil })
	wantReason(t, what+": evidence", err, want)
	if len(got)+len(segments)+len(car)+len(evidence) != 0 {
		t.Errorf("%s: something was given out", what)
	}
	hits, _, err := h.Search(ctx, works, Query{Text: "title", Limit: 1000})
	if err != nil && want != Behind {
		t.Errorf("%s: search: %v", what, err)
	}
	for _, hit := range hits {
		if hit.Commitment == k.Commitment {
			t.Errorf("%s: search gives its title %q", what, hit.Title)
		}
	}
}
