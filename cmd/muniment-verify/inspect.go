package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// Reasons of this program, beside those of package receipt.
const (
	badContent    receipt.Reason = "CONTENT_MISMATCH"   // the copy does not open its commitment
	malformedFile receipt.Reason = "MALFORMED"          // neither bundle nor copy nor receipt
	noReceipt     receipt.Reason = "NO_RECEIPT"         // nothing ties the content to the ledger
	otherRecord   receipt.Reason = "RECEIPT_OF_ANOTHER" // a receipt anchors a different record
)

// report is what was found out about one file.
type report struct {
	File      string            `json:"file"`
	Outcome   receipt.Outcome   `json:"outcome"`
	Reasons   []receipt.Reason  `json:"reasons"`
	Detail    string            `json:"detail,omitempty"`
	CID       string            `json:"cid,omitempty"`
	Content   *content          `json:"content,omitempty"`
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

	opened commitment.Opened
}

type field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// inspect finds out what kind of file data is and verifies it.
func inspect(n receipt.Network, data []byte) report {
	if bytes.HasPrefix(data, []byte("c2sp.org/tlog-proof@v1\n")) {
		return inspectReceipt(n, data)
	}
	bundle, err := commitment.ParseBundle(data)
	if err == nil {
		return inspectBundle(n, bundle)
	}
	if copied, copyErr := commitment.ParseCopy(data); copyErr == nil {
		return inspectBundle(n, commitment.Bundle{Copy: copied})
	}
	return report{Receipts: []receipt.Verdict{}}.with(receipt.Failed, malformedFile, fmt.Sprintf("no evidence bundle, copy or receipt: %v", err))
}

func (r report) with(o receipt.Outcome, reason receipt.Reason, detail string) report {
	r.Outcome, r.Reasons, r.Detail = o, []receipt.Reason{reason}, detail
	return r
}

func inspectReceipt(n receipt.Network, text []byte) report {
	verdict, _ := verify(n, text) // the error repeats what the verdict says
	return report{Outcome: verdict.Outcome, Reasons: verdict.Reasons, Detail: verdict.Detail, Receipts: []receipt.Verdict{verdict}}
}

// verify tells the two kinds of receipts apart by trying.
func verify(n receipt.Network, text []byte) (receipt.Verdict, error) {
	if _, err := receipt.ParseState(text); err == nil {
		return receipt.VerifyState(n, text, nil)
	}
	return receipt.Verify(n, text)
}

// inspectBundle verifies the copy against its own commitment first, then every
// receipt, then that one of them anchors that very commitment.
func inspectBundle(n receipt.Network, b commitment.Bundle) report {
	r := report{Reasons: []receipt.Reason{}, Receipts: []receipt.Verdict{}}
	id := b.Copy.Manifest().Commitment()
	opened, err := b.Copy.Verify(id)
	if err != nil {
		return r.with(receipt.Failed, badContent, err.Error())
	}
	disclosed, err := describe(opened)
	if err != nil {
		return r.with(receipt.Failed, badContent, err.Error())
	}
	anchored := false
	for i, text := range b.Receipts {
		verdict, err := verify(n, text)
		r.Receipts = append(r.Receipts, verdict)
		if verdict.Outcome != receipt.Passed {
			return r.with(verdict.Outcome, firstReason(verdict, err), fmt.Sprintf("receipt %d: %s", i+1, verdict.Detail))
		}
		if anchor, ok := verdict.Entry.(record.AnchorEntry); ok {
			if commitment.Commitment(anchor.Commitment) != id {
				return r.with(receipt.Failed, otherRecord, fmt.Sprintf("receipt %d anchors %s, the copy is of %s", i+1, commitment.Commitment(anchor.Commitment), id))
			}
			anchored = true
		}
	}
	r.CID, r.Content = id.CID(), disclosed
	if !anchored {
		return r.with(receipt.Indeterminate, noReceipt, "the content matches its CID, but no receipt says that the CID was anchored")
	}
	r.Outcome = receipt.Passed
	return r
}

func firstReason(v receipt.Verdict, err error) receipt.Reason {
	if len(v.Reasons) > 0 {
		return v.Reasons[0]
	}
	var refusal *receipt.Refusal
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return malformedFile
}

func describe(o commitment.Opened) (*content, error) {
	fields, err := o.Fields()
	if err != nil {
		return nil, err
	}
	c := &content{
		Profile: string(o.Profile), Segments: o.N, Disclosed: len(o.Leaves), Bytes: len(o.Content()), Complete: o.Complete(),
		Hidden: []string{}, Fields: []field{}, opened: o,
	}
	for _, f := range fields {
		c.Fields = append(c.Fields, field{f.Key, f.Value})
	}
	for _, h := range o.Hidden {
		text := fmt.Sprint(h.First)
		if h.Last != h.First {
			text = fmt.Sprintf("%d-%d", h.First, h.Last)
		}
		c.Hidden = append(c.Hidden, text)
	}
	return c, nil
}

// text renders the report for people.
func (r report) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: %s", r.File, r.Outcome)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, " %s", reason)
	}
	b.WriteByte('\n')
	if r.Detail != "" {
		line("because", "%s", r.Detail)
	}
	if r.Content != nil {
		r.contentText(line)
	}
	if r.Outcome == receipt.Passed {
		for _, v := range r.Receipts {
			b.WriteString(indented(v.Text()))
		}
	}
	if r.Extracted != "" {
		line("extracted", "%s", r.Extracted)
	}
	return b.String()
}

func (r report) contentText(line func(string, string, ...any)) {
	c := r.Content
	line("record", "%s", r.CID)
	for _, f := range c.Fields {
		line("  "+f.Key, "%s", printable(f.Value))
	}
	line("segments", "%d of %d disclosed (%s), %d bytes of content", c.Disclosed, c.Segments, c.Profile, c.Bytes)
	if len(c.Hidden) > 0 {
		line("not disclosed", "segments %s", strings.Join(c.Hidden, ", "))
		line("not proven", "why they are hidden, and what they hold: withheld and erased look the same here")
	}
	if c.Complete {
		line("proven", "the content is whole: it is the original, byte for byte")
	} else {
		line("not proven", "that the disclosed segments are the whole record: they are not, or the digest is hidden")
	}
}

// printable keeps a field of a stranger's record from writing to the terminal
// anything but text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
