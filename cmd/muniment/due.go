package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// standings are how a command line says where records stand.
var standings = []struct {
	name     string
	standing apiv1.Standing
}{
	{"due", apiv1.Standing_STANDING_DUE},
	{"not-yet", apiv1.Standing_STANDING_NOT_YET},
	{"waiting", apiv1.Standing_STANDING_WAITING},
	{"held", apiv1.Standing_STANDING_HELD},
	{"permanent", apiv1.Standing_STANDING_PERMANENT},
	{"no-rule", apiv1.Standing_STANDING_NO_RULE},
	{"locked", apiv1.Standing_STANDING_LOCKED},
}

// standingUnknown is said of what is no record.
const standingUnknown = "unknown"

func standingNames() []string {
	var names []string
	for _, s := range standings {
		names = append(names, s.name)
	}
	return names
}

func standingName(s apiv1.Standing) string {
	for _, known := range standings {
		if known.standing == s {
			return known.name
		}
	}
	if s == apiv1.Standing_STANDING_UNSPECIFIED {
		return standingUnknown
	}
	return fmt.Sprintf("standing-%d", s)
}

// dueFilter is what the command line says about which records are meant.
type dueFilter struct {
	department, series string
	from, to           string
	standing           []string
}

func (f *dueFilter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.department, "department", "", "only records of this office (default: every office)")
	c.Flags().StringVar(&f.series, "series", "", "only records of this series")
	c.Flags().StringVar(&f.from, "from", "", "only records from this day on, as YYYY-MM-DD")
	c.Flags().StringVar(&f.to, "to", "", "only records up to this day")
}

func (f *dueFilter) set() bool {
	return f.department != "" || f.series != "" || f.from != "" || f.to != ""
}

// doubt says so where nothing matches: an office or series may be misspelled.
func (f *dueFilter) doubt(p *program, records int) {
	if records == 0 && f.set() {
		p.say("no record matches: muniment office show lists the offices, muniment series list the series")
	}
}

// request reads the filter.
func (f *dueFilter) request() (*apiv1.DueRequest, error) {
	days, err := parseDays(f.from, f.to)
	if err != nil {
		return nil, err
	}
	department, err := parseCode("office", f.department)
	if err != nil {
		return nil, err
	}
	series, err := parseCode("series", f.series)
	if err != nil {
		return nil, err
	}
	r := &apiv1.DueRequest{Department: string(department), Series: string(series), Dated: days.bounded, FromDay: int32(days.from), ToDay: int32(days.to)}
	for _, name := range f.standing {
		n := slices.Index(standingNames(), name)
		if n < 0 {
			return nil, usage("standing %q: use %s", printable(name), strings.Join(standingNames(), ", "))
		}
		r.Standings = append(r.Standings, standings[n].standing)
	}
	return r, nil
}

func (p *program) dueCommand() *cobra.Command {
	var filter dueFilter
	var limit uint32
	var format string
	c := &cobra.Command{
		Use: "due", Short: "List records by where they stand: what is due, what is not, and why",
		Long: "Lists the records that match, each with what stands first between it and its destruction; then totals, which\n" +
			"count every record that matches the other filters, whatever its standing.",
		Example: "  muniment due --department DPW\n  muniment due --series DEMO-MAIL --standing due,held --format csv",
		Args:    exactly(0, "no arguments"),
	}
	filter.flags(c)
	c.Flags().StringSliceVar(&filter.standing, "standing", []string{"due"}, "where they stand: all, or some of "+strings.Join(standingNames(), ","))
	c.Flags().Uint32Var(&limit, "limit", 0, "list at most this many (0: all)")
	formatFlag(c, &format)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if slices.Equal(filter.standing, []string{"all"}) {
			filter.standing = nil
		}
		request, err := filter.request()
		if err != nil {
			return err
		}
		w, err := p.dueWriter(format, false)
		if err != nil {
			return err
		}
		request.Limit = limit
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		totals, err := s.due(c.Context(), request, func(items []*apiv1.DueItem) error {
			for _, item := range items {
				if err := w.item(dueItemOf(item)); err != nil {
					return err
				}
			}
			return w.flush()
		})
		if err != nil {
			return err
		}
		filter.doubt(p, int(totals.Records))
		return w.end(totals)
	}
	return c
}

