package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// result is one line of the table.
type result struct {
	name     string
	unit     string // of both figures, as "anchors/s"
	ours     samples
	baseline string // what the baseline is
	base     samples
	target   target
	clients  string
	cpu      samples // processor time of all our processes, microseconds per operation
	baseCPU  samples
	disk     samples // bytes on disk per operation, by how much the folder grew
	baseDisk float64
	sync     samples // fsync p50 of the moment, ms
	others   samples // processors that others kept busy
	note     string
	notRun   string // why it was not measured
}

// target is what a figure is to reach.
type target struct {
	text string
	met  func(ours, ratio float64) bool // nil: nothing to reach
}

func ratioAtLeast(r float64, text string) target {
	return target{text, func(_, ratio float64) bool { return ratio >= r }}
}

func ratioAtMost(r float64, text string) target {
	return target{text, func(_, ratio float64) bool { return ratio <= r }}
}

func atMost(v float64, text string) target {
	return target{text, func(ours, _ float64) bool { return ours <= v }}
}

func (r result) ratio() float64 {
	if len(r.base) == 0 || r.base.median() == 0 {
		return 0
	}
	return r.ours.median() / r.base.median()
}

func (r result) verdict() string {
	switch {
	case r.notRun != "":
		return "not run: " + strings.ReplaceAll(r.notRun, "\n", "; ")
	case r.target.met == nil || len(r.ours) == 0:
		return "-"
	case r.target.met(r.ours.median(), r.ratio()):
		return "reached"
	}
	return "MISSED"
}

// table is what a run gave.
type table struct {
	short   bool
	rounds  int
	at      time.Time
	results []result
}

var header = []string{"row", "ours", "baseline", "ratio", "target", "verdict", "CPU us/op ours (base)", "disk B/op ours (base)", "fsync p50 ms", "others' CPUs", "clients", "note"}

func (t table) cells(r result) []string {
	ratio := "-"
	if r.ratio() > 0 {
		ratio = fmt.Sprintf("%.2f", r.ratio())
	}
	base := figures(r.base)
	if r.baseline != "" && len(r.base) > 0 {
		base = r.baseline + ": " + base
	}
	ours := figures(r.ours)
	if len(r.ours) > 0 {
		ours += " " + r.unit
	}
	return []string{r.name, ours, base, ratio, dash(r.target.text), r.verdict(), beside(r.cpu.median(), r.baseCPU.median()),
		beside(max(0, r.disk.median()), r.baseDisk), plain(r.sync.median()), plain(r.others.median()), dash(r.clients), dash(r.note)}
}

// intro says when, where and how.
func (t table) intro() []string {
	how := fmt.Sprintf("medians of %d rounds, each beside its baseline; smallest and largest in brackets", t.rounds)
	if t.short {
		how = "SHORT RUN, which only shows that it works; " + how
	}
	return []string{t.at.UTC().Format("2006-01-02 15:04 UTC") + ", " + machine(), how}
}

// text gives the table for a terminal.
func (t table) text() string {
	var s strings.Builder
	for _, line := range t.intro() {
		fmt.Fprintln(&s, line)
	}
	w := tabwriter.NewWriter(&s, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, r := range t.results {
		fmt.Fprintln(w, strings.Join(t.cells(r), "\t"))
	}
	w.Flush()
	return s.String()
}

// markdown gives the table for docs/results.
func (t table) markdown() string {
	var s strings.Builder
	for _, line := range t.intro() {
		fmt.Fprintf(&s, "- %s\n", line)
	}
	fmt.Fprintf(&s, "\n| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |", len(header)))
	for _, r := range t.results {
		cells := t.cells(r)
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
		}
		fmt.Fprintf(&s, "| %s |\n", strings.Join(cells, " | "))
	}
	return s.String()
}

func figures(s samples) string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return number(s[0])
	}
	return fmt.Sprintf("%s [%s..%s]", number(s.median()), number(s.quantile(0)), number(s.quantile(1)))
}

// number writes a figure with three or so digits that count.
func number(v float64) string {
	switch {
	case v >= 100:
		digits := fmt.Sprintf("%.0f", v)
		for i := len(digits) - 3; i > 0; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func plain(v float64) string {
	if v == 0 {
		return "-"
	}
	return number(v)
}

func beside(ours, base float64) string {
	if base == 0 {
		return plain(ours)
	}
	return plain(ours) + " (" + number(base) + ")"
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// machine describes where this runs.
func machine() string {
	model := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}
