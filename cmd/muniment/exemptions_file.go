package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

const (
	maxExemptionBytes = 1 << 20
	maxExemptions     = 1000
)

// exemptions is an authority file of exemption codes: who issued them, and of
// which day it is. What a redaction cites is the authority and that day, so that
// it keeps its meaning when a code is retired.
type exemptions struct {
	authority, dated, title, citation string
	list                              []exemption // in the order of the file
}

// exemption is one reason for which something may be withheld.
type exemption struct {
	Code       string `json:"code"`
	Subject    string `json:"subject"`
	Citation   string `json:"citation"`
	Verified   bool   `json:"verified"`   // compared with its source
	Redactable bool   `json:"redactable"` // false: nothing may be withheld under it
	ActiveFrom string `json:"active_from,omitempty"`
	ActiveTo   string `json:"active_to,omitempty"` // last day
	Note       string `json:"note,omitempty"`
}

// shippedExemptions is ops/exemptions/ct-foi.toml: a test compares them.
//
//go:embed ct-foi.toml
var shippedExemptions []byte

var exemptionsForm = tomlForm{
	head: map[string]unstable.Kind{"authority": unstable.String, "dated": unstable.LocalDate, "title": unstable.String, "citation": unstable.String},
	name: "exemption",
	table: map[string]unstable.Kind{
		"code": unstable.String, "subject": unstable.String, "citation": unstable.String, "note": unstable.String, "verified": unstable.Bool,
		"redactable": unstable.Bool, "active_from": unstable.LocalDate, "active_to": unstable.LocalDate,
	},
}

// parseExemptions reads an authority file of exemption codes. Its error is of
// type faults.
func parseExemptions(text []byte) (exemptions, error) {
	if len(text) > maxExemptionBytes {
		return exemptions{}, faults{fmt.Sprintf("it has more than %d MiB", maxExemptionBytes>>20)}
	}
	head, tables, err := exemptionsForm.parse(text, maxExemptions)
	if err != nil {
		return exemptions{}, err
	}
	var bad faults
	s := head.settings
	e := exemptions{authority: s["authority"], dated: s["dated"], title: s["title"], citation: s["citation"]}
	if !isExemptionCode(e.authority) {
		bad.add(0, "authority", "%.40q is no name: write 1 to %d of A-Z, a-z, 0-9, point and hyphen", e.authority, commitment.MaxExemptionCode)
	}
	bad.day(0, "dated", e.dated)
	bad.text(0, "title", e.title, maxTitleBytes)
	bad.text(0, "citation", e.citation, maxCitationBytes)
	if len(tables) == 0 {
		bad.add(0, "", "it has no [[exemption]]")
	}
	seen := map[string]bool{}
	for _, t := range tables {
		e.list = append(e.list, t.exemption(&bad, seen))
	}
	if len(bad) > 0 {
		return exemptions{}, bad[:min(len(bad), maxFaults)]
	}
	return e, nil
}

// isExemptionCode tells whether a redaction can cite a code.
func isExemptionCode(code string) bool {
	if code == commitment.Betrays {
		return false
	}
	r := commitment.Redaction{Authority: "X", Dated: "2000-01-01", Marks: []commitment.Mark{{Code: code}}}
	_, err := r.Marshal()
	return err == nil
}

func (t tomlTable) exemption(bad *faults, seen map[string]bool) exemption {
	s := t.settings
	x := exemption{
		Code: s["code"], Subject: s["subject"], Citation: s["citation"], Note: s["note"], ActiveFrom: s["active_from"], ActiveTo: s["active_to"],
		Verified: s["verified"] == "true", Redactable: s["redactable"] != "false",
	}
	name := "exemption " + x.Code
	switch {
	case !isExemptionCode(x.Code):
		name = fmt.Sprintf("exemption %.40q", x.Code)
		bad.add(t.line, name, "it is not a code: write 1 to %d of A-Z, a-z, 0-9, point and hyphen", commitment.MaxExemptionCode)
	case seen[x.Code]:
		bad.add(t.line, name, "it is there twice")
	}
	seen[x.Code] = true
	if x.Subject == "" {
		bad.add(t.line, name, "it has no subject")
	}
	bad.text(t.line, name+": subject", x.Subject, maxProseBytes)
	bad.text(t.line, name+": citation", x.Citation, maxCitationBytes)
	bad.text(t.line, name+": note", x.Note, maxProseBytes)
	if x.ActiveFrom != "" {
		bad.day(t.line, name+": active_from", x.ActiveFrom)
	}
	if x.ActiveTo != "" {
		bad.day(t.line, name+": active_to", x.ActiveTo)
	}
	if x.ActiveFrom != "" && x.ActiveTo != "" && x.ActiveTo < x.ActiveFrom {
		bad.add(t.line, name, "it ends before it begins")
	}
	return x
}

// day wants a day of the calendar.
func (f *faults) day(line int, what, text string) {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		f.add(line, what, "%.40q is no day: write one such as 2026-11-01", text)
	}
}

// readExemptions reads an authority file, by default the one that is shipped, and
// tells every fault that it has.
func (p *program) readExemptions(path string) (exemptions, error) {
	text, err := shippedExemptions, error(nil)
	if path != "" {
		text, err = readBounded(path, maxExemptionBytes)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return exemptions{}, failed(exitNotFound, "NO_SUCH_FILE", "", "there is no file %s", path)
	}
	if err != nil {
		return exemptions{}, err
	}
	e, err := parseExemptions(text)
	if err != nil {
		return exemptions{}, failed(exitError, "BAD_EXEMPTIONS", mendFile, "%s: %w", path, p.told(path, err))
	}
	return e, nil
}

const mendFile = "mend the file: docs/cli.md describes it"

// told prints the faults of a file if there are several, and gives the error that
// remains to be said.
func (p *program) told(path string, err error) error {
	if bad, ok := errors.AsType[faults](err); ok && len(bad) > 1 {
		for _, sentence := range bad {
			fmt.Fprintf(p.stderr, "muniment: %s: %s\n", printable(path), printable(sentence))
		}
		err = fmt.Errorf("it has %s", counted(len(bad), "fault"))
	}
	return err
}

// citable judges whether a code can be cited on a day.
func (e exemptions) citable(code string, today record.Day) error {
	const advice = "muniment exemptions list shows the codes"
	i := slices.IndexFunc(e.list, func(x exemption) bool { return x.Code == code })
	if i < 0 {
		return failed(exitRefused, "UNKNOWN_EXEMPTION", advice, "%s of %s has no exemption code %q", e.authority, e.dated, printable(code))
	}
	x, day := e.list[i], dayText(today)
	switch {
	case !x.Redactable:
		return failed(exitRefused, "NOT_REDACTABLE", advice, "nothing can be withheld under %s (%s)", x.Code, x.Subject)
	case x.ActiveFrom != "" && day < x.ActiveFrom:
		return failed(exitRefused, "EXEMPTION_NOT_IN_FORCE", advice, "%s is in force from %s on", x.Code, x.ActiveFrom)
	case x.ActiveTo != "" && day > x.ActiveTo:
		return failed(exitRefused, "EXEMPTION_NOT_IN_FORCE", advice, "%s was in force up to %s", x.Code, x.ActiveTo)
	}
	return nil
}

// unverified lists those of the codes that were not compared with their source.
func (e exemptions) unverified(codes []string) []string {
	var out []string
	for _, x := range e.list {
		if !x.Verified && slices.Contains(codes, x.Code) {
			out = append(out, x.Code)
		}
	}
	return out
}
