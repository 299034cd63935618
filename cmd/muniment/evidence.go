package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) evidenceCommand() *cobra.Command {
	var file, purpose, department, court string
	var log wantedLog
	var hide, redactions []string
	c := &cobra.Command{
		Use: "evidence RECORD [--hide SELECTOR | --redaction HASH]... -o FILE.mun.car", Short: "Make a bundle of content and receipts that proves itself",
		Long: "Makes one file that holds the record, whole or with parts hidden, and the receipts that tie it to the ledger.\n" +
			"With --redaction it hides what a filed redaction says, and tells under which decision. Copy and receipts are\n" +
			"verified before the file is written; muniment-verify checks it offline, for ever.",
		Example: "  muniment evidence 42 -o 42.mun.car\n  muniment evidence 42 --redaction HASH -o 42.mun.car",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringArrayVar(&hide, "hide", nil, hideHelp)
	redactionFlag(c, &redactions)
	logFlags(c, &log)
	c.Flags().StringVar(&court, "court", "", "file to write attestations for a court to (Conn. Code Evid. 9-3A, CGS 1-210(a), Fed. R. Evid. 902(13) and (14)), to be completed and sworn to by an office")
	c.Flags().StringVarP(&file, "out", "o", "", "file to write the bundle to (required)")
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return usage("where to? give -o FILE.mun.car")
		}
		hashes, err := parseHashes(redactions)
		if err != nil {
			return err
		}
		if err := log.read(p); err != nil {
			return err
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
			return client.Evidence(ctx, &apiv1.EvidenceRequest{Record: a.ref(), Purpose: why, Hide: hide, Redactions: hashes})
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
		receipts, told, reports := receipt.SplitBundle(bundle.Receipts)
		verdicts, err := checkReceipts(s.network, receipts, a.entry)
		if err != nil {
			return err
		}
		if err := checkTold(opened, told, hashes); err != nil {
			return err
		}
		if err := p.deliver(file, car); err != nil {
			return err
		}
		if err := p.writeLog(log, a, opened, verdicts, told, reports); err != nil {
			return err
		}
		if err := p.writeCourt(court, file, car, a, opened, len(receipts)); err != nil {
			return err
		}
		return p.showFile(fileOf(a, file, car, opened, len(receipts)), "muniment-verify --network FILE "+file)
	}
	return c
}

// checkTold wants the redactions that were asked for to be in the bundle, and
// what they mark to be hidden.
func checkTold(o commitment.Opened, texts, hashes [][]byte) error {
	var told []commitment.Redaction
	for _, text := range texts {
		r, err := commitment.ParseRedaction(text)
		if err != nil {
			return badCopy(err)
		}
		told = append(told, r)
	}
	for _, want := range hashes {
		i := slices.IndexFunc(told, func(r commitment.Redaction) bool {
			hash, err := r.Hash()
			return err == nil && bytes.Equal(hash[:], want)
		})
		if i < 0 {
			return failed(exitContradicted, "NO_RECEIPT", "do not rely on this node: tell whoever runs it", "the redaction that was asked for is not in the bundle")
		}
		if !hidesAll(o, told[i]) {
			return shows(fmt.Sprintf("what redaction %x hides", want))
		}
	}
	return nil
}

// checkReceipts verifies every receipt of a bundle, and that one of them is of
// the record.
func checkReceipts(n receipt.Network, receipts [][]byte, want record.AnchorEntry) (verdicts []receipt.Verdict, err error) {
	found := false
	for _, text := range receipts {
		verdict, err := receipt.Verify(n, text)
		if _, stateErr := receipt.ParseState(text); stateErr == nil {
			verdict, err = receipt.VerifyState(n, text, nil)
		}
		if err != nil {
			return nil, err
		}
		if err := verdictError(verdict); err != nil {
			return nil, err
		}
		verdicts = append(verdicts, verdict)
		entry, ok := verdict.Entry.(record.AnchorEntry)
		found = found || ok && entry == want
	}
	if !found {
		return nil, failed(exitContradicted, "NO_RECEIPT", "do not rely on this node: tell whoever runs it", "no receipt in the bundle is of this record")
	}
	return verdicts, nil
}
