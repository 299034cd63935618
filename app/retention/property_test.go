package retention

import (
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var someSeries = []string{"CT-A", "CT-B", "CT-C"}

// anyRule draws a rule of at most the given depth.
func anyRule(depth int) *rapid.Generator[Rule] {
	return rapid.Custom(func(t *rapid.T) Rule {
		kinds := []Kind{After, After, After, YearEnd, Need, None, Permanent, Indefinite, Follow, Merge}
		if depth > 1 {
			kinds = append(kinds, Later, Later, Earlier, Earlier, Review, Notice)
		}
		r := Rule{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		counted := func() {
			r.Count = rapid.SampledFrom([]uint32{1, 2, 3, 12, 24, 30, 31, 365, 366, 99999}).Draw(t, "count")
			r.Unit = Unit(rapid.IntRange(1, 3).Draw(t, "unit"))
		}
		switch r.Kind {
		case After, YearEnd:
			if rapid.Bool().Draw(t, "period") {
				counted()
			}
			r.Event = rapid.SampledFrom([]Event{Created, Audited, Closed, Closed, Disposed}).Draw(t, "event")
			if r.Kind == YearEnd {
				r.Year = YearKind(rapid.IntRange(1, 2).Draw(t, "year"))
			}
		case Later, Earlier:
			r.Rules = rapid.SliceOfN(anyRule(depth-1), 2, 3).Draw(t, "rules")
		case Review:
			r.Rules = []Rule{anyRule(depth-1).Draw(t, "rule")}
		case Notice:
			counted()
			r.Rules = []Rule{anyRule(depth-1).Draw(t, "rule")}
		case Need:
			counted()
		case Follow:
			r.Series = rapid.SampledFrom(append([]string{""}, someSeries...)).Draw(t, "series")
		case Merge:
			r.Series = rapid.SampledFrom(someSeries).Draw(t, "series")
		}
		return r
	})
}

// anyFacts draws facts of a record, of one that was merged into a file if deep.
func anyFacts(deep bool) *rapid.Generator[Facts] {
	return rapid.Custom(func(t *rapid.T) Facts {
		f := Facts{
			Created: nearDay().Draw(t, "created"), Undated: rapid.IntRange(0, 5).Draw(t, "undated") == 0,
			FiscalStart: time.Month(rapid.IntRange(0, 12).Draw(t, "fiscal start")),
			Series:      rapid.SampledFrom(append([]string{""}, someSeries...)).Draw(t, "named"),
		}
		f.Events = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Fact {
			return Fact{rapid.SampledFrom([]Event{Closed, Disposed, NeedEnded, Created, Audited}).Draw(t, "event"), nearDay().Draw(t, "day")}
		}), 0, 4).Draw(t, "events")
		through, posted := f.Created, f.Created
		for range rapid.IntRange(0, 3).Draw(t, "audits") {
			through += Day(rapid.IntRange(1, 400).Draw(t, "through"))
			posted = max(posted, through) + Day(rapid.IntRange(0, 400).Draw(t, "posted"))
			f.Audits = append(f.Audits, Audit{through, posted})
		}
		if deep && rapid.Bool().Draw(t, "merged") {
			file := anyFacts(false).Draw(t, "file")
			f.File = &file
		}
		return f
	})
}

// anyLookup draws rules for some of the series.
func anyLookup(t *rapid.T) Lookup {
	rules := make([]Rule, len(someSeries))
	for i := range rules {
		if rapid.Bool().Draw(t, "in force") {
			rules[i] = anyRule(2).Draw(t, "rule of "+someSeries[i])
		}
	}
	return func(series string) (Rule, bool) {
		for i := range rules {
			if series == someSeries[i] && rules[i].Kind != 0 {
				return rules[i], true
			}
		}
		return Rule{}, false
	}
}

// order makes ends comparable: days, then what waits, then never.
func order(v Verdict) int64 {
	switch v.Status {
	case Waiting:
		return math.MaxInt64 - 1
	case Never:
		return math.MaxInt64
	}
	return int64(v.Due)
}

func TestRuleRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRule(3).Draw(t, "rule")
		if err := r.Check(); err != nil {
			return // more terms than a rule may have
		}
		back, err := Parse(r.String())
		if err != nil || !reflect.DeepEqual(back, r) || !back.Equal(r) {
			t.Fatalf("%+v is written %q, which is read as %+v, %v", r, r, back, err)
		}
	})
}

// Judge and Evaluate agree, and both are functions of their arguments.
func TestJudgeAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, f, today, lookup := anyRule(3).Draw(t, "rule"), anyFacts(true).Draw(t, "facts"), nearDay().Draw(t, "today"), anyLookup(t)
		explained, short := Evaluate(r, f, today, lookup), Judge(r, f, today, lookup)
		if len(explained.Why) == 0 || short.Why != nil {
			t.Fatalf("Evaluate explains in %d lines, Judge in %d", len(explained.Why), len(short.Why))
		}
		if again := Evaluate(r, f, today, lookup); !reflect.DeepEqual(again, explained) {
			t.Fatalf("%q: %+v, and again: %+v", r, explained, again)
		}
		explained.Why = nil
		if !reflect.DeepEqual(explained, short) {
			t.Fatalf("%q: Evaluate says %+v, Judge %+v", r, explained, short)
		}
	})
}

