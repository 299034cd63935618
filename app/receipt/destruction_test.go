package receipt

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// destruction is a life whose lock was carried out: all that a certificate needs.
type destruction struct {
	*life
	fate  fate
	parts Parts
}

// fate says what the custodians report; its zero value is destruction by both.
type fate struct {
	redact    bool
	outcomes  [2]record.ErasureOutcome // 0: erased or redacted; pending: none yet
	office    bool                     // HR has to report as well
	word      record.Claim             // that HR signs with its report
	noText    bool                     // of the second custodian
	claim     record.Claim             // 0: C1
	report    func(*record.ErasureReport)
	signed    func(*record.ReportErasure)
	released  int64 // times that the first custodian gave content out; the last two are listed
	reporters func([]any) []any
}

const pending = record.ErasureOutcome(99)

func keyIDOf(k ed25519.PrivateKey) record.KeyID {
	return record.KeyIDOf(k.Public().(ed25519.PublicKey))
}

// newDestruction writes the log, and the parts of the certificate of its first record.
func newDestruction(t testing.TB, n Network, f fate) *destruction {
	d := &destruction{fate: f}
	vary := variation{follow: func(l *life, at record.Index, records []record.Index) {
		d.life = l
		d.carryOut(at, records)
	}}
	if f.redact {
		vary.propose, vary.approvers = redaction, []record.Code{"CLERK", "ADMIN", "STATE", "COUNSEL"}
	}
	newLifeWith(t, n, vary)
	d.collect()
	return d
}

// custodians gives the two in the order of their key ids.
func (d *destruction) custodians() []ed25519.PrivateKey {
	both := []ed25519.PrivateKey{d.custodian, d.second}
	slices.SortFunc(both, func(a, b ed25519.PrivateKey) int {
		x, y := keyIDOf(a), keyIDOf(b)
		return bytes.Compare(x[:], y[:])
	})
	return both
}

// carryOut has both custodians report, and writes the state that follows.
func (d *destruction) carryOut(at record.Index, records []record.Index) {
	var reports []any
	if d.fate.office {
		m := &record.ReportErasure{Disposition: at, Outcome: record.OutcomeDone, Claim: d.fate.word}
		reports = append(reports, []any{"HR", make([]byte, 32), d.act("HR", m, record.ReportEntry{Office: "HR", Disposition: at, Outcome: m.Outcome})})
		d.parts.Reports = append(d.parts.Reports, ReportPart{})
	}
	for i, key := range d.custodians() {
		id := keyIDOf(key)
		entry := int64(0)
		if d.fate.outcomes[i] != pending {
			entry = d.reportOf(i, key, at, records)
		}
		reports = append(reports, []any{"", id[:], entry})
	}
	if d.fate.reporters != nil {
		reports = d.fate.reporters(reports)
	}
	tx := must1(record.ParseEntry(d.entries[at-1])).(record.TxEntry)
	asked := must1(record.ParseBody(tx.Body)).(*record.ProposeDisposition)
	status := ledger.DispositionComplete
	d.put(ledger.StateKeyDisposition(at), stateValue("HR", lifeSeries, int(asked.Action), "", 0, tx.BodyHash[:], int64(at)-1, len(records),
		2*int(d.ledgerDay(int64(at))), 20, int(status), []any{}, 0, 0, d.lock, reports, bytesOf(asked), 0))
	d.put(ledger.StateKeyLifecycle(records[0]), stateValue(0, 0, 0, "", 0, 0, []any{}, []any{[]any{d.hold, d.hold}}, int64(at), []any{}))
	matter := [32]byte{7}
	part := []any{d.hold, "COUNSEL", 2 * int(d.ledgerDay(d.hold)), 0, 1, "", "", 0, 0, 0, 0}
	d.put(ledger.StateKeyHold(record.Index(d.hold)), stateValue("COUNSEL", int(record.HoldLitigation), matter[:], 2*int(d.ledgerDay(d.hold)), 2, []any{0, 1, 2},
		[]any{"COUNSEL"}, []any{part}, d.release, "CLERK", 2*int(d.ledgerDay(d.release))))
	d.endBlock()
}

func bytesOf(m *record.ProposeDisposition) []byte {
	if m.Action != record.ActionRedact {
		return []byte{}
	}
	return m.Redaction[:]
}

