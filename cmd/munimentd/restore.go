package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/store/keyring"
)

func restoreCommand(o *options) *cobra.Command {
	var rings string
	c := &cobra.Command{
		Use:   "restore DIR | --keyring FILE",
		Short: "Put back from a backup what is missing in this home, whose node is stopped",
		Long: `Put back from a backup what is missing in this home, whose node is stopped.

The home has its keys/ and signer/, which are never in a backup. What it has of
the rest is left alone: move away what is to be replaced. Every file is compared
with the manifest before anything is put into its place. A restore that was
interrupted is run again.

What was erased stays erased: at its next start the node compares rings and
ledger before it gives anything out.`,
		Args: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (rings != "") || len(args) > 1 {
				return withCode(exitUsage, errors.New("from where? give DIR, or --keyring FILE"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.restore(c, append(args, rings)[0], rings != "")
		},
	}
	c.Flags().StringVar(&rings, "keyring", "", "restore the keyring alone, from this file")
	return c
}

func (o options) restore(c *cobra.Command, path string, rings bool) error {
	if err := o.checkKeys(); err != nil {
		return withCode(exitPrecondition, err)
	}
	if err := checkBackup(path, rings); err != nil {
		return withCode(exitPrecondition, err)
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return err
	}
	put := node.Restore
	if rings {
		put = node.RestoreKeyring
	}
	r, err := put(o.node(), passphrase, path)
	clear(passphrase)
	switch {
	case errors.Is(err, node.ErrBackupDamaged), errors.Is(err, node.ErrManifest), errors.Is(err, keyring.ErrBackup):
		return withCode(exitContradicted, err)
	case err != nil:
		return withCode(exitPrecondition, err)
	}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"home": o.home, "restored": append([]string{}, r.Put...), "kept": append([]string{}, r.Kept...), "log_size": r.Entries, "records": r.Records,
		})
	}
	if !r.Taken.IsZero() {
		fmt.Fprintf(c.OutOrStdout(), "backup of    %s, log of %d entries\n", r.Taken.Format(time.RFC3339), r.Entries)
	}
	if len(r.Put) == 0 { // all had been put back, but for the last step
		fmt.Fprintln(c.OutOrStdout(), "the restore that was interrupted is finished")
	} else {
		fmt.Fprintf(c.OutOrStdout(), "restored     %s\n", strings.Join(r.Put, ", "))
	}
	if len(r.Kept) > 0 {
		fmt.Fprintf(c.OutOrStdout(), "left alone   %s: there already\n", strings.Join(r.Kept, ", "))
	}
	fmt.Fprintf(c.OutOrStdout(), "\nWhat was erased stays erased. Next:\n  munimentd start --home %s\n", o.home)
	return nil
}

// checkBackup refuses what cannot be a backup of the kind that was named, before
// anybody is asked for a passphrase.
func checkBackup(path string, rings bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there: name the backup that is to be restored", path)
	case err != nil:
		return fmt.Errorf("read backup: %w", err)
	case rings && info.IsDir():
		return fmt.Errorf("%s is a folder: --keyring takes the file that munimentd backup --keyring has written; a backup of the rest is restored without --keyring", path)
	case !rings && !info.IsDir():
		return fmt.Errorf("%s is not a folder: name the folder that munimentd backup has written; a backup of the keyring is restored with --keyring", path)
	}
	return nil
}

// checkKeys refuses a folder that no backup can be restored into.
func (o options) checkKeys() error {
	if err := o.checkFinished(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.node().Keys(), "home.key")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no keys/home.key: bring keys/ and signer/ back from where they are kept, and restore then", o.home)
	}
	return nil
}
