package main

import (
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) keySuspendCommand() *cobra.Command {
	var since int64
	c := &cobra.Command{
		Use: "suspend KEYID", Short: "Stop a key at once, for good (governing offices)",
		Long: "Stops a key of any office at once: one governing office suffices, since a stolen key cannot wait. With\n" +
			"--since-height, approvals by that key in blocks of that height or later no longer count.",
		Args: exactly(1, "one key id"),
	}
	c.Flags().Int64Var(&since, "since-height", 0, "approvals by the key at this height or later are void (0: none are)")
	c.RunE = func(c *cobra.Command, args []string) error {
		raw, err := hex.DecodeString(args[0])
		if err != nil || len(raw) != len(record.KeyID{}) || since < 0 {
			return usage("a key id is 64 hex digits, a height is not negative: muniment office show lists the keys")
		}
		done, err := p.act(c.Context(), &record.SuspendKey{KeyID: record.KeyID(raw), SinceHeight: since})
		if err != nil {
			return err
		}
		return p.showAct(done, "muniment office show")
	}
	return c
}
