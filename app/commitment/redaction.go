package commitment

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrRedaction: the text is not a redaction as Marshal writes it.
var ErrRedaction = errors.New("malformed redaction")

const (
	redactionTitle = "muniment redaction v1"
	redactionTag   = "muniment/v1/redaction\n"

	// MaxMarks is how many marks a redaction may have.
	MaxMarks = 1 << 16
	// MaxExemptionCode bounds an exemption code in bytes.
	MaxExemptionCode = 32
)

// Betrays is the code of a mark that hides what would betray what other marks
// hide: digests, signatures, checksums, file names.
const Betrays = "-"

// Redaction is a list of the parts of one record that are to be withheld or
// erased, each with the legal reason. The ledger has its hash alone, since
// positions name people too; whoever may know the positions is given the text.
//
//	muniment redaction v1
//	salt BASE64                    32 random bytes
//	authority CT-FOI 2026-11-01    file of exemption codes and its date
//	mark 3-7 CT-1-210-b-2          leaves, from 0, and an exemption code
type Redaction struct {
	Salt      [32]byte
	Authority string // that issued the codes: 1 to 32 of [A-Za-z0-9.-], not "-" first
	Dated     string // of the authority file, as 2026-11-01
	Marks     []Mark // ascending, apart from each other unless their codes differ
}

// Mark is one run of leaves that is withheld or erased, and why.
type Mark struct {
	Range
	Code string // exemption code as the authority writes it, or Betrays
}

// Hash gives what the ledger has of a redaction: SHA-256 over
// "muniment/v1/redaction" LF and the text.
func (r Redaction) Hash() ([32]byte, error) {
	text, err := r.Marshal()
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(append([]byte(redactionTag), text...)), nil
}

// Marshal returns the text.
func (r Redaction) Marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nsalt %s\nauthority %s %s\n", redactionTitle, base64.StdEncoding.EncodeToString(r.Salt[:]), r.Authority, r.Dated)
	for _, m := range r.Marks {
		fmt.Fprintf(&b, "mark %d-%d %s\n", m.First, m.Last, m.Code)
	}
	return b.Bytes(), nil
}

// ParseRedaction reads what Marshal wrote, and nothing else.
func ParseRedaction(text []byte) (Redaction, error) {
	var r Redaction
	if err := r.parse(string(text)); err != nil {
		return Redaction{}, fmt.Errorf("%w: %w", ErrRedaction, err)
	}
	again, err := r.Marshal()
	if err != nil {
		return Redaction{}, err
	}
	if !bytes.Equal(again, text) {
		return Redaction{}, fmt.Errorf("%w: it is written in another way than it must be", ErrRedaction)
	}
	return r, nil
}

func (r *Redaction) parse(text string) error {
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || lines[0] != redactionTitle || lines[len(lines)-1] != "" {
		return fmt.Errorf("it does not begin with %q and have a salt, an authority and a mark", redactionTitle)
	}
	encoded, ok := strings.CutPrefix(lines[1], "salt ")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(salt) != len(r.Salt) {
		return errors.New("line 2 is no salt of 32 bytes")
	}
	r.Salt = [32]byte(salt)
	words := strings.Split(lines[2], " ")
	if len(words) != 3 || words[0] != "authority" {
		return errors.New("line 3 names no authority and date")
	}
	r.Authority, r.Dated = words[1], words[2]
	marks := lines[3 : len(lines)-1]
	if len(marks) > MaxMarks {
		return fmt.Errorf("it has more than %d marks", MaxMarks)
	}
	r.Marks = make([]Mark, len(marks))
	for i, line := range marks {
		words := strings.Split(line, " ")
		if len(words) != 3 || words[0] != "mark" {
			return fmt.Errorf("line %d is no mark", i+4)
		}
		first, last, _ := strings.Cut(words[1], "-")
		a, errA := strconv.ParseUint(first, 10, 32)
		b, errB := strconv.ParseUint(last, 10, 32)
		if errA != nil || errB != nil {
			return fmt.Errorf("line %d has no leaves", i+4)
		}
		r.Marks[i] = Mark{Range{uint32(a), uint32(b)}, words[2]}
	}
	return nil
}

func (r Redaction) check() error {
	switch {
	case r.Authority == Betrays || !isExemptionCode(r.Authority):
		return fmt.Errorf("%w: authority %.40q", ErrRedaction, r.Authority)
	case !isDate(r.Dated):
		return fmt.Errorf("%w: date %.40q is not one as 2026-11-01", ErrRedaction, r.Dated)
	case len(r.Marks) == 0 || len(r.Marks) > MaxMarks:
		return fmt.Errorf("%w: %d marks, not 1 to %d", ErrRedaction, len(r.Marks), MaxMarks)
	}
	for i, m := range r.Marks {
		switch {
		case m.First > m.Last || m.Last >= MaxLeaves:
			return fmt.Errorf("%w: mark %d of leaves %d-%d", ErrRedaction, i+1, m.First, m.Last)
		case !isExemptionCode(m.Code):
			return fmt.Errorf("%w: mark %d has code %.40q", ErrRedaction, i+1, m.Code)
		case i > 0 && (m.First <= r.Marks[i-1].Last || m.First == r.Marks[i-1].Last+1 && m.Code == r.Marks[i-1].Code):
			return fmt.Errorf("%w: mark %d does not come after the one before, or belongs to it", ErrRedaction, i+1)
		}
	}
	return nil
}

// isExemptionCode accepts 1 to 32 of [A-Za-z0-9.-].
func isExemptionCode(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= MaxExemptionCode
}

// isDate accepts YYYY-MM-DD; whether there is such a day is the authority's affair.
func isDate(s string) bool {
	if len(s) != 10 {
		return false
	}
	for i, c := range []byte(s) {
		if dash := i == 4 || i == 7; dash != (c == '-') || !dash && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Ranges gives the leaves of all marks, in their order.
func (r Redaction) Ranges() []Range {
	ranges := make([]Range, len(r.Marks))
	for i, m := range r.Marks {
		ranges[i] = m.Range
	}
	return ranges
}
