package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"golang.org/x/mod/sumdb/tlog"
)

// anchors gives a batch of records with names, dated by day.
func anchors(series record.Code, d record.Day, names ...string) *record.AnchorRecords {
	m := &record.AnchorRecords{Series: series, Custody: "CITY"}
	for _, name := range names {
		m.Items = append(m.Items, record.AnchorItem{Commitment: commitment(name), Day: d})
	}
	return m
}

func TestAnchoredBatchIsInTheLog(t *testing.T) {
	c := found(t, demoFacts())
	size := c.view.Head().Size
	tx := c.sign(t, "DPW", day("2031-01-03"), anchors("DEMO-MINUTES", day("2030-12-31"), "a", "b"))
	if code := c.machine.Check(c.view, ledger.Header{Height: 1, Time: at("2031-01-01")}, tx); code != ledger.OK {
		t.Fatalf("Check = %s, want OK", code)
	}
	changes, results := c.apply(t, at("2031-01-01"), tx)
	if want := (ledger.Result{TxIndex: record.Index(size), Count: 2, Bad: -1}); results[0] != want {
		t.Fatalf("result = %+v, want %+v", results[0], want)
	}
	if len(changes.Entries) != 4 {
		t.Fatalf("block has %d entries, want 4: transaction, two anchors, block", len(changes.Entries))
	}
	var hashes memoryTiles
	for i := range changes.Size {
		raw, err := c.view.Entry(record.Index(i))
		if err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(i, raw, hashes)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(changes.Size, hashes)
	if err != nil {
		t.Fatal(err)
	}
	if changes.Root != root {
		t.Fatalf("root of the log = %s, want %s", changes.Root, root)
	}
}

type memoryTiles []tlog.Hash

func (m memoryTiles) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		hashes[i] = m[at]
	}
	return hashes, nil
}

// Block 1 carries the genesis time, whatever the clock says; the step to block 3
// is the first that can be a jump.
func TestBlock1IsNoJump(t *testing.T) {
	c, _ := start(t)
	for _, date := range []string{"2031-01-02", "2031-02-03"} {
		if changes, _ := c.apply(t, at(date)); len(changes.Entries) != 0 {
			t.Errorf("block %d, %s, has %d entries, want none", changes.Height, date, len(changes.Entries))
		}
	}
	third, _ := c.apply(t, at("2031-02-04"))
	if len(third.Entries) != 2 {
		t.Fatalf("block 3, a day after block 2, has %d entries, want a jump and a block", len(third.Entries))
	}
	want := record.JumpEntry{Height: 3, Before: at("2031-02-03"), After: at("2031-02-04")}
	if e, err := record.ParseEntry(third.Entries[0]); err != nil || e != want {
		t.Errorf("entry = %+v, %v, want %+v", e, err, want)
	}
}

// A node whose clock is late must not take for good what has expired: the ledger
// day never goes back behind the last block.
func TestCheckIsNotBehindTheLastBlock(t *testing.T) {
	c, _ := start(t)
	c.apply(t, at("2031-01-01"))
	c.apply(t, at("2031-01-05"))
	raw := c.sign(t, "DPW", day("2031-01-04"), anchors("DEMO-MINUTES", 0, "a"))
	if code := c.machine.Check(c.view, ledger.Header{Height: 3, Time: at("2031-01-02")}, raw); code != ledger.CodeExpired {
		t.Errorf("Check with an old time = %s, want EXPIRED", code)
	}
}
