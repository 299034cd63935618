package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/retention"
)

// ErrErasureReport: the text is not an erasure report as Marshal writes it.
var ErrErasureReport = errors.New("malformed erasure report")

const (
	erasureTitle = "muniment erasure report v1"

	// MaxErasureReport bounds the text in bytes.
	MaxErasureReport = 1 << 20
	// MaxReleases is how many releases of one record a report lists.
	MaxReleases = 64
)

// ErasureReport is what a custodian did under a lock. ReportErasure carries its
// hash. It names no content and no person.
type ErasureReport struct {
	Disposition Index
	Custodian   KeyID
	Claim       Claim
	Device      string // that kept and destroyed the keys: "key file" or "PKCS#11"
	Followed    int64  // entries of the log at the last look, before keys were destroyed
	Day         Day    // by the custodian's own clock
	Rings       []RingRotation
	Records     []RecordErasure // those of the disposition, ascending
}

// RingRotation is how a ring of record keys was replaced. Every file of the
// keyring was read, and none holds a piece that was looked for.
type RingRotation struct {
	Office, Class Code
	From, To      uint64 // epochs
	Kept          uint64 // states that were sealed again
	Ended         uint64 // states that were not
	Needles       uint64 // pieces that were looked for
	Files         uint64 // that were read
	Bytes         uint64 // in them
}

// ErasureOutcome is what became of one record.
type ErasureOutcome uint8

// The outcomes for a record.
const (
	RecordErased    ErasureOutcome = iota + 1 // nothing opens it any more
	RecordRedacted                            // nothing opens the parts that were to be erased
	RecordPreserved                           // a hold came: it is as it was
	RecordAbsent                              // this custodian had nothing of it
)

var erasureOutcomeNames = [...]string{"", "erased", "redacted", "preserved", "absent"}

// String gives the outcome's name, as "erased".
func (o ErasureOutcome) String() string {
	if o < RecordErased || o > RecordAbsent {
		return fmt.Sprintf("outcome_%d", uint8(o))
	}
	return erasureOutcomeNames[o]
}

// RecordErasure is what became of one record, and what of it was given out before.
type RecordErasure struct {
	Record   Index
	Outcome  ErasureOutcome
	Attempts int64     // other deposits of the same bytes that never were anchored, erased with it
	Alike    int64     // other records of the office with the same bytes, which live on under rules of their own
	Released int64     // how often content was given out
	Releases []Release // the last of these, at most MaxReleases, oldest first
}

// Release is content that was given out and cannot be recalled.
type Release struct {
	Day    Day // by the custodian's clock
	Office Code
	Kind   ReleaseKind
	Whole  bool     // nothing of the content was hidden
	Digest [32]byte // SHA-256 of the copy; zero where original bytes were read
}

// ReleaseKind is in which form content was given out.
type ReleaseKind uint8

// The kinds.
const (
	ReleaseRead     ReleaseKind = iota + 1 // original bytes
	ReleaseCopy                            // a copy
	ReleaseEvidence                        // a copy with receipts
)

var releaseKindNames = [...]string{"", "read", "copy", "evidence"}

// String gives the kind's name, as "copy".
func (k ReleaseKind) String() string {
	if k < ReleaseRead || k > ReleaseEvidence {
		return fmt.Sprintf("kind_%d", uint8(k))
	}
	return releaseKindNames[k]
}

// HashErasureReport gives what ReportErasure carries of a report: SHA-256 of the text.
func HashErasureReport(text []byte) [32]byte { return sha256.Sum256(text) }

