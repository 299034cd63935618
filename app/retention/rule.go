package retention

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a rule.
const (
	MaxTerms    = 24    // of a rule, each part and the whole counted
	MaxDepth    = 5     // of parts within parts; a rule without parts has depth 1
	MaxParts    = 8     // of later of and earlier of
	MaxCount    = 99999 // of days, months or years
	MaxText     = 2048  // bytes of a rule's text
	MaxCodeSize = 16    // bytes of a series code
)

// codeForm says what a series code is, for errors.
const codeForm = "1 to 16 of A to Z, 0 to 9, dot and hyphen, first a letter or digit, one letter at least"

// ErrRule is what every error about the form of a rule wraps.
var ErrRule = errors.New("retention rule")

// A Rule says how long a record is kept. Which fields count depends on its
// kind; the others are zero.
type Rule struct {
	Kind   Kind
	Count  uint32   // After, YearEnd, Need, Notice; 0 only in the first two, with Unit 0
	Unit   Unit     // of Count
	Event  Event    // After, YearEnd
	Year   YearKind // YearEnd
	Series string   // Follow ("" is the series named for the record), Merge
	Rules  []Rule   // Later and Earlier: 2 to 8; Review and Notice: 1
}

// Equal tells whether two rules are the same, field by field.
func (r Rule) Equal(o Rule) bool {
	return r.Kind == o.Kind && r.Count == o.Count && r.Unit == o.Unit && r.Event == o.Event &&
		r.Year == o.Year && r.Series == o.Series && slices.EqualFunc(r.Rules, o.Rules, Rule.Equal)
}

// Check tells whether the rule is one of the language: known kinds, counts and
// codes within their limits, no field that its kind does not have. It holds for
// whatever [Parse] gives.
func (r Rule) Check() error {
	terms := 0
	return r.check(1, &terms)
}

func (r *Rule) check(depth int, terms *int) error {
	if *terms++; *terms > MaxTerms {
		return fmt.Errorf("%w: more than %d terms", ErrRule, MaxTerms)
	}
	if depth > MaxDepth {
		return fmt.Errorf("%w: parts within parts, more than %d deep", ErrRule, MaxDepth)
	}
	if !r.Kind.Valid() {
		return fmt.Errorf("%w: kind %d is unknown", ErrRule, r.Kind)
	}
	// What the rule would be if it had nothing but the fields of its kind.
	allowed := Rule{Kind: r.Kind}
	low, high := 0, 0
	switch r.Kind {
	case After:
		allowed.Count, allowed.Unit, allowed.Event = r.Count, r.Unit, r.Event
	case YearEnd:
		allowed.Count, allowed.Unit, allowed.Event, allowed.Year = r.Count, r.Unit, r.Event, r.Year
	case Later, Earlier:
		low, high = 2, MaxParts
	case Follow, Merge:
		allowed.Series = r.Series
	case Need:
		allowed.Count, allowed.Unit = r.Count, r.Unit
	case Review:
		low, high = 1, 1
	case Notice:
		low, high = 1, 1
		allowed.Count, allowed.Unit = r.Count, r.Unit
	}
	if len(r.Rules) < low || len(r.Rules) > high {
		return fmt.Errorf("%w: %s has %d parts, and may have %d to %d", ErrRule, r.Kind, len(r.Rules), low, high)
	}
	allowed.Rules = r.Rules
	if r.Count != allowed.Count || r.Unit != allowed.Unit || r.Event != allowed.Event || r.Year != allowed.Year || r.Series != allowed.Series {
		return fmt.Errorf("%w: %s has a field that it does not use", ErrRule, r.Kind)
	}
	if err := r.checkFields(); err != nil {
		return err
	}
	for i := range r.Rules {
		if err := r.Rules[i].check(depth+1, terms); err != nil {
			return err
		}
	}
	return nil
}

