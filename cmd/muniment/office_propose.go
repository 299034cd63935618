package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) proposeOfficeCommand() *cobra.Command {
	var roles string
	suspend := false
	c := &cobra.Command{
		Use: "office CODE --roles A,B", Short: "Propose to register, change or suspend an office",
		Example: "  muniment office propose office PARKS --roles DEPARTMENT",
		Args:    exactly(1, "one office code"),
	}
	c.Flags().StringVar(&roles, "roles", "", "roles of the office, separated by commas (required)")
	c.Flags().BoolVar(&suspend, "suspend", false, "suspend the office")
	c.RunE = func(c *cobra.Command, args []string) error {
		fact, err := officeFact(args[0], roles, suspend)
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.ProposeChange{Fact: fact})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("the other governing offices run: muniment office approve %d", done.Index))
	}
	return c
}

func officeFact(code, roles string, suspend bool) (*record.Office, error) {
	fact := &record.Office{Code: record.Code(code), Status: record.StatusActive}
	if !fact.Code.Valid() {
		return nil, usage("office %q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", code)
	}
	if suspend {
		fact.Status = record.StatusSuspended
	}
	if roles == "" {
		return nil, usage("which roles? give --roles A,B")
	}
	for name := range strings.SplitSeq(roles, ",") {
		role, err := record.ParseRole(strings.TrimSpace(name))
		if err != nil {
			return nil, usage("%v", err)
		}
		fact.Roles = append(fact.Roles, role)
	}
	slices.Sort(fact.Roles)
	fact.Roles = slices.Compact(fact.Roles)
	return fact, nil
}

func (p *program) proposeKeyCommand() *cobra.Command {
	var use, public string
	c := &cobra.Command{
		Use: "key CODE --use signing|access --public HEX", Short: "Propose to register a key of an office",
		Long: "The office itself prints this command when it makes its keys. Compare the public key with the office by\n" +
			"another way than this line came.",
		Args: exactly(1, "one office code"),
	}
	c.Flags().StringVar(&use, "use", "", "signing or access (required)")
	c.Flags().StringVar(&public, "public", "", "the public key in hex (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		fact, err := keyFact(args[0], use, public)
		if err != nil {
			return err
		}
		done, err := p.act(c.Context(), &record.ProposeChange{Fact: fact})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("the other governing offices run: muniment office approve %d", done.Index))
	}
	return c
}

func keyFact(code, use, public string) (*record.Key, error) {
	fact := &record.Key{Office: record.Code(code), Status: record.StatusActive}
	if !fact.Office.Valid() {
		return nil, usage("office %q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", code)
	}
	switch use {
	case useSigning:
		fact.Use = record.UseSigning
	case useAccess:
		fact.Use = record.UseAccess
	default:
		return nil, usage("use %q: give --use signing or --use access", use)
	}
	raw, err := hex.DecodeString(public)
	if err != nil || len(raw) != len(fact.PublicKey) {
		return nil, usage("a public key is 64 hex digits: give --public HEX")
	}
	fact.PublicKey = [32]byte(raw)
	return fact, nil
}
