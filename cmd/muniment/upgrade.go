package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) upgradeCommand() *cobra.Command {
	return group("upgrade", "Propose from which block on the ledger goes by other rules", p.upgradeProposeCommand())
}

func (p *program) upgradeProposeCommand() *cobra.Command {
	var height int64
	c := &cobra.Command{
		Use: "propose VERSION --at HEIGHT", Short: "Propose that the next version of the rules holds from a block on",
		Long: "VERSION is the one after the version in force. Install a munimentd that knows it on every node before HEIGHT: one\n" +
			"that does not stops there. At least ten blocks lie between the decision and HEIGHT; a quiet network makes two\n" +
			"blocks a minute. munimentd status shows the height.",
		Example: "  muniment upgrade propose 2 --at 120000",
		Args:    exactly(1, "one version"),
	}
	c.Flags().Int64Var(&height, "at", 0, "height of the first block under the new rules (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		version, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil || version < 2 {
			return usage("version %q: use the number after the one in force, 2 or more", printable(args[0]))
		}
		if height < 2 {
			return usage("from which block on? give --at HEIGHT")
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) {
			for u := range facts[*record.Upgrade](r) {
				p.say("registered: %s", factText(u))
			}
			return &record.Upgrade{Version: uint32(version), Height: height}, nil
		})
	}
	return c
}