// Marshal returns the text.
//
//	muniment erasure report v1
//	disposition 1234
//	custodian HEX
//	claim C1
//	device key file
//	followed 5678
//	day 2026-11-22
//	ring CLERK DEMO-MINUTES epochs 3 4 kept 96 ended 4 needles 40 files 12 bytes 90112
//	record 17 erased attempts 1 alike 0 released 1
//	release 2026-11-20 CLERK copy whole HEX
func (r ErasureReport) Marshal() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\ndisposition %d\ncustodian %x\nclaim %s\ndevice %s\nfollowed %d\nday %s\n",
		erasureTitle, r.Disposition, r.Custodian, r.Claim, r.Device, r.Followed, r.Day)
	for _, g := range r.Rings {
		fmt.Fprintf(&b, "ring %s %s epochs %d %d kept %d ended %d needles %d files %d bytes %d\n",
			g.Office, g.Class, g.From, g.To, g.Kept, g.Ended, g.Needles, g.Files, g.Bytes)
	}
	for _, e := range r.Records {
		fmt.Fprintf(&b, "record %d %s attempts %d alike %d released %d\n", e.Record, e.Outcome, e.Attempts, e.Alike, e.Released)
		for _, x := range e.Releases {
			extent := "part"
			if x.Whole {
				extent = "whole"
			}
			fmt.Fprintf(&b, "release %s %s %s %s %x\n", x.Day, x.Office, x.Kind, extent, x.Digest)
		}
	}
	if b.Len() > MaxErasureReport {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrErasureReport, b.Len(), MaxErasureReport)
	}
	return b.Bytes(), nil
}

func (r ErasureReport) check() error {
	if r.Disposition <= 0 || !r.Claim.Valid() || r.Followed <= 0 || r.Custodian == (KeyID{}) || r.Device != "key file" && r.Device != "PKCS#11" {
		return fmt.Errorf("%w: disposition, custodian, claim, device or entries followed", ErrErasureReport)
	}
	if (r.Claim == ClaimKey) != (r.Device == "PKCS#11") {
		return fmt.Errorf("%w: claim %s of keys in a %s", ErrErasureReport, r.Claim, r.Device)
	}
	for i, g := range r.Rings {
		if !g.Office.Valid() || !g.Class.Valid() || g.From == 0 || g.To != g.From+1 || i > 0 && !ringBefore(r.Rings[i-1], g) {
			return fmt.Errorf("%w: ring %d", ErrErasureReport, i+1)
		}
	}
	if len(r.Records) == 0 || len(r.Records) > MaxRecords {
		return fmt.Errorf("%w: %d records", ErrErasureReport, len(r.Records))
	}
	before := Index(0)
	for _, e := range r.Records {
		if e.Record <= before || e.Outcome < RecordErased || e.Outcome > RecordAbsent || e.Attempts < 0 || e.Alike < 0 ||
			e.Released < int64(len(e.Releases)) || len(e.Releases) > MaxReleases {
			return fmt.Errorf("%w: record %d", ErrErasureReport, e.Record)
		}
		before = e.Record
		for _, x := range e.Releases {
			if !x.Office.Valid() || x.Kind < ReleaseRead || x.Kind > ReleaseEvidence {
				return fmt.Errorf("%w: release of record %d", ErrErasureReport, e.Record)
			}
		}
	}
	return nil
}

func ringBefore(a, b RingRotation) bool {
	return a.Office < b.Office || a.Office == b.Office && a.Class < b.Class
}

// ParseErasureReport reads what Marshal wrote, and nothing else.
func ParseErasureReport(text []byte) (ErasureReport, error) {
	if len(text) > MaxErasureReport {
		return ErasureReport{}, fmt.Errorf("%w: %d bytes, at most %d", ErrErasureReport, len(text), MaxErasureReport)
	}
	p := erasureParser{lines: strings.Split(string(text), "\n")}
	r := p.report()
	if p.err != nil {
		return ErasureReport{}, fmt.Errorf("%w: line %d: %w", ErrErasureReport, p.at, p.err)
	}
	again, err := r.Marshal()
	if err != nil {
		return ErasureReport{}, err
	}
	if !bytes.Equal(again, text) {
		return ErasureReport{}, fmt.Errorf("%w: it is written in another way than it must be", ErrErasureReport)
	}
	return r, nil
}

// erasureParser reads lines of words; the first error stays.
type erasureParser struct {
	lines []string
	at    int // lines taken
	words []string
	err   error
}

