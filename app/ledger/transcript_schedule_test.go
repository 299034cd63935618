package ledger_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// The words of transcripts about schedules. Of propose:
//
//	rule=SERIES schedule=S version=N keep=RULE       underscores for blanks; approvals=A,B notice=DAYS/HEIGHTS batched=yes transitory=yes
//	adopt=S version=N effective=D                    state=yes; count=N and root=wrong lie
//	activate=SERIES of=OFFICE assessed=D review=D    granularity=MONTH
//	standing=SERIES,SERIES of=OFFICE from=D to=D
//
// And batch by=OFFICE series=SERIES NAME; rules, version, schedule, activation,
// authorization and batched show the state.

func (s *script) scheduleFact(t *testing.T, args map[string]string) record.Fact {
	t.Helper()
	version64, _ := strconv.ParseUint(args["version"], 10, 32)
	version := uint32(version64)
	switch {
	case args["rule"] != "":
		r := ruleIn(t, record.Code(args["schedule"]), version, record.Code(args["rule"]), strings.ReplaceAll(args["keep"], "_", " "))
		r.Batched, r.Transitory = args["batched"] != "", args["transitory"] != ""
		if r.Transitory {
			r.Approvals, r.NoticeDays, r.NoticeHeights = nil, 0, 1
		}
		return r
	case args["adopt"] != "":
		f := s.adoption(t, record.Code(args["adopt"]), version, args["state"] != "", args["effective"])
		if count, err := strconv.ParseUint(args["count"], 10, 32); err == nil {
			f.Count = uint32(count)
		}
		if args["root"] != "" {
			f.Root[0] ^= 1
		}
		return f
	case args["activate"] != "":
		a := activation(record.Code(args["activate"]), record.Code(args["of"]), args["review"])
		a.Assessed, a.Review = day(args["assessed"]), day(args["review"])
		if args["granularity"] == "MONTH" {
			a.Granularity = record.GranularityMonth
		}
		return a
	case args["standing"] != "":
		f := &record.StandingAuthorization{Office: record.Code(args["of"]), From: day(args["from"]), Until: day(args["to"])}
		for series := range strings.SplitSeq(args["standing"], ",") {
			f.Series = append(f.Series, record.Code(series))
		}
		return f
	}
	return nil
}

func (s *script) scheduleMessage(_ *testing.T, kind string, args map[string]string, rest []string) record.Message {
	if kind != "batch" {
		return nil
	}
	m := &record.AnchorBatch{Series: record.Code(args["series"]), Custody: record.Code(args["custody"]), Commitment: commitment(rest[0])}
	s.names[string(m.Commitment[:])] = rest[0]
	return m
}

// scheduleFactLine is empty for facts that are not about schedules.
func scheduleFactLine(f record.Fact) string {
	switch f := f.(type) {
	case *record.ScheduleRule:
		flags := ""
		if f.Batched {
			flags += " batched"
		}
		if f.Transitory {
			flags += " transitory"
		}
		return fmt.Sprintf("rule %s %d %s: %s; %s by %v, notice %d days %d heights%s",
			f.Schedule, f.Version, f.Series, f.Rule, f.Action, f.Approvals, f.NoticeDays, f.NoticeHeights, flags)
	case *record.Schedule:
		return fmt.Sprintf("schedule %s %d state %t effective %s of %d rules root %x", f.Code, f.Version, f.State, f.Effective, f.Count, f.Root[:4])
	case *record.Activation:
		return fmt.Sprintf("activation %s of %s by %s assessed %s review %s", f.Series, f.Office, f.Granularity, f.Assessed, f.Review)
	case *record.StandingAuthorization:
		return fmt.Sprintf("standing authorization %s %v from %s until %s", f.Office, f.Series, f.From, f.Until)
	}
	return ""
}

// scheduleShow shows the state of schedules; mine is false for other commands.
func (s *script) scheduleShow(t *testing.T, out *strings.Builder, what string, args map[string]string) (known, mine bool, err error) {
	t.Helper()
	series, office := record.Code(args["series"]), record.Code(args["office"])
	switch what {
	case "rules":
		rules, err := ledger.RulesOf(s.view, series)
		today := record.LedgerDay(s.view.Head().Time)
		if args["on"] != "" {
			today = day(args["on"])
		}
		for _, r := range rules {
			fmt.Fprintf(out, "%s %d state %t adopted %d on %s from %s since %d: ", r.Schedule, r.Version, r.State, r.Adopted, r.Day, r.From(), r.Since)
			if r.Stated == 0 {
				fmt.Fprintln(out, "left out")
			} else {
				fmt.Fprintf(out, "%d %s\n", r.Stated, r.Rule.Rule)
			}
		}
		for _, r := range ledger.InForce(rules, today) {
			fmt.Fprintf(out, "in force on %s: %s %d\n", today, r.Schedule, r.Version)
		}
		return len(rules) > 0, true, err
	case "version":
		n, _ := strconv.ParseUint(args["version"], 10, 32)
		v, known, err := ledger.VersionOf(s.view, record.Code(args["schedule"]), uint32(n))
		if known {
			fmt.Fprintf(out, "adopted %d %v\n", v.Adopted, v.Series)
		}
		return known, true, err
	case "schedule":
		v, known, err := ledger.ScheduleOf(s.view, record.Code(args["code"]))
		if known {
			fmt.Fprintf(out, "state %t %v\n", v.State, v.Series)
		}
		for _, a := range v.Adoptions {
			fmt.Fprintf(out, "  version %d adopted %d on %s, effective %s\n", a.Version, a.Adopted, a.Day, a.Effective)
		}
		return known, true, err
	case "activation":
		a, known, err := ledger.ActivationOf(s.view, series, office)
		if known {
			fmt.Fprintln(out, scheduleFactLine(&a))
		}
		return known, true, err
	case "authorization":
		f, known, err := ledger.StandingOf(s.view, s.index(t, args["at"]))
		if known {
			fmt.Fprintln(out, scheduleFactLine(&f))
		}
		return known, true, err
	case "batched":
		at, known, err := ledger.BatchOf(s.view, office, series, day(args["on"]))
		if known {
			fmt.Fprintf(out, "anchored at %d\n", at)
		}
		return known, true, err
	}
	return false, false, nil
}
