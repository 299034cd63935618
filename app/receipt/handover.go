package receipt

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// Extend gives the network with the era that a handover opens. A handover is
// the state receipt of that era's value under the last tree of the era before,
// whose keys answer for it: the last era of the file is closed with that tree
// as its pin. Nodes stay as they are.
//
// The ledger holds no name of a witness, but its SHA-256: names are those that
// may be meant, besides those of the eras before. An error is a [*Refusal], or
// says that the network is not sound.
func (n Network) Extend(handover []byte, names ...string) (Network, error) {
	return n.extend(handover, func(e ledger.Era) (Era, error) { return n.witnessed(e, names) })
}

// ExtendUnwitnessed is [Network.Extend] without the witnesses of the new era: for
// who judges the grade city alone, and may not know their names.
func (n Network) ExtendUnwitnessed(handover []byte) (Network, error) {
	return n.extend(handover, func(e ledger.Era) (Era, error) { return unwitnessed(e), nil })
}

func (n Network) extend(handover []byte, fill func(ledger.Era) (Era, error)) (Network, error) {
	era, pin, err := n.opened(handover)
	if err != nil {
		return Network{}, err
	}
	next, err := fill(era)
	if err != nil {
		return Network{}, err
	}
	extended := n
	extended.Eras = append(append([]Era{}, n.Eras...), next)
	extended.Eras[len(n.Eras)-1].Closed = &pin
	extended, err = ParseNetwork(extended.Marshal())
	if errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge) {
		return Network{}, refuse(NotNextEra, "no network file can hold era %d: %v", era.Number, err)
	}
	return extended, err
}

// opened verifies a handover and gives the era that it opens, and the tree that
// closes the one before.
func (n Network) opened(handover []byte) (ledger.Era, Pin, error) {
	if len(n.Eras) == 0 {
		return ledger.Era{}, Pin{}, errors.New("network has no era")
	}
	// The keys of the last era alone may hand over. Those of older ones are retired.
	last := n
	last.Eras = n.Eras[len(n.Eras)-1:]
	number := int64(len(n.Eras)) + 1
	r, block, _, err := last.checkState(handover, nil)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return ledger.Era{}, Pin{}, refuse(refusal.Reason, "handover to era %d: %s", number, refusal.Detail)
	}
	if err != nil {
		return ledger.Era{}, Pin{}, err
	}
	if !bytes.Equal(r.Key, ledger.StateKeyEra(number)) || r.Value == nil {
		return ledger.Era{}, Pin{}, refuse(NotNextEra, "the state receipt is not of era %d, which comes next", number)
	}
	era, err := ledger.ParseEra(r.Value)
	if err != nil {
		return ledger.Era{}, Pin{}, refuse(NotNextEra, "the value of era %d cannot be read: %v", number, err)
	}
	switch {
	case era.Number != number:
		return ledger.Era{}, Pin{}, refuse(NotNextEra, "the state receipt opens era %d, the next one is %d", era.Number, number)
	case era.Opened < block.First || int64(era.Opened) >= r.Index:
		return ledger.Era{}, Pin{}, refuse(NotNextEra, "era %d was opened by entry %d, the tree is not the one that its block left", number, era.Opened)
	case len(n.Eras) > 1 && r.Checkpoint.Size <= n.Eras[len(n.Eras)-2].Closed.Size:
		return ledger.Era{}, Pin{}, refuse(NotNextEra, "the tree of %d entries is not larger than the last one of the era before", r.Checkpoint.Size)
	}
	return era, Pin{Size: r.Checkpoint.Size, Root: r.Checkpoint.Root}, nil
}

// unwitnessed gives an era of the ledger as the file holds it, without witnesses.
func unwitnessed(e ledger.Era) (era Era) {
	for _, node := range e.Nodes {
		era.Logs = append(era.Logs, node.LogKey)
		if node.Validator {
			era.Validators = append(era.Validators, Validator{NodeID: NodeID(node.NodeKey[:]), Cosigner: node.CosignerKey})
		}
	}
	return era
}

// witnessed gives an era with its witnesses. Their names are among those given,
// or in the eras before.
func (n Network) witnessed(e ledger.Era, names []string) (Era, error) {
	known := make(map[[32]byte]string)
	for _, name := range names {
		known[sha256.Sum256([]byte(name))] = name
	}
	for _, before := range n.Eras {
		for _, w := range before.Witnesses {
			known[sha256.Sum256([]byte(w.Name))] = w.Name
		}
	}
	era := unwitnessed(e)
	era.WitnessThreshold = int(e.Witnesses.Threshold)
	for _, w := range e.Witnesses.Witnesses {
		name, ok := known[w.NameHash]
		if !ok {
			return Era{}, refuse(UnknownWitness, "the name of witness %s of era %d is not known: it is the one whose SHA-256 is %x", w.Code, e.Number, w.NameHash)
		}
		era.Witnesses = append(era.Witnesses, Witness{Label: witnessLabel(w.Code), Name: name, Key: w.PublicKey})
	}
	return era, nil
}

// witnessLabel names the witness that the ledger lists under a code. The prefix
// keeps it from the names of groups and nodes.
func witnessLabel(code record.Code) string { return "w-" + strings.ToLower(string(code)) }
