package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// acts has a key sign a message whose items are logged in a block of their own,
// and gives the first item.
func (l *ledger) acts(signing ed25519.PrivateKey, m record.Message, items ...record.Entry) int64 {
	nonce, notAfter := record.Nonce{byte(l.height), 1}, record.LedgerDay(start*1e9)+7
	body := must(record.NewBody(l.network.ID, nonce, notAfter, m))
	e := record.TxEntry{KeyID: record.KeyIDOf(signing.Public().(ed25519.PublicKey)), BodyHash: sha256.Sum256(body), Nonce: nonce, NotAfter: notAfter, Count: int64(len(items)), Body: body}
	e.Signature = [64]byte(ed25519.Sign(signing, record.SignedMessage(e.BodyHash)))
	at := l.add(e) + 1
	for _, item := range items {
		l.add(item)
	}
	l.endBlock()
	return at
}

// receiptOf makes the receipt of an item whose transaction and key are named.
func (l *ledger) receiptOf(index, tx, key int64) []byte {
	own := l.leaf(index)
	parts := []receipt.Leaf{l.leaf(tx), l.leaf(key), l.leaf(l.blockOf[index])}
	return must(receipt.New(own.Entry, index, own.Proof, parts, l.checkpoint(true)))
}

// hiddenWorld is a record of which one part is withheld and another erased.
type hiddenWorld struct {
	*ledger
	doc                              document
	at, other                        int64 // records
	own                              []byte
	withheld, erased                 []byte // redactions
	decision, proposal, item, report []byte // receipts
	decisionOfOther, preserved       []byte // likewise
	text                             []byte // of the report
	disposition                      int64
}

func redactionOf(salt byte, marks ...commitment.Mark) commitment.Redaction {
	return commitment.Redaction{Salt: [32]byte{salt}, Authority: "CT-FOI", Dated: "2026-11-01", Marks: marks}
}

func marked(leaf uint32, code string) commitment.Mark {
	return commitment.Mark{Range: commitment.Range{First: leaf, Last: leaf}, Code: code}
}

func newHiddenWorld() hiddenWorld {
	w := hiddenWorld{ledger: newLedger(network("city", origin)), doc: minutes()}
	w.at, w.other = w.anchor(w.doc.id()), w.anchor(commitment.Commitment{7})
	withheld := redactionOf(1, marked(leafDigest, commitment.Betrays), marked(leafSecond, "CT-1-210-b-2"))
	erased := redactionOf(2, marked(leafThird, "CT-1-210-b-20"))
	w.withheld, w.erased = must(withheld.Marshal()), must(erased.Marshal())
	clerk, custodian := key("CLERK"), key("custodian")
	decide := func(index int64) int64 {
		m := &record.Withhold{Record: record.Index(index), Redaction: must(withheld.Hash())}
		return w.acts(clerk, m, record.WithholdingEntry{Office: "CLERK", Record: m.Record, Redaction: m.Redaction})
	}
	decision, decisionOfOther := decide(w.at), decide(w.other)

	asked := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionRedact, Records: []record.Index{record.Index(w.at)}, Redaction: must(erased.Hash())}
	body := must(record.NewBody(w.network.ID, record.Nonce{byte(w.height), 1}, record.LedgerDay(start*1e9)+7, asked))
	w.disposition = w.acts(clerk, asked, record.DispositionEntry{Office: "CLERK", Series: asked.Series, Action: asked.Action, Count: 1, Hash: sha256.Sum256(body)})
	d := record.Index(w.disposition)
	lock := w.acts(clerk, &record.LockDisposition{Disposition: d, Hash: sha256.Sum256(body)},
		record.LockEntry{Office: "CLERK", Disposition: d, Day: record.LedgerDay((start + w.height) * 1e9), Count: 1}, record.ItemEntry{Disposition: d, Record: record.Index(w.at), Rules: []record.Index{1}})

	id := record.KeyIDOf(custodian.Public().(ed25519.PublicKey))
	node := w.add(record.FactEntry{Fact: must(record.MarshalFact(&record.Node{NodeKey: [32]byte{1}, ValidatorKey: [32]byte{2}, CosignerKey: [32]byte{3}, LogKey: [32]byte{4}, CustodianKey: public(custodian), Power: 10}))})
	w.endBlock()
	text := record.ErasureReport{Disposition: d, Custodian: id, Claim: record.ClaimKey, Device: "PKCS#11", Followed: int64(len(w.entries)), Day: 21_000,
		Records: []record.RecordErasure{{Record: record.Index(w.at), Outcome: record.RecordRedacted}}}
	w.text = must(text.Marshal())
	done := &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone, Report: record.HashErasureReport(w.text), Claim: record.ClaimKey}
	report := w.acts(custodian, done, record.ReportEntry{Custodian: id, Disposition: d, Outcome: record.OutcomeDone})
	kept := w.acts(custodian, &record.ReportErasure{Disposition: d, Outcome: record.OutcomePreserved}, record.ReportEntry{Custodian: id, Disposition: d, Outcome: record.OutcomePreserved, Preserved: 1})

	of := func(index int64) []byte { return w.receiptOf(index, index-1, w.keyAt) }
	w.own, w.decision, w.decisionOfOther, w.proposal = of(w.at), of(decision), of(decisionOfOther), of(w.disposition)
	w.item = w.receiptOf(lock+1, lock-1, w.keyAt)
	w.report, w.preserved = w.receiptOf(report, report-1, node), w.receiptOf(kept, kept-1, node)
	return w
}

