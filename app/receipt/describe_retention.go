package receipt

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// ofRecords describes what was said and done about records and holds.
func (d *description) ofRecords(e record.Entry) (kind string) {
	switch e := e.(type) {
	case record.EventsEntry:
		kind = "event of records"
		d.add("event", e.Event.String())
		d.add("day", e.Day.String())
		d.number("records", e.Count)
	case record.FilingEntry:
		kind = "filing of records"
		if e.File != 0 {
			d.number("into the file", int64(e.File))
		} else {
			d.add("as the series", string(e.Series))
		}
		d.number("records", e.Count)
	case record.AuditEntry:
		kind = "audit"
		d.add("department", string(e.Department))
		d.add("audited through", e.Through.String())
	case record.HoldEntry:
		kind = "hold"
		d.add("kind", e.HoldKind.String())
		d.number("issues", int64(e.Issues))
		d.late(e.Late)
	case record.ExtensionEntry:
		kind = "extension of a hold"
		d.number("hold", int64(e.Hold))
		d.number("further issues", int64(e.Issues))
		d.late(e.Late)
	case record.ResolutionEntry:
		kind = "resolution of an issue of a hold"
		d.number("hold", int64(e.Hold))
		if e.Issue == 0 {
			d.add("issue", "the action itself")
		} else {
			d.number("issue", int64(e.Issue))
		}
	case record.ReleaseEntry:
		kind = "release of a hold"
		d.number("hold", int64(e.Hold))
	default:
		kind = d.ofDisposition(e)
	}
	return kind
}

// late says that a hold came too late for locked dispositions.
func (d *description) late(count int64) {
	if count > 0 {
		d.add("late", fmt.Sprintf("%d dispositions that it reaches were locked already", count))
	}
}

// ofDisposition describes a step of a disposition.
func (d *description) ofDisposition(e record.Entry) (kind string) {
	switch e := e.(type) {
	case record.DispositionEntry:
		kind = "proposal of a disposition"
		d.add("series", string(e.Series))
		d.add("action", e.Action.String())
		d.number("records", e.Count)
		d.hash("hash", e.Hash[:])
	case record.AuthorizationEntry:
		kind = "approval of a disposition"
		d.number("disposition", int64(e.Disposition))
		d.hash("hash", e.Hash[:])
	case record.WithdrawalEntry:
		kind = "withdrawal of a disposition"
		d.number("disposition", int64(e.Disposition))
	case record.NoticeEntry:
		kind = "notice of a disposition"
		d.number("disposition", int64(e.Disposition))
		d.add("notified on", e.Day.String())
	case record.LockEntry:
		kind = "lock of a disposition"
		d.number("disposition", int64(e.Disposition))
		d.add("ledger day", e.Day.String())
		d.cited("approvals", e.Authorizations...)
		d.cited("standing", e.Standing)
		d.cited("notice", e.Notice)
		d.number("records", e.Count)
	case record.ItemEntry:
		kind = "record of a locked disposition"
		d.number("disposition", int64(e.Disposition))
		d.number("record", int64(e.Record))
		d.add("due", due(e.Due))
		d.cited("rules", e.Rules...)
		d.cited("facts", e.Facts...)
		d.cited("audit", e.Audit)
	case record.ReportEntry:
		kind = "report under a locked disposition"
		if e.Office == "" {
			d.hash("custodian", e.Custodian[:])
		}
		d.number("disposition", int64(e.Disposition))
		d.add("outcome", e.Outcome.String())
		d.number("preserved", e.Preserved)
	case record.RefusalEntry:
		kind = "refusal of a step of a disposition"
		d.add("reason", refusalName(e.Code))
		d.cited("disposition", e.Disposition)
		d.cited("record", e.Record)
		d.cited("hold", e.Hold)
	case record.WithholdingEntry:
		kind = "decision to withhold parts of a record"
		d.number("record", int64(e.Record))
		d.hash("redaction", e.Redaction[:])
	}
	return kind
}

// cited lists entries by their indexes, 0 for none.
func (d *description) cited(name string, entries ...record.Index) {
	var list []string
	for _, i := range entries {
		if i != 0 {
			list = append(list, strconv.FormatInt(int64(i), 10))
		}
	}
	if len(list) == 0 {
		list = []string{"none"}
	}
	d.add(name, strings.Join(list, ", "))
}

