package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// The settings of an authority file and the kinds of their values.
var (
	scheduleSettings = map[string]unstable.Kind{
		"schedule": unstable.String, "version": unstable.Integer, "state": unstable.Bool, "effective": unstable.LocalDate,
		"authority": unstable.String, "citation": unstable.String,
	}
	seriesSettings = map[string]unstable.Kind{
		"code": unstable.String, "number": unstable.String, "title": unstable.String, "description": unstable.String, "citation": unstable.String,
		"verified": unstable.Bool, "rule": unstable.String, "action": unstable.String, "approvals": unstable.Array,
		"notice_days": unstable.Integer, "notice_heights": unstable.Integer, "fiscal_start": unstable.Integer,
		"transitory": unstable.Bool, "batched": unstable.Bool,
	}
	kindWords = map[unstable.Kind]string{
		unstable.String: "a text in quotation marks", unstable.Integer: "a number", unstable.Bool: "true or false",
		unstable.LocalDate: "a date such as 2031-01-01", unstable.Array: "a list of texts",
	}
)

// parseAuthority reads an authority file: TOML in which each setting stands on
// a line of its own, by its one name, at most once. Decoders of TOML take names
// in capitals, too, and the last of two; a rule of retention may not depend on
// that. Its error is of type faults.
func parseAuthority(text []byte) (authority, error) {
	if len(text) > maxAuthorityBytes {
		return authority{}, faults{tooManyBytes}
	}
	var r tomlReader
	r.parser.Reset(text)
	for r.parser.NextExpression() && len(r.bad) < maxFaults {
		r.expression(r.parser.Expression())
	}
	if err := r.parser.Error(); err != nil {
		line := 0
		if at, ok := errors.AsType[*unstable.ParserError](err); ok {
			line = r.line(r.parser.Range(at.Highlight))
		}
		r.bad.add(line, "", "%v", err)
	}
	if len(r.bad) > 0 {
		return authority{}, r.bad
	}
	return r.file.judge()
}

// tomlReader goes through the expressions of an authority file.
type tomlReader struct {
	parser unstable.Parser
	file   authorityFile
	seen   map[string]bool // in the schedule, or in the series that is being read
	bad    faults
}

func (r *tomlReader) line(at unstable.Range) int { return r.parser.Shape(at).Start.Line }

func (r *tomlReader) expression(e *unstable.Node) {
	var names []string
	line := 0
	for key := e.Key(); key.Next(); {
		names = append(names, string(key.Node().Data))
		line = r.line(key.Node().Raw)
	}
	name := strings.Join(names, ".")
	if (e.Kind == unstable.ArrayTable || e.Kind == unstable.Table) && name == "series" {
		if e.Kind == unstable.Table {
			r.bad.add(line, "", "a series begins with [[series]], in double brackets")
		}
		r.file.series = append(r.file.series, seriesFile{line: line})
		r.seen = nil
		return
	}
	settings := scheduleSettings
	if len(r.file.series) > 0 {
		settings = seriesSettings
	}
	want, known := settings[name]
	switch {
	case e.Kind != unstable.KeyValue || !known || len(names) != 1:
		r.bad.add(line, "", "%.40q does not belong here", name)
	case r.seen[name]:
		r.bad.add(line, name, "it is there twice")
	case e.Value().Kind != want:
		r.bad.add(line, name, "write %s", kindWords[want])
	default:
		if r.seen == nil {
			r.seen = map[string]bool{}
		}
		r.seen[name] = true
		if err := r.set(name, e.Value()); err != nil {
			r.bad.add(line, name, "%v", err)
		}
	}
}

// set takes a value over. Its kind is the one that the setting has.
func (r *tomlReader) set(name string, value *unstable.Node) (err error) {
	text := string(value.Data)
	if n := len(r.file.series); n > 0 {
		return r.file.series[n-1].set(name, text, value)
	}
	switch name {
	case "schedule":
		r.file.schedule = text
	case "version":
		var n *uint32
		if n, err = parseNumber(text); err == nil {
			r.file.version = *n
		}
	case "state":
		r.file.state = text == "true"
	case "effective":
		r.file.effective = text
	case "authority":
		r.file.authority = text
	case "citation":
		r.file.citation = text
	}
	return err
}

func (s *seriesFile) set(name, text string, value *unstable.Node) (err error) {
	switch name {
	case "code":
		s.code = text
	case "number":
		s.number = text
	case "title":
		s.title = text
	case "description":
		s.description = text
	case "citation":
		s.citation = text
	case "verified":
		s.verified = text == "true"
	case "rule":
		s.rule = text
	case "action":
		s.action = text
	case "approvals":
		for one := value.Children(); one.Next(); {
			if one.Node().Kind != unstable.String {
				return fmt.Errorf("write %s", kindWords[unstable.Array])
			}
			s.approvals = append(s.approvals, string(one.Node().Data))
		}
	case "notice_days":
		s.noticeDays, err = parseNumber(text)
	case "notice_heights":
		s.noticeHeights, err = parseNumber(text)
	case "fiscal_start":
		s.fiscalStart, err = parseNumber(text)
	case "transitory":
		s.transitory = text == "true"
	case "batched":
		s.batched = text == "true"
	}
	return err
}

// parseNumber reads a number in its one spelling.
func parseNumber(text string) (*uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return nil, fmt.Errorf("%.40q is not a number from 0 to 4294967295", text)
	}
	small := uint32(n)
	return &small, nil
}
