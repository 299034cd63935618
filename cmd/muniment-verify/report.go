package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
)

// nextOf says what to do where keys of the network have changed since.
var nextOf = map[receipt.Reason]string{
	receipt.KeysRetired:   "muniment receipt refresh --proof PROOF FILE gets the proof; give it here with --consistency PROOF",
	receipt.UnknownSigner: "a newer network file may name them: muniment network refresh gets it, or munimentd network at a node",
}

// text renders the report for people. A field that a stranger named stands
// behind "metadata", so that it cannot pass for a finding.
func (r report) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: %s", printable(r.File), r.Outcome)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, " %s", reason)
	}
	b.WriteByte('\n')
	if r.Detail != "" {
		line("because", "%s", printable(r.Detail))
	}
	for _, reason := range r.Reasons {
		if next, ok := nextOf[reason]; ok {
			line("next", "%s", next)
		}
	}
	if r.Content != nil {
		r.contentText(line)
	}
	if r.Held != nil {
		receipt.HeldVerdict{Receipts: r.Receipts, Held: r.Held}.Text(line)
	} else if r.Outcome == receipt.Passed {
		for i, v := range r.Receipts {
			if r.Content != nil {
				line("receipt", "%d of %d", i+1, len(r.Receipts))
			}
			_, text, _ := strings.Cut(v.Text(), "\n") // all of them passed: the first line of the report says so
			b.WriteString(indented(text))
		}
	}
	if r.Extracted != "" {
		line("extracted", "%s", printable(r.Extracted))
		if !r.Content.Complete {
			line("", "%s stands for each hidden run of content, whatever its length", mark)
		}
	}
	return b.String()
}

func (r report) contentText(line func(string, string, ...any)) {
	c := r.Content
	line("record", "%s", r.CID)
	for _, f := range c.Fields {
		switch f.Key {
		case commitment.FieldMediaType, commitment.FieldFileName, commitment.FieldTitle:
			line("  "+f.Key, "%s", printable(f.Value))
		default:
			line("metadata", "%s: %s", f.Key, printable(f.Value))
		}
	}
	line("segments", "%d of %d disclosed (%s), %d bytes of content", c.Disclosed, c.Segments, c.Profile, c.Bytes)
	undecided := false
	for _, run := range c.HiddenRuns {
		line("not disclosed", "segments %s: %s", receipt.Segments(run.First, run.Last), printable(run.Words()))
		undecided = undecided || run.Status == receipt.HiddenUndecided
	}
	if undecided {
		line("not proven", "why those without a decision are hidden: withheld and erased look the same here")
	}
	for _, shown := range c.Shown {
		line("decided", "%s", printable(shown))
	}
	if len(c.HiddenRuns) > 0 {
		line("not proven", "what is hidden: this copy tells nothing of it")
	}
	if c.Complete {
		line("proven", "the content is whole: it is the original, byte for byte")
	} else {
		line("not proven", "that the disclosed content is all of it: where content is hidden, the digest of the whole is hidden too")
	}
}

// printable keeps a stranger's text from writing to the terminal anything but
// visible characters and spaces: no control characters, no invisible ones, none
// that turn the direction.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// printableJSON spells in JSON text the characters that printable replaces as
// \u escapes, which changes no value. Outside strings there are none but line
// feeds.
func printableJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
	}
	return out
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
