package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) exemptionsCommand() *cobra.Command {
	c := group("exemptions", "Check and list the codes under which parts of records are withheld", p.exemptionsCheckCommand(), p.exemptionsListCommand())
	c.Long = "An authority file of exemption codes says who issued them, of which day it is, and what each is about. A redaction\n" +
		"cites authority, day and code. The program has a list for Connecticut with it: a transcription, not legal advice;\n" +
		"codes that were not compared with their source are marked unverified."
	return c
}

// exemptionsResult is an authority file as commands print it.
type exemptionsResult struct {
	Authority  string      `json:"authority"`
	Dated      string      `json:"dated"`
	Title      string      `json:"title"`
	Citation   string      `json:"citation"`
	Exemptions []exemption `json:"exemptions"`
	Unverified int         `json:"unverified"` // codes that were not compared with their source
}

func (p *program) exemptionsCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check FILE", Short: "Check an authority file of exemption codes", Args: exactly(1, "one authority file"),
		Example: "  muniment exemptions check ct-foi.toml", ValidArgsFunction: completeFiles("toml"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error { return p.showExemptions(args[0]) }
	return c
}

func (p *program) exemptionsListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list [FILE]", Short: "List exemption codes: of a file, or those that come with the program", ValidArgsFunction: completeFiles("toml"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("it takes one authority file or none, here are %d", len(args))
			}
			return nil
		},
	}
	c.RunE = func(_ *cobra.Command, args []string) error { return p.showExemptions(strings.Join(args, "")) }
	return c
}

func (p *program) showExemptions(path string) error {
	e, err := p.readExemptions(path)
	if err != nil {
		return err
	}
	result := exemptionsResult{e.authority, e.dated, e.title, e.citation, e.list, 0}
	for _, x := range e.list {
		if !x.Verified {
			result.Unverified++
		}
	}
	return p.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "authority\t%s of %s: %s\n", e.authority, e.dated, e.title)
		if result.Unverified > 0 {
			fmt.Fprintf(w, "unverified\t%d of %s: compare them with their source before you cite them\n", result.Unverified, counted(len(e.list), "code"))
		}
		for _, x := range e.list {
			mark := ""
			if !x.Verified {
				mark = "unverified"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", x.Code, mark, x.text())
		}
	})
}

// text says in one line what a code is about, and what stands against its use.
func (x exemption) text() string {
	text := x.Subject
	if x.Citation != "" {
		text += " (" + x.Citation + ")"
	}
	if !x.Redactable {
		text += "; not redactable"
	}
	switch {
	case x.ActiveFrom != "" && x.ActiveTo != "":
		text += "; in force " + x.ActiveFrom + " to " + x.ActiveTo
	case x.ActiveFrom != "":
		text += "; in force from " + x.ActiveFrom
	case x.ActiveTo != "":
		text += "; in force up to " + x.ActiveTo
	}
	return text
}