// checkFields judges the fields that the kind has.
func (r *Rule) checkFields() error {
	open := r.Kind == After || r.Kind == YearEnd // may be without a period
	counted := open || r.Kind == Need || r.Kind == Notice
	switch {
	case counted && !(open && r.Count == 0 && r.Unit == 0) && (r.Count == 0 || r.Count > MaxCount || !r.Unit.Valid()):
		return fmt.Errorf("%w: %s has a period that is not 1 to %d days, months or years", ErrRule, r.Kind, MaxCount)
	case open && !r.Event.Valid():
		return fmt.Errorf("%w: event %d is unknown", ErrRule, r.Event)
	case r.Kind == YearEnd && !r.Year.Valid():
		return fmt.Errorf("%w: year %d is unknown", ErrRule, r.Year)
	case r.Kind == Merge && r.Series == "":
		return fmt.Errorf("%w: a file to merge into needs the code of its series", ErrRule)
	case r.Series != "" && !validCode(r.Series):
		return fmt.Errorf("%w: %.40q is no series code: %s", ErrRule, r.Series, codeForm)
	}
	return nil
}

// validCode tells whether s is a registered code by its form. One letter at
// least, so that no telephone number is a code.
func validCode(s string) bool {
	return s != "" && len(s) <= MaxCodeSize && s[0] != '.' && s[0] != '-' && codeLength(s) == len(s) &&
		strings.ContainsFunc(s, func(c rune) bool { return c >= 'A' && c <= 'Z' })
}

// codeLength counts the bytes at the front of s that a code may have.
func codeLength(s string) int {
	i := strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-')
	})
	if i < 0 {
		return len(s)
	}
	return i
}

// String gives the one spelling of the rule. Of a rule that does not pass
// [Rule.Check] it gives a text that Parse refuses, or that of another rule.
func (r Rule) String() string {
	var b strings.Builder
	r.write(&b)
	return b.String()
}

func (r *Rule) write(b *strings.Builder) {
	switch r.Kind {
	case After:
		if r.Count == 0 {
			b.WriteString("until ")
		} else {
			b.WriteString(period(r.Count, r.Unit) + " after ")
		}
		b.WriteString(r.Event.String())
	case YearEnd:
		if r.Count == 0 {
			b.WriteString("until")
		} else {
			b.WriteString(period(r.Count, r.Unit) + " after")
		}
		b.WriteString(" the end of the " + r.Year.String() + " year of " + r.Event.String())
	case Later, Earlier:
		b.WriteString(r.Kind.String() + " of (")
		for i := range r.Rules {
			if i > 0 {
				b.WriteString(", ")
			}
			r.Rules[i].write(b)
		}
		b.WriteString(")")
	case Review, Notice:
		b.WriteString(r.head())
		for i := range r.Rules {
			b.WriteString(": ")
			r.Rules[i].write(b)
		}
	default:
		b.WriteString(r.head())
	}
}

// head gives the words of a rule without those of its parts.
func (r *Rule) head() string {
	switch r.Kind {
	case Follow:
		if r.Series == "" {
			return "as the corresponding series"
		}
		return "as series " + r.Series
	case Merge:
		return "with the file of series " + r.Series
	case Need:
		return "as long as needed, at most " + period(r.Count, r.Unit)
	case Later, Earlier:
		if len(r.Rules) == 1 { // of versions of a schedule one may be left
			return r.Kind.String() + " of one period"
		}
		return r.Kind.String() + " of " + smallNumber(len(r.Rules)) + " periods"
	case Review:
		return "after archival review"
	case Notice:
		return "after " + period(r.Count, r.Unit) + " of notice"
	case After, YearEnd:
		return r.String()
	}
	return r.Kind.String()
}

// period writes a count with its unit: 1 year, 30 days.
func period(n uint32, u Unit) string {
	unit := u.String()
	if n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return strconv.FormatUint(uint64(n), 10) + " " + unit
}

// smallNumber writes the number of parts that a rule has.
func smallNumber(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight"}
	if n < len(words) {
		return words[n]
	}
	return strconv.Itoa(n)
}
