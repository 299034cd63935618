package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

// holdScope is what the command line says a hold covers.
type holdScope struct {
	records            []string
	department, series string
	from, to           string
	city               bool
}

func (h *holdScope) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&h.department, "department", "", "office whose records are covered, those to come too")
	f.StringVar(&h.series, "series", "", "series of that office (default: all its series)")
	f.BoolVar(&h.city, "city", false, "everything is covered, whatever comes too")
	f.StringVar(&h.from, "from", "", "first day of the records that are covered, as YYYY-MM-DD")
	f.StringVar(&h.to, "to", "", "last day of the records that are covered")
}

// scope reads what is covered. It may be empty.
func (h *holdScope) scope(ctx context.Context, s *session) (record.Scope, error) {
	named := 0
	for _, set := range []bool{len(h.records) > 0, h.department != "", h.city} {
		if set {
			named++
		}
	}
	days, err := parseDays(h.from, h.to)
	switch {
	case err != nil:
		return record.Scope{}, err
	case named > 1:
		return record.Scope{}, usage("name records, a department or the city, and one of them alone")
	case h.series != "" && h.department == "":
		return record.Scope{}, usage("whose series %s? give --department CODE", printable(h.series))
	case days.bounded && (named == 0 || len(h.records) > 0):
		return record.Scope{}, usage("days bound what is covered of a department or of the city: give --department CODE or --city")
	}
	scope := record.Scope{City: h.city, Dated: days.bounded, From: days.from, To: days.to}
	if scope.Department, err = parseCode("office", h.department); err != nil {
		return record.Scope{}, err
	}
	if scope.Series, err = parseCode("series", h.series); err != nil {
		return record.Scope{}, err
	}
	scope.Records, err = s.recordList(ctx, h.records, "")
	return scope, err
}

// parseCode reads a code that may be left out.
func parseCode(what, text string) (record.Code, error) {
	if code := record.Code(text); text == "" || code.Valid() {
		return code, nil
	}
	return "", usage("%s %q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", what, printable(text))
}

// The days that a side which is left out stands for.
const (
	firstDay = "0001-01-01"
	lastDay  = "9999-12-31"
)

// dayRange bounds the days of records, both ends included.
type dayRange struct {
	bounded  bool
	from, to record.Day
}

// parseDays reads a range of days; either side, or both, may be left out.
func parseDays(from, to string) (dayRange, error) {
	if from == "" && to == "" {
		return dayRange{}, nil
	}
	if from == "" {
		from = firstDay
	}
	if to == "" {
		to = lastDay
	}
	first, err := parseDay(from)
	if err != nil {
		return dayRange{}, err
	}
	last, err := parseDay(to)
	if err != nil {
		return dayRange{}, err
	}
	if first > last {
		return dayRange{}, usage("the days end before they begin: %s to %s", from, to)
	}
	return dayRange{true, first, last}, nil
}

// maxRecords is how many records one command line may name.
const maxRecords = 1 << 20

// recordList reads records from a command line: entry indexes, ranges of them
// as 40-59, and CIDs, whose records are looked up and verified. Department says
// whose record a CID is; empty means the acting office. The list ascends.
func (s *session) recordList(ctx context.Context, args []string, department string) ([]record.Index, error) {
	var list []record.Index
	for _, text := range args {
		first, last, err := parseRange(text)
		if err != nil && strings.Contains(text, "-") {
			return nil, err
		}
		if err != nil {
			r, err := parseReference(text)
			if err != nil {
				return nil, err
			}
			a, err := s.resolve(ctx, r, department)
			if err != nil {
				return nil, err
			}
			first, last = record.Index(a.index), record.Index(a.index)
		}
		if int64(last-first) >= maxRecords || len(list) > maxRecords {
			return nil, usage("more than %d records are named", maxRecords)
		}
		for i := first; i <= last; i++ {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	if twice := len(list); len(slices.Compact(slices.Clone(list))) != twice {
		return nil, usage("a record is named twice")
	}
	return list, nil
}

// parseRange reads an entry index, or two as 40-59.
func parseRange(text string) (first, last record.Index, err error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	if first, err = parseIndex(from); err != nil {
		return 0, 0, err
	}
	if last, err = parseIndex(to); err != nil {
		return 0, 0, err
	}
	if isRange && first >= last {
		return 0, 0, usage("%s is no range of entry indexes", printable(text))
	}
	return first, last, nil
}

// maxRuns is how many runs of numbers are written where a line has to stay short.
const maxRuns = 4

// listText writes numbers as people read them: 3, 5-9, 12.
func listText[T ~int64 | ~uint64 | ~uint32](list []T) string { return runsText(list, len(list)) }

// fewText writes no more than the first runs of numbers: 3, 5-9 and 40 more.
func fewText[T ~int64 | ~uint64 | ~uint32](list []T) string { return runsText(list, maxRuns) }

func runsText[T ~int64 | ~uint64 | ~uint32](list []T, most int) string {
	var b strings.Builder
	for i := 0; i < len(list); most-- {
		if most == 0 {
			return b.String() + " and " + strconv.Itoa(len(list)-i) + " more"
		}
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(uint64(list[i]), 10))
		if j > i {
			b.WriteString("-" + strconv.FormatUint(uint64(list[j]), 10))
		}
		i = j + 1
	}
	return b.String()
}
