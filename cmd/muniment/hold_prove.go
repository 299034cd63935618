package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// heldDomain begins the file that proves whether a record was held
// (docs/spec/held.md).
const heldDomain = receipt.HeldDomain

// proveAttempts is how often the proofs are asked for while the ledger moves on
// between one and the next.
const proveAttempts = 8

// errMoved: two state receipts are of different trees.
var errMoved = errors.New("the ledger moved on")

// heldProof is what hold prove prints.
type heldProof struct {
	Record     uint64     `json:"record"`
	Department string     `json:"department"`
	Series     string     `json:"series"`
	Held       bool       `json:"held"`
	Holds      []heldHold `json:"holds"` // released ones too
	TreeSize   int64      `json:"tree_size"`
	Height     int64      `json:"height"` // of the block after which it was so
	Time       string     `json:"time"`   // of that block
	Grade      string     `json:"grade"`
	File       string     `json:"file"`
}

type heldHold struct {
	Hold     record.Index `json:"hold"`
	Kind     string       `json:"kind"`
	Office   record.Code  `json:"office"`
	Since    record.Index `json:"since"` // entry by which it came to cover the record
	Released record.Index `json:"released,omitempty"`
}

func (p *program) holdProveCommand() *cobra.Command {
	var file, department string
	c := &cobra.Command{
		Use: "prove RECORD -o FILE", Short: "Write a file that proves whether a record is held",
		Long: "The file has the record's receipt and four small proofs of the state: the holds on its series, on its\n" +
			"department, on the city, and on the record itself; and the state of each hold that covers it. All are of one\n" +
			"tree, and verified before they are written. muniment-verify checks the file offline.",
		Example: "  muniment hold prove 42 -o 42.held\n  muniment-verify --network network.mun 42.held",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVarP(&file, "out", "o", "", "file to write the proofs to; - is standard output (required)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" || file == fromStdin && p.output == "json" {
			return usage("where to? give -o FILE")
		}
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			proof, text, err := s.proveHeld(c.Context(), a)
			if err != nil {
				return err
			}
			if err := p.deliver(file, text); err != nil || file == fromStdin {
				return err
			}
			proof.File = file
			return p.showHeld(proof)
		})
	}
	return c
}

func (p *program) showHeld(h heldProof) error {
	err := p.show(h, func(w io.Writer) {
		verdict := "not held"
		if h.Held {
			verdict = "held"
		}
		fmt.Fprintf(w, "record\t%d, %s of %s\nverdict\t%s, after block %d of %s, grade %s\n", h.Record, h.Series, h.Department, verdict, h.Height, h.Time, h.Grade)
		for _, hold := range h.Holds {
			state := "stands"
			if hold.Released != 0 {
				state = fmt.Sprintf("released by entry %d", hold.Released)
			}
			fmt.Fprintf(w, "hold\t%d, %s, placed by %s, on the record since entry %d: %s\n", hold.Hold, hold.Kind, hold.Office, hold.Since, state)
		}
	})
	if err == nil {
		p.say("next: muniment-verify --network FILE %s", printable(h.File))
	}
	return err
}

// proveHeld collects the proofs, all of one tree.
func (s *session) proveHeld(ctx context.Context, a anchored) (heldProof, []byte, error) {
	for range proveAttempts {
		c := collector{session: s}
		held, err := c.held(ctx, a)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return heldProof{}, nil, err
		}
		text := append([]byte(heldDomain), a.receipt...)
		proof := heldProof{
			Record: a.index, Department: string(a.entry.Office), Series: string(a.entry.Series), Holds: []heldHold{},
			TreeSize: c.tree.TreeSize, Height: c.tree.BlockHeight, Time: c.tree.NotBefore.Time.Format("2006-01-02T15:04:05Z07:00"), Grade: c.tree.Grade,
		}
		for _, h := range held {
			proof.Held = proof.Held || h.Released == 0
			proof.Holds = append(proof.Holds, heldHold{h.Hold, h.Kind.String(), h.Office, h.Since, h.Released})
		}
		return proof, append(text, bytes.Join(c.receipts, nil)...), nil
	}
	return heldProof{}, nil, failed(exitUnavailable, "BUSY", adviceOn["BUSY"], "the ledger moved on between one proof and the next, %d times", proveAttempts)
}

// collector fetches state receipts of one tree.
type collector struct {
	session  *session
	tree     receipt.Verdict // of the first
	receipts [][]byte
}

// held fetches the four proofs, and that of each hold that covers the record.
func (c *collector) held(ctx context.Context, a anchored) ([]ledger.HoldOn, error) {
	var lists [3][]byte
	var err error
	for n, key := range ledger.HeldKeys(a.entry) {
		if lists[n], err = c.state(ctx, key); err != nil {
			return nil, err
		}
	}
	index := record.Index(a.index)
	lifecycle, err := c.state(ctx, ledger.StateKeyLifecycle(index))
	if err != nil {
		return nil, err
	}
	if c.tree.TreeSize <= int64(a.index) {
		return nil, errMoved // the tree is older than the record
	}
	held, judged := ledger.HeldBy(index, a.entry, lists, lifecycle, func(hold record.Index) ([]byte, bool) {
		var value []byte
		if err == nil {
			value, err = c.state(ctx, ledger.StateKeyHold(hold))
		}
		return value, value != nil
	})
	if err != nil {
		return nil, err
	}
	if judged != nil {
		return nil, fmt.Errorf("holds on record %d: %w", index, judged)
	}
	return held, nil
}

// state fetches and verifies the state receipt of a key, and gives its value,
// nil where there is none.
func (c *collector) state(ctx context.Context, key []byte) ([]byte, error) {
	response, err := unary(ctx, c.session, apiv1.NewAuditorsClient, apiv1.AuditorsClient.StateProof, &apiv1.StateProofRequest{Key: key})
	if err != nil {
		return nil, err
	}
	v, err := receipt.VerifyState(c.session.network, response.Receipt, nil)
	if err != nil {
		return nil, err
	}
	if err := verdictError(v); err != nil {
		return nil, err
	}
	switch {
	case v.State.Key != hex.EncodeToString(key):
		return nil, failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node gave the state of another key than it was asked for")
	case len(c.receipts) == 0:
		c.tree = v
	case v.TreeSize != c.tree.TreeSize || v.Root != c.tree.Root:
		return nil, errMoved
	}
	c.receipts = append(c.receipts, response.Receipt)
	return v.State.Bytes(), nil
}
