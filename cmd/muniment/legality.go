package main

import (
	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) legalityCommand() *cobra.Command {
	var file, department string
	c := &cobra.Command{
		Use: "legality RECORD", Short: "Fetch and verify the file that proves why a record could be disposed of",
		Long: "The record is under a disposition that is locked. The file has every entry by which that was lawful: rules,\n" +
			"facts and days, approvals with their offices and times; and proofs of every hold that ever covered the record.\n" +
			"The judgement of the lock is made again from them before the file is written; muniment-verify makes it offline,\n" +
			"for ever.",
		Example: "  muniment legality 42 -o 42.legality\n  muniment-verify --network network.mun 42.legality",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVarP(&file, "out", "o", "", "file to write it to (default: standard output)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			said, err := staffCall(c.Context(), s, apiv1.RecordsStaffClient.Legality, &apiv1.LegalityRequest{Record: a.ref()})
			if codeOf(err) == exitNotFound {
				return failed(exitNotFound, "NOT_FOUND", "muniment why RECORD says where it stands", "record %d is under no disposition that is locked", a.index)
			}
			if err != nil {
				return err
			}
			verdict, err := receipt.VerifyLegality(s.network, said.File, nil)
			if err != nil {
				return err
			}
			if err := verdictError(verdict); err != nil {
				return err
			}
			if item, ok := verdict.Entry.(record.ItemEntry); !ok || uint64(item.Record) != a.index {
				return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node gave the legality of another record than %d", a.index)
			}
			held, proofs, err := s.proveHeld(c.Context(), a)
			if err != nil {
				return err
			}
			if held.TreeSize <= verdict.Index {
				return failed(exitUnavailable, "BUSY", adviceOn["BUSY"], "the node proves holds in a tree that is older than the lock")
			}
			return p.deliverReceipt(verdict, append(said.File, proofs...), file)
		})
	}
	return c
}
