package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func backupCommand(o *options) *cobra.Command {
	var keyring string
	c := &cobra.Command{
		Use:   "backup DIR | --keyring FILE",
		Short: "Have the running node write a backup, of everything but the keyring or of the keyring alone",
		Long: `Have the running node write a backup, of everything but the keyring or of the
keyring alone. The node goes on meanwhile.

DIR gets vault, ledger, access log, genesis.json, network.mun and munimentd.toml,
and a manifest of all files. It opens no record: neither rings nor keys are in it,
nor what was signed last, which must never come from a backup.

FILE gets the rings, sealed as they are. Keep it apart from DIR and from the keys,
and replace it after every erasure: an older one holds what was erased since.`,
		Example: `  munimentd backup /mnt/backup/2026-11-22
  munimentd backup --keyring /mnt/keys/rings-2026-11-22`,
		Args: func(c *cobra.Command, args []string) error {
			if (len(args) == 1) == (keyring != "") || len(args) > 1 {
				return withCode(exitUsage, errors.New("where is the backup to go? give DIR, or --keyring FILE"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return o.backup(c, append(args, keyring)[0], keyring != "")
		},
	}
	c.Flags().StringVar(&keyring, "keyring", "", "back up the keyring alone, into this file")
	return c
}

func (o options) backup(c *cobra.Command, named string, keyring bool) error {
	path, err := filepath.Abs(named)
	if err != nil {
		return err
	}
	if err := o.checkHome(); err != nil {
		return withCode(exitPrecondition, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return withCode(exitPrecondition, fmt.Errorf("%s: %w: it is there already", path, node.ErrBackupPath))
	}
	var r *apiv1.BackupResponse
	var status *apiv1.StatusResponse
	err = o.ask(c.Context(), func(ctx context.Context, node apiv1.OperatorsClient) (err error) {
		if r, err = node.Backup(ctx, &apiv1.BackupRequest{Directory: path, Keyring: keyring}); err != nil {
			return err
		}
		status, err = node.Status(ctx, &apiv1.StatusRequest{})
		return err
	})
	if err != nil {
		return err
	}
	w := c.OutOrStdout()
	switch {
	case o.output == "json":
		return json.NewEncoder(w).Encode(map[string]any{
			"path": path, "keyring": keyring, "log_size": r.LogSize, "records": r.Records, "bytes": r.Bytes, "claim": status.Claim,
		})
	case !keyring:
		fmt.Fprintf(w, "backup   %s\nlog      %d entries\nrecords  %d\nsize     %d bytes\n\nIt opens no record: the keyring is backed up apart (--keyring), and keys/ are kept apart.\n",
			named, r.LogSize, r.Records, r.Bytes)
	default:
		fmt.Fprintf(w, "keyring  %s\nstates   %d\nsize     %d bytes\n\n%s\n", named, r.Records, r.Bytes, keyringWarning(status.Claim))
	}
	return nil
}

// keyringWarning says what an old backup of the keyring gives away.
func keyringWarning(claim string) string {
	if claim == record.ClaimKey.String() {
		return "It opens with this home's device alone, and no longer once the key of a ring's epoch is destroyed\nthere: after each erasure, back the keyring up anew. An older one is then of no use."
	}
	return "It opens for whoever has it, keys/ring-root.key and the passphrase: also records that are erased after\ntoday. After each erasure, back the keyring up anew and destroy the older ones."
}
