package receipt

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// Limits of certificates of destruction.
const (
	MaxCertificateBytes = 8 << 20 // all of it
	maxAttestationBytes = 256 << 10
	maxReporters        = 64
)

// Lines of a certificate (docs/spec/certificate.md).
const (
	CertificateTitle = "muniment certificate v1\n"
	proofBegins      = "--- PROOF ---\n"
	proofEnds        = "--- END OF PROOF ---\n"
)

// Parts are the proofs that a certificate of destruction is made of.
type Parts struct {
	Legality []byte // legality file of the record
	Holds    []byte // proof of holds on it
	State    []byte // state receipt of the disposition, which says who had to report
	Reports  []ReportPart
}

// ReportPart is what one of those who had to report has said. They come in the
// order of the disposition's state; who has not reported has none.
type ReportPart struct {
	Receipt []byte // of the report entry
	Text    []byte // whose hash the report carries; nil: it is not at hand
}

// NewCertificate writes the certificate of destruction of a record, or of the
// erasure of parts of it: a statement in words, the parts that it follows from,
// and blank attestations. It makes the judgement of [VerifyCertificate] but for
// signatures, proofs of inclusion and proofs of state; an error says why it does
// not hold. Reports that are due, and preserved records, are in the statement.
func NewCertificate(n Network, p Parts) ([]byte, error) {
	c, err := readCertificate(n.ID, p)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	var b bytes.Buffer
	b.WriteString(CertificateTitle)
	b.WriteString(c.statement(n))
	p.write(&b)
	b.WriteString(c.attestations(sha256.Sum256(b.Bytes())))
	if b.Len() > MaxCertificateBytes {
		return nil, fmt.Errorf("certificate of %d bytes: %w", b.Len(), ErrTooLarge)
	}
	return b.Bytes(), nil
}

// write appends the proof, from the line that begins it to the one that ends it.
func (p Parts) write(b *bytes.Buffer) {
	part := func(name string, data []byte) { fmt.Fprintf(b, "part %s %d\n%s", name, len(data), data) }
	b.WriteString(proofBegins)
	part("legality", p.Legality)
	part("holds", p.Holds)
	part("state", p.State)
	for _, r := range p.Reports {
		part("report", r.Receipt)
		if r.Text != nil {
			part("text", r.Text)
		}
	}
	b.WriteString(proofEnds)
}

// ParseCertificate takes a certificate apart: the statement, from behind the
// title to the proof; the parts; and the attestations, which nothing proves. It
// checks form alone; see [VerifyCertificate].
func ParseCertificate(text []byte) (statement []byte, p Parts, attestations []byte, err error) {
	fail := func(what string) ([]byte, Parts, []byte, error) {
		return nil, Parts{}, nil, fmt.Errorf("certificate: %s: %w", what, ErrMalformed)
	}
	if len(text) > MaxCertificateBytes {
		return nil, Parts{}, nil, fmt.Errorf("certificate of %d bytes: %w", len(text), ErrTooLarge)
	}
	rest, ok := bytes.CutPrefix(text, []byte(CertificateTitle))
	if !ok {
		return fail("it does not begin as one")
	}
	statement, rest, ok = bytes.Cut(rest, []byte("\n"+proofBegins))
	if !ok {
		return fail("it has no proof")
	}
	statement = append(bytes.Clone(statement), '\n')
	var named []namedPart
	for len(named) < 3+2*maxReporters && !bytes.HasPrefix(rest, []byte(proofEnds)) {
		var one namedPart
		if one, rest, ok = cutPart(rest); !ok {
			return fail(fmt.Sprintf("part %d", len(named)+1))
		}
		named = append(named, one)
	}
	attestations, ok = bytes.CutPrefix(rest, []byte(proofEnds))
	if !ok || len(attestations) > maxAttestationBytes {
		return fail("the proof has no end, or what follows it is too long")
	}
	if p, ok = partsIn(named); !ok {
		return fail("its parts are not those of a certificate, in their order")
	}
	return statement, p, attestations, nil
}

type namedPart struct {
	name string
	data []byte
}

// cutPart reads "part NAME BYTES" and that many bytes.
func cutPart(rest []byte) (p namedPart, after []byte, ok bool) {
	const longest = 64 // of the line
	line, _, ok := bytes.Cut(rest[:min(len(rest), longest)], []byte("\n"))
	if !ok {
		return namedPart{}, nil, false
	}
	after = rest[len(line)+1:]
	words := strings.Split(string(line), " ")
	if len(words) != 3 || words[0] != "part" {
		return namedPart{}, nil, false
	}
	size, err := strconv.ParseUint(words[2], 10, 32)
	if err != nil || strconv.FormatUint(size, 10) != words[2] || size == 0 || size > uint64(len(after)) {
		return namedPart{}, nil, false
	}
	return namedPart{words[1], after[:size:size]}, after[size:], true
}

