package node

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// founderPower is the voting power of a validator at the founding.
const founderPower = 10

// Listeners are the addresses of a node, each as host:port.
type Listeners struct {
	P2P, GRPC, Tiles, Monitor string
}

// config gives the example configuration with these addresses.
func (l Listeners) config() []byte {
	d, text := DefaultConfig(), ExampleConfig
	for _, one := range [][2]string{{d.P2P.Listen, l.P2P}, {d.GRPC.Listen, l.GRPC}, {d.Tiles.Listen, l.Tiles}, {d.Monitor.Listen, l.Monitor}} {
		text = bytes.Replace(text, []byte(`listen = "`+one[0]+`"`), []byte(`listen = "`+one[1]+`"`), 1)
	}
	return text
}

// DefaultListeners are those of the example configuration.
func DefaultListeners() Listeners {
	c := DefaultConfig()
	return Listeners{P2P: c.P2P.Listen, GRPC: c.GRPC.Listen, Tiles: c.Tiles.Listen, Monitor: c.Monitor.Listen}
}

// WriteConfig gives a new home the example configuration with these listeners.
func (h Home) WriteConfig(l Listeners) error { return writeNew(h.Config(), l.config()) }

// portsPerNode are the ports that each node of a test network has to itself.
const portsPerNode = 10

// Loopback gives the listeners of the i-th node (from 1) of a network on one
// machine: four ports from base + 10 i on.
func Loopback(base, i int) Listeners {
	at := func(k int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(base+portsPerNode*i+k)) }
	return Listeners{P2P: at(0), GRPC: at(1), Tiles: at(2), Monitor: at(3)}
}

// TestnetOptions say how a network on one machine is made.
type TestnetOptions struct {
	Keys       KeyOptions // for every node; Custodian is not read
	Nodes      int        // all of them validators
	Custodians int        // the first so many keep content
	ChainID    string
	Origin     string
	Facts      func(custodians []record.KeyID) []record.Fact // as InitOptions.Facts
	Listeners  func(i int) Listeners                         // of the i-th node, from 1
}

// TestnetHome gives the home of the i-th node, from 1.
func TestnetHome(dir string, i int) Home {
	return Home(filepath.Join(dir, "node-"+strconv.Itoa(i)))
}

// MakeTestnet makes the homes DIR/node-1 and on of one network whose nodes run
// on one machine, each with the cards of all. It returns the genesis document and
// the network file.
func MakeTestnet(dir string, o TestnetOptions) (genesis, network []byte, err error) {
	var cards [][]byte
	var members []Member
	var custodians []record.KeyID
	now := o.Keys.Now.UTC().Truncate(time.Second)
	for i := 1; i <= o.Nodes; i++ {
		o.Keys.Custodian = i <= o.Custodians
		keys, err := MakeKeys(TestnetHome(dir, i), o.Keys)
		if err != nil {
			return nil, nil, err
		}
		l := o.Listeners(i)
		text, err := MakeCard(keys, l.P2P, l.GRPC, now)
		if err != nil {
			return nil, nil, err
		}
		card, err := receipt.ParseCard(text)
		if err != nil {
			return nil, nil, err
		}
		cards, members = append(cards, text), append(members, MemberOf(card))
		if id, ok := custodianOf(card.Node); ok {
			custodians = append(custodians, id)
		}
	}
	genesis, network, err = Found(Founding{ChainID: o.ChainID, Origin: o.Origin, Time: now, Facts: o.Facts(custodians), Members: members})
	if err != nil {
		return nil, nil, err
	}
	for i := 1; i <= o.Nodes; i++ {
		home := TestnetHome(dir, i)
		for _, card := range cards {
			err = errors.Join(err, home.KeepCard(card))
		}
		err = errors.Join(err, home.PutOwnCard(cards[i-1]))
		if err := errors.Join(err, join(home, genesis, network, o.Listeners(i).config())); err != nil {
			return nil, nil, fmt.Errorf("make %s: %w", home, err)
		}
	}
	return genesis, network, nil
}
