package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func (p *program) witnessCommand() *cobra.Command {
	return group("witness", "List the witnesses outside the city, and propose who they are", p.witnessListCommand(), p.witnessProposeCommand())
}

// witnessInfo is what is shown of a witness.
type witnessInfo struct {
	Code     string `json:"code"`
	Public   string `json:"public_key"`
	NameHash string `json:"name_sha256"`
	Name     string `json:"name,omitempty"` // where the pinned network file has it
}

func (p *program) witnessListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the witnesses and how many of them make a quorum", Args: exactly(0, "no argument")}
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		r, err := s.registry(c.Context())
		if err != nil {
			return err
		}
		names := map[[32]byte]string{}
		for _, era := range s.network.Eras {
			for _, w := range era.Witnesses {
				names[sha256.Sum256([]byte(w.Name))] = w.Name
			}
		}
		result := struct {
			Threshold uint32        `json:"threshold"`
			Witnesses []witnessInfo `json:"witnesses"`
		}{Witnesses: []witnessInfo{}}
		for all := range facts[*record.Witnesses](r) {
			result.Threshold = all.Threshold
			for _, w := range all.Witnesses {
				result.Witnesses = append(result.Witnesses, witnessInfo{string(w.Code), fmt.Sprintf("%x", w.PublicKey), fmt.Sprintf("%x", w.NameHash), names[w.NameHash]})
			}
		}
		return p.show(result, func(w io.Writer) {
			if len(result.Witnesses) == 0 {
				fmt.Fprintln(w, "no witnesses")
				return
			}
			fmt.Fprintf(w, "quorum\t%d of %d\n", result.Threshold, len(result.Witnesses))
			for _, one := range result.Witnesses {
				fmt.Fprintf(w, "%s\t%s\t%s\n", one.Code, one.Public, printable(one.Name))
			}
		})
	}
	return c
}

func (p *program) witnessProposeCommand() *cobra.Command {
	var add, remove []string
	var threshold uint32
	c := &cobra.Command{
		Use: "propose [--add CODE=VKEY] [--remove CODE] [--threshold N]", Short: "Propose who witnesses, and how many of them make a quorum",
		Long: "VKEY is the verifier key of the witness, NAME+HASH+KEY, as it publishes it (C2SP signed-note). The ledger keeps the\n" +
			"key, and of the name its SHA-256 alone. Without --threshold more than half of the witnesses make a quorum.",
		Example: "  muniment witness propose --add STATE=witness.example.org+1d7f58c2+BM0...",
		Args:    exactly(0, "no argument"),
	}
	c.Flags().StringArrayVar(&add, "add", nil, "witness that comes, or whose key changes; may be given several times")
	c.Flags().StringArrayVar(&remove, "remove", nil, "code of a witness that goes; may be given several times")
	c.Flags().Uint32Var(&threshold, "threshold", 0, "how many make a quorum (default: more than half)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(add)+len(remove) == 0 && threshold == 0 {
			return usage("what is to change? give --add, --remove or --threshold")
		}
		config, err := p.places.loadConfig()
		if err != nil {
			return err
		}
		n, err := p.pinnedNetwork(config)
		if err != nil {
			return err
		}
		come, err := parseWitnesses(n, add)
		if err != nil {
			return err
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) { return r.changedWitnesses(come, remove, threshold) })
	}
	return c
}

// parseWitnesses reads witnesses as they are given. What no network file can hold
// must not come onto the ledger: nobody could refresh a file any more.
func parseWitnesses(n receipt.Network, texts []string) ([]record.Witness, error) {
	var list []record.Witness
	for _, text := range texts {
		code, vkey, ok := strings.Cut(text, "=")
		if !ok || !record.Code(code).Valid() {
			return nil, usage("--add %q: use CODE=VKEY, as in STATE=witness.example.org+1d7f58c2+BM0...", printable(text))
		}
		key, err := receipt.ParseVKey(vkey)
		if err != nil || !key.Cosigner {
			return nil, usage("--add %s: that is no verifier key of a cosigner: copy it as the witness publishes it", code)
		}
		if !n.CanName(key.Name) {
			return nil, usage("--add %s: a witness outside the city has a name of its own, of at most 200 characters, not one at or below %s", code, n.Origin)
		}
		list = append(list, record.Witness{Code: record.Code(code), PublicKey: key.Public, NameHash: sha256.Sum256([]byte(key.Name))})
	}
	return list, nil
}

// changedWitnesses gives the witnesses as they would be.
func (r registry) changedWitnesses(come []record.Witness, remove []string, threshold uint32) (record.Fact, error) {
	all := new(record.Witnesses)
	for now := range facts[*record.Witnesses](r) {
		all.Witnesses = slices.Clone(now.Witnesses)
	}
	for _, code := range remove {
		before := len(all.Witnesses)
		all.Witnesses = slices.DeleteFunc(all.Witnesses, func(w record.Witness) bool { return string(w.Code) == code })
		if len(all.Witnesses) == before {
			return nil, failed(exitNotFound, "NO_SUCH_WITNESS", "muniment witness list shows them", "there is no witness %s", printable(code))
		}
	}
	for _, w := range come {
		all.Witnesses = slices.DeleteFunc(all.Witnesses, func(now record.Witness) bool { return now.Code == w.Code })
		all.Witnesses = append(all.Witnesses, w)
	}
	slices.SortFunc(all.Witnesses, func(a, b record.Witness) int { return strings.Compare(string(a.Code), string(b.Code)) })
	for i, w := range all.Witnesses {
		if slices.ContainsFunc(all.Witnesses[:i], func(other record.Witness) bool { return other.NameHash == w.NameHash || other.PublicKey == w.PublicKey }) {
			return nil, usage("witness %s has the name or the key of another one", w.Code)
		}
	}
	n := uint32(len(all.Witnesses))
	switch {
	case threshold > n:
		return nil, usage("--threshold %d: of that many witnesses there would be %d", threshold, n)
	case threshold > 0:
		all.Threshold = threshold
	case n > 0:
		all.Threshold = n/2 + 1
	}
	return all, nil
}
