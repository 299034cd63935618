package commitment

import (
	"errors"
	"fmt"
)

// ErrPlan: a redaction cannot be planned as asked.
var ErrPlan = errors.New("redaction plan")

// MaxAsks is how many asks a plan takes.
const MaxAsks = 1000

// Why a planned mark is in a plan.
const (
	WhyAsked     = "asked"     // a selector names it
	WhySameText  = "same text" // a hidden value stands in it too
	WhyDigest    = "digest"    // length and SHA-256 of the whole content
	WhySignature = "signature" // signs what is hidden: Segment.Oracle
	WhyChecksum  = "checksum"  // holds a digest of what is hidden, or is named as one
	WhyFileName  = "file name" // metadata in which a hidden value stands
)

// Ask is one wish: what to hide, as Locate reads it, and the exemption code.
type Ask struct{ Selector, Code string }

// PlannedMark is a mark with the reason why it is proposed and the label of its
// first leaf. Marks that would betray what others hide have the code Betrays.
type PlannedMark struct {
	Mark
	Why, Label string
}

// MustStay reports whether the mark cannot be struck out: every copy that hides
// content hides these as well.
func (m PlannedMark) MustStay() bool { return m.Why == WhyDigest || m.Why == WhySignature }

// Plan finds what must be hidden together, by the rules of docs/spec/redaction.md:
// what the asks name, where their values stand again, and what would betray them.
// Segs are all leaves of a record. The marks are in leaf order and apart; a leaf
// that several asks name has the code of the first. It returns the errors of
// Locate, and ErrPlan for asks or marks beyond the limits.
func Plan(p Profile, segs []Segment, asks []Ask) ([]PlannedMark, error) {
	if len(asks) == 0 || len(asks) > MaxAsks {
		return nil, fmt.Errorf("%w: %d asks, not 1 to %d", ErrPlan, len(asks), MaxAsks)
	}
	pl := planner{profile: p, segs: segs, marks: marksOf(p, segs), found: make([]finding, len(segs))}
	var hidden values
	for n, ask := range asks {
		if ask.Code == Betrays || !isExemptionCode(ask.Code) {
			return nil, fmt.Errorf("%w: exemption code %.40q", ErrPlan, ask.Code)
		}
		leaves, err := Locate(p, segs, ask.Selector)
		if err != nil {
			return nil, err
		}
		for _, leaf := range leaves {
			pl.find(leaf, becauseAsked, n)
		}
		pl.addValues(&hidden, ask, n, leaves)
	}
	if err := pl.sameText(hidden.list); err != nil {
		return nil, err
	}
	pl.checksums(hidden.list)
	for i, s := range segs {
		switch {
		case s.Kind == Digest:
			pl.find(i, becauseDigest, 0)
		case s.Oracle:
			pl.find(i, becauseSignature, 0)
		}
	}
	return pl.planned(asks)
}

// planner is one run of Plan.
type planner struct {
	profile Profile
	segs    []Segment
	marks   []mark
	found   []finding // per leaf
}

// finding is why a leaf is in the plan, and for which ask.
type finding struct {
	because because
	ask     int32
}

// because orders the reasons: the smaller one counts.
type because uint8

const (
	becauseNot because = iota
	becauseAsked
	becauseDigest
	becauseSignature
	becauseSameText
	becauseChecksum
	becauseFileName
)

var whys = [...]string{
	becauseAsked: WhyAsked, becauseDigest: WhyDigest, becauseSignature: WhySignature,
	becauseSameText: WhySameText, becauseChecksum: WhyChecksum, becauseFileName: WhyFileName,
}

// find notes a leaf, unless it is noted for a better reason or an earlier ask.
func (pl *planner) find(leaf int, why because, ask int) {
	was := pl.found[leaf]
	if was.because == becauseNot || why < was.because || why == was.because && int32(ask) < was.ask {
		pl.found[leaf] = finding{why, int32(ask)}
	}
}

// hides reports whether the leaf is hidden for what it says itself.
func (pl *planner) hides(leaf int) bool {
	because := pl.found[leaf].because
	return because == becauseAsked || because == becauseSameText
}

// planned gives the marks: one for each run of leaves found alike.
func (pl *planner) planned(asks []Ask) ([]PlannedMark, error) {
	var out []PlannedMark
	for i, f := range pl.found {
		if f.because == becauseNot {
			continue
		}
		code := Betrays
		if pl.hides(i) {
			code = asks[f.ask].Code
		}
		at := uint32(i)
		if last := len(out) - 1; last >= 0 && out[last].Last+1 == at && out[last].Why == whys[f.because] && out[last].Code == code {
			out[last].Last = at
			continue
		}
		if len(out) == MaxMarks {
			return nil, fmt.Errorf("%w: more than %d marks: hide whole rows, or plan in parts", ErrPlan, MaxMarks)
		}
		out = append(out, PlannedMark{Mark{Range{at, at}, code}, whys[f.because], pl.marks[i].String()})
	}
	return out, nil
}

// Marks gives the marks of a plan as a Redaction has them: those that touch and
// have the same code are one.
func Marks(planned []PlannedMark) []Mark {
	var out []Mark
	for _, m := range planned {
		if last := len(out) - 1; last >= 0 && out[last].Last+1 == m.First && out[last].Code == m.Code {
			out[last].Last = m.Last
			continue
		}
		out = append(out, m.Mark)
	}
	return out
}
