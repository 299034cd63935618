package receipt

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"

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
}

// ExemptionLog is the list of what a copy withholds, a Vaughn index.
type ExemptionLog struct {
	CID      string          `json:"cid"`
	Segments uint32          `json:"segments"`
	Items    []ExemptionItem `json:"items"`
}

// NewExemptionLog makes the log of a copy of a record with so many segments.
func NewExemptionLog(cid string, segments uint32, hidden []HiddenRun) ExemptionLog {
	l := ExemptionLog{CID: cid, Segments: segments, Items: []ExemptionItem{}}
	for i, r := range hidden {
		item := ExemptionItem{Item: i + 1, First: r.First, Last: r.Last, Of: segments, Decision: string(r.Status), Code: r.Code, Authority: r.Authority,
			Dated: r.Dated, Offices: officeNames(r.Offices), Entry: r.Entry, LedgerDay: r.LedgerDay, Disposition: r.Disposition}
		l.Items = append(l.Items, item)
	}
	return l
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
	rows := [][]string{{"item", "cid", "first", "last", "of", "decision", "code", "authority", "dated", "offices", "entry", "ledger_day", "disposition"}}
	for _, i := range l.Items {
		rows = append(rows, []string{fmt.Sprint(i.Item), l.CID, fmt.Sprint(i.First), fmt.Sprint(i.Last), fmt.Sprint(i.Of), i.Decision, i.Code, i.Authority, i.Dated,
			strings.Join(i.Offices, " "), orEmpty(i.Entry), i.LedgerDay, orEmpty(i.Disposition)})
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("exemption log: %w", err)
	}
	return b.Bytes(), nil
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
	p.row("Record", "%s", l.CID)
	p.row("Segments", "%d, numbered from 0; %s not disclosed", l.Segments, counted(len(l.Items), "part"))
	for _, i := range l.Items {
		p.line("")
		p.row(fmt.Sprintf("Item %d", i.Item), "segments %s of %d", Segments(i.First, i.Last), i.Of)
		p.row("Decision", "%s", i.Decision)
		switch {
		case i.Code == "":
		case i.Authority != "" && i.Code != "-":
			p.row("Code", "%s of %s, dated %s", i.Code, i.Authority, i.Dated)
		default:
			p.row("Code", "none: it would betray what is hidden")
		}
		if i.Entry != 0 {
			p.row("Decided by", "%s, entry %d, ledger day %s", strings.Join(i.Offices, ", "), i.Entry, i.LedgerDay)
		}
		if i.Disposition != 0 {
			p.row("Disposition", "%d", i.Disposition)
		}
	}
	return []byte(p.b.String())
}
