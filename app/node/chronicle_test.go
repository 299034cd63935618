package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// eraBytes is the value that docs/spec/ledger.md gives an era.
func eraBytes(e ledger.Era) ([]byte, error) {
	nodes := []any{}
	for _, n := range e.Nodes {
		validator := 0
		if n.Validator {
			validator = 1
		}
		nodes = append(nodes, []any{n.NodeKey[:], n.LogKey[:], n.CosignerKey[:], validator})
	}
	witnesses, err := record.MarshalFact(&e.Witnesses)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal([]any{1, e.Number, e.Opened, nodes, witnesses})
}

// chronicle is the log and the state of a ledger whose eras follow each other,
// made without the machine that carries out transactions.
type chronicle struct {
	t       *testing.T
	members []*Keys // of the era in force; all validators
	number  int64
	network receipt.Network // the founding file
	entries [][]byte
	hashes  []tlog.Hash
	state   statetree.Memory
	root    statetree.Hash
	values  map[string][]byte
	blocks  []record.Index
	first   record.Index
	views   []chronicleView // after each block
}

// chronicleView is what the ledger was after a block.
type chronicleView struct {
	ledger.View
	statetree.Memory
	root     statetree.Hash
	values   map[string][]byte
	entries  [][]byte
	frontier []record.Hash
	head     ledger.Head
}

func (v chronicleView) Nodes(paths []statetree.Path) ([][]byte, error) { return v.Memory.Nodes(paths) }
func (v chronicleView) StateRoot() statetree.Hash                      { return v.root }
func (v chronicleView) Entry(i record.Index) ([]byte, error)           { return v.entries[i], nil }
func (v chronicleView) Frontier() []record.Hash                        { return v.frontier }
func (v chronicleView) Head() ledger.Head                              { return v.head }
func (v chronicleView) Value(key []byte) (value []byte, ok bool, _ error) {
	value, ok = v.values[string(key)]
	return value, ok, nil
}

func (c *chronicle) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		if at >= int64(len(c.hashes)) {
			return nil, errors.New("no such hash")
		}
		out[i] = c.hashes[at]
	}
	return out, nil
}

// blockAfter reads the log as far as it goes, as a store does.
func (c *chronicle) blockAfter(i record.Index) (record.Index, error) {
	for _, at := range c.blocks {
		if at >= i {
			return at, nil
		}
	}
	return 0, errors.New("no block entry follows")
}

func (c *chronicle) put(key, value []byte) {
	root, nodes, err := statetree.Update(c.state, c.root, []statetree.Write{{Key: statetree.KeyOf(key), Value: value}})
	if err != nil {
		c.t.Fatal(err)
	}
	c.state.Apply(nodes)
	c.root, c.values[string(key)] = root, value
}

func (c *chronicle) add(e record.Entry) record.Index {
	raw, err := record.MarshalEntry(e)
	if err != nil {
		c.t.Fatal(err)
	}
	index := int64(len(c.entries))
	hashes, err := tlog.StoredHashes(index, raw, c)
	if err != nil {
		c.t.Fatal(err)
	}
	c.entries, c.hashes = append(c.entries, raw), append(c.hashes, hashes...)
	return record.Index(index)
}

func memberKeys(label string) *Keys {
	return &Keys{Node: officeKey(label + " node"), Validator: officeKey(label + " validator"), Cosigner: officeKey(label + " cosigner"), Log: officeKey(label + " log")}
}

// newChronicle begins a ledger of some validators, with the genesis as its first block.
func newChronicle(t *testing.T, validators int) *chronicle {
	c := &chronicle{t: t, state: statetree.Memory{}, values: map[string][]byte{}, number: 1}
	c.network = receipt.Network{ChainID: "muniment-test-1", Origin: testOrigin, Eras: []receipt.Era{{}}}
	for i := range validators {
		k := memberKeys(fmt.Sprint("member ", i))
		c.members = append(c.members, k)
		c.network.Eras[0].Logs = append(c.network.Eras[0].Logs, public(k.Log))
		c.network.Eras[0].Validators = append(c.network.Eras[0].Validators, receipt.Validator{NodeID: k.ID(), Cosigner: public(k.Cosigner)})
		certificate, err := identity.ServerCertificate(rand.Reader, k.Node, receipt.ServerName(k.ID()), time.Unix(1_890_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		c.network.Nodes = append(c.network.Nodes, receipt.Node{ID: k.ID(), Address: fmt.Sprintf("127.0.0.1:%d", 7450+i), Certificate: certificate})
	}
	n, err := receipt.ParseNetwork(c.network.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	c.network = n
	c.add(record.GenesisEntry{ChainID: n.ChainID, Origin: n.Origin, Time: 1_890_000_000e9})
	c.era(0)
	c.block()
	return c
}

// era writes the era of the members into the state.
func (c *chronicle) era(opened record.Index) {
	e := ledger.Era{Number: c.number, Opened: opened}
	for _, k := range c.members {
		e.Nodes = append(e.Nodes, ledger.EraNode{NodeKey: public(k.Node), LogKey: public(k.Log), CosignerKey: public(k.Cosigner), Validator: true})
	}
	value, err := eraBytes(e)
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(ledger.StateKeyEra(c.number), value)
	number, err := cbor.Marshal([]any{1, c.number})
	if err != nil {
		c.t.Fatal(err)
	}
	c.put(ledger.StateKeyEras(), number)
}

// block closes a block with something in it, and gives the view after it.
func (c *chronicle) block() chronicleView {
	height := int64(len(c.views))
	c.add(record.JumpEntry{Height: height, Before: 1, After: 2})
	at := c.add(record.BlockEntry{Height: height, Time: (1_890_000_000 + height) * 1e9, First: c.first, StateRoot: c.root})
	c.blocks, c.first = append(c.blocks, at), at+1
	size := int64(at) + 1
	root, err := tlog.TreeHash(size, c)
	if err != nil {
		c.t.Fatal(err)
	}
	v := chronicleView{Memory: maps.Clone(c.state), root: c.root, values: maps.Clone(c.values), entries: slices.Clone(c.entries), frontier: []record.Hash{root}}
	v.head = ledger.Head{Height: height, Size: size, Origin: testOrigin, AppHash: record.AppHash(record.CheckpointBody(testOrigin, size, root))}
	c.views = append(c.views, v)
	return v
}

// opens closes a block that opens an era of other members.
func (c *chronicle) opens(members ...*Keys) chronicleView {
	c.members = members
	c.number++
	c.era(c.add(record.JumpEntry{Height: int64(len(c.views)), Before: 3, After: 4}))
	return c.block()
}