func (p *erasureParser) report() (r ErasureReport) {
	if p.line(); p.rest() != erasureTitle {
		p.fail("it is no report")
	}
	p.line("disposition")
	r.Disposition = Index(p.number())
	p.line("custodian")
	p.hex(r.Custodian[:])
	p.line("claim")
	switch p.word() {
	case "C1":
		r.Claim = ClaimFiles
	case "C3":
		r.Claim = ClaimKey
	}
	p.line("device")
	r.Device = p.rest()
	p.line("followed")
	r.Followed = p.number()
	p.line("day")
	r.Day = p.day()
	for p.peek("ring") {
		r.Rings = append(r.Rings, p.ring())
	}
	for p.peek("record") {
		r.Records = append(r.Records, p.record())
	}
	if p.line(); p.rest() != "" || p.at != len(p.lines) {
		p.fail("it is neither ring, record nor release")
	}
	return r
}

func (p *erasureParser) ring() (g RingRotation) {
	p.line("ring")
	g.Office, g.Class = Code(p.word()), Code(p.word())
	p.name("epochs")
	g.From, g.To = uint64(p.number()), uint64(p.number())
	for _, f := range []struct {
		name string
		to   *uint64
	}{{"kept", &g.Kept}, {"ended", &g.Ended}, {"needles", &g.Needles}, {"files", &g.Files}, {"bytes", &g.Bytes}} {
		p.name(f.name)
		*f.to = uint64(p.number())
	}
	return g
}

func (p *erasureParser) record() (e RecordErasure) {
	p.line("record")
	e.Record = Index(p.number())
	e.Outcome = ErasureOutcome(p.oneOf(erasureOutcomeNames[:]))
	for _, f := range []struct {
		name string
		to   *int64
	}{{"attempts", &e.Attempts}, {"alike", &e.Alike}, {"released", &e.Released}} {
		p.name(f.name)
		*f.to = p.number()
	}
	for p.peek("release") {
		p.line("release")
		x := Release{Day: p.day(), Office: Code(p.word()), Kind: ReleaseKind(p.oneOf(releaseKindNames[:])), Whole: p.oneOf([]string{"part", "whole"}) == 1}
		p.hex(x.Digest[:])
		e.Releases = append(e.Releases, x)
	}
	return e
}

// line takes the next line, which begins with these words.
func (p *erasureParser) line(words ...string) {
	if len(p.words) > 0 {
		p.fail("it has too many words")
	}
	if p.at == len(p.lines) {
		p.fail("it is missing")
		return
	}
	p.words = strings.Split(p.lines[p.at], " ")
	p.at++
	for _, w := range words {
		p.name(w)
	}
}

func (p *erasureParser) peek(word string) bool {
	return p.err == nil && p.at < len(p.lines) && strings.HasPrefix(p.lines[p.at], word+" ")
}

func (p *erasureParser) fail(why string) {
	if p.err == nil {
		p.err = errors.New(why)
	}
	p.words = nil
}

func (p *erasureParser) word() string {
	if len(p.words) == 0 {
		p.fail("it has too few words")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *erasureParser) rest() string {
	s := strings.Join(p.words, " ")
	p.words = nil
	return s
}

func (p *erasureParser) name(want string) {
	if p.word() != want {
		p.fail("it lacks the word " + want)
	}
}

func (p *erasureParser) number() int64 {
	n, err := strconv.ParseInt(p.word(), 10, 64)
	if err != nil || n < 0 {
		p.fail("it has no number where one must be")
	}
	return n
}

func (p *erasureParser) hex(dst []byte) {
	b, err := hex.DecodeString(p.word())
	if err != nil || len(b) != len(dst) {
		p.fail(fmt.Sprintf("it has no %d bytes in hexadecimal digits", len(dst)))
		return
	}
	copy(dst, b)
}

func (p *erasureParser) day() Day {
	d, err := retention.ParseDay(p.word())
	if err != nil {
		p.fail("it has no date")
	}
	return d
}

func (p *erasureParser) oneOf(names []string) int {
	w := p.word()
	for i, name := range names {
		if name == w && w != "" {
			return i
		}
	}
	p.fail("it has an unknown word")
	return 0
}
