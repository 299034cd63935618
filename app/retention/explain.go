package retention

import "fmt"

// line says what a rule means for the record, and why.
func (j *judgement) line(r *Rule, f *Facts, e end) string {
	head := r.head()
	switch r.Kind {
	case None:
		return "none: the record may be disposed of at any time"
	case Permanent:
		return "permanent: kept for good"
	case Indefinite:
		return "indefinite: kept for good by local policy"
	case After, YearEnd:
		head += r.cause(f, e)
	case Need:
		head += needCause(f)
	case Follow:
		if r.Series == "" && f.Series != "" {
			head += " (" + f.Series + ")"
		}
	}
	text := head + ": " + j.outcome(r, e)
	switch {
	case e.sure == never: // nothing is destroyed
	case r.Kind == Review:
		text += "; before destruction an archivist reviews the record"
	case r.Kind == Notice:
		text += "; before destruction the person concerned is given " + period(r.Count, r.Unit) + " of notice"
	}
	return text
}

// cause gives the days from which a period runs, in parentheses.
func (r *Rule) cause(f *Facts, e end) string {
	day, _, ok := f.when(r.Event)
	switch {
	case !ok || e.sure != known:
		return ""
	case r.Kind == YearEnd:
		return fmt.Sprintf(" (%s, in the year that ends %s)", day.words(), EndOfYear(day, r.Year, f.FiscalStart).words())
	case r.Event == Audited:
		through, _, _ := f.fiscalEnd()
		return fmt.Sprintf(" (the audit of the fiscal year that ends %s was posted %s)", through.words(), day.words())
	}
	return " (" + day.words() + ")"
}

// needCause tells the two days that bound a need.
func needCause(f *Facts) string {
	created, _, dated := f.when(Created)
	ended, _, over := f.when(NeedEnded)
	switch {
	case dated && over:
		return fmt.Sprintf(" (created %s, needed until %s)", created.words(), ended.words())
	case dated:
		return fmt.Sprintf(" (created %s, still needed)", created.words())
	case over:
		return fmt.Sprintf(" (undated, needed until %s)", ended.words())
	}
	return " (undated, still needed)"
}

// outcome says how a period ends.
func (j *judgement) outcome(r *Rule, e end) string {
	switch {
	case e.sure == never:
		return "kept for good"
	case e.sure == open && !e.within && e.gap != gap{}:
		return e.gap.String()
	case e.sure == open && r.Kind == Later:
		return "kept until each of them has ended"
	case e.sure == open:
		return "kept, since facts are missing"
	case e.due == MinDay:
		return "may end at any time"
	case e.due > MaxDay:
		return "kept until the end of the calendar"
	case e.due <= j.today:
		return "ended on " + (e.due - 1).words()
	}
	return "kept until " + (e.due - 1).words()
}
