package retention

import "slices"

// MaxFollows is how often a series may refer to another in one judgement: a
// record follows a series, whose records go into a file.
const MaxFollows = 2

// A Step is one line of an explanation.
type Step struct {
	Depth int    // 0 for the rule itself, one more for each part within
	Text  string // in plain words, with dates
}

// A Verdict is what a rule says of a record on a day.
type Verdict struct {
	Status Status
	// Due is the first day on which the record is due; for Due and NotYet, else 0.
	// A rule of kind None is due from [MinDay]; a period that reaches the end of
	// the calendar has MaxDay+1, which never comes.
	Due         Day
	Missing     []string // for Waiting: the facts that are missing, in words, each once
	Review      bool     // an archivist reviews the record before destruction
	NoticeCount uint32   // notice that the person concerned is given before destruction, or 0
	NoticeUnit  Unit
	Why         []Step
}

// Evaluate judges a record on a day and explains itself. It takes any rule and
// any facts; what it cannot make sense of keeps the record. Lookup may be nil.
func Evaluate(r Rule, f Facts, today Day, lookup Lookup) Verdict {
	j := judgement{today: min(today, MaxDay), lookup: lookup, explain: true}
	return j.verdict(&r, &f)
}

// Judge is Evaluate without Why, for long lists.
func Judge(r Rule, f Facts, today Day, lookup Lookup) Verdict {
	j := judgement{today: min(today, MaxDay), lookup: lookup}
	return j.verdict(&r, &f)
}

// A judgement is one evaluation on its way.
type judgement struct {
	today   Day
	lookup  Lookup
	explain bool

	why    []Step
	review bool
	notice span
}

// sure orders ends: what has a day comes before what waits for facts, and that
// before what never ends.
type sure uint8

const (
	known sure = iota
	open
	never
)

// An end is the end of a period.
type end struct {
	sure    sure
	due     Day      // if known: the first day after the period
	gap     gap      // if open for one reason
	within  bool     // that reason lies with a part, whose line tells it
	missing []string // if open for several reasons
}

func openFor(g gap) end { return end{sure: open, gap: g} }

// lacks lists what is missing. It is put off until somebody asks: most ends
// that are open are not the one that decides.
func (e end) lacks() []string {
	if e.gap != (gap{}) {
		return []string{e.gap.what}
	}
	return e.missing
}

// lastDay is the end of a period that includes d.
func lastDay(d Day) end { return end{due: d + 1} }

func (j *judgement) verdict(r *Rule, f *Facts) Verdict {
	e := j.term(r, f, 0, 0)
	v := Verdict{
		Status: j.status(e), Missing: e.lacks(),
		Review: j.review, NoticeCount: j.notice.count, NoticeUnit: j.notice.unit, Why: j.why,
	}
	if e.sure == known {
		v.Due = e.due
	}
	return v
}

func (j *judgement) status(e end) Status {
	switch {
	case e.sure == never:
		return Never
	case e.sure == open:
		return Waiting
	case e.due <= j.today:
		return Due
	}
	return NotYet
}

// term judges a rule and, when explaining, writes its line above those of its
// parts.
func (j *judgement) term(r *Rule, f *Facts, depth, follows int) end {
	at := len(j.why)
	if j.explain {
		j.why = append(j.why, Step{Depth: depth})
	}
	e := j.end(r, f, depth, follows)
	if j.explain {
		j.why[at].Text = j.line(r, f, e)
	}
	return e
}

func (j *judgement) end(r *Rule, f *Facts, depth, follows int) end {
	switch r.Kind {
	case None:
		return end{due: MinDay}
	case Permanent, Indefinite:
		return end{sure: never}
	case After, YearEnd:
		return after(r, f)
	case Need:
		ended := after(&Rule{Kind: After, Event: NeedEnded}, f)
		return earlierOf(ended, after(&Rule{Kind: After, Count: r.Count, Unit: r.Unit, Event: Created}, f))
	case Later, Earlier, Review, Notice:
		return j.parts(r, f, depth, follows)
	case Follow, Merge:
		rule, facts, missing, ok := j.refer(r, f, follows)
		if !ok {
			return openFor(missing)
		}
		e := j.term(&rule, facts, depth+1, follows+1)
		e.within = true
		return e
	}
	return openFor(gapReadable)
}

// after judges a period that an event starts.
func after(r *Rule, f *Facts) end {
	day, missing, ok := f.when(r.Event)
	if !ok {
		return openFor(missing)
	}
	if r.Kind == YearEnd {
		if r.Year == FiscalYear && !f.fiscal() {
			return openFor(gapFiscal)
		}
		day = EndOfYear(day, r.Year, f.FiscalStart)
	}
	if r.Event == Audited && r.Kind == After && r.Count == 0 {
		return end{due: day} // the ledger knows the moment of the posting
	}
	return lastDay(Add(day, r.Count, r.Unit))
}

// parts judges a rule that is made of others. All of them are judged, so that
// review and notice are owed whichever part decides.
func (j *judgement) parts(r *Rule, f *Facts, depth, follows int) end {
	switch r.Kind {
	case Review:
		j.review = true
	case Notice:
		j.notice = j.notice.longer(span{r.Count, r.Unit})
	}
	var all end
	for i := range r.Rules {
		e := j.term(&r.Rules[i], f, depth+1, follows)
		e.within = true
		switch {
		case i == 0:
			all = e
		case r.Kind == Earlier:
			all = earlierOf(all, e)
		default:
			all = laterOf(all, e)
		}
	}
	if len(r.Rules) == 0 {
		return openFor(gapReadable)
	}
	return all
}

// laterOf gives the later end; what waits for facts is later than any day.
func laterOf(a, b end) end {
	switch {
	case a.sure == open && b.sure == open:
		return end{sure: open, missing: union(a.lacks(), b.lacks())}
	case b.sure > a.sure, b.sure == a.sure && b.due > a.due:
		return b
	}
	return a
}

// earlierOf gives the earlier end.
func earlierOf(a, b end) end {
	switch {
	case a.sure == open && b.sure == open:
		return end{sure: open, missing: union(a.lacks(), b.lacks())}
	case b.sure < a.sure, b.sure == a.sure && b.due < a.due:
		return b
	}
	return a
}

// union appends what is not there yet. It leaves both lists as they are.
func union(a, b []string) []string {
	all := slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// refer gives the rule and the facts that a rule refers to.
func (j *judgement) refer(r *Rule, f *Facts, follows int) (Rule, *Facts, gap, bool) {
	series, facts := r.Series, f
	switch {
	case r.Kind == Follow && series == "":
		if series = f.Series; series == "" {
			return Rule{}, nil, gapNamed, false
		}
	case r.Kind == Merge:
		if facts = f.File; facts == nil || facts.Series != series {
			return Rule{}, nil, gap{"the file of series " + series + " into which the record was merged", "has not been recorded"}, false
		}
	}
	if follows == MaxFollows {
		return Rule{}, nil, gap{"a rule of series " + series + " that can be reached without further detours", "is missing"}, false
	}
	if j.lookup != nil {
		if rule, ok := j.lookup(series); ok {
			return rule, facts, gap{}, true
		}
	}
	return Rule{}, nil, gap{"a rule in force for series " + series, "is missing"}, false
}
