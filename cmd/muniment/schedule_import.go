package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) scheduleImportCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use: "import FILE.csv [-o FILE.toml]", Short: "Turn a schedule as a table into an authority file",
		Long: "Reads a table with the columns schedule, number, title, description, rule, disposition, approvals, citation and\n" +
			"effective date, one row a series; docs/cli.md lists further ones. Where there is no code, the number is the code.",
		Example:           "  muniment schedule import schedule.csv -o schedule.toml",
		Args:              exactly(1, "one table"),
		ValidArgsFunction: completeFiles("csv"),
	}
	c.Flags().StringVarP(&output, "out", "o", "", "new file to write (default: standard output)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		if !strings.EqualFold(filepath.Ext(args[0]), ".csv") {
			return usage("%s is no table: its name ends in .csv", printable(args[0]))
		}
		if _, err := os.Lstat(output); output != "" && output != fromStdin && !errors.Is(err, fs.ErrNotExist) {
			return failed(exitRefused, "FILE_EXISTS", "name another file with -o FILE: one that was edited is not replaced", "%s is there already", printable(output))
		}
		a, err := p.readAuthority(args[0])
		if err != nil {
			return err
		}
		result, err := a.result()
		if err != nil {
			return err
		}
		if p.output == "json" && output == "" {
			return p.show(result, func(io.Writer) {})
		}
		if err := p.deliver(output, a.text()); err != nil || output == "" || output == fromStdin {
			return err
		}
		p.say("wrote %s with %s", output, counted(len(a.series), "rule"))
		if p.output == "json" {
			return p.show(result, func(io.Writer) {})
		}
		p.say("next: muniment schedule check %s", output)
		return nil
	}
	return c
}
