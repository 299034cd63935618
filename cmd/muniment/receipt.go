package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
)

func (p *program) receiptCommand() *cobra.Command {
	var file, department string
	c := &cobra.Command{
		Use: "receipt RECORD", Short: "Fetch and verify the receipt of a record or of any entry",
		Long: "RECORD is an entry index or a CID. The receipt is verified against the pinned network before it is written;\n" +
			"muniment-verify checks it again, offline, for ever.",
		Example: "  muniment receipt 42 -o 42.receipt",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVarP(&file, "out", "o", "", "file to write the receipt to (default: standard output)")
	departmentFlag(c, &department)
	c.AddCommand(p.receiptRefreshCommand())
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := parseReference(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		if r.commitment != nil {
			a, err := s.resolve(c.Context(), r, department)
			if err != nil {
				return err
			}
			return p.deliverReceipt(a.verdict, a.receipt, file)
		}
		verdict, text, err := s.receipt(c.Context(), r.index)
		if err != nil {
			return err
		}
		return p.deliverReceipt(verdict, text, file)
	}
	return c
}

func departmentFlag(c *cobra.Command, department *string) {
	c.Flags().StringVar(department, "department", "", "office whose record a CID names (default: the acting office)")
}

func (p *program) deliverReceipt(v receipt.Verdict, text []byte, file string) error {
	toFile := file != "" && file != fromStdin
	if toFile {
		if err := writeOutput(file, text); err != nil {
			return err
		}
	}
	if p.output == "json" {
		return p.show(struct {
			Verdict receipt.Verdict `json:"verdict"`
			Receipt string          `json:"receipt"`
			File    string          `json:"file,omitempty"`
		}{v, string(text), file}, nil)
	}
	if !toFile {
		return p.deliver(file, text)
	}
	if _, err := fmt.Fprintf(p.stdout, "%s: %s", printable(file), v.Text()); err != nil {
		return err
	}
	p.say("next: muniment-verify --network FILE %s", file)
	return nil
}
