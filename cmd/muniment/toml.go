package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlForm is what a file in TOML may say: settings of its own, and then tables
// of one name, each with the same settings.
type tomlForm struct {
	head  map[string]unstable.Kind
	name  string // of the tables, as [[mark]]
	table map[string]unstable.Kind
}

// tomlTable is the head of a file, or one of its tables. A setting that is left
// out is not in the map.
type tomlTable struct {
	line     int
	settings map[string]string
}

// parse reads a text in which each setting stands on a line of its own, by its
// one name, at most once, with a value of its kind. Decoders of TOML take names
// in capitals, too, and the last of two; what decides over records may not depend
// on that. Its error is of type faults.
func (f tomlForm) parse(text []byte, most int) (head tomlTable, tables []tomlTable, err error) {
	r := formReader{form: f, at: tomlTable{settings: map[string]string{}}}
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
	all := append(r.done, r.at)
	if len(all)-1 > most {
		r.bad.add(0, "", "it has %d times [[%s]], at most %d are read", len(all)-1, f.name, most)
	}
	if len(r.bad) > 0 {
		return tomlTable{}, nil, r.bad
	}
	return all[0], all[1:], nil
}

// formReader goes through the expressions of a file.
type formReader struct {
	form   tomlForm
	parser unstable.Parser
	done   []tomlTable
	at     tomlTable // that is being read
	bad    faults
}

func (r *formReader) line(at unstable.Range) int { return r.parser.Shape(at).Start.Line }

func (r *formReader) expression(e *unstable.Node) {
	var names []string
	line := 0
	for key := e.Key(); key.Next(); {
		names = append(names, string(key.Node().Data))
		line = r.line(key.Node().Raw)
	}
	name := strings.Join(names, ".")
	if slices.Contains([]unstable.Kind{unstable.ArrayTable, unstable.Table}, e.Kind) && name == r.form.name {
		if e.Kind == unstable.Table {
			r.bad.add(line, "", "write [[%s]], in double brackets", name)
		}
		r.done, r.at = append(r.done, r.at), tomlTable{line: line, settings: map[string]string{}}
		return
	}
	settings := r.form.head
	if len(r.done) > 0 {
		settings = r.form.table
	}
	want, known := settings[name]
	_, again := r.at.settings[name]
	switch {
	case e.Kind != unstable.KeyValue || !known || len(names) != 1:
		r.bad.add(line, "", "%.40q does not belong here", name)
	case again:
		r.bad.add(line, name, "it is there twice")
	case e.Value().Kind != want:
		r.bad.add(line, name, "write %s", kindWords[want])
	default:
		r.at.settings[name] = string(e.Value().Data)
	}
}
