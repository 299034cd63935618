package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	abcitypes "github.com/cometbft/cometbft/abci/types"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// proposer makes blocks of its own mind.
type proposer struct {
	abcitypes.Application
	blocks *atomic.Int64 // that it proposed
	twist  func(height int64, txs [][]byte) [][]byte
}

// PrepareProposal twists what an honest proposer would take.
func (p proposer) PrepareProposal(ctx context.Context, r *abcitypes.RequestPrepareProposal) (*abcitypes.ResponsePrepareProposal, error) {
	honest, err := p.Application.PrepareProposal(ctx, r)
	if err != nil {
		return nil, err
	}
	p.blocks.Add(1)
	return &abcitypes.ResponsePrepareProposal{Txs: p.twist(r.Height, honest.Txs)}, nil
}

// openProposer opens a node that proposes twisted blocks.
func (c *city) openProposer(i int, twist func(height int64, txs [][]byte) [][]byte) *atomic.Int64 {
	c.t.Helper()
	blocks := new(atomic.Int64)
	n, err := New(c.homes[i], c.configs[i], Options{
		Passphrase: passphrase, Heartbeat: time.Second, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal:       func(err error) { c.t.Errorf("fatal: %v", err) },
		application: func(a abcitypes.Application) abcitypes.Application { return proposer{a, blocks, twist} },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			c.t.Errorf("stop node: %v", err)
		}
	})
	c.nodes[i] = n
	return blocks
}

// TestDishonestProposerOfFour lets one of four proposers make blocks as it likes.
// What is handed in elsewhere gets in all the same, once, and everybody has one log.
func TestDishonestProposerOfFour(t *testing.T) {
	// seen are transactions that were committed before: a proposer can put them in again.
	var seen [][]byte
	for _, c := range []struct {
		name  string
		twist func(height int64, txs [][]byte) [][]byte
	}{
		{"reorders", func(_ int64, txs [][]byte) [][]byte {
			slices.Reverse(txs)
			return txs
		}},
		{"censors", func(int64, [][]byte) [][]byte { return nil }},
		{"repeats", func(_ int64, txs [][]byte) [][]byte {
			seen = append(seen, txs...)
			return slices.Concat(seen[:min(len(seen), 50)], txs, txs)
		}},
		{"stuffs junk in", func(height int64, txs [][]byte) [][]byte {
			return append(txs, fmt.Appendf(nil, "junk of height %d", height))
		}},
		{"stuffs what nobody may do in", func(height int64, txs [][]byte) [][]byte {
			if len(txs) == 0 {
				return nil
			}
			forged := slices.Clone(txs[0])
			forged[len(forged)-1] ^= 1 // of the signature
			return append(txs, forged)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen = nil
			city := newCity(t, 4)
			proposed := city.openProposer(0, c.twist)
			for i := 1; i < len(city.homes); i++ {
				city.open(i)
			}
			for _, n := range city.nodes {
				if err := n.Start(); err != nil {
					t.Fatal(err)
				}
			}
			city.goesOn(t, c.name, proposed)
		})
	}
}

// goesOn hands transactions in until the dishonest proposer had its turn several
// times, then wants each in the log once, and the same log everywhere.
func (c *city) goesOn(t *testing.T, name string, proposed *atomic.Int64) {
	t.Helper()
	const turns = 4
	count := 0
	for ; proposed.Load() < turns && count < 400; count += 8 {
		failed := make(chan error, 8)
		for i := range 8 {
			n := c.nodes[i%4]
			raw := anchor(t, n, fmt.Sprintf("%s %d", name, count+i))
			go func() {
				result, _, err := n.Submit(waiting(t), raw)
				if err == nil && result.Code != ledger.OK {
					err = fmt.Errorf("refused: %s", result.Code)
				}
				failed <- err
			}()
		}
		for range cap(failed) {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := proposed.Load(); got < turns {
		t.Errorf("the dishonest proposer had %d turns while %d transactions were handed in", got, count)
	}
	// Each was acknowledged by the node that it was handed to; another one may be a
	// block behind that.
	acknowledged := int64(0)
	for _, n := range c.nodes {
		acknowledged = max(acknowledged, n.View().Head().Size)
	}
	eventually(t, "all that was acknowledged", func() bool { return c.nodes[1].View().Head().Size >= acknowledged })
	found := map[record.Commitment]int{}
	head := c.nodes[1].View().Head()
	for i := range record.Index(head.Size) {
		raw, err := c.nodes[1].View().Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		e, err := record.ParseEntry(raw)
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := e.(record.AnchorEntry); ok {
			found[a.Commitment]++
		}
	}
	if len(found) != count {
		t.Errorf("%d records were acknowledged, the log has %d", count, len(found))
	}
	for commitment, times := range found {
		if times != 1 {
			t.Errorf("%x is in the log %d times", commitment[:4], times)
		}
	}
	for _, n := range c.nodes {
		eventually(t, "one log", func() bool {
			own := n.View().Head()
			return own.Size >= head.Size && (own.Size > head.Size || own.AppHash == head.AppHash)
		})
	}
}
