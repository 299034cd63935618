package ledger_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Facts about records, holds and the clock in transcripts:
//
//	events event=E day=D RECORD...     file series=S RECORD...     file with=RECORD RECORD...
//	audited department=C through=D
//	hold kind=K [issues=N] SCOPE       extend hold=H [issues=N] [SCOPE]
//	resolve hold=H [issue=N]           release hold=H
//	acknowledge jump=J
//
// A scope is RECORD..., or department=C [series=S], or city=yes, with [from=D to=D].
//
//	hold, held, audits, freeze         show the state

func (s *script) holdMessage(t *testing.T, kind string, args map[string]string, rest []string) record.Message {
	t.Helper()
	switch kind {
	case "events":
		event, err := retention.ParseEvent(strings.ReplaceAll(args["event"], "_", " "))
		if err != nil {
			t.Fatal(err)
		}
		return &record.RecordEvents{Event: event, Day: day(args["day"]), Records: s.indexes(t, rest)}
	case "file":
		m := &record.FileRecords{Series: record.Code(args["series"]), Records: s.indexes(t, rest)}
		if args["with"] != "" {
			m.File = s.index(t, args["with"])
		}
		return m
	case "audited":
		return &record.PostAuditedThrough{Department: record.Code(args["department"]), Through: day(args["through"])}
	case "hold":
		return &record.PlaceHold{
			Kind: holdKind(t, args["kind"]), Matter: commitment("matter"), Issues: count(t, args["issues"]), Scope: s.scope(t, args, rest),
		}
	case "extend":
		return &record.ExtendHold{Hold: s.index(t, args["hold"]), Issues: count(t, args["issues"]), Scope: s.scope(t, args, rest)}
	case "resolve":
		return &record.ResolveIssue{Hold: s.index(t, args["hold"]), Issue: count(t, args["issue"])}
	case "release":
		return &record.ReleaseHold{Hold: s.index(t, args["hold"])}
	case "acknowledge":
		return &record.AcknowledgeJump{Jump: s.index(t, args["jump"])}
	}
	return nil
}

