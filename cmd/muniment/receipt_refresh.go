package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// maxEvidenceBytes is what is read of a file that receipts may be in.
const maxEvidenceBytes = 1 << 30

func (p *program) receiptRefreshCommand() *cobra.Command {
	var proof string
	c := &cobra.Command{
		Use: "refresh FILE...", Short: "Get receipts of retired keys anew, or the proof that they still hold",
		Long: "When the network's keys have changed, a receipt from before proves nothing by itself. This asks for the receipt of the\n" +
			"same entry under the keys in force, verifies it, compares the entry, and puts it in the place of the file.\n\n" +
			"With --proof the files stay as they are: bundles and certificates too. The consistency proofs that their trees need are\n" +
			"written to a file of their own, with which muniment-verify holds them good. Refresh the network file first.",
		Example: "  muniment network refresh\n  muniment receipt refresh 42.receipt\n  muniment receipt refresh --proof old.consistency 42.mun.car\n" +
			"  muniment-verify --network network.mun --consistency old.consistency 42.mun.car",
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&proof, "proof", "", "file to write consistency proofs to, instead of new receipts")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage("name at least one file")
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		if proof != "" {
			return s.proveConsistency(c.Context(), args, proof)
		}
		return s.refreshReceipts(c.Context(), args)
	}
	return c
}

// refreshedReceipt is one file that receipt refresh has replaced.
type refreshedReceipt struct {
	File     string `json:"file"`
	Index    int64  `json:"index"`
	TreeSize int64  `json:"tree_size"`
	Era      int    `json:"era"`
	Grade    string `json:"grade"`
}

// refreshReceipts reads all files before it replaces the first.
func (s *session) refreshReceipts(ctx context.Context, files []string) error {
	olds := make([]receipt.Receipt, len(files))
	for i, file := range files {
		text, err := readBounded(file, receipt.MaxReceiptBytes)
		if err == nil {
			olds[i], err = receipt.Parse(text)
		}
		if err != nil {
			return failed(exitUsage, "NOT_A_RECEIPT", "for bundles, certificates and proofs of holds give --proof FILE", "%s is no receipt of an entry: %s", printable(file), printable(err.Error()))
		}
		if olds[i].Checkpoint.Origin != s.network.Origin {
			return failed(exitIndeterminate, "UNKNOWN_ORIGIN", "muniment network show tells which network is pinned", "%s is of %s, not of the pinned network", printable(file), printable(olds[i].Checkpoint.Origin))
		}
	}
	results := []refreshedReceipt{}
	for i, file := range files {
		verdict, text, err := s.receipt(ctx, uint64(olds[i].Index))
		if err != nil {
			return err
		}
		now, err := receipt.Parse(text)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.Entry, olds[i].Entry) {
			return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "do not rely on the receipt that is there: it is of another history than this network's",
				"entry %d of the log is not the entry in %s", olds[i].Index, printable(file))
		}
		if err := writeOutput(file, text); err != nil {
			return err
		}
		results = append(results, refreshedReceipt{File: file, Index: verdict.Index, TreeSize: verdict.TreeSize, Era: verdict.Era, Grade: verdict.Grade})
	}
	return s.program.show(results, func(w io.Writer) {
		for _, r := range results {
			fmt.Fprintf(w, "%s\tentry %d in a tree of %d entries, era %d, grade %s\n", printable(r.File), r.Index, r.TreeSize, r.Era, r.Grade)
		}
	})
}

// consistencyResult is what receipt refresh --proof prints.
type consistencyResult struct {
	File   string `json:"file"`
	Proofs int    `json:"proofs"` // 0: nothing was needed, and nothing written
}

// proveConsistency writes the proofs that the trees in the files lack.
func (s *session) proveConsistency(ctx context.Context, files []string, out string) error {
	n := s.network
	var proofs []receipt.Consistency
	for _, file := range files {
		data, err := readBounded(file, maxEvidenceBytes)
		if err != nil {
			return fmt.Errorf("read file: %w", err)
		}
		for _, wanted := range n.ProofsWanted(data) {
			p, err := s.consistency(ctx, wanted)
			if err != nil {
				return err
			}
			proofs = append(proofs, p)
			n = n.WithProofs(p)
		}
	}
	if len(proofs) > 0 {
		text := receipt.MarshalConsistency(n.Origin, proofs)
		if _, _, err := receipt.ParseConsistency(text); err != nil {
			return fmt.Errorf("%d proofs: %w: name fewer files", len(proofs), err)
		}
		if err := writeOutput(out, text); err != nil {
			return err
		}
	}
	result := consistencyResult{File: out, Proofs: len(proofs)}
	err := s.program.show(result, func(w io.Writer) {
		if len(proofs) == 0 {
			fmt.Fprintln(w, "no tree in these files needs a proof, as far as the pinned network file says")
			return
		}
		fmt.Fprintf(w, "%s\t%d consistency proofs\n", printable(out), len(proofs))
	})
	if err == nil && len(proofs) > 0 {
		s.program.say("next: muniment-verify --network FILE --consistency %s FILE...", printable(out))
	}
	return err
}

// consistency fetches a proof and verifies it.
func (s *session) consistency(ctx context.Context, p receipt.Consistency) (receipt.Consistency, error) {
	response, err := unary(ctx, s, apiv1.NewAuditorsClient, apiv1.AuditorsClient.ConsistencyProof, &apiv1.ConsistencyProofRequest{First: uint64(p.From), Second: uint64(p.To)})
	if err != nil {
		return receipt.Consistency{}, err
	}
	for _, h := range response.Hashes {
		if len(h) != tlog.HashSize {
			return receipt.Consistency{}, failed(exitContradicted, "MALFORMED", "do not rely on this node: tell whoever runs it", "the node sends no consistency proof")
		}
		p.Proof = append(p.Proof, tlog.Hash(h))
	}
	if err := s.network.CheckProof(p); err != nil {
		return receipt.Consistency{}, failed(exitContradicted, string(receipt.EraContradicted), "the file is of another history than this network's, or the node lies: ask another one with --node", "%s", printable(err.Error()))
	}
	return p, nil
}
