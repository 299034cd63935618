package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) scheduleCommand() *cobra.Command {
	c := group("schedule", "Check, import, propose, approve and show records schedules",
		p.scheduleCheckCommand(), p.scheduleImportCommand(), p.scheduleProposeCommand(), p.scheduleApproveCommand(),
		p.scheduleListCommand(), p.scheduleShowCommand())
	c.Long = "A records schedule says how long the records of each series are kept, and what becomes of them then. It is\n" +
		"written in an authority file, proposed rule by rule, and adopted as a whole by the offices that govern records\n" +
		"matters; one of the state needs the Public Records Administrator besides. On the ledger stand codes, rules and\n" +
		"approvals; titles, descriptions and citations stay in the file."
	c.Example = "  muniment schedule check ct-personnel.toml\n" +
		"  muniment schedule propose ct-personnel.toml\n" +
		"  muniment schedule approve 318 --file ct-personnel.toml\n" +
		"  muniment schedule show CT-PERSONNEL --file ct-personnel.toml"
	return c
}

// completeFiles offers files with some endings for the first argument.
func completeFiles(endings ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

// readAuthority reads an authority file, or a table by its ending .csv, and
// tells every fault that it has.
func (p *program) readAuthority(path string) (authority, error) {
	text, err := readBounded(path, maxAuthorityBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return authority{}, failed(exitNotFound, "NO_SUCH_FILE", "", "there is no file %s", path)
	}
	if err != nil {
		return authority{}, err
	}
	parse := parseAuthority
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		parse = parseCSV
	}
	a, err := parse(text)
	if err == nil {
		return a, nil
	}
	return authority{}, failed(exitError, "BAD_SCHEDULE", mendFile, "%s: %w", path, p.told(path, err))
}
