package main

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) evidenceCommand() *cobra.Command {
	var file, purpose, department string
	var hide []string
	c := &cobra.Command{
		Use: "evidence RECORD -o FILE.mun.car", Short: "Make a bundle of content and receipts that proves itself",
		Long: "Makes one file that holds the record, whole or with parts hidden, and the receipts that tie it to the ledger.\n" +
			"Copy and receipts are verified before the file is written; muniment-verify checks it offline, for ever.",
		Example: "  muniment evidence 42 -o 42.mun.car\n  muniment evidence 42 --hide \"rows 3-5\" -o 42.mun.car",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringArrayVar(&hide, "hide", nil, hideHelp)
	c.Flags().StringVarP(&file, "out", "o", "", "file to write the bundle to (required)")
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return usage("where to? give -o FILE.mun.car")
		}
		s, a, why, err := p.openRecord(c.Context(), args[0], department, purpose)
		if err != nil {
			return err
		}
		defer s.close()
		client, err := s.departments(c.Context())
		if err != nil {
			return err
		}
		car, err := download(c.Context(), func(ctx context.Context) (grpc.ServerStreamingClient[apiv1.EvidenceResponse], error) {
			return client.Evidence(ctx, &apiv1.EvidenceRequest{Record: a.ref(), Purpose: why, Hide: hide})
		}, (*apiv1.EvidenceResponse).GetChunk)
		if err != nil {
			return err
		}
		bundle, err := commitment.ParseBundle(car)
		if err != nil {
			return badCopy(err)
		}
		opened, err := checkCopy(bundle.Copy, a.commitment(), hide, true)
		if err != nil {
			return err
		}
		if err := checkReceipts(s.network, bundle.Receipts, a.entry); err != nil {
			return err
		}
		if err := p.deliver(file, car); err != nil {
			return err
		}
		return p.showFile(fileOf(a, file, car, opened, len(bundle.Receipts)), "muniment-verify --network FILE "+file)
	}
	return c
}

// checkReceipts verifies every receipt of a bundle, and that one of them is of
// the record.
func checkReceipts(n receipt.Network, receipts [][]byte, want record.AnchorEntry) error {
	found := false
	for _, text := range receipts {
		verdict, err := receipt.Verify(n, text)
		if _, stateErr := receipt.ParseState(text); stateErr == nil {
			verdict, err = receipt.VerifyState(n, text, nil)
		}
		if err != nil {
			return err
		}
		if err := verdictError(verdict); err != nil {
			return err
		}
		entry, ok := verdict.Entry.(record.AnchorEntry)
		found = found || ok && entry == want
	}
	if !found {
		return failed(exitContradicted, "NO_RECEIPT", "do not rely on this node: tell whoever runs it", "no receipt in the bundle is of this record")
	}
	return nil
}
