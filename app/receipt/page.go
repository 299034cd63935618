package receipt

import (
	"fmt"
	"strings"
)

// Widths of what people read, in columns.
const (
	pageWidth = 76
	nameWidth = 12
)

// page is text for people: lines of at most pageWidth columns where the words
// allow it.
type page struct{ b strings.Builder }

func (p *page) line(text string) { p.b.WriteString(text + "\n") }

// heading begins a section.
func (p *page) heading(text string) { p.b.WriteString("\n" + text + "\n\n") }

// words writes sentences as a paragraph.
func (p *page) words(format string, args ...any) {
	p.wrapped("", "", fmt.Sprintf(format, args...))
}

// row writes a name and what it stands for.
func (p *page) row(name, format string, args ...any) {
	p.wrapped(fmt.Sprintf("%-*s", nameWidth, name), strings.Repeat(" ", nameWidth), fmt.Sprintf(format, args...))
}

// point writes a paragraph with a mark before it.
func (p *page) point(mark, format string, args ...any) {
	p.wrapped(mark+" ", strings.Repeat(" ", len(mark)+1), fmt.Sprintf(format, args...))
}

// wrapped breaks lines between words; a word that is too long stands alone.
func (p *page) wrapped(first, next, text string) {
	line := first
	bare := true // nothing but the indent
	for _, word := range strings.Fields(text) {
		if !bare && len(line)+1+len(word) > pageWidth {
			p.line(line)
			line, bare = next, true
		}
		if !bare {
			line += " "
		}
		line, bare = line+word, false
	}
	p.line(strings.TrimRight(line, " "))
}