// reportOf has one custodian report, and gives the entry.
func (d *destruction) reportOf(i int, key ed25519.PrivateKey, at record.Index, records []record.Index) int64 {
	outcome, done := d.fate.outcomes[i], record.RecordErased
	if d.fate.redact {
		done = record.RecordRedacted
	}
	if outcome == 0 {
		outcome = done
	}
	claim := d.fate.claim
	if claim == 0 {
		claim = record.ClaimFiles
	}
	text := record.ErasureReport{
		Disposition: at, Custodian: keyIDOf(key), Claim: claim, Device: map[record.Claim]string{1: "key file", 3: "PKCS#11"}[claim],
		Followed: int64(len(d.entries)), Day: d.todayOf(), Rings: []record.RingRotation{{Office: "HR", Class: lifeSeries, From: 3, To: 4, Kept: 96, Ended: 2, Needles: 40, Files: 12, Bytes: 90112}},
	}
	m := &record.ReportErasure{Disposition: at, Outcome: record.OutcomeDone, Claim: claim}
	for n, index := range records {
		e := record.RecordErasure{Record: index, Outcome: done}
		if n == 0 {
			e.Outcome = outcome
			if outcome == record.RecordPreserved {
				m.Preserved = append(m.Preserved, index)
			}
			if i == 0 && d.fate.released > 0 {
				e.Attempts, e.Alike, e.Released = 1, 2, d.fate.released
				e.Releases = []record.Release{{Day: d.todayOf() - 9, Office: "HR", Kind: record.ReleaseRead, Whole: true},
					{Day: d.todayOf() - 8, Office: "CLERK", Kind: record.ReleaseCopy, Digest: [32]byte{4}}}
			}
		}
		text.Records = append(text.Records, e)
	}
	if d.fate.report != nil {
		d.fate.report(&text)
	}
	raw := must1(text.Marshal())
	m.Report = record.HashErasureReport(raw)
	if d.fate.signed != nil {
		d.fate.signed(m)
	}
	entry := d.signed(key, m, record.ReportEntry{Custodian: keyIDOf(key), Disposition: at, Outcome: m.Outcome, Preserved: int64(len(m.Preserved))}) + 1
	d.endBlock()
	if d.fate.noText && i == 1 {
		raw = nil
	}
	d.parts.Reports = append(d.parts.Reports, ReportPart{Text: raw})
	return entry
}

// collect makes the receipts of the whole tree.
func (d *destruction) collect() {
	size := int64(len(d.entries))
	d.parts.Legality = must1(newLegality(d.world, d.items))
	first := must1(record.ParseEntry(d.entries[d.records])).(record.AnchorEntry)
	holds := append([]byte(HeldDomain), d.receipt(size, d.records)...)
	for _, key := range ledger.HeldKeys(first) {
		holds = append(holds, d.stateOf(key)...)
	}
	holds = append(holds, d.stateOf(ledger.StateKeyLifecycle(record.Index(d.records)))...)
	d.parts.Holds = append(holds, d.stateOf(ledger.StateKeyHold(record.Index(d.hold)))...)
	d.parts.State = d.stateOf(ledger.StateKeyDisposition(record.Index(d.proposal)))
	n := 0
	for at := d.lock; at < size; at++ {
		if record.KindOf(d.entries[at]) == record.KindReport {
			d.parts.Reports[n].Receipt = d.receipt(size, at)
			n++
		}
	}
}

// put sets what the state holds under a key once the block ends.
func (w *world) put(key, value []byte) {
	root, nodes, err := statetree.Update(w.state, w.root, []statetree.Write{{Key: statetree.KeyOf(key), Value: value}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.state.Apply(nodes)
	w.root = root
	if w.values == nil {
		w.values = map[string][]byte{}
	}
	w.values[string(key)] = value
}

// stateOf is the state receipt of a key after the last block.
func (w *world) stateOf(key []byte) []byte {
	proof := must1(statetree.Prove(w.state, w.root, statetree.KeyOf(key)))
	last := int64(len(w.entries)) - 1
	return must1(NewState(w.entries[last], last, w.leaf(last+1, last).Proof, key, w.values[string(key)], proof, w.cosigned(last+1)))
}

// stateValue writes a state value, without the code that reads it.
func stateValue(fields ...any) []byte { return must1(encoding.Marshal(append([]any{1}, fields...))) }
