package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// dispositionReport is what disposition report prints as JSON: every
// disposition, whatever became of it. Refusals are entries of their own.
type dispositionReport struct {
	Department   string            `json:"department,omitempty"` // empty: every office
	Dispositions []dispositionInfo `json:"dispositions"`
	Totals       []reportTotal     `json:"totals"` // by status and action, those that occur
}

type reportTotal struct {
	Status       string `json:"status"`
	Action       string `json:"action"`
	Dispositions int    `json:"dispositions"`
	Records      uint64 `json:"records"`
}

func (p *program) dispositionReportCommand() *cobra.Command {
	var department, format string
	c := &cobra.Command{
		Use: "report", Short: "Report on all dispositions: what was proposed, approved, locked and done",
		Args:    exactly(0, "no arguments"),
		Example: "  muniment disposition report --department DPW --format csv",
	}
	c.Flags().StringVar(&department, "department", "", "only those of this office (default: every office)")
	formatFlag(c, &format)
	c.RunE = func(c *cobra.Command, _ []string) error {
		form, err := p.form(format)
		if err != nil {
			return err
		}
		infos, err := p.dispositions(c.Context(), department, false)
		if err != nil {
			return err
		}
		return p.report(dispositionReport{department, infos, reportTotals(infos)}, form)
	}
	return c
}

func reportTotals(infos []dispositionInfo) []reportTotal {
	totals := []reportTotal{}
next:
	for _, d := range infos {
		for i := range totals {
			if t := &totals[i]; t.Status == d.Status && t.Action == d.Action {
				t.Dispositions++
				t.Records += d.Count
				continue next
			}
		}
		totals = append(totals, reportTotal{d.Status, d.Action, 1, d.Count})
	}
	return totals
}

func (p *program) report(r dispositionReport, form string) error {
	if form == formatCSV {
		rows := make([][]string, len(r.Dispositions))
		for i := range r.Dispositions {
			rows[i] = r.Dispositions[i].cells()
		}
		return writeCSV(p.stdout, []string{
			"disposition", "department", "series", "action", "to", "records", "proposed", "standing_authorization", "approvals",
			"notice_day", "status", "lock", "reports_in", "reports_due", "hash",
		}, rows)
	}
	return p.show(r, func(w io.Writer) {
		for _, d := range r.Dispositions {
			fmt.Fprintf(w, "%d\t%s\t%s\t%s %s\t%s\t%s\t%s\n", d.Index, d.Department, d.Series, d.Action, countText(int(d.Count)), d.Day, d.Status, d.progress())
		}
		for _, t := range r.Totals {
			fmt.Fprintf(w, "%s %s: %s, %s\n", t.Status, t.Action, counted(t.Dispositions, "disposition"), countText(int(t.Records)))
		}
	})
}

// cells is the disposition as a line of a table.
func (d *dispositionInfo) cells() []string {
	optional := func(entry uint64) string {
		if entry == 0 {
			return ""
		}
		return strconv.FormatUint(entry, 10)
	}
	return []string{
		strconv.FormatUint(d.Index, 10), d.Department, d.Series, d.Action, d.To, strconv.FormatUint(d.Count, 10), d.Day, optional(d.Standing),
		strings.Join(d.approvedBy(), "; "), d.NoticeDay, d.Status, optional(d.Lock), strconv.Itoa(d.reportsIn()), strconv.Itoa(len(d.Reports) - d.reportsIn()), d.Hash,
	}
}