func holdKind(t *testing.T, name string) record.HoldKind {
	t.Helper()
	for _, k := range record.HoldKinds() {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no hold is called %q", name)
	return 0
}

func count(t *testing.T, word string) uint32 {
	t.Helper()
	if word == "" {
		return 0
	}
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func (s *script) indexes(t *testing.T, words []string) []record.Index {
	t.Helper()
	var list []record.Index
	for _, w := range words {
		list = append(list, s.index(t, w))
	}
	return slices.Sorted(slices.Values(list))
}

func (s *script) scope(t *testing.T, args map[string]string, rest []string) record.Scope {
	t.Helper()
	scope := record.Scope{
		Records: s.indexes(t, rest), Department: record.Code(args["department"]), Series: record.Code(args["series"]), City: args["city"] == "yes",
	}
	if args["from"] != "" {
		scope.Dated, scope.From, scope.To = true, day(args["from"]), day(args["to"])
	}
	return scope
}

// pass applies empty blocks. It tells how many of them had entries all the same.
func (s *script) pass(t *testing.T, out *strings.Builder, args map[string]string) {
	t.Helper()
	step := int64(30)
	if args["step"] != "" {
		step = int64(count(t, args["step"]))
	}
	for range count(t, args["blocks"]) {
		changes, _ := s.apply(t, s.view.Head().Time+step*1e9)
		s.printEntries(t, out, changes)
	}
	fmt.Fprintln(out, moment(s.view.Head().Time))
	s.printHead(out)
}

func (s *script) holdEntryLine(e record.Entry) string {
	switch e := e.(type) {
	case record.EventsEntry:
		return fmt.Sprintf("events %s %s on %s of %d", e.Office, e.Event, date(e.Day), e.Count)
	case record.FilingEntry:
		return fmt.Sprintf("filing %s as %q with %d of %d", e.Office, e.Series, e.File, e.Count)
	case record.AuditEntry:
		return fmt.Sprintf("audit %s of %s through %s", e.Office, e.Department, date(e.Through))
	case record.HoldEntry:
		return fmt.Sprintf("hold %s %s issues %d late %d", e.Office, e.HoldKind, e.Issues, e.Late)
	case record.ExtensionEntry:
		return fmt.Sprintf("extension %s of %d issues %d late %d", e.Office, e.Hold, e.Issues, e.Late)
	case record.ResolutionEntry:
		return fmt.Sprintf("resolution %s of %d issue %d", e.Office, e.Hold, e.Issue)
	case record.ReleaseEntry:
		return fmt.Sprintf("release %s of %d", e.Office, e.Hold)
	case record.AcknowledgmentEntry:
		return fmt.Sprintf("acknowledgment %s of %d", e.Office, e.Jump)
	}
	return ""
}

// printLifecycle shows what befell a record, a line for each kind of thing.
func printLifecycle(out *strings.Builder, l ledger.Lifecycle) {
	if l.Supersession != 0 {
		fmt.Fprintf(out, "superseded by %d, says %d\n", l.SupersededBy, l.Supersession)
	}
	if l.Filing != 0 {
		fmt.Fprintf(out, "filed as %q with %d, says %d\n", l.Series, l.File, l.Filing)
	}
	for _, e := range l.Events {
		fmt.Fprintf(out, "%s on %s, says %d\n", e.Event, date(e.Day), e.Entry)
	}
	for _, h := range l.Holds {
		fmt.Fprintf(out, "listed by hold %d, says %d\n", h.Hold, h.Entry)
	}
	if l.Disposition != 0 {
		fmt.Fprintf(out, "locked under %d\n", l.Disposition)
	}
	if len(l.Decisions) > 0 {
		fmt.Fprintf(out, "decisions about parts of it: %d\n", l.Decisions)
	}
}

func (s *script) showHold(t *testing.T, out *strings.Builder, what string, args map[string]string) (known bool) {
	t.Helper()
	var err error
	switch what {
	case "hold":
		var h ledger.Hold
		if h, known, err = ledger.HoldOf(s.view, s.index(t, args["at"])); known {
			fmt.Fprintf(out, "%s by %s on %s, issues %d, resolved %v\n", h.Kind, h.Office, date(h.Day), h.Issues, h.Resolved)
			for _, p := range h.Parts {
				fmt.Fprintf(out, "  %d by %s on %s: issues %d, records %d%s\n", p.Entry, p.Office, date(p.Day), p.Issues, p.Listed, scopeLine(p.Scope))
			}
			if h.Released != 0 {
				fmt.Fprintf(out, "  released by %s on %s, says %d\n", h.By, date(h.ReleasedOn), h.Released)
			}
		}
	case "held":
		var held []ledger.HoldOn
		held, err = ledger.HoldsOn(s.view, s.index(t, args["at"]))
		for _, h := range held {
			known = true
			fmt.Fprintf(out, "%d %s by %s since %d by %s, released %d by %q\n", h.Hold, h.Kind, h.Office, h.Since, h.Brought, h.Released, h.By)
		}
	case "audits":
		var list []ledger.Posting
		list, err = ledger.AuditsOf(s.view, record.Code(args["office"]))
		for _, p := range list {
			known = true
			fmt.Fprintf(out, "through %s, posted %s, says %d\n", date(p.Through), date(p.Posted), p.Entry)
		}
	case "freeze":
		var f ledger.Freeze
		if f, known, err = ledger.FreezeOf(s.view); known {
			fmt.Fprintf(out, "since jump %d at %s in block %d, acknowledged by %v, not before %s and block %d\n",
				f.Jump, moment(f.Time), f.Height, f.Offices, moment(f.EndTime), f.EndHeight)
		}
	default:
		t.Fatalf("no command is called %q", what)
	}
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func scopeLine(s record.Scope) string {
	line := ""
	switch {
	case s.City:
		line = ", the city"
	case s.Department != "":
		line = fmt.Sprintf(", department %s series %q", s.Department, s.Series)
	}
	if s.Dated {
		line += fmt.Sprintf(" %s to %s", date(s.From), date(s.To))
	}
	return line
}
