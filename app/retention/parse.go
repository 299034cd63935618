package retention

import (
	"fmt"
	"strings"
)

// Parse reads a rule. It accepts the one spelling that [Rule.String] gives: one
// blank between words, singular after 1, no leading zeros. Its errors say what
// is wrong, at which character (counted from 1), and what to write.
func Parse(text string) (Rule, error) {
	if len(text) > MaxText {
		return Rule{}, fmt.Errorf("%w: %d characters, and may have %d: write a shorter rule", ErrRule, len(text), MaxText)
	}
	p := parser{text: text}
	r, err := p.rule(1)
	if err == nil && p.at < len(text) {
		err = p.fault("%s is left over: end the rule here", p.word())
	}
	if err != nil {
		return Rule{}, err
	}
	if err := r.Check(); err != nil {
		return Rule{}, err
	}
	if r.String() != text {
		return Rule{}, fmt.Errorf("%w: not its one spelling: write %q", ErrRule, r.String())
	}
	return r, nil
}

// A parser reads a text from left to right.
type parser struct {
	text  string
	at    int
	terms int
}

// fault is an error at the place where the parser stands.
func (p *parser) fault(format string, args ...any) error {
	return fmt.Errorf("%w, character %d: %s", ErrRule, p.at+1, fmt.Sprintf(format, args...))
}

// take moves over a literal, if it is there.
func (p *parser) take(literal string) bool {
	if strings.HasPrefix(p.text[p.at:], literal) {
		p.at += len(literal)
		return true
	}
	return false
}

// need moves over a literal that must be there.
func (p *parser) need(literal string) error {
	if !p.take(literal) {
		return p.fault("%s stands where %q belongs: write it there", p.word(), literal)
	}
	return nil
}

// word quotes what stands at the parser's place, for an error.
func (p *parser) word() string {
	rest := p.text[p.at:]
	if rest == "" {
		return "the end"
	}
	if i := strings.IndexAny(rest[1:], " ,:()"); i >= 0 {
		rest = rest[:i+1]
	}
	return fmt.Sprintf("%.30q", rest)
}

func (p *parser) rule(depth int) (Rule, error) {
	if p.terms++; p.terms > MaxTerms {
		return Rule{}, p.fault("more than %d terms: write a simpler rule", MaxTerms)
	}
	if depth > MaxDepth {
		return Rule{}, p.fault("parts within parts, more than %d deep: write a flatter rule", MaxDepth)
	}
	switch {
	case p.take("none"):
		return Rule{Kind: None}, nil
	case p.take("permanent"):
		return Rule{Kind: Permanent}, nil
	case p.take("indefinite"):
		return Rule{Kind: Indefinite}, nil
	case p.take("until "):
		return p.event(0, 0)
	case p.take("later of ("):
		return p.list(Later, depth)
	case p.take("earlier of ("):
		return p.list(Earlier, depth)
	case p.take("as the corresponding series"):
		return Rule{Kind: Follow}, nil
	case p.take("as series "):
		return p.series(Follow)
	case p.take("with the file of series "):
		return p.series(Merge)
	case p.take("as long as needed, at most "):
		n, u, err := p.period()
		return Rule{Kind: Need, Count: n, Unit: u}, err
	case p.take("after archival review: "):
		return p.prefixed(Rule{Kind: Review}, depth)
	case p.take("after "):
		n, u, err := p.period()
		if err == nil {
			err = p.need(" of notice: ")
		}
		if err != nil {
			return Rule{}, err
		}
		return p.prefixed(Rule{Kind: Notice, Count: n, Unit: u}, depth)
	case p.at < len(p.text) && isDigit(p.text[p.at]):
		n, u, err := p.period()
		if err == nil {
			err = p.need(" after ")
		}
		if err != nil {
			return Rule{}, err
		}
		return p.event(n, u)
	}
	return Rule{}, p.fault("%s begins no rule: write a period such as \"3 years after created\", "+
		"or begin with until, later of, earlier of, permanent, indefinite, none, as series, "+
		"as the corresponding series, with the file of series, as long as needed, after archival review, or after ... of notice", p.word())
}

