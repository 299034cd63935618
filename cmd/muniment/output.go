package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// show prints a result: as JSON where that was asked for, else as text says.
func (p *program) show(result any, text func(w io.Writer)) error {
	if p.output == "json" {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	text(w)
	return w.Flush()
}

// say prints a line of talk, for people only.
func (p *program) say(format string, args ...any) {
	if p.output == "text" {
		fmt.Fprintf(p.stderr, "muniment: "+format+"\n", args...)
	}
}

// printable keeps what came from elsewhere from writing to the terminal
// anything but text: control characters, and marks that turn the direction of
// writing, are shown as escapes.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == 0x61c || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