// A verdict is in itself sound: due from its day on and not before; waiting for
// something; what is due stays due.
func TestVerdictIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, f, today, lookup := anyRule(3).Draw(t, "rule"), anyFacts(true).Draw(t, "facts"), nearDay().Draw(t, "today"), anyLookup(t)
		v := Judge(r, f, today, lookup)
		if !v.Status.Valid() || (len(v.Missing) > 0) != (v.Status == Waiting) {
			t.Fatalf("%q: %s, missing %q", r, v.Status, v.Missing)
		}
		if v.Status == Due || v.Status == NotYet {
			if (v.Due <= today) != (v.Status == Due) {
				t.Fatalf("%q: %s on %s, due %s", r, v.Status, today, v.Due)
			}
			before, on := Judge(r, f, v.Due-1, lookup), Judge(r, f, v.Due, lookup)
			if v.Due > MinDay && before.Status != NotYet || v.Due <= MaxDay && on.Status != Due {
				t.Fatalf("%q: due %s, but %s the day before and %s then", r, v.Due, before.Status, on.Status)
			}
		} else if v.Due != 0 {
			t.Fatalf("%q: %s, due %s", r, v.Status, v.Due)
		}
		if later := Judge(r, f, today+1, lookup); order(later) != order(v) {
			t.Fatalf("%q: the end moves from %+v to %+v overnight", r, v, later)
		}
	})
}

// The later of some rules is never due before any of them, and the earlier
// never after; duties of the parts are duties of the whole.
func TestLaterAndEarlier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(anyRule(2), 2, 4).Draw(t, "parts")
		f, today, lookup := anyFacts(true).Draw(t, "facts"), nearDay().Draw(t, "today"), anyLookup(t)
		later := Judge(Rule{Kind: Later, Rules: parts}, f, today, lookup)
		earlier := Judge(Rule{Kind: Earlier, Rules: parts}, f, today, lookup)
		latest, earliest := int64(math.MinInt64), int64(math.MaxInt64)
		for _, part := range parts {
			v := Judge(part, f, today, lookup)
			latest, earliest = max(latest, order(v)), min(earliest, order(v))
			if v.Review && !(later.Review && earlier.Review) || v.NoticeCount > 0 && (later.NoticeCount == 0 || earlier.NoticeCount == 0) {
				t.Fatalf("%q: its review or notice is lost", part)
			}
		}
		if order(later) != latest || order(earlier) != earliest {
			t.Fatalf("later %+v, earlier %+v, of %v", later, earlier, parts)
		}
	})
}

// A local rule that is accepted as not shorter is never due before the state's,
// and owes at least its duties.
func TestNotShorterHolds(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		state := anyRule(3).Draw(t, "state")
		local := anyRule(3).Draw(t, "local")
		switch rapid.IntRange(0, 3).Draw(t, "related") { // unrelated rules are rarely comparable
		case 0:
			local = Rule{Kind: Later, Rules: []Rule{local, state}}
		case 1:
			local = state
			local.Count += uint32(rapid.IntRange(0, 2).Draw(t, "more"))
		case 2:
			state = Rule{Kind: Earlier, Rules: []Rule{state, local}}
		}
		if !NotShorter(local, state) {
			return
		}
		accepted++
		f, today, lookup := anyFacts(true).Draw(t, "facts"), nearDay().Draw(t, "today"), anyLookup(t)
		l, s := Judge(local, f, today, lookup), Judge(state, f, today, lookup)
		if order(l) < order(s) {
			t.Fatalf("local %q ends %+v before state %q, %+v", local, l, state, s)
		}
		if l.Status == Never {
			return
		}
		if s.Review && !l.Review || !(span{l.NoticeCount, l.NoticeUnit}).atLeast(span{s.NoticeCount, s.NoticeUnit}) {
			t.Fatalf("local %q owes %+v, state %q %+v", local, l, state, s)
		}
	})
	if accepted == 0 {
		t.Error("no two rules were comparable")
	}
}

// An event that is recorded again, or on a later day, never makes a record due
// earlier than it was.
func TestLaterFactsNeverShorten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, f, today, lookup := anyRule(3).Draw(t, "rule"), anyFacts(true).Draw(t, "facts"), nearDay().Draw(t, "today"), anyLookup(t)
		if len(f.Events) == 0 {
			return
		}
		moved := f
		moved.Events = append([]Fact(nil), f.Events...)
		i := rapid.IntRange(0, len(f.Events)-1).Draw(t, "which")
		moved.Events[i].Day += Day(rapid.IntRange(0, 4000).Draw(t, "by"))
		moved.Events = append(moved.Events, f.Events[i])
		if before, after := Judge(r, f, today, lookup), Judge(r, moved, today, lookup); order(after) < order(before) {
			t.Fatalf("%q: %+v with %v, %+v with %v", r, before, f.Events, after, moved.Events)
		}
	})
}
