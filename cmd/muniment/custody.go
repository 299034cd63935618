package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) custodyCommand() *cobra.Command {
	return group("custody", "List the sets of custodians, and propose who is in one", p.custodyListCommand(), p.custodySetCommand())
}

// setInfo is what is shown of a set of custodians.
type setInfo struct {
	Code       string          `json:"code"`
	Custodians []custodianInfo `json:"custodians"`
	Lost       []string        `json:"lost"` // ids
}

type custodianInfo struct {
	ID   string `json:"id"`             // of the custodian key
	Node string `json:"node,omitempty"` // id; empty: no node has this key
}

func (r registry) setInfo(set *record.CustodianSet) setInfo {
	info := setInfo{Code: string(set.Code), Custodians: []custodianInfo{}, Lost: []string{}}
	for _, id := range set.Custodians {
		one := custodianInfo{ID: fmt.Sprintf("%x", id)}
		for n := range facts[*record.Node](r) {
			if of, ok := custodianOf(n); ok && of == id {
				one.Node = nodeIDOf(n)
			}
		}
		info.Custodians = append(info.Custodians, one)
	}
	for _, id := range set.Lost {
		info.Lost = append(info.Lost, fmt.Sprintf("%x", id))
	}
	return info
}

func (p *program) custodyListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the sets of custodians and who is in them", Args: exactly(0, "no argument")}
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, done, err := p.readRegistry(c)
		if err != nil {
			return err
		}
		defer done()
		result := struct {
			Sets []setInfo `json:"sets"`
		}{Sets: []setInfo{}}
		for set := range facts[*record.CustodianSet](r) {
			result.Sets = append(result.Sets, r.setInfo(set))
		}
		return p.show(result, func(w io.Writer) {
			for _, set := range result.Sets {
				for _, one := range set.Custodians {
					of := "no registered node has this key"
					if one.Node != "" {
						of = "node " + one.Node
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", set.Code, one.ID, of)
				}
				for _, id := range set.Lost {
					fmt.Fprintf(w, "%s\t%s\tlost\n", set.Code, id)
				}
			}
		})
	}
	return c
}

func (p *program) custodySetCommand() *cobra.Command {
	var add, remove, lost []string
	c := &cobra.Command{
		Use: "set CODE [--add ID] [--remove ID] [--lost ID]", Short: "Propose who keeps content together: a new set, or who comes to one and goes from it",
		Long: "ID is a node's id, or how it begins, or the id of a custodian key. Who comes is sent what the others keep. Who goes has\n" +
			"handed over and left before (munimentd custody leave), or is gone for good and named with --lost: then nobody\n" +
			"reports what becomes of what it held.",
		Example: "  muniment custody set CITY --add 3f1a --remove 77c0",
		Args:    exactly(1, "one code of a set"),
	}
	c.Flags().StringArrayVar(&add, "add", nil, "custodian that comes; may be given several times")
	c.Flags().StringArrayVar(&remove, "remove", nil, "custodian that has left; may be given several times")
	c.Flags().StringArrayVar(&lost, "lost", nil, "custodian that is gone for good; may be given several times")
	c.RunE = func(c *cobra.Command, args []string) error {
		code := record.Code(args[0])
		if !code.Valid() {
			return usage("%q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", printable(args[0]))
		}
		if len(add)+len(remove)+len(lost) == 0 {
			return usage("who comes or goes? give --add, --remove or --lost")
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) { return r.changedSet(code, add, remove, lost) })
	}
	return c
}

// changedSet gives a set as it would be.
func (r registry) changedSet(code record.Code, add, remove, lost []string) (record.Fact, error) {
	set := &record.CustodianSet{Code: code}
	known := false
	for now := range facts[*record.CustodianSet](r) {
		if now.Code == code {
			set.Custodians, set.Lost, known = slices.Clone(now.Custodians), slices.Clone(now.Lost), true
		}
	}
	if !known && len(remove)+len(lost) > 0 {
		_, err := r.custody(code)
		return nil, err
	}
	for _, text := range append(slices.Clone(remove), lost...) {
		id, err := r.custodianID(text)
		if err != nil {
			return nil, err
		}
		i := slices.Index(set.Custodians, id)
		if i < 0 {
			return nil, failed(exitRefused, "UNKNOWN_CUSTODIAN", adviceOn["UNKNOWN_CUSTODIAN"], "%s is not in set %s", printable(text), code)
		}
		set.Custodians = slices.Delete(set.Custodians, i, i+1)
		if slices.Contains(lost, text) {
			set.Lost = append(set.Lost, id)
		}
	}
	for _, text := range add {
		id, err := r.custodianID(text)
		if err != nil {
			return nil, err
		}
		set.Custodians = append(set.Custodians, id)
		set.Lost = slices.DeleteFunc(set.Lost, func(other record.KeyID) bool { return other == id })
	}
	order := func(a, b record.KeyID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(set.Custodians, order)
	slices.SortFunc(set.Lost, order)
	set.Custodians, set.Lost = slices.Compact(set.Custodians), slices.Compact(set.Lost)
	if len(set.Custodians) == 0 {
		return nil, usage("nobody would be left in set %s: give --add as well", code)
	}
	return set, nil
}

// custodianID finds a custodian by the id of its key, or by the node that has it.
func (r registry) custodianID(text string) (record.KeyID, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(record.KeyID{}) {
		return record.KeyID(raw), nil
	}
	n, err := r.memberID(text)
	if err != nil {
		return record.KeyID{}, err
	}
	id, ok := custodianOf(n)
	if !ok {
		return record.KeyID{}, failed(exitRefused, "UNKNOWN_CUSTODIAN", "a node that is to keep content is admitted with a custodian key: munimentd member request --custodian", "node %s has no custodian key", nodeIDOf(n))
	}
	return id, nil
}
