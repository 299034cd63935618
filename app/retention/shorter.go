package retention

import "slices"

// NotShorter tells whether a local rule keeps every record at least as long as
// a state rule does, whatever the facts, and takes over its archival review and
// its notice. It is true only where the form of the rules proves it; two rules
// that happen to agree for other reasons are not accepted.
func NotShorter(local, state Rule) bool {
	if local.Check() != nil || state.Check() != nil {
		return false
	}
	if notShorter(&local, &Rule{Kind: Permanent}) {
		return true // never destroyed: nothing to review or to give notice of
	}
	if !notShorter(&local, &state) {
		return false
	}
	var l, s duties
	l.collect(&local)
	s.collect(&state)
	return l.cover(s)
}

// notShorter compares ends alone.
func notShorter(l, s *Rule) bool {
	switch {
	case s.Kind == None, l.Kind == Permanent, l.Kind == Indefinite, l.Equal(*s):
		return true
	case l.Kind == Review, l.Kind == Notice:
		return notShorter(&l.Rules[0], s)
	case s.Kind == Review, s.Kind == Notice:
		return notShorter(l, &s.Rules[0])
	case s.Kind == Later:
		return all(s.Rules, func(part *Rule) bool { return notShorter(l, part) })
	case l.Kind == Earlier:
		return all(l.Rules, func(part *Rule) bool { return notShorter(part, s) })
	case l.Kind == Need:
		return all(l.needParts(), func(part *Rule) bool { return notShorter(part, s) })
	}
	// Of a local later-of and a state earlier-of, one part each may decide.
	switch {
	case l.Kind == Later && some(l.Rules, func(part *Rule) bool { return notShorter(part, s) }):
		return true
	case s.Kind == Earlier:
		return some(s.Rules, func(part *Rule) bool { return notShorter(l, part) })
	case s.Kind == Need:
		return some(s.needParts(), func(part *Rule) bool { return notShorter(l, part) })
	}
	return notShorterTerm(l, s)
}

// notShorterTerm compares two periods that the same event starts. The end of
// the year is never before the event; nothing is known the other way round
// except between equal years.
func notShorterTerm(l, s *Rule) bool {
	counted := (l.Kind == After || l.Kind == YearEnd) && (s.Kind == After || s.Kind == YearEnd)
	if !counted || l.Event != s.Event {
		return false
	}
	if s.Kind == YearEnd && (l.Kind != YearEnd || l.Year != s.Year) {
		return false
	}
	return span{l.Count, l.Unit}.atLeast(span{s.Count, s.Unit})
}

// needParts gives the two periods of which a need is the earlier.
func (r *Rule) needParts() []Rule {
	return []Rule{
		{Kind: After, Event: NeedEnded},
		{Kind: After, Count: r.Count, Unit: r.Unit, Event: Created},
	}
}

func all(rules []Rule, holds func(*Rule) bool) bool {
	for i := range rules {
		if !holds(&rules[i]) {
			return false
		}
	}
	return true
}

func some(rules []Rule, holds func(*Rule) bool) bool {
	return !all(rules, func(r *Rule) bool { return !holds(r) })
}

// duties are what is owed before destruction. A rule that refers to another
// series owes what that series owes.
type duties struct {
	review bool
	notice span
	refers []Rule
}

func (d *duties) collect(r *Rule) {
	switch r.Kind {
	case Review:
		d.review = true
	case Notice:
		d.notice = d.notice.longer(span{r.Count, r.Unit})
	case Follow, Merge:
		d.refers = append(d.refers, *r)
	}
	for i := range r.Rules {
		d.collect(&r.Rules[i])
	}
}

// cover tells whether d owes all that s owes.
func (d *duties) cover(s duties) bool {
	for _, refer := range s.refers {
		if !slices.ContainsFunc(d.refers, refer.Equal) {
			return false
		}
	}
	return (d.review || !s.review) && d.notice.atLeast(s.notice)
}
