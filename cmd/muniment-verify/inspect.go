package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// Reasons of this program, beside those of package receipt.
const (
	badContent receipt.Reason = "CONTENT_MISMATCH" // the copy does not open its commitment
	noReceipt  receipt.Reason = "NO_RECEIPT"       // nothing ties the content to the ledger

	// Of a replay.
	logContradicted receipt.Reason = "LOG_CONTRADICTED" // an entry is not what the rules make of those before it
	logEndsEarly    receipt.Reason = "LOG_ENDS_EARLY"   // entries are missing at the end
	newerRules      receipt.Reason = "NEWER_RULES"      // the log goes on by rules that this program does not know
)

// report is what was found out about one file. Its JSON names are stable.
type report struct {
	File      string            `json:"file"`
	Outcome   receipt.Outcome   `json:"outcome"`
	Reasons   []receipt.Reason  `json:"reasons"` // empty when PASSED
	Detail    string            `json:"detail,omitempty"`
	CID       string            `json:"cid,omitempty"`
	Content   *content          `json:"content,omitempty"` // nil: a receipt alone, or FAILED
	Held      *receipt.Held     `json:"held,omitempty"`    // whether a record was held
	Receipts  []receipt.Verdict `json:"receipts"`
	Extracted string            `json:"extracted,omitempty"`
}

// content is what a copy discloses of its record.
type content struct {
	Profile   string   `json:"profile"`
	Segments  uint32   `json:"segments"` // padding included
	Disclosed int      `json:"disclosed"`
	Bytes     int      `json:"bytes"`
	Complete  bool     `json:"complete"` // the whole content is there
	Hidden    []string `json:"hidden"`   // ranges of segments, as "3" or "5-9"
	Fields    []field  `json:"fields"`

	HiddenRuns []receipt.HiddenRun `json:"hidden_runs"` // why each is hidden
	Shown      []string            `json:"shown"`       // what is disclosed although a decision hides it

	opened     commitment.Opened
	commitment commitment.Commitment
}

type field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// inspect finds out what kind of file data is and verifies it. Whatever is
// wrong with the file is in the report; an error says that the network is not
// sound.
func inspect(n receipt.Network, data []byte) (report, error) {
	if bytes.HasPrefix(data, []byte("c2sp.org/tlog-proof")) {
		if _, _, ok := receipt.SplitLawful(data); ok {
			return inspectLawful(n, data)
		}
		return inspectReceipt(n, data)
	}
	if bytes.HasPrefix(data, []byte(receipt.HeldDomain)) {
		return inspectHeld(n, data)
	}
	if bytes.HasPrefix(data, []byte(receipt.CertificateTitle)) {
		return inspectCertificate(n, data)
	}
	bundle, err := commitment.ParseBundle(data)
	if err == nil {
		return inspectBundle(n, bundle)
	}
	if copied, copyErr := commitment.ParseCopy(data); copyErr == nil {
		return inspectBundle(n, commitment.Bundle{Copy: copied})
	}
	r := newReport()
	r.worsen(receipt.Failed, receipt.Malformed, "no evidence bundle, copy, receipt, proof of holds, legality file or certificate: "+unlike(data, err))
	return r, nil
}

// unlike says why data is nothing that is known: what mail programs and editors
// do to files by its name, else what the form of a bundle is hurt by.
func unlike(data []byte, err error) string {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	switch first, returned := bytes.CutSuffix(line, []byte("\r")); {
	case len(data) == 0:
		return "the file is empty"
	case returned && (bytes.HasPrefix(first, []byte("muniment ")) || bytes.HasPrefix(first, []byte("c2sp.org/"))):
		return "its line ends were changed (CR LF): get it anew, as it was written"
	}
	return err.Error()
}

// newReport starts with the best outcome; what is found can only worsen it.
func newReport() report {
	return report{Outcome: receipt.Passed, Reasons: []receipt.Reason{}, Receipts: []receipt.Verdict{}}
}

// worsen notes a worse outcome than there was. Of two that are equally bad the
// first stays.
func (r *report) worsen(o receipt.Outcome, reason receipt.Reason, detail string) {
	if worse(exitOf(r.Outcome), exitOf(o)) != exitOf(r.Outcome) {
		r.Outcome, r.Reasons, r.Detail = o, []receipt.Reason{reason}, detail
	}
}

func inspectReceipt(n receipt.Network, text []byte) (report, error) {
	v, err := verify(n, text)
	if err != nil {
		return report{}, err
	}
	return report{Outcome: v.Outcome, Reasons: v.Reasons, Detail: v.Detail, Receipts: []receipt.Verdict{v}}, nil
}

// verify tells receipts, state receipts and legality files apart by trying.
func verify(n receipt.Network, text []byte) (receipt.Verdict, error) {
	if _, err := receipt.ParseState(text); err == nil {
		return receipt.VerifyState(n, text, nil)
	}
	if _, err := receipt.ParseLegality(text); err == nil {
		return receipt.VerifyLegality(n, text, nil)
	}
	return receipt.Verify(n, text)
}

