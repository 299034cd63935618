package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

var (
	// ErrGenesisForm is returned for a genesis document that is not in the one
	// form that Genesis.Marshal writes.
	ErrGenesisForm = errors.New("genesis document is malformed")
	// ErrOtherGenesis is returned where genesis.json is not the document that
	// the ledger in this home began with.
	ErrOtherGenesis = errors.New("genesis document is not the one this ledger began with")
)

// maxGenesisBytes bounds the document: some ten thousand facts.
const maxGenesisBytes = 16 << 20

// Genesis is what a network starts from. As a file it is CometBFT's genesis
// document; its validators are the nodes with power among the facts, and its
// app_state is {"origin": ..., "facts": [base64 of a canonical Fact, ...]}.
type Genesis struct {
	ChainID string
	Origin  string // first line of the checkpoints
	Time    time.Time
	Facts   []record.Fact
}

type genesisState struct {
	Origin string   `json:"origin"`
	Facts  [][]byte `json:"facts"`
}

// Marshal writes the document. The SHA-256 of its bytes is the network's id.
func (g Genesis) Marshal() ([]byte, error) {
	doc, err := g.document()
	if err != nil {
		return nil, err
	}
	text, err := cmtjson.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write genesis document: %w", err)
	}
	return append(text, '\n'), nil
}

// document gives CometBFT's form.
func (g Genesis) document() (*types.GenesisDoc, error) {
	state := genesisState{Origin: g.Origin, Facts: make([][]byte, len(g.Facts))}
	doc := &types.GenesisDoc{GenesisTime: g.Time.UTC(), ChainID: g.ChainID, InitialHeight: 1, ConsensusParams: consensusParams()}
	for i, f := range g.Facts {
		var err error
		if state.Facts[i], err = record.MarshalFact(f); err != nil {
			return nil, fmt.Errorf("write genesis fact %d: %w", i, err)
		}
		if n, ok := f.(*record.Node); ok && n.Power > 0 {
			doc.Validators = append(doc.Validators, types.GenesisValidator{
				PubKey: cmted25519.PubKey(n.ValidatorKey[:]), Power: int64(n.Power), Name: receipt.ServerName(receipt.NodeID(n.NodeKey[:])),
			})
		}
	}
	var err error
	if doc.AppState, err = json.Marshal(state); err != nil {
		return nil, fmt.Errorf("write genesis facts: %w", err)
	}
	if err := doc.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("write genesis document: %w", err)
	}
	return doc, nil
}

// ParseGenesis reads a genesis document. It writes what it has read anew and
// refuses a text that differs in a byte, so nothing in the document is ignored.
func ParseGenesis(text []byte) (Genesis, error) {
	if len(text) > maxGenesisBytes {
		return Genesis{}, fmt.Errorf("%w: %d bytes", ErrGenesisForm, len(text))
	}
	var doc types.GenesisDoc
	if err := cmtjson.Unmarshal(text, &doc); err != nil {
		return Genesis{}, fmt.Errorf("%w: %w", ErrGenesisForm, err)
	}
	var state genesisState
	if err := json.Unmarshal(doc.AppState, &state); err != nil {
		return Genesis{}, fmt.Errorf("%w: app_state: %w", ErrGenesisForm, err)
	}
	g := Genesis{ChainID: doc.ChainID, Origin: state.Origin, Time: doc.GenesisTime, Facts: make([]record.Fact, len(state.Facts))}
	for i, raw := range state.Facts {
		var err error
		if g.Facts[i], err = record.ParseFact(raw); err != nil {
			return Genesis{}, fmt.Errorf("%w: fact %d: %w", ErrGenesisForm, i, err)
		}
	}
	again, err := g.Marshal()
	if err != nil {
		return Genesis{}, fmt.Errorf("%w: %w", ErrGenesisForm, err)
	}
	if !bytes.Equal(again, text) {
		return Genesis{}, fmt.Errorf("%w: it says more than, or other than, this program writes", ErrGenesisForm)
	}
	return g, nil
}

// ledgerFacts gives the facts for the ledger, in the name of the network whose
// document has the given bytes.
func (g Genesis) ledgerFacts(text []byte) ledger.GenesisFacts {
	return ledger.GenesisFacts{
		Network: sha256.Sum256(text), ChainID: g.ChainID, Origin: g.Origin, Time: g.Time.UnixNano(), Facts: g.Facts,
	}
}

// validators counts the nodes with power.
func (g Genesis) validators() int {
	n := 0
	for _, f := range g.Facts {
		if node, ok := f.(*record.Node); ok && node.Power > 0 {
			n++
		}
	}
	return n
}

// checkGenesisEntry compares the document with the entry that opens the log.
// The engine reads the document only once, so nobody else would notice that it
// was changed.
func checkGenesisEntry(view ledger.View, facts ledger.GenesisFacts) error {
	if view.Head().Size == 0 {
		return nil
	}
	raw, err := view.Entry(0)
	if err != nil {
		return fmt.Errorf("read genesis entry: %w", err)
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return fmt.Errorf("read genesis entry: %w", err)
	}
	want := record.GenesisEntry{Network: facts.Network, ChainID: facts.ChainID, Origin: facts.Origin, Time: facts.Time}
	if got, ok := e.(record.GenesisEntry); !ok || got != want {
		return fmt.Errorf("network %x: %w", facts.Network, ErrOtherGenesis)
	}
	return nil
}
