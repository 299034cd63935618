package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
)

func memberAdoptCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "adopt BACKUP",
		Short: "Begin with the ledger of another member's backup, every block of it carried out anew",
		Long: `Begin with the ledger of another member's backup, every block of it carried out
anew.

The home has joined the network, and has no ledger/; its node is stopped. BACKUP
was made by munimentd backup at a node that keeps all blocks. Nothing in it is
believed: each block needs the commit of the validators, from this home's
genesis.json on, and its log must have the trees that this home's network.mun
pins. A backup that differs is refused with the place, and changes nothing.

Only the ledger is taken over. What this node has signed stays as it is, so that
it signs nothing twice; a node that has lost signer/ does not start, and comes
back as a new member that replaces the old one. Content comes from the other
custodians when the node runs. What came after the backup it gets by block sync.`,
		Args: oneFolder("which backup? give the folder that munimentd backup has made at another member"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.adopt(c, args[0])
		},
	}
}

func (o options) adopt(c *cobra.Command, backup string) error {
	if err := errors.Join(o.checkKeys(), checkAdopted(backup)); err != nil {
		return withCode(exitPrecondition, err)
	}
	const every = 1000
	a, err := node.Adopt(o.node(), backup, func(height, of int64) {
		if height%every == 0 {
			fmt.Fprintf(c.ErrOrStderr(), "block %d of %d\n", height, of)
		}
	})
	switch {
	case errors.Is(err, node.ErrUntrue), errors.Is(err, node.ErrBackupDamaged), errors.Is(err, node.ErrManifest):
		return withCode(exitContradicted, err)
	case errors.Is(err, node.ErrNothingMissing):
		return withCode(exitPrecondition, fmt.Errorf("%s has a ledger, so nothing was adopted: move ledger/ away first, and leave signer/ as it is", o.home))
	case errors.Is(err, node.ErrNoBackup), errors.Is(err, node.ErrOtherBackup), errors.Is(err, node.ErrHomeRuns), errors.Is(err, node.ErrRestoring),
		errors.Is(err, node.ErrRestoreBusy), errors.Is(err, node.ErrNotJoined), errors.Is(err, node.ErrPruned),
		errors.Is(err, node.ErrNoBlocks), errors.Is(err, node.ErrOtherDisk):
		return withCode(exitPrecondition, err)
	case err != nil:
		return err
	}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"backup": filepath.Clean(backup), "node": a.Node, "taken": clock(a.Taken), "height": a.Height, "entries": a.Entries,
			"app_hash": hex.EncodeToString(a.AppHash[:]), "eras": a.Eras,
		})
	}
	fmt.Fprintf(c.OutOrStdout(), `backup of    node %s, %s
carried out  %d blocks, %d entries, %d of its eras: each block has the validators' commit
AppHash      %x

Next:
  munimentd start --home %s
`, a.Node, clock(a.Taken), a.Height, a.Entries, a.Eras, a.AppHash, o.home)
	return nil
}

// checkAdopted refuses what cannot be the backup of a member.
func checkAdopted(path string) error {
	const next = "name the folder that munimentd backup has made at another member"
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there: %s", path, next)
	case err != nil:
		return fmt.Errorf("read backup: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: %s", path, next)
	}
	return nil
}