// inspectBundle verifies the copy against its own commitment, every receipt,
// and that they are about that very commitment.
func inspectBundle(n receipt.Network, b commitment.Bundle) (report, error) {
	r := newReport()
	id := b.Copy.Manifest().Commitment()
	opened, err := b.Copy.Verify(id)
	if err != nil {
		r.worsen(receipt.Failed, badContent, err.Error())
		return r, nil
	}
	disclosed, err := describe(opened)
	if err != nil {
		r.worsen(receipt.Failed, badContent, err.Error())
		return r, nil
	}
	receipts, redactions, reports := receipt.SplitBundle(b.Receipts)
	for i, text := range receipts {
		v, err := verify(n, text)
		if err != nil {
			return report{}, fmt.Errorf("receipt %d: %w", i+1, err)
		}
		r.Receipts = append(r.Receipts, v)
		if v.Outcome != receipt.Passed {
			r.worsen(v.Outcome, v.Reasons[0], fmt.Sprintf("receipt %d: %s", i+1, v.Detail))
		}
	}
	anchored := r.tie(id)
	r.hidden(disclosed, anchored, redactions, reports)
	if r.Outcome != receipt.Failed {
		r.CID, r.Content, disclosed.commitment = id.CID(), disclosed, id
	}
	return r, nil
}

// tie demands that some receipt anchors the record, and that none is about
// another one. Receipts about the ledger itself may be there. It gives the first
// entry that anchors the record, 0 where there is none.
func (r *report) tie(id commitment.Commitment) (first int64) {
	anchored := map[record.Index]bool{}
	for i, v := range r.Receipts {
		anchor, ok := v.Entry.(record.AnchorEntry)
		switch {
		case ok && commitment.Commitment(anchor.Commitment) == id:
			if len(anchored) == 0 {
				first = v.Index
			}
			anchored[record.Index(v.Index)] = true
		case ok:
			r.worsen(receipt.Failed, receipt.OtherRecord, fmt.Sprintf("receipt %d anchors %s, the copy is of %s", i+1, commitment.Commitment(anchor.Commitment).CID(), id.CID()))
		}
	}
	for i, v := range r.Receipts {
		item, disposed := v.Entry.(record.ItemEntry)
		if disposed && len(anchored) > 0 && !anchored[item.Record] {
			r.worsen(receipt.Failed, receipt.OtherRecord, fmt.Sprintf("receipt %d is about the disposition of record %d, the copy is of another", i+1, item.Record))
		}
		superseded, ok := v.Entry.(record.SupersedeEntry)
		if ok && len(anchored) > 0 && !anchored[superseded.Record] && !anchored[superseded.By] {
			r.worsen(receipt.Failed, receipt.OtherRecord, fmt.Sprintf("receipt %d supersedes record %d by %d, the copy is of neither", i+1, superseded.Record, superseded.By))
		}
	}
	if len(anchored) == 0 {
		r.worsen(receipt.Indeterminate, noReceipt, "the content matches its CID, but no receipt shows that the CID was anchored")
	}
	return first
}

// hidden says why a copy hides what it hides, if every receipt passed and one
// says which record it is.
func (r *report) hidden(c *content, anchored int64, redactions, reports [][]byte) {
	c.HiddenRuns, _, _ = receipt.HiddenRuns(c.opened, nil) // without decisions there is nothing to refuse
	if r.Outcome != receipt.Passed {
		return // decisions whose receipts are in doubt say nothing
	}
	decisions, err := receipt.Decisions(anchored, r.Receipts, redactions, reports)
	var hidden []receipt.HiddenRun
	var shown []receipt.Shown
	if err == nil {
		hidden, shown, err = receipt.HiddenRuns(c.opened, decisions)
	}
	if refusal, ok := errors.AsType[*receipt.Refusal](err); ok {
		r.worsen(refusal.Reason.Outcome(), refusal.Reason, refusal.Detail)
		return
	}
	c.HiddenRuns = hidden
	for _, s := range shown {
		c.Shown = append(c.Shown, fmt.Sprintf("segments %s: %s", receipt.Segments(s.First, s.Last), s.Words()))
	}
}

// inspectCertificate verifies a certificate of destruction (docs/spec/certificate.md).
func inspectCertificate(n receipt.Network, text []byte) (report, error) {
	v, err := receipt.VerifyCertificate(n, text)
	if err != nil {
		return report{}, err
	}
	return report{Outcome: v.Outcome, Reasons: v.Reasons, Detail: v.Detail, Receipts: []receipt.Verdict{v}}, nil
}

func describe(o commitment.Opened) (*content, error) {
	fields, err := o.Fields()
	if err != nil {
		return nil, err
	}
	c := &content{
		Profile: string(o.Profile), Segments: o.N, Disclosed: len(o.Leaves), Bytes: len(o.Content()), Complete: o.Complete(),
		Hidden: []string{}, Fields: []field{}, HiddenRuns: []receipt.HiddenRun{}, Shown: []string{}, opened: o,
	}
	for _, f := range fields {
		c.Fields = append(c.Fields, field{f.Key, f.Value})
	}
	for _, h := range o.Hidden {
		c.Hidden = append(c.Hidden, receipt.Segments(h.First, h.Last))
	}
	return c, nil
}