// whole is the bundle with both decisions.
func (w hiddenWorld) whole() []byte {
	return bundle(w.doc.copy(leafSecond, leafThird), w.own, w.decision, w.proposal, w.item, w.report, w.withheld, w.erased, w.text)
}

// TestS4_7_WhyPartsAreHidden: erased, to be erased, withheld, or nobody said so.
func TestS4_7_WhyPartsAreHidden(t *testing.T) {
	w := newHiddenWorld()
	both := w.doc.copy(leafSecond, leafThird)
	later := redactionOf(3, marked(60_000, "CT-1-210-b-2"))
	few := bytes.Replace(w.withheld, []byte("mark 2-2 -\n"), nil, 1)
	recoded := bytes.Replace(w.erased, []byte("b-20"), []byte("b-2"), 1)
	lying := bytes.Replace(w.text, []byte("redacted"), []byte("absent"), 1)
	for _, c := range []struct {
		name string
		car  []byte
		want string // outcome and reason, then what the report says of segments 2, 4 and 5
	}{
		{"withheld and erased", w.whole(), "PASSED; 2: WITHHELD -; 4: WITHHELD CT-1-210-b-2; 5: ERASED CT-1-210-b-20"},
		{"the report without its text", bundle(both, w.own, w.decision, w.proposal, w.item, w.report, w.withheld, w.erased),
			"PASSED; 2: WITHHELD -; 4: WITHHELD CT-1-210-b-2; 5: ERASED CT-1-210-b-20"},
		{"final, and not reported", bundle(both, w.own, w.proposal, w.item, w.erased), "PASSED; 2: NO DECISION RECORDED; 4: NO DECISION RECORDED; 5: LOCKED FOR ERASURE CT-1-210-b-20"},
		{"preserved by a hold", bundle(both, w.own, w.proposal, w.item, w.preserved, w.erased), "PASSED; 2: NO DECISION RECORDED; 4: NO DECISION RECORDED; 5: LOCKED FOR ERASURE CT-1-210-b-20"},
		{"proposed, and not final", bundle(both, w.own, w.proposal, w.report, w.erased), "PASSED; 2: NO DECISION RECORDED; 4: NO DECISION RECORDED; 5: NO DECISION RECORDED CT-1-210-b-20"},
		{"a decision without its redaction", bundle(both, w.own, w.decision), "INDETERMINATE PART_MISSING"},
		{"a redaction that nobody decided", bundle(both, w.own, w.withheld), "PASSED; 2: NO DECISION RECORDED -; 4: NO DECISION RECORDED CT-1-210-b-2; 5: NO DECISION RECORDED"},
		{"no decision", bundle(both, w.own), "PASSED; 2: NO DECISION RECORDED; 4-5: NO DECISION RECORDED"},
		{"a mark removed", bundle(both, w.own, w.decision, few), "FAILED REDACTION_CONTRADICTED"},
		{"another code", bundle(both, w.own, w.proposal, w.item, w.report, recoded, w.text), "FAILED REDACTION_CONTRADICTED"},
		{"a redaction that does not parse", bundle(both, w.own, w.decision, append(slices.Clone(w.withheld), '\n')), "FAILED REDACTION_CONTRADICTED"},
		{"a mark behind the end", bundle(both, w.own, must(later.Marshal())), "FAILED REDACTION_CONTRADICTED"},
		{"a report that was changed", bundle(both, w.own, w.proposal, w.item, w.report, w.erased, lying), "FAILED REPORT_CONTRADICTED"},
		{"a report that nobody signed", bundle(both, w.own, w.proposal, w.item, w.erased, w.text), "FAILED REPORT_CONTRADICTED"},
		{"a decision about another record", bundle(both, w.own, w.decisionOfOther, w.withheld), "FAILED RECEIPT_OF_ANOTHER"},
	} {
		r := must(inspect(w.network, c.car))
		got := string(r.Outcome)
		for _, reason := range r.Reasons {
			got += " " + string(reason)
		}
		if r.Outcome == receipt.Passed {
			for _, h := range r.Content.HiddenRuns {
				got += strings.TrimRight("; "+receipt.Segments(h.First, h.Last)+": "+string(h.Status)+" "+h.Code, " ")
			}
		}
		if got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, got, r.Detail, c.want)
		}
	}
}