// event reads what follows "until" or "after": an event, or the end of its year.
func (p *parser) event(n uint32, u Unit) (Rule, error) {
	r := Rule{Kind: After, Count: n, Unit: u}
	if p.take("the end of the ") {
		r.Kind = YearEnd
		switch {
		case p.take("calendar"):
			r.Year = CalendarYear
		case p.take("fiscal"):
			r.Year = FiscalYear
		default:
			return Rule{}, p.fault("%s is no kind of year: write calendar or fiscal", p.word())
		}
		if err := p.need(" year of "); err != nil {
			return Rule{}, err
		}
	}
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] >= 'a' && p.text[p.at] <= 'z' || p.text[p.at] == '-') {
		p.at++
	}
	name := p.text[start:p.at]
	for i, event := range eventNames {
		if name == event {
			r.Event = Event(i + 1)
			return r, nil
		}
	}
	p.at = start
	return Rule{}, p.fault("%s is no event: write one of %s", p.word(), strings.Join(eventNames, ", "))
}

// list reads the parts of "later of" and "earlier of", and the bracket behind
// them.
func (p *parser) list(kind Kind, depth int) (Rule, error) {
	r := Rule{Kind: kind}
	for {
		part, err := p.rule(depth + 1)
		if err != nil {
			return Rule{}, err
		}
		r.Rules = append(r.Rules, part)
		if len(r.Rules) > MaxParts {
			return Rule{}, p.fault("more than %d parts: write a shorter list", MaxParts)
		}
		if p.take(", ") {
			continue
		}
		if len(r.Rules) < 2 && p.at < len(p.text) && p.text[p.at] == ')' {
			return Rule{}, p.fault("%s of one part: write \", \" and another rule", kind)
		}
		if !p.take(")") {
			return Rule{}, p.fault("%s stands within the list: write \", \" and another rule, or \")\"", p.word())
		}
		return r, nil
	}
}

// prefixed reads the one rule that r is put before.
func (p *parser) prefixed(r Rule, depth int) (Rule, error) {
	part, err := p.rule(depth + 1)
	if err != nil {
		return Rule{}, err
	}
	r.Rules = []Rule{part}
	return r, nil
}

// series reads a code.
func (p *parser) series(kind Kind) (Rule, error) {
	code := p.text[p.at:]
	code = code[:codeLength(code)]
	if !validCode(code) {
		return Rule{}, p.fault("%s is no series code: write %s", p.word(), codeForm)
	}
	p.at += len(code)
	return Rule{Kind: kind, Series: code}, nil
}

// period reads a count and its unit, such as 1 year or 30 days.
func (p *parser) period() (uint32, Unit, error) {
	start := p.at
	n := uint32(0)
	for p.at < len(p.text) && isDigit(p.text[p.at]) && n <= MaxCount {
		n = 10*n + uint32(p.text[p.at]-'0')
		p.at++
	}
	if n == 0 || n > MaxCount || p.text[start] == '0' {
		p.at = start
		return 0, 0, p.fault("%s is no count: write a number from 1 to %d without leading zeros", p.word(), MaxCount)
	}
	if err := p.need(" "); err != nil {
		return 0, 0, err
	}
	for u := Days; u <= Years; u++ {
		unit := lastWord(n, u)
		if rest, ok := strings.CutPrefix(p.text[p.at:], unit); ok && !strings.HasPrefix(rest, "s") {
			p.at += len(unit)
			return n, u, nil
		}
	}
	return 0, 0, p.fault("%s is no unit: write %s, %s or %s", p.word(), lastWord(n, Days), lastWord(n, Months), lastWord(n, Years))
}

// lastWord gives a unit as it stands after n.
func lastWord(n uint32, u Unit) string {
	_, unit, _ := strings.Cut(period(n, u), " ")
	return unit
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
