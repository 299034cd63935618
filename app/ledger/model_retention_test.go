package ledger_test

import (
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// When a period ends, from docs/spec/retention.md. The model reads the types of
// package retention and none of its judgements.

// The first and the last day of the calendar.
const modelFirstDay, modelLastDay = -719162, 2932896

// modelEnd is the end of a period, ordered: days, open, never.
type modelEnd struct {
	sure int // 0: a day, 1: open, 2: never
	due  int // the first day after it
}

func (e modelEnd) before(other modelEnd) bool {
	return e.sure < other.sure || e.sure == other.sure && e.due < other.due
}

var modelOpen, modelNever = modelEnd{sure: 1}, modelEnd{sure: 2}

// modelFacts is what is known of a record.
type modelFacts struct {
	created record.Day
	undated bool
	events  map[retention.Event]record.Day
	series  record.Code // named for it, or that of the file
	file    *modelFacts
	audit   *modelPosting // that covers the year of the record
	fiscal  uint32
}

// modelJudgement is a rule on its way through its parts.
type modelJudgement struct {
	*model
	record record.Index
	today  record.Day
	cited  []int64 // rules of other series that were looked up
	review bool
	notice retention.Rule // the longest
}

func modelDate(d int) time.Time { return time.Date(1970, 1, 1+d, 0, 0, 0, 0, time.UTC) }

func modelDayOf(t time.Time) int { return int(t.Unix() / 86400) }

func (j *modelJudgement) end(r retention.Rule, f *modelFacts, references int) modelEnd {
	var ends []modelEnd
	for _, part := range r.Rules {
		ends = append(ends, j.end(part, f, references))
	}
	switch r.Kind {
	case retention.None:
		return modelEnd{due: modelFirstDay}
	case retention.Permanent, retention.Indefinite:
		return modelNever
	case retention.After, retention.YearEnd:
		return f.after(r)
	case retention.Later:
		return slices.MaxFunc(ends, modelOrder)
	case retention.Earlier:
		return slices.MinFunc(ends, modelOrder)
	case retention.Need:
		ended := f.after(retention.Rule{Event: retention.NeedEnded})
		limit := f.after(retention.Rule{Event: retention.Created, Count: r.Count, Unit: r.Unit})
		return slices.MinFunc([]modelEnd{ended, limit}, modelOrder)
	case retention.Review:
		j.review = true
		return ends[0]
	case retention.Notice:
		if modelAdd(0, r.Count, r.Unit) > modelAdd(0, j.notice.Count, j.notice.Unit) {
			j.notice = r
		}
		return ends[0]
	}
	return j.refer(r, f, references)
}

func modelOrder(a, b modelEnd) int {
	switch {
	case a.before(b):
		return -1
	case b.before(a):
		return 1
	}
	return 0
}

// refer judges by the rules of another series.
func (j *modelJudgement) refer(r retention.Rule, f *modelFacts, references int) modelEnd {
	series := record.Code(r.Series)
	if r.Kind == retention.Follow && series == "" {
		series = f.series
	}
	if r.Kind == retention.Merge {
		if f.file == nil || f.file.series != series {
			return modelOpen
		}
		f = f.file
	}
	if series == "" || references == 2 {
		return modelOpen
	}
	end := modelOpen
	for i, b := range j.binding(series, j.record, j.today) {
		j.cited = append(j.cited, b.stated)
		if e := j.end(b.rule.Rule, f, references+1); i == 0 || end.before(e) {
			end = e
		}
	}
	return end
}

// after judges a period that runs from an event, or from the end of its year.
func (f *modelFacts) after(r retention.Rule) modelEnd {
	day := int(f.created)
	switch r.Event {
	case retention.Created:
		if f.undated {
			return modelOpen
		}
	case retention.Audited:
		if f.undated || f.audit == nil || int(f.audit.through) < modelYearEnd(day, f.fiscal) {
			return modelOpen
		}
		if day = int(f.audit.posted); r.Kind == retention.After && r.Count == 0 {
			return modelEnd{due: day} // the moment of the posting is known
		}
	default:
		at, ok := f.events[r.Event]
		if !ok {
			return modelOpen
		}
		day = int(at)
	}
	if r.Kind == retention.YearEnd {
		start := uint32(1)
		if r.Year == retention.FiscalYear {
			start = f.fiscal
		}
		day = modelYearEnd(day, start)
	}
	return modelEnd{due: modelAdd(day, r.Count, r.Unit) + 1}
}

// modelYearEnd walks to the day before the first of a month.
func modelYearEnd(day int, start uint32) int {
	for day < modelLastDay {
		next := modelDate(day + 1)
		if next.Day() == 1 && next.Month() == time.Month(start) {
			break
		}
		day++
	}
	return day
}

// modelAdd adds a period: the same day of the month, or the last of a shorter one.
func modelAdd(day int, n uint32, u retention.Unit) int {
	sum := day + int(n)
	if u != retention.Days && n > 0 {
		months := int(n)
		if u == retention.Years {
			months *= 12
		}
		date := modelDate(day)
		first := time.Date(date.Year(), date.Month()+time.Month(months), 1, 0, 0, 0, 0, time.UTC)
		last := first.AddDate(0, 1, -1)
		if sum = modelDayOf(first) + date.Day() - 1; sum > modelDayOf(last) {
			sum = modelDayOf(last)
		}
	}
	return min(sum, modelLastDay)
}

// modelNotShorter compares rules of a few forms, as the last section of the page
// does: local rules owe no review and no notice and refer to nothing.
func modelNotShorter(l, s retention.Rule) bool {
	if modelOwes(s) {
		return modelOutlasts(l, retention.Rule{Kind: retention.Permanent})
	}
	return modelOutlasts(l, s)
}

// modelOwes tells whether a rule owes more than time.
func modelOwes(r retention.Rule) bool {
	switch r.Kind {
	case retention.Review, retention.Notice, retention.Follow, retention.Merge:
		return true
	}
	return slices.ContainsFunc(r.Rules, modelOwes)
}

func modelOutlasts(l, s retention.Rule) bool {
	outlasted := func(part retention.Rule) bool { return modelOutlasts(l, part) }
	outlasts := func(part retention.Rule) bool { return modelOutlasts(part, s) }
	switch {
	case s.Kind == retention.None, l.Kind == retention.Permanent, l.Kind == retention.Indefinite, l.Equal(s):
		return true
	case s.Kind == retention.Later:
		return !slices.ContainsFunc(s.Rules, func(r retention.Rule) bool { return !outlasted(r) })
	case l.Kind == retention.Earlier:
		return !slices.ContainsFunc(l.Rules, func(r retention.Rule) bool { return !outlasts(r) })
	case l.Kind == retention.Later && slices.ContainsFunc(l.Rules, outlasts):
		return true
	case s.Kind == retention.Earlier:
		return slices.ContainsFunc(s.Rules, outlasted)
	case s.Kind == retention.Need:
		limit := retention.Rule{Kind: retention.After, Count: s.Count, Unit: s.Unit, Event: retention.Created}
		return outlasted(retention.Rule{Kind: retention.After, Event: retention.NeedEnded}) || outlasted(limit)
	}
	period := func(r retention.Rule) bool { return r.Kind == retention.After || r.Kind == retention.YearEnd }
	if !period(l) || !period(s) || l.Event != s.Event || s.Kind == retention.YearEnd && (l.Kind != s.Kind || l.Year != s.Year) {
		return false
	}
	return s.Count == 0 || l.Unit == s.Unit && l.Count >= s.Count
}