// TestReportTextNotShown: a signed report is enough for ERASED, and that its text
// is not there is said.
func TestReportTextNotShown(t *testing.T) {
	w := newHiddenWorld()
	const says = "claim C3; text of the report not shown\n"
	without := bundle(w.doc.copy(leafSecond, leafThird), w.own, w.decision, w.proposal, w.item, w.report, w.withheld, w.erased)
	if text := must(inspect(w.network, without)).text(); !strings.Contains(text, "segments 5: ERASED under ") || strings.Count(text, says) != 1 {
		t.Errorf("without the text:\n%s", text)
	}
	if text := must(inspect(w.network, w.whole())).text(); strings.Contains(text, "not shown\n") {
		t.Errorf("with the text:\n%s", text)
	}
}

// TestDisclosedThoughDecided: a copy of before the erasure is good, and says so.
func TestDisclosedThoughDecided(t *testing.T) {
	w := newHiddenWorld()
	r := must(inspect(w.network, bundle(w.doc.copy(leafFirst), w.own, w.decision, w.proposal, w.item, w.report, w.withheld, w.erased, w.text)))
	want := []string{
		"segments 5: disclosed here, and erased since under disposition",
		"segments 4: disclosed here, and withheld by decision entry",
	}
	if r.Outcome != receipt.Passed || len(r.Content.Shown) != len(want) {
		t.Fatalf("%s %v %s: %q", r.Outcome, r.Reasons, r.Detail, r.Content.Shown)
	}
	for i := range want {
		if !strings.HasPrefix(r.Content.Shown[i], want[i]) || !strings.Contains(r.text(), r.Content.Shown[i]) {
			t.Errorf("got %q, want %q", r.Content.Shown[i], want[i])
		}
	}
}

// TestEveryByteOfARedactedBundle: no byte can be another, whatever it is part of.
func TestEveryByteOfARedactedBundle(t *testing.T) {
	w := newHiddenWorld()
	good := w.whole()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if r := must(inspect(w.network, bad)); r.Outcome == receipt.Passed {
			t.Fatalf("byte %d of %d changed: passed", i, len(good))
		}
	}
}

// TestForgedRedactedBundle: what is changed with all its CIDs fails, and the
// report names the part.
func TestForgedRedactedBundle(t *testing.T) {
	w := newHiddenWorld()
	good := w.whole()
	for _, c := range []struct{ old, now, reason, part string }{
		{"The council met", "The council sat", "CONTENT_MISMATCH", "leaves"},
		{"mark 4-4 CT-1-210-b-2\n", "mark 4-4 CT-1-210-b-3\n", "REDACTION_CONTRADICTED", "redaction 1"},
		{"mark 2-2 -\n", "", "REDACTION_CONTRADICTED", "redaction 1"},
		{"mark 5-5 CT-1-210-b-20\n", "mark 5-6 CT-1-210-b-20\n", "REDACTION_CONTRADICTED", "redaction 2"},
		{"claim C3", "claim C1", "REPORT_CONTRADICTED", "report"},
	} {
		r := must(inspect(w.network, spliced(t, good, []byte(c.old), []byte(c.now))))
		if r.Outcome != receipt.Failed || string(r.Reasons[0]) != c.reason || !strings.Contains(r.Detail, c.part) {
			t.Errorf("%q for %q: %s %v %s", c.now, c.old, r.Outcome, r.Reasons, r.Detail)
		}
	}
}

// TestDecisionsInDoubt: with another network file, or without the receipt of the
// record, decisions say nothing, and nothing is contradicted.
func TestDecisionsInDoubt(t *testing.T) {
	w := newHiddenWorld()
	for want, r := range map[string]report{
		"INDETERMINATE UNKNOWN_SIGNER": must(inspect(network("town", origin), w.whole())),
		"INDETERMINATE NO_RECEIPT":     must(inspect(w.network, bundle(w.doc.copy(leafSecond, leafThird), w.decision, w.proposal, w.item, w.report, w.withheld, w.erased, w.text))),
	} {
		if got := string(r.Outcome) + " " + string(r.Reasons[0]); got != want {
			t.Errorf("got %s (%s), want %s", got, r.Detail, want)
		}
		for _, h := range r.Content.HiddenRuns {
			if h.Status != receipt.HiddenUndecided || h.Code != "" {
				t.Errorf("%s: %+v", want, h)
			}
		}
	}
}