// partsIn sorts the parts: legality, holds and state, then reports, each with a
// text behind it or none.
func partsIn(named []namedPart) (p Parts, ok bool) {
	for i, part := range named {
		last := len(p.Reports) - 1
		switch {
		case i == 0 && part.name == "legality":
			p.Legality = part.data
		case i == 1 && part.name == "holds":
			p.Holds = part.data
		case i == 2 && part.name == "state":
			p.State = part.data
		case i > 2 && part.name == "report":
			p.Reports = append(p.Reports, ReportPart{Receipt: part.data})
		case i > 2 && part.name == "text" && last >= 0 && p.Reports[last].Text == nil:
			p.Reports[last].Text = part.data
		default:
			return Parts{}, false
		}
	}
	return p, len(named) >= 3
}

// VerifyCertificate judges a certificate of destruction against a network file,
// as docs/spec/certificate.md says: every part, that they belong together, and
// that the statement says what follows from them, byte for byte. What is attested
// at its end is not judged. Where reports are due, or the text of one is not
// there, the outcome is INDETERMINATE.
func VerifyCertificate(n Network, text []byte) (Verdict, error) {
	v := newVerdict(n)
	statement, p, attestations, err := ParseCertificate(text)
	if err != nil {
		return v.conclude(refuse(Malformed, "%v", err))
	}
	lawful, _, err := VerifyLawful(n, append(bytes.Clone(p.Legality), p.Holds...))
	if err != nil || lawful.Outcome != Passed {
		return lawful, err
	}
	state, err := VerifyState(n, p.State, nil)
	if err != nil || state.Outcome != Passed {
		return belowPassed(n, state, "the state of the disposition", err)
	}
	for i, r := range p.Reports {
		one, err := Verify(n, r.Receipt)
		if err != nil || one.Outcome != Passed {
			return belowPassed(n, one, fmt.Sprintf("report %d", i+1), err)
		}
	}
	c, err := readCertificate(n.ID, p)
	if err != nil {
		return v.conclude(err)
	}
	if at := differs(statement, []byte(c.statement(n))); at > 0 {
		return v.conclude(refuse(StatementAltered, "line %d of the certificate does not say what follows from its proof", at+1))
	}
	if err := c.complete(); err != nil {
		return v.conclude(err)
	}
	lawful.certified(c, len(attestations))
	return lawful, nil
}

// belowPassed names the part whose verdict is not PASSED.
func belowPassed(n Network, v Verdict, part string, err error) (Verdict, error) {
	if err != nil {
		return Verdict{}, fmt.Errorf("%s: %w", part, err)
	}
	return newVerdict(n).conclude(&Refusal{v.Reasons[0], part + ": " + v.Detail})
}

// differs gives the first line, from 1, in which two texts differ; 0: in none.
func differs(a, b []byte) int {
	if bytes.Equal(a, b) {
		return 0
	}
	for line := 1; ; line++ {
		first, restA, moreA := bytes.Cut(a, []byte("\n"))
		second, restB, moreB := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(first, second) || moreA != moreB {
			return line
		}
		a, b = restA, restB
	}
}

// certified says in the verdict of a legality file what the certificate shows.
func (v *Verdict) certified(c *certificateCase, attested int) {
	v.Certificate = c.account()
	v.NotProven = without(v.NotProven, reportsSayIt)
	v.proven("the state after block %d says who had to report on the disposition: %s, and all have", c.state.Height, counted(len(c.reports), "reporter"))
	v.proven("each report is signed by whoever gave it; every report text is the one that the signed report names")
	v.proven("the statement of the certificate is what follows from its proof, word for word")
	v.notProven("more about keys and copies than the claims say: a report is the word of the custodian that signed it")
	v.notProven("what the attestations at the end say (%d bytes), and who signed them: an office answers for that, and nothing here judges it", attested)
}

// without drops a sentence.
func without(list []string, sentence string) []string {
	kept := list[:0:0]
	for _, s := range list {
		if s != sentence {
			kept = append(kept, s)
		}
	}
	return kept
}

// AddTexts takes over the texts of reports that are not there from the parts of
// another certificate of the same disposition, by what the signed reports name.
func (p *Parts) AddTexts(from Parts) {
	texts := map[[32]byte][]byte{}
	for _, r := range from.Reports {
		if r.Text != nil {
			texts[record.HashErasureReport(r.Text)] = r.Text
		}
	}
	for i, r := range p.Reports {
		if hash, ok := namedText(r.Receipt); ok && r.Text == nil {
			p.Reports[i].Text = texts[hash]
		}
	}
}

// LacksTexts tells whether a report names a text that is not there.
func (p *Parts) LacksTexts() bool {
	return slices.ContainsFunc(p.Reports, func(r ReportPart) bool {
		hash, ok := namedText(r.Receipt)
		return ok && r.Text == nil && hash != [32]byte{}
	})
}

// namedText gives the hash of the text that the body of a report names.
func namedText(text []byte) ([32]byte, bool) {
	r, err := Parse(text)
	if err != nil {
		return [32]byte{}, false
	}
	for _, l := range r.Leaves {
		entry, err := record.ParseEntry(l.Entry)
		if tx, ok := entry.(record.TxEntry); err == nil && ok {
			if m, err := record.ParseBody(tx.Body); err == nil {
				if said, ok := m.(*record.ReportErasure); ok {
					return said.Report, true
				}
			}
		}
	}
	return [32]byte{}, false
}
