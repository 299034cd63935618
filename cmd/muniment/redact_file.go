package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/muniment/muniment/app/commitment"
)

// maxPlanBytes bounds a plan file: a plan of commitment.MaxMarks marks fits.
const maxPlanBytes = 16 << 20

var planForm = tomlForm{
	head: map[string]unstable.Kind{
		"record": unstable.Integer, "cid": unstable.String, "authority": unstable.String, "dated": unstable.LocalDate, "salt": unstable.String,
	},
	name:  "mark",
	table: map[string]unstable.Kind{"leaves": unstable.String, "code": unstable.String, "why": unstable.String, "label": unstable.String},
}

// parsePlan reads a plan file, as redact plan wrote it or as a person changed it.
// Its error is of type faults.
func parsePlan(text []byte) (planFile, error) {
	head, tables, err := planForm.parse(text, commitment.MaxMarks)
	if err != nil {
		return planFile{}, err
	}
	var bad faults
	s := head.settings
	f := planFile{cid: s["cid"], authority: s["authority"], dated: s["dated"]}
	if f.index, err = strconv.ParseUint(s["record"], 10, 62); err != nil || strconv.FormatUint(f.index, 10) != s["record"] {
		bad.add(0, "record", "it is no entry index")
	}
	salt, err := base64.StdEncoding.Strict().DecodeString(s["salt"])
	if err != nil || len(salt) != len(f.salt) {
		bad.add(0, "salt", "it is not 32 bytes in base64: leave it as redact plan wrote it")
	} else {
		f.salt = [32]byte(salt)
	}
	bad.day(0, "dated", f.dated)
	for _, t := range tables {
		f.marks = append(f.marks, t.mark(&bad))
	}
	slices.SortStableFunc(f.marks, func(a, b commitment.PlannedMark) int { return int(int64(a.First) - int64(b.First)) })
	if len(bad) == 0 && len(f.codes()) == 0 {
		bad.add(0, "", "no mark with an exemption code is left: it hides nothing")
	}
	if len(bad) == 0 {
		if _, err := f.redaction(); err != nil {
			_, text, _ := strings.Cut(err.Error(), commitment.ErrRedaction.Error()+": ")
			bad.add(0, "", "%s", text)
		}
	}
	if len(bad) > 0 {
		return planFile{}, bad[:min(len(bad), maxFaults)]
	}
	return f, nil
}

// mark reads one mark. Only what would betray something goes without a code.
func (t tomlTable) mark(bad *faults) commitment.PlannedMark {
	s := t.settings
	first, last, both := strings.Cut(s["leaves"], "-")
	if !both {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 24)
	b, errB := strconv.ParseUint(last, 10, 24)
	if errA != nil || errB != nil || a > b {
		bad.add(t.line, "leaves", "%.40q is no range such as 7 or 3-7", s["leaves"])
	}
	m := commitment.PlannedMark{Mark: commitment.Mark{Range: commitment.Range{First: uint32(a), Last: uint32(b)}, Code: s["code"]}, Why: s["why"], Label: s["label"]}
	coded := m.Why == commitment.WhyAsked || m.Why == commitment.WhySameText || m.Why == ""
	switch {
	case !isWhy(m.Why) && m.Why != "":
		bad.add(t.line, "why", "%.40q is not one of the reasons: leave it out for a mark of your own", m.Why)
	case m.Code == commitment.Betrays && coded:
		bad.add(t.line, "code", "give it an exemption code")
	case m.Code != commitment.Betrays && !isExemptionCode(m.Code):
		bad.add(t.line, "code", "%.40q is no exemption code", m.Code)
	}
	return m
}

// readPlan reads a plan, and judges its codes by the authority file that it cites.
func (p *program) readPlan(path, exemptionsPath string) (planFile, commitment.Redaction, error) {
	text, err := readBounded(path, maxPlanBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return planFile{}, commitment.Redaction{}, failed(exitNotFound, "NO_SUCH_FILE", "muniment redact plan makes one", "there is no file %s", path)
	}
	if err != nil {
		return planFile{}, commitment.Redaction{}, err
	}
	f, err := parsePlan(text)
	if err != nil {
		return planFile{}, commitment.Redaction{}, failed(exitError, "BAD_PLAN", mendFile, "%s: %w", path, p.told(path, err))
	}
	e, err := p.readExemptions(exemptionsPath)
	if err != nil {
		return planFile{}, commitment.Redaction{}, err
	}
	if f.authority != e.authority || f.dated != e.dated {
		return planFile{}, commitment.Redaction{}, failed(exitRefused, "OTHER_EXEMPTIONS", "give the file that the plan cites with --exemptions FILE, or plan anew",
			"the plan cites %s of %s, and the codes here are %s of %s", printable(f.authority), f.dated, e.authority, e.dated)
	}
	for _, code := range f.codes() {
		if err := e.citable(code, p.today()); err != nil {
			return planFile{}, commitment.Redaction{}, err
		}
	}
	if list := e.unverified(f.codes()); len(list) > 0 {
		p.say("unverified: %s", joined(list))
	}
	r, err := f.redaction()
	return f, r, err
}

// summary says in one line what a plan hides.
func (f planFile) summary() string {
	leaves := 0
	for _, m := range f.marks {
		leaves += int(m.Last-m.First) + 1
	}
	return fmt.Sprintf("%s of record %d under %s", leafCount(leaves), f.index, joined(f.codes()))
}
