package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Dispositions in transcripts. What is erased or withheld has a name, PARTS:
//
//	destroy series=S RECORD...          erase series=S parts=PARTS RECORD
//	agree disposition=D                 lock disposition=D
//	report disposition=D [outcome=PRESERVED] [claim=N]
//	withhold record=R parts=PARTS
//
//	disposition, decisions, erasures    show the state

func (s *script) dispositionMessage(t *testing.T, kind string, args map[string]string, rest []string) record.Message {
	t.Helper()
	var at record.Index
	var hash [32]byte
	if args["disposition"] != "" {
		at = s.index(t, args["disposition"])
		d, _, err := ledger.DispositionOf(s.view, at)
		if err != nil {
			t.Fatal(err)
		}
		hash = d.Hash
	}
	parts := commitment(args["parts"])
	s.names[string(parts[:])] = args["parts"]
	switch kind {
	case "destroy":
		return &record.ProposeDisposition{Series: record.Code(args["series"]), Action: record.ActionDestroy, Records: s.indexes(t, rest)}
	case "erase":
		return &record.ProposeDisposition{Series: record.Code(args["series"]), Action: record.ActionRedact, Redaction: parts, Records: s.indexes(t, rest)}
	case "agree":
		return &record.ApproveDisposition{Disposition: at, Hash: hash}
	case "lock":
		return &record.LockDisposition{Disposition: at, Hash: hash}
	case "report":
		m := &record.ReportErasure{Disposition: at, Outcome: record.OutcomeDone, Claim: record.Claim(count(t, args["claim"]))}
		if args["outcome"] == "PRESERVED" {
			m.Outcome = record.OutcomePreserved
		}
		return m
	case "withhold":
		return &record.Withhold{Record: s.index(t, args["record"]), Redaction: parts}
	}
	return nil
}

func (s *script) dispositionEntryLine(e record.Entry) string {
	switch e := e.(type) {
	case record.DispositionEntry:
		return fmt.Sprintf("disposition %s %s of %d in %s", e.Office, e.Action, e.Count, e.Series)
	case record.AuthorizationEntry:
		return fmt.Sprintf("authorization %s of %d", e.Office, e.Disposition)
	case record.LockEntry:
		return fmt.Sprintf("lock %s of %d on %s by %d", e.Office, e.Disposition, date(e.Day), e.Authorizations)
	case record.ItemEntry:
		due := "due " + date(e.Due)
		if e.Due == 0 {
			due = "not due"
		}
		return fmt.Sprintf("item %d of %d %s rules %d facts %d", e.Record, e.Disposition, due, e.Rules, e.Facts)
	case record.ReportEntry:
		by := string(e.Office)
		if by == "" {
			by = "a custodian"
		}
		return fmt.Sprintf("report of %s on %d %s preserved %d", by, e.Disposition, e.Outcome, e.Preserved)
	case record.RefusalEntry:
		return fmt.Sprintf("refusal %s %s disposition %d record %d hold %d", e.Office, ledger.Code(e.Code), e.Disposition, e.Record, e.Hold)
	case record.WithholdingEntry:
		return fmt.Sprintf("withholding %s of %s in %d", e.Office, s.names[string(e.Redaction[:])], e.Record)
	}
	return ""
}

func (s *script) showDisposition(t *testing.T, out *strings.Builder, what string, args map[string]string) (known, mine bool, err error) {
	t.Helper()
	switch what {
	case "disposition":
		var d ledger.Disposition
		if d, known, err = ledger.DispositionOf(s.view, s.index(t, args["at"])); known {
			fmt.Fprintf(out, "%s %s by %s in %s, lock %d, reports", d.Status, d.Action, d.Office, d.Series, d.Lock)
			for _, r := range d.Reports {
				fmt.Fprintf(out, " %d", r.Entry)
			}
			fmt.Fprintln(out)
		}
	case "decisions":
		var all []ledger.Decision
		all, err = ledger.DecisionsOn(s.view, s.index(t, args["at"]))
		for _, d := range all {
			known = true
			done := map[bool]string{true: "erased", false: "withheld"}[d.Erased]
			fmt.Fprintf(out, "%s %s by %s on %s, says %d\n", s.names[string(d.Redaction[:])], done, d.Office, date(d.Day), d.Entry)
		}
	case "erasures":
		var all []ledger.Listed[ledger.Disposition]
		all, err = ledger.Erasures(s.view, 0)
		for _, d := range all {
			known = true
			fmt.Fprintf(out, "%d %s locked by %d, %s\n", d.Index, d.Value.Action, d.Value.Lock, d.Value.Status)
		}
	default:
		return false, false, nil
	}
	return known, true, err
}
