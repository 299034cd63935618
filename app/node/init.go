package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// ErrNoMembers is returned for a network without nodes.
var ErrNoMembers = errors.New("a network needs at least one node")

// Member is a node at the founding of a network.
type Member struct {
	Node        *record.Node // with its voting power: 10 for a validator
	Address     string       // host:port of its gRPC listener, for the network file
	Certificate []byte       // DER
}

// Founding is what a new network consists of.
type Founding struct {
	ChainID string
	Origin  string
	Time    time.Time
	Facts   []record.Fact // all but the nodes
	Members []Member
}

// Found gives the two files that every node of a new network starts with:
// genesis.json and network.mun. Nothing is written. It refuses facts that the
// ledger would refuse, so that no network is founded that cannot start.
func Found(f Founding) (genesis, network []byte, err error) {
	if len(f.Members) == 0 {
		return nil, nil, ErrNoMembers
	}
	g := Genesis{ChainID: f.ChainID, Origin: f.Origin, Time: f.Time.UTC().Truncate(time.Second), Facts: f.Facts[:len(f.Facts):len(f.Facts)]}
	n := receipt.Network{ChainID: f.ChainID, Origin: f.Origin, Eras: []receipt.Era{{}}}
	era := &n.Eras[0]
	for _, m := range f.Members {
		g.Facts = append(g.Facts, m.Node)
		id := receipt.NodeID(m.Node.NodeKey[:])
		n.Nodes = append(n.Nodes, receipt.Node{ID: id, Address: m.Address, Certificate: m.Certificate})
		era.Logs = append(era.Logs, m.Node.LogKey)
		if m.Node.Power > 0 {
			era.Validators = append(era.Validators, receipt.Validator{NodeID: id, Cosigner: m.Node.CosignerKey})
		}
	}
	if genesis, err = g.Marshal(); err != nil {
		return nil, nil, fmt.Errorf("found network: %w", err)
	}
	if _, err := ledger.Genesis(g.ledgerFacts(genesis)); err != nil {
		return nil, nil, fmt.Errorf("found network: %w", err)
	}
	n.ID = sha256.Sum256(genesis)
	network = n.Marshal()
	if _, err := receipt.ParseNetwork(network); err != nil {
		return nil, nil, fmt.Errorf("found network: %w", err)
	}
	return genesis, network, nil
}

// InitOptions say how a network of one node is made.
type InitOptions struct {
	Keys    KeyOptions
	ChainID string
	Origin  string
	Address string // host:port of the gRPC listener, for the network file
	// Facts gives the parameters, offices, keys, governance, custodian sets and
	// series of the network, where custodian is the id of the node's custodian
	// key (zero where it has none).
	Facts func(custodian record.KeyID) []record.Fact
}

// Init makes the home of a network of one node: keys, certificate, genesis
// document, network file and configuration.
func Init(home Home, o InitOptions) (Keys, error) {
	keys, err := MakeKeys(home, o.Keys)
	if err != nil {
		return Keys{}, err
	}
	var custodian record.KeyID
	if keys.Custodian != nil {
		key := public(keys.Custodian)
		custodian = record.KeyIDOf(key[:])
	}
	genesis, network, err := Found(Founding{
		ChainID: o.ChainID, Origin: o.Origin, Time: o.Keys.Now, Facts: o.Facts(custodian),
		Members: []Member{{Node: keys.Fact(founderPower), Address: o.Address, Certificate: keys.Certificate}},
	})
	if err != nil {
		return Keys{}, err
	}
	return keys, Join(home, genesis, network)
}

// Join puts the files of a network into a home that has its keys, with the
// example configuration where there is none.
func Join(home Home, genesis, network []byte) error {
	return join(home, genesis, network, ExampleConfig)
}

func join(home Home, genesis, network, config []byte) error {
	g, err := ParseGenesis(genesis)
	if err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	n, err := receipt.ParseNetwork(network)
	if err != nil {
		return fmt.Errorf("join network: %w", err)
	}
	if n.ID != sha256.Sum256(genesis) || n.ChainID != g.ChainID || n.Origin != g.Origin {
		return fmt.Errorf("join network: network file is of another genesis document: %w", ErrOtherGenesis)
	}
	if err := writeNew(home.Genesis(), genesis); err != nil {
		return err
	}
	if err := writeNew(home.Network(), network); err != nil {
		return err
	}
	return writeNew(home.Config(), config)
}