// due says from which day on disposition could be asked.
func due(d record.Day) string {
	switch d {
	case 0:
		return "no day, as for what is kept for good (or 1970-01-01)"
	case retention.MinDay:
		return "at any time"
	}
	return d.String()
}

// refusals names the reasons of refusals that the log records: the codes of
// package ledger about records, approvals and notice.
var refusals = map[uint32]string{
	80: "HELD", 81: "NOT_DUE", 82: "MISSING_APPROVAL", 83: "FROZEN", 84: "NOTICE_PERIOD", 85: "NOTICE_MISSING", 86: "ONE_BY_ONE", 87: "ALREADY_LOCKED",
}

func refusalName(code uint32) string {
	if name, ok := refusals[code]; ok {
		return name
	}
	return fmt.Sprintf("CODE_%d", code)
}

// describeSchedule says what facts about schedules are about.
func describeSchedule(fact record.Fact) string {
	switch f := fact.(type) {
	case *record.ScheduleRule:
		return fmt.Sprintf("rule of series %s in version %d of schedule %s: %s", f.Series, f.Version, f.Schedule, f.Rule)
	case *record.Schedule:
		return fmt.Sprintf("version %d of schedule %s, %d rules, in force from %s", f.Version, f.Code, f.Count, f.Effective)
	case *record.Activation:
		return fmt.Sprintf("activation of series %s for %s, impact assessment of %s, next review %s", f.Series, f.Office, f.Assessed, f.Review)
	case *record.StandingAuthorization:
		return fmt.Sprintf("standing authorization of %s from %s to %s over %s", f.Office, f.From, f.Until, codes(f.Series))
	}
	return "unknown"
}

func codes(list []record.Code) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}

// describeBody lists what the signed body says besides the entry.
func describeBody(e record.Entry, m record.Message) []Field {
	if _, isTx := e.(record.TxEntry); isTx {
		return nil
	}
	var d description
	if _, refused := e.(record.RefusalEntry); refused {
		d.add("refused step", stepName(m))
	}
	switch m := m.(type) {
	case *record.RecordEvents:
		d.add("named", list(m.Records))
	case *record.FileRecords:
		d.add("named", list(m.Records))
	case *record.ProposeDisposition:
		d.add("named", list(m.Records))
		if m.Action == record.ActionRedact {
			d.hash("redaction", m.Redaction[:])
		}
	case *record.PlaceHold:
		d.add("scope", scope(m.Scope))
	case *record.ExtendHold:
		d.add("further scope", scope(m.Scope))
	case *record.ReportErasure:
		if len(m.Preserved) > 0 {
			d.add("named", list(m.Preserved))
		}
		if m.Report != [32]byte{} {
			d.hash("report", m.Report[:])
		}
		if m.Outcome == record.OutcomeDone {
			claim := m.Claim
			if report, ok := e.(record.ReportEntry); ok && report.Office != "" {
				claim = 0 // an office has no keyring, whatever it signs
			}
			d.add("claim", claim.Says())
		}
	}
	return d
}

// stepName says which step of a disposition a message asks for.
func stepName(m record.Message) string {
	switch m.(type) {
	case *record.ProposeDisposition:
		return "proposal"
	case *record.ApproveDisposition:
		return "approval"
	case *record.RecordNotice:
		return "notice"
	}
	return "lock"
}

// list writes indexes of records, of a long list the first ones.
func list(records []record.Index) string {
	const most = 20
	var d description
	d.cited("", records[:min(len(records), most)]...)
	if len(records) > most {
		return fmt.Sprintf("%s and %d more", d[0].Value, len(records)-most)
	}
	return d[0].Value
}

// scope says what a hold covers.
func scope(s record.Scope) string {
	text := "the city"
	switch {
	case s.Empty():
		return "none"
	case len(s.Records) > 0:
		return "records " + list(s.Records)
	case s.Series != "":
		text = fmt.Sprintf("series %s of %s", s.Series, s.Department)
	case s.Department != "":
		text = "all series of " + string(s.Department)
	}
	if s.Dated {
		text += fmt.Sprintf(", records dated %s to %s and undated ones", s.From, s.To)
	}
	return text + ", present and future"
}
