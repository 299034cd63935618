package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/muniment/muniment/app/receipt"
)

// UpToDate gives the network file of a home as it is now: with the eras that
// were handed over since the home got it, and the node lines that cards tell.
// The names of witnesses that the file does not have yet are given. The node may
// run.
func (h Home) UpToDate(witnesses ...string) (receipt.Network, error) {
	text, err := os.ReadFile(h.Network())
	if err != nil {
		return receipt.Network{}, fmt.Errorf("read network file: %w", err)
	}
	n, err := receipt.ParseNetwork(text)
	if err != nil {
		return receipt.Network{}, fmt.Errorf("read network file: %w", err)
	}
	for {
		text, err := os.ReadFile(handoverFile(h.Eras(), len(n.Eras)+1))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return receipt.Network{}, fmt.Errorf("read handover: %w", err)
		}
		next, err := n.Extend(text, witnesses...)
		if refusal, ok := errors.AsType[*receipt.Refusal](err); ok && refusal.Reason == receipt.NoQuorum {
			break // it waits for signatures
		}
		if err != nil {
			return receipt.Network{}, fmt.Errorf("handover to era %d: %w", len(n.Eras)+1, err)
		}
		n = next
	}
	files, err := h.Cards() // what is no card is left out here, and said by doctor
	if err != nil && len(files) == 0 {
		return receipt.Network{}, err
	}
	cards := make([]receipt.Card, 0, len(files))
	for _, c := range files {
		cards = append(cards, c)
	}
	return receipt.ParseNetwork(n.WithCards(cards).Marshal())
}
