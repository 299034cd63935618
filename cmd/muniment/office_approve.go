package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

func (p *program) approveCommand() *cobra.Command {
	var want, card string
	c := &cobra.Command{
		Use: "approve PROPOSAL", Short: "Approve a proposal: it is shown, and the signature binds what is shown",
		Long: "PROPOSAL is the entry index that propose printed; office show lists the open ones. The signature is bound to\n" +
			"the hash of the fact that is printed, so nothing else can be approved by it.",
		Args: exactly(1, "one proposal"),
	}
	c.Flags().StringVar(&want, "expect", "", "refuse unless the proposed fact reads exactly like this, as office show prints it")
	c.Flags().StringVar(&card, "card", "", "refuse unless the proposed node has exactly the keys of this member card")
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		r, err := s.registry(c.Context())
		if err != nil {
			return err
		}
		proposed, err := r.proposal(index)
		if err != nil {
			return err
		}
		text := factText(proposed.fact)
		if want != "" && want != text {
			return failed(exitRefused, "OTHER_FACT", "", "the proposal is: %s", text)
		}
		if err := checkCard(card, proposed.fact); err != nil {
			return err
		}
		p.say("approving: %s", text)
		r.sayChanges(p, proposed.fact)
		if err := s.sayRecords(c.Context(), proposed.fact); err != nil {
			return err
		}
		done, err := s.act(c.Context(), &record.ApproveChange{Proposal: index, FactHash: proposed.hash})
		if err != nil {
			return err
		}
		return p.showAct(done, "muniment office show")
	}
	return c
}

// checkCard holds a proposed node against the card that its operator gave.
func checkCard(path string, f record.Fact) error {
	if path == "" {
		return nil
	}
	card, err := readCard(path)
	if err != nil {
		return err
	}
	if n, ok := f.(*record.Node); !ok || n.Removed || !card.SameKeys(n) {
		return failed(exitRefused, "OTHER_FACT", "ask the node's operator which card is to be decided on", "the proposal is not of the card %s: %s", path, factText(f))
	}
	return nil
}

// sayRecords names the records whose commitments an activation states, verified,
// where they are records of the office that proposed it.
func (s *session) sayRecords(ctx context.Context, f record.Fact) error {
	a, ok := f.(*record.Activation)
	if !ok {
		return nil
	}
	for _, stated := range []struct {
		name       string
		commitment record.Commitment
	}{{"impact assessment", a.Assessment}, {"data map", a.DataMap}} {
		of := commitment.Commitment(stated.commitment)
		found, err := s.resolve(ctx, reference{commitment: &of}, string(a.Office))
		switch {
		case codeOf(err) == exitNotFound:
			s.program.say("%s: no record of %s", stated.name, printable(string(a.Office)))
		case err != nil:
			return err
		default:
			s.program.say("%s: record %d; muniment record show %d", stated.name, found.index, found.index)
		}
	}
	return nil
}

func (r registry) proposal(index record.Index) (proposal, error) {
	for _, open := range r.proposals {
		if open.index == index {
			return open, nil
		}
	}
	return proposal{}, failed(exitNotFound, "UNKNOWN_PROPOSAL", adviceOn["UNKNOWN_PROPOSAL"], "proposal %d is not open", index)
}
