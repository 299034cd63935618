package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

const (
	validatorPower = 10
	minPower       = 10
	maxPower       = 1000
)

// readCard reads the card of a node and verifies the signatures of all its keys.
func readCard(path string) (receipt.Card, error) {
	text, err := readBounded(path, receipt.MaxCardBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return receipt.Card{}, failed(exitNotFound, "NO_SUCH_FILE", "name the card that munimentd member request or munimentd keys new has made", "there is no file %s", path)
	}
	if err != nil {
		return receipt.Card{}, fmt.Errorf("read member card: %w", err)
	}
	card, err := receipt.ParseCard(text)
	if err != nil {
		return receipt.Card{}, failed(exitContradicted, "BAD_CARD", "ask the node's operator for its card again: munimentd member card prints its fingerprint", "%s: %w", path, err)
	}
	return card, nil
}

// checkPower refuses powers that the ledger does not take.
func checkPower(power uint32) error {
	if power != 0 && (power < minPower || power > maxPower) {
		return usage("power %d: use %d to %d for a validator, 0 for a node that does not vote", power, minPower, maxPower)
	}
	return nil
}

func (p *program) nodeAdmitCommand() *cobra.Command {
	var power uint32
	c := &cobra.Command{
		Use: "admit CARD [--power N]", Short: "Propose to admit the node of a card",
		Long: "CARD is the file that munimentd member request made at the new node. Compare its fingerprint with the node's\n" +
			"operator by another way than the card came: munimentd member card prints it.",
		Example: "  muniment node admit library.card",
		Args:    exactly(1, "one card"),
	}
	c.Flags().Uint32Var(&power, "power", validatorPower, "voting power, 10 to 1000; 0: the node keeps a copy and does not vote")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkPower(power); err != nil {
			return err
		}
		card, err := readCard(args[0])
		if err != nil {
			return err
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) {
			if _, err := r.memberID(card.ID()); err == nil {
				return nil, failed(exitRefused, "KEY_REGISTERED", "to give it other keys or another power: muniment node change "+args[0], "node %s is registered already", card.ID())
			}
			return card.Fact(power), nil
		})
	}
	return c
}

func (p *program) nodeChangeCommand() *cobra.Command {
	var power uint32
	c := &cobra.Command{
		Use: "change CARD [--power N]", Short: "Propose other keys of a registered node, those of its new card, or another power",
		Long: "The card is what munimentd keys new made. The node goes over to its new keys by itself when this is decided; its\n" +
			"node key stays. A change of a validator key needs the other validators up.",
		Example: "  muniment node change clerk.card",
		Args:    exactly(1, "one card"),
	}
	c.Flags().Uint32Var(&power, "power", 0, "voting power, 10 to 1000, or 0 to take its vote (default: as it is)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkPower(power); err != nil {
			return err
		}
		card, err := readCard(args[0])
		if err != nil {
			return err
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) {
			now, err := r.memberID(card.ID())
			if err != nil {
				return nil, err
			}
			if !c.Flags().Changed("power") {
				power = now.Power
			}
			return card.Fact(power), nil
		})
	}
	return c
}

func (p *program) nodeReplaceCommand() *cobra.Command {
	var old string
	var power uint32
	c := &cobra.Command{
		Use: "replace CARD --old ID [--power N]", Short: "Propose that the node of a card takes the place of another, in one step",
		Long: "For a new node key, or a new machine. Keys that both have in common stay; what the old node had besides is never\n" +
			"used again.",
		Example: "  muniment node replace clerk.card --old 3f1a",
		Args:    exactly(1, "one card"),
	}
	c.Flags().StringVar(&old, "old", "", "id of the node that goes, or how it begins (required)")
	c.Flags().Uint32Var(&power, "power", 0, "voting power, 10 to 1000, or 0 (default: that of the old node)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if old == "" {
			return usage("which node goes? give --old ID")
		}
		if err := checkPower(power); err != nil {
			return err
		}
		card, err := readCard(args[0])
		if err != nil {
			return err
		}
		return p.proposeChange(c, func(r registry) (record.Fact, error) {
			gone, err := r.memberID(old)
			if err != nil {
				return nil, err
			}
			if !c.Flags().Changed("power") {
				power = gone.Power
			}
			if nodeIDOf(gone) == card.ID() {
				return nil, failed(exitRefused, "KEY_REGISTERED", "give the card of the node that comes; other keys of one that stays: muniment node change CARD", "card %s is of the node that is to go", args[0])
			}
			fact := card.Fact(power)
			fact.Replaces = record.KeyIDOf(gone.NodeKey[:])
			return fact, nil
		})
	}
	return c
}

func (p *program) nodeRemoveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "remove ID", Short: "Propose that a node leaves: its keys are never used again",
		Long: "ID is a node's id, or how it begins. A node that is a custodian leaves its sets first: munimentd custody leave.\n" +
			"A validator leaves only while more than two thirds of those who stay are up.",
		Args: exactly(1, "one node id"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.proposeChange(c, func(r registry) (record.Fact, error) {
			now, err := r.memberID(args[0])
			if err != nil {
				return nil, err
			}
			fact := *now
			fact.Power, fact.Removed, fact.Replaces = 0, true, record.KeyID{}
			return &fact, nil
		})
	}
	return c
}

// proposeChange makes a fact from what is registered, says what it states and
// what it changes, and proposes it.
func (p *program) proposeChange(c *cobra.Command, make func(registry) (record.Fact, error)) error {
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := s.registry(c.Context())
	if err != nil {
		return err
	}
	fact, err := make(r)
	if err != nil {
		return err
	}
	p.say("proposing: %s", factText(fact))
	r.sayChanges(p, fact)
	done, err := s.act(c.Context(), &record.ProposeChange{Fact: fact})
	if err != nil {
		return err
	}
	return p.showAct(done, fmt.Sprintf("the other governing offices run: muniment office approve %d", done.Index))
}
