package ledger_test

import (
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"golang.org/x/mod/sumdb/tlog"
)

// auditor makes receipts from a view as a node does, cosigned by one validator,
// and has them verified.
type auditor struct {
	*testing.T
	view    ledger.View
	network receipt.Network
	hashes  memoryTiles
	signed  []byte
}

func audit(t *testing.T, c *city) *auditor {
	t.Helper()
	head := c.view.Head()
	node := receipt.NodeID(keyBytes("node"))
	a := &auditor{T: t, view: c.view, network: receipt.Network{ID: head.Network, ChainID: head.ChainID, Origin: head.Origin, Eras: []receipt.Era{{
		Logs:       [][32]byte{publicKey("node/log")},
		Validators: []receipt.Validator{{NodeID: node, Cosigner: publicKey("node/cosigner")}},
	}}}}
	for i := range head.Size {
		raw, _ := a.entry(record.Index(i))
		more, err := tlog.StoredHashes(i, raw, a.hashes)
		if err != nil {
			t.Fatal(err)
		}
		a.hashes = append(a.hashes, more...)
	}
	root, err := tlog.TreeHash(head.Size, a.hashes)
	if err != nil {
		t.Fatal(err)
	}
	body := record.CheckpointBody(head.Origin, head.Size, root)
	own, err := receipt.SignCheckpoint(body, privateKey("node/log"))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := receipt.Cosign(body, receipt.CosignerName(head.Origin, node), privateKey("node/cosigner"), head.Time/1e9+1)
	if err != nil {
		t.Fatal(err)
	}
	if a.signed, err = receipt.Assemble(body, own, cosigned); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *auditor) entry(i record.Index) ([]byte, record.Entry) {
	a.Helper()
	raw, err := a.view.Entry(i)
	if err != nil {
		a.Fatal(err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		a.Fatal(err)
	}
	return raw, e
}

func (a *auditor) leaf(i record.Index) receipt.Leaf {
	a.Helper()
	raw, _ := a.entry(i)
	proof, err := tlog.ProveRecord(a.view.Head().Size, int64(i), a.hashes)
	if err != nil {
		a.Fatal(err)
	}
	return receipt.Leaf{Index: int64(i), Entry: raw, Proof: proof}
}

// verify gives the verdict on a receipt of entry i with further entries.
func (a *auditor) verify(i record.Index, parts ...record.Index) receipt.Verdict {
	a.Helper()
	var leaves []receipt.Leaf
	for _, part := range parts {
		leaves = append(leaves, a.leaf(part))
	}
	own := a.leaf(i)
	text, err := receipt.New(own.Entry, own.Index, own.Proof, leaves, a.signed)
	if err != nil {
		a.Fatal(err)
	}
	v, err := receipt.Verify(a.network, text)
	if err != nil {
		a.Fatal(err)
	}
	return v
}

// registered gives the entry that registered the key of a transaction entry,
// and whether the key is suspended by now.
func (a *auditor) registered(tx record.Index) (at record.Index, suspended bool) {
	a.Helper()
	_, e := a.entry(tx)
	k, ok, err := ledger.KeyOf(a.view, e.(record.TxEntry).KeyID)
	if err != nil || !ok {
		a.Fatalf("key of the transaction at %d: %t, %v", tx, ok, err)
	}
	return k.Registered, k.Status == record.StatusSuspended
}

// TestReceiptOfEveryEntry makes the receipt of each entry of a random chain:
// each passes, and says in which block its entry is. Acts by keys that have been
// suspended since are among them. With the entry of another block none passes.
func TestReceiptOfEveryEntry(t *testing.T) {
	c, _ := randomChain(t, 6, 40)
	a := audit(t, c)
	type block struct {
		at    record.Index
		entry record.BlockEntry
	}
	var blocks []block
	for i := range record.Index(a.view.Head().Size) {
		if _, e := a.entry(i); e.Kind() == record.KindBlock {
			blocks = append(blocks, block{i, e.(record.BlockEntry)})
		}
	}
	first, suspendedSince := record.Index(0), 0
	for n, b := range blocks {
		if b.entry.First != first {
			t.Fatalf("block %d begins at entry %d by its entry, want %d", b.entry.Height, b.entry.First, first)
		}
		tx, left := record.Index(0), int64(0)
		for i := first; i <= b.at; i++ {
			_, e := a.entry(i)
			var parts []record.Index
			switch e := e.(type) {
			case record.TxEntry:
				tx, left = i, e.Count
				key, suspended := a.registered(i)
				parts = append(parts, key)
				if suspended {
					suspendedSince++
				}
			default:
				if left > 0 {
					left--
					key, _ := a.registered(tx)
					parts = append(parts, tx, key)
				}
			}
			other := blocks[(n+1)%len(blocks)].at
			if i != b.at {
				if v := a.verify(i, append([]record.Index{other}, parts...)...); v.Outcome == receipt.Passed {
					t.Errorf("entry %d passes with the block entry %d, its own is %d", i, other, b.at)
				}
				parts = append(parts, b.at)
			}
			v := a.verify(i, parts...)
			if v.Outcome != receipt.Passed || v.BlockHeight != b.entry.Height || v.NotBefore == nil || v.NotBefore.Time.UnixNano() != b.entry.Time {
				t.Fatalf("receipt of entry %d in block %d: %s", i, b.entry.Height, v.Text())
			}
		}
		first = b.at + 1
	}
	if suspendedSince == 0 {
		t.Error("no key was suspended after it had signed")
	}
}

// TestKeyKeepsItsRegistration: however a key is suspended, the state names the
// entry that registered it, and a receipt of what it signed can be made.
func TestKeyKeepsItsRegistration(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(c *city) // suspends the key of DPW in later blocks
	}{
		{"at once", func(c *city) {
			c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW")}))
		}},
		{"at once, and further back", func(c *city) {
			c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW")}))
			c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("DPW"), SinceHeight: 1}))
		}},
		{"by quorum", func(c *city) {
			key := signingKey("DPW", "DPW")
			key.Status = record.StatusSuspended
			hash, err := record.FactHash(key)
			if err != nil {
				t.Fatal(err)
			}
			_, results := c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), &record.ProposeChange{Fact: key}))
			c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), &record.ApproveChange{Proposal: results[0].TxIndex + 1, FactHash: hash}))
		}},
	} {
		c := found(t, demoFacts())
		before, _, err := ledger.KeyOf(c.view, keyID("DPW"))
		if err != nil {
			t.Fatal(err)
		}
		first, results := c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", day("2030-12-31"), "a")))
		test.end(c)
		k, _, err := ledger.KeyOf(c.view, keyID("DPW"))
		if err != nil || k.Status != record.StatusSuspended || k.Suspended == 0 || k.Registered != before.Registered || k.Registered == 0 {
			t.Errorf("suspended %s: key = %+v, %v, want it suspended and registered by entry %d", test.name, k, err, before.Registered)
		}
		tx := results[0].TxIndex
		v := audit(t, c).verify(tx+1, tx, k.Registered, record.Index(first.Size-1))
		if v.Outcome != receipt.Passed || v.Signed == nil || v.Signed.Office != "DPW" {
			t.Errorf("suspended %s: receipt of an act before: %s", test.name, v.Text())
		}
	}
}
