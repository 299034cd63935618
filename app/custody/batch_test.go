package custody

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// act commits a block with one message of an office and gives its first entry.
func (c *city) act(t testing.TB, office string, m record.Message) record.Index {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nonces++
	nonce := sha256.Sum256(fmt.Append(nil, "act ", c.nonces))
	body, err := record.NewBody(network, record.Nonce(nonce[:16]), today+1, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(key(office), body)
	if err != nil {
		t.Fatal(err)
	}
	at := ledger.Block{Height: c.view.Head().Height + 1, Time: c.view.Head().Time + 1e9, Txs: [][]byte{raw}}
	changes, results, err := ledger.Machine{Verify: ed25519.Verify}.Apply(c.view, at)
	if err != nil || results[0].Code != ledger.OK {
		t.Fatalf("%T of %s: %v, %v", m, office, results, err)
	}
	c.view = ledger.Overlay(c.view, changes)
	return results[0].TxIndex + 1
}

// adoptBatched puts a rule into force by which a series takes batches alone.
func (c *city) adoptBatched(t testing.TB, series record.Code) {
	t.Helper()
	rule := &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
		Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7, Batched: true,
	}
	c.act(t, "CLERK", &record.ProposeChange{Fact: rule})
	raw, err := record.MarshalFact(rule)
	if err != nil {
		t.Fatal(err)
	}
	root, err := record.ScheduleRoot([][]byte{raw})
	if err != nil {
		t.Fatal(err)
	}
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: today, Count: 1, Root: root}
	hash, err := record.FactHash(schedule)
	if err != nil {
		t.Fatal(err)
	}
	proposal := c.act(t, "CLERK", &record.ProposeChange{Fact: schedule})
	c.act(t, "COUNSEL", &record.ApproveChange{Proposal: proposal, FactHash: hash})
}

// Batches of a series have one number of leaves, an empty one too, and are kept
// and found like any record.
func TestBatchesAreKept(t *testing.T) {
	fs, city, clock := vfs.NewMem(), newCity(t), &clock{}
	clock.set(today)
	h := openHouse(t, fs, "house", city, clock)
	city.adoptBatched(t, "DEMO-MINUTES")
	for office, content := range map[string]string{"CLERK": "", "DPW": "loan,book\n1,a\n2,b\n"} {
		caller := clerk
		if office == "DPW" {
			caller = works
		}
		header, _ := offer(content, "batch of "+office)
		header.Profile = commitment.Raw
		d, err := h.Deposit(context.Background(), caller, header, bytes.NewReader([]byte(content)))
		if err != nil || d.Segments != commitment.BatchLeaves {
			t.Fatalf("%s: %d leaves, %v", office, d.Segments, err)
		}
		city.act(t, office, &record.AnchorBatch{Series: "DEMO-MINUTES", Custody: "CITY", Commitment: d.Commitment})
		if err := h.CatchUp(context.Background()); err != nil {
			t.Fatal(err)
		}
		ref := Ref{caller.Office, d.Commitment}
		if got, err := read(h.Custody, caller, ref, CaseWork); err != nil || got != content {
			t.Errorf("%s: read %q, %v", office, got, err)
		}
		hits, _, err := h.Search(context.Background(), caller, Query{Text: "batch of", Limit: 10})
		if err != nil || len(hits) != 1 || !hits[0].Anchored {
			t.Errorf("%s: found %+v, %v", office, hits, err)
		}
		car, err := h.Evidence(context.Background(), caller, ref, CaseWork, Extent{}, receipts())
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := commitment.ParseBundle(car)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := bundle.Copy.Verify(commitment.Commitment(d.Commitment)); err != nil || string(opened.Content()) != content {
			t.Errorf("%s: the bundle opens to %q, %v", office, opened.Content(), err)
		}
	}
	header, _ := offer("", "too many rows")
	header.Profile = "csv/1;d=,"
	rows := bytes.Repeat([]byte("a,b\n"), commitment.BatchLeaves)
	header.Size = int64(len(rows))
	_, err := h.Deposit(context.Background(), clerk, header, bytes.NewReader(rows))
	wantReason(t, "a batch of too many leaves", err, Malformed)
}
