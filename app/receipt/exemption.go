package receipt

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// ExemptionItem is a line of an exemption log: a part of a record that a copy
// does not disclose, and why. It names neither fields nor positions beyond the
// numbers of segments.
type ExemptionItem struct {
	Item        int      `json:"item"` // from 1
	First       uint32   `json:"first"`
	Last        uint32   `json:"last"`
	Of          uint32   `json:"of"` // segments of the record
	Decision    string   `json:"decision"`
	Code        string   `json:"code"`
	Authority   string   `json:"authority"`
	Dated       string   `json:"dated"`
	Offices     []string `json:"offices"`
	Entry       int64    `json:"entry"` // 0: none
	LedgerDay   string   `json:"ledger_day"`
	Disposition int64    `json:"disposition"` // 0: none

	DecidedBy []DecidedBy `json:"decided_by"` // each office with its own entry and day
	Citation  string      `json:"citation"`   // of the code; empty: no authority file was at hand
	Subject   string      `json:"subject"`    // likewise
	Verified  string      `json:"verified"`   // "yes"; "no": the code was not compared with its source; empty likewise
}

// ExemptionLog is the list of what a copy withholds, a Vaughn index.
type ExemptionLog struct {
	Record     int64           `json:"record"`     // entry of the anchor; 0: no receipt shows it, or what follows
	Department string          `json:"department"` // of the anchor
	Series     string          `json:"series"`
	Date       string          `json:"date"` // of the record, or "undated"
	CID        string          `json:"cid"`
	Segments   uint32          `json:"segments"`
	Items      []ExemptionItem `json:"items"`
}

// ExemptionCodes is what an authority file says of its codes.
type ExemptionCodes struct {
	Authority string          `json:"authority"`
	Dated     string          `json:"dated"`
	Codes     []ExemptionCode `json:"exemptions"`
}

// ExemptionCode is one of them.
type ExemptionCode struct {
	Code     string `json:"code"`
	Subject  string `json:"subject"`
	Citation string `json:"citation"`
	Verified bool   `json:"verified"` // compared with its source
}

// NewExemptionLog makes the log of a copy of a record with so many segments. Of
// the verdicts, the first that PASSED for an anchor of the commitment says which
// record it is.
func NewExemptionLog(c commitment.Commitment, verdicts []Verdict, segments uint32, hidden []HiddenRun) ExemptionLog {
	l := ExemptionLog{CID: c.CID(), Segments: segments, Items: []ExemptionItem{}}
	for _, v := range verdicts {
		if a, ok := v.Entry.(record.AnchorEntry); ok && v.Outcome == Passed && commitment.Commitment(a.Commitment) == c {
			l.Record, l.Department, l.Series, l.Date = v.Index, string(a.Office), string(a.Series), date(a.Day, a.Flags)
			break
		}
	}
	for i, r := range hidden {
		item := ExemptionItem{Item: i + 1, First: r.First, Last: r.Last, Of: segments, Decision: string(r.Status), Code: r.Code, Authority: r.Authority,
			Dated: r.Dated, Offices: officeNames(r.Offices), Entry: r.Entry, LedgerDay: r.LedgerDay, Disposition: r.Disposition,
			DecidedBy: append([]DecidedBy{}, r.Decided...)}
		l.Items = append(l.Items, item)
	}
	return l
}

// Explain adds what an authority file says of the codes of items that cite it, by
// its name and date.
func (l ExemptionLog) Explain(by ExemptionCodes) {
	codes := map[string]ExemptionCode{}
	for _, c := range by.Codes {
		codes[c.Code] = c
	}
	for n := range l.Items {
		i := &l.Items[n]
		c, ok := codes[i.Code]
		if !ok || i.Authority != by.Authority || i.Dated != by.Dated {
			continue
		}
		i.Citation, i.Subject, i.Verified = c.Citation, c.Subject, "no"
		if c.Verified {
			i.Verified = "yes"
		}
	}
}