// due asks where records stand. Each is called with parts of the list in their
// order; the totals end it.
func (s *session) due(ctx context.Context, request *apiv1.DueRequest, each func([]*apiv1.DueItem) error) (dueTotals, error) {
	conn, err := s.connection(ctx)
	if err != nil {
		return dueTotals{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := apiv1.NewRecordsStaffClient(conn).Due(ctx, request)
	if err != nil {
		return dueTotals{}, remote(err)
	}
	var totals *apiv1.DueTotals
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return dueTotals{}, remote(err)
		}
		if totals != nil {
			return dueTotals{}, failed(exitError, "MALFORMED", "", "the node goes on after the totals")
		}
		if err := each(response.Items); err != nil {
			return dueTotals{}, err
		}
		totals = response.Totals
	}
	if totals == nil {
		return dueTotals{}, failed(exitError, "MALFORMED", "run the same command again", "the node's list has no end")
	}
	return dueTotalsOf(totals), nil
}

// dueItem is where one record stands, as the node judges.
type dueItem struct {
	Index       uint64   `json:"index"`
	Department  string   `json:"department"`
	Series      string   `json:"series"`
	Custody     string   `json:"custody"`
	Date        string   `json:"date"` // YYYY-MM-DD; empty: undated
	Standing    string   `json:"standing"`
	DueDay      string   `json:"due_day,omitempty"` // first day on which disposition may be asked
	Missing     []string `json:"missing"`           // facts
	Holds       []uint64 `json:"holds"`
	Disposition uint64   `json:"disposition,omitempty"`
	Alone       bool     `json:"alone"`     // dated before 1900 or undated: disposed of alone
	Approvals   []string `json:"approvals"` // roles, besides the department's head
	Unknown     bool     `json:"unknown,omitempty"`
	Class       string   `json:"class,omitempty"` // of a dry run
}

func dueItemOf(i *apiv1.DueItem) dueItem {
	item := dueItem{
		Index: i.Index, Department: printable(i.Department), Series: printable(i.Series), Custody: printable(i.Custody), Standing: standingName(i.Standing),
		Missing: printables(i.Missing), Holds: append([]uint64{}, i.Holds...), Disposition: i.Disposition, Alone: i.OneByOne,
		Approvals: printables(i.Approvals), Unknown: i.Unknown,
	}
	if !i.Undated && !i.Unknown {
		item.Date = dayText(record.Day(i.Day))
	}
	if i.Known {
		item.DueDay = dayText(record.Day(i.DueDay))
	}
	return item
}

func printables(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = printable(s)
	}
	return out
}

// date is the day of the record as people read it.
func (i *dueItem) date() string {
	if i.Date == "" && !i.Unknown {
		return "undated"
	}
	return i.Date
}

// because says in words why the record stands where it stands.
func (i *dueItem) because() string {
	var why string
	switch i.Standing {
	case "due":
		if why = "since " + i.DueDay; i.DueDay == "" {
			why = "no period runs"
		}
	case "not-yet":
		why = "from " + i.DueDay + " on"
	case "waiting":
		why = "missing: " + strings.Join(i.Missing, "; ")
	case "held":
		why = "by hold " + listText(i.Holds)
	case "permanent":
		why = "the rule keeps it"
	case "no-rule":
		why = "no rule is in force for the series"
	case "locked":
		why = fmt.Sprintf("under disposition %d", i.Disposition)
	case standingUnknown:
		return "there is no such record"
	}
	if i.Alone {
		why += "; before 1900 or undated: alone, with the administrator's approval"
	}
	return why
}

// dueTotals counts records by where they stand.
type dueTotals struct {
	Records   uint64          `json:"records"`
	Standings []standingTotal `json:"standings"`
	LedgerDay string          `json:"ledger_day"` // by which was judged
	LogSize   uint64          `json:"log_size"`
}

type standingTotal struct {
	Standing string `json:"standing"`
	Records  uint64 `json:"records"`
}

func dueTotalsOf(t *apiv1.DueTotals) dueTotals {
	totals := dueTotals{Records: t.Records, Standings: []standingTotal{}, LedgerDay: dayText(record.Day(t.LedgerDay)), LogSize: t.LogSize}
	for _, s := range t.Standings {
		totals.Standings = append(totals.Standings, standingTotal{standingName(s.Standing), s.Records})
	}
	return totals
}

// String says the totals in one line.
func (t dueTotals) String() string {
	var parts []string
	for _, s := range t.Standings {
		parts = append(parts, fmt.Sprintf("%d %s", s.Records, s.Standing))
	}
	if len(parts) == 0 {
		parts = []string{"none"}
	}
	return fmt.Sprintf("%s: %s; by ledger day %s, %d entries", countText(int(t.Records)), strings.Join(parts, ", "), t.LedgerDay, t.LogSize)
}