// Unexplained names the first authority and date that an item cites for a code
// of which nothing was said. Empty: there is none.
func (l ExemptionLog) Unexplained() (authority, dated string) {
	for _, i := range l.Items {
		if i.Code != "" && i.Code != commitment.Betrays && i.Verified == "" {
			return i.Authority, i.Dated
		}
	}
	return "", ""
}

func officeNames(codes []record.Code) []string {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = string(c)
	}
	return names
}

// Formats of an exemption log.
const (
	LogText = "text"
	LogCSV  = "csv"
	LogJSON = "json"
)

// Marshal writes the log in a format.
func (l ExemptionLog) Marshal(format string) ([]byte, error) {
	switch format {
	case LogText:
		return l.text(), nil
	case LogCSV:
		return l.csv()
	case LogJSON:
		text, err := json.MarshalIndent(l, "", "  ")
		return append(text, '\n'), err
	}
	return nil, fmt.Errorf("exemption log: %w: format %.20q is none of text, csv and json", ErrMalformed, format)
}

// csv writes one line for each item, below a line of names (RFC 4180).
func (l ExemptionLog) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	rows := [][]string{{"item", "cid", "first", "last", "of", "decision", "code", "authority", "dated", "offices", "entry", "ledger_day", "disposition",
		"record", "department", "series", "date", "decided_by", "citation", "subject", "verified"}}
	for _, i := range l.Items {
		rows = append(rows, []string{fmt.Sprint(i.Item), l.CID, fmt.Sprint(i.First), fmt.Sprint(i.Last), fmt.Sprint(i.Of), i.Decision, i.Code, i.Authority, i.Dated,
			strings.Join(i.Offices, " "), orEmpty(i.Entry), i.LedgerDay, orEmpty(i.Disposition),
			orEmpty(l.Record), l.Department, l.Series, l.Date, decidedWords(i.DecidedBy), i.Citation, i.Subject, i.Verified})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("exemption log: %w", err)
	}
	return b.Bytes(), nil
}

// decidedWords names each office with its entry and day.
func decidedWords(by []DecidedBy) string {
	parts := make([]string, len(by))
	for i, d := range by {
		parts[i] = fmt.Sprintf("%s, entry %d, ledger day %s", d.Office, d.Entry, d.LedgerDay)
	}
	return strings.Join(parts, "; ")
}

func orEmpty(index int64) string {
	if index == 0 {
		return ""
	}
	return fmt.Sprint(index)
}

func (l ExemptionLog) text() []byte {
	p := &page{}
	p.line("EXEMPTION LOG")
	p.line("")
	if l.Record != 0 {
		p.row("Record", "entry %d of the log", l.Record)
		p.row("Department", "%s", l.Department)
		p.row("Series", "%s", l.Series)
		p.row("Date", "%s", l.Date)
	}
	p.row("CID", "%s", l.CID)
	p.row("Segments", "%d, numbered from 0; %s not disclosed", l.Segments, counted(len(l.Items), "part"))
	for _, i := range l.Items {
		p.line("")
		p.row(fmt.Sprintf("Item %d", i.Item), "segments %s of %d", Segments(i.First, i.Last), i.Of)
		p.row("Decision", "%s", i.Decision)
		i.codeRows(p)
		for n, by := range i.DecidedBy {
			name := "Decided by"
			if n > 0 {
				name = ""
			}
			p.row(name, "%s, entry %d, ledger day %s", by.Office, by.Entry, by.LedgerDay)
		}
		if i.Disposition != 0 {
			p.row("Disposition", "%d", i.Disposition)
		}
	}
	return []byte(p.b.String())
}

// codeRows writes under which code an item is hidden, and what that code is.
func (i ExemptionItem) codeRows(p *page) {
	switch {
	case i.Code == "":
		return
	case i.Authority == "" || i.Code == commitment.Betrays:
		p.row("Code", "none: it would betray what is hidden")
		return
	}
	mark := ""
	if i.Verified == "no" {
		mark = " (unverified)"
	}
	p.row("Code", "%s of %s, dated %s%s", i.Code, i.Authority, i.Dated, mark)
	if i.Citation != "" {
		p.row("Citation", "%s", i.Citation)
	}
	if i.Subject != "" {
		p.row("Subject", "%s", i.Subject)
	}
}
