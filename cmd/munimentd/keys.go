package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func keysCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List the keys of this home, make new ones, and delete those that are retired",
		Long: `List the keys of this home, make new ones, and delete those that are retired.

A node has a key for each of five uses: node (its name, TLS and connections),
validator, cosigner, log, and custodian where it keeps content. A new key lies
beside the present one and changes nothing until the offices have decided on the
card that comes with it; then the node goes over to it by itself. Which keys are
registered is what the node knew when it ran last.`,
		Example: `  munimentd keys new cosigner
  munimentd keys new node
  munimentd keys drop`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withCode(exitUsage, fmt.Errorf("there is no command %q: run munimentd keys --help", "keys "+args[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return o.listKeys(c) },
	}
	c.AddCommand(keysNewCommand(o), keysUseCommand(o), keysDropCommand(o))
	return c
}

// What is known of a key.
const (
	keyInUse   = "in use"
	keyNext    = "not registered"
	keyRetired = "retired"
)

// keyLine is what is shown of a key.
type keyLine struct {
	Use        string `json:"use"`
	Generation int    `json:"generation"`
	State      string `json:"state"`
	KeyID      string `json:"key_id"`
	Public     string `json:"public_key"`
	Node       string `json:"node,omitempty"` // id, of a node key
}

// keychain opens the keys of the home.
func (o options) keychain() (*node.Keychain, error) {
	if err := o.checkFinished(); err != nil {
		return nil, withCode(exitPrecondition, err)
	}
	if err := o.checkKeys(); err != nil {
		return nil, withCode(exitPrecondition, err)
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	return node.OpenKeychain(o.node(), passphrase)
}

// lines gives what is known of each key.
func keyLines(chain *node.Keychain) ([]keyLine, error) {
	fact, registered, err := chain.Registered()
	if err != nil {
		return nil, err
	}
	if fact == nil {
		fact = new(record.Node)
	}
	public := map[string][32]byte{
		"node": fact.NodeKey, "validator": fact.ValidatorKey, "cosigner": fact.CosignerKey, "log": fact.LogKey, "custodian": fact.CustodianKey,
	}
	generations := chain.Generations()
	current := map[string]int{} // number of the registered key of each use
	for _, g := range generations {
		if g.Public() == public[g.Use] {
			current[g.Use] = g.Number
		}
	}
	inUse := chain.InUse()
	var lines []keyLine
	for _, g := range generations {
		key := g.Public()
		line := keyLine{Use: g.Use, Generation: g.Number, State: keyNext, KeyID: fmt.Sprintf("%x", record.KeyIDOf(key[:])), Public: fmt.Sprintf("%x", key)}
		switch {
		case g.Use == "node" && g.Key.Equal(inUse.Node), g.Use != "node" && g.Number == current[g.Use]:
			line.State = keyInUse
		case g.Number < current[g.Use] && registered:
			line.State = keyRetired
		}
		if g.Use == "node" {
			line.Node = receipt.NodeID(key[:])
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func (o options) listKeys(c *cobra.Command) error {
	chain, err := o.keychain()
	if err != nil {
		return err
	}
	lines, err := keyLines(chain)
	if err != nil {
		return err
	}
	return o.showKeys(c, lines)
}

func (o options) showKeys(c *cobra.Command, lines []keyLine) error {
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"keys": lines})
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", l.Use, l.Generation, l.State, l.KeyID)
	}
	return w.Flush()
}

func keysNewCommand(o *options) *cobra.Command {
	var at reach
	c := &cobra.Command{
		Use:   "new USE...",
		Short: "Make the next key of one or several uses, and the card to propose: node, validator, cosigner, log, custodian",
		Long: `Make the next key of one or several uses, and the card to propose: node, validator, cosigner, log, custodian.

Nothing else changes: the node may run, and goes on with the keys that are
registered. Give the card to the offices that govern security; when they have
decided, a running node goes over by itself. After a new node key its operator
runs munimentd keys use node and starts it again.

A custodian key changes while the node is in no custodian set. One that waits is
on the card only where custodian is named: so a card without it is made by naming
the other uses.`,
		Example: "  munimentd keys new validator cosigner log",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return withCode(exitUsage, errors.New("a key for which use? give node, validator, cosigner, log or custodian"))
			}
			return nil
		},
		ValidArgs: []string{"node", "validator", "cosigner", "log", "custodian"},
		RunE: func(c *cobra.Command, args []string) error {
			if at != (reach{}) {
				if err := at.check(); err != nil {
					return err
				}
			}
			return o.newKeys(c, args, at)
		},
	}
	at.add(c)
	return c
}

func (o options) newKeys(c *cobra.Command, uses []string, at reach) error {
	chain, err := o.keychain()
	if err != nil {
		return err
	}
	if at == (reach{}) {
		if at, err = o.reachOf(chain); err != nil {
			return err
		}
	}
	custodian := slices.Contains(uses, "custodian")
	if custodian && o.runs() {
		s, err := o.status(c.Context())
		if err == nil {
			err = mayChangeCustodian(s)
		}
		if err != nil {
			return err
		}
	}
	old := chain.InUse().ID()
	replaces := false
	for i, use := range uses {
		_, err := chain.Make(use, rand.Reader, time.Now())
		if errors.Is(err, node.ErrKeyUse) && i == 0 {
			return withCode(exitUsage, err)
		}
		if errors.Is(err, node.ErrNoContent) {
			return withCode(exitPrecondition, err)
		}
		if err != nil {
			return err
		}
		replaces = replaces || use == "node"
	}
	keys := chain.InUse()
	if replaces {
		keys = chain.Newest()
	}
	if !custodian {
		if err := keepCustodian(chain, &keys); err != nil {
			return err
		}
	}
	card, err := node.MakeCard(keys, at.p2p, at.grpc, time.Now())
	if err != nil {
		return err
	}
	if err := o.node().OfferCard(card); err != nil {
		return err
	}
	lines, err := keyLines(chain)
	if err != nil {
		return err
	}
	next := "muniment node change " + o.node().OwnCard()
	if replaces {
		next = "muniment node replace " + o.node().OwnCard() + " --old " + old
	}
	fingerprint := node.Fingerprint(card)
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"keys": lines, "node": keys.ID(), "card": o.node().OwnCard(), "fingerprint": fmt.Sprintf("%x", fingerprint), "next": next,
		})
	}
	if err := o.showKeys(c, lines); err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "\ncard         %s\nfingerprint  %x\n\nGive the card to the offices that govern security, and the fingerprint by another\nway. One of them runs:\n  %s\n",
		o.node().OwnCard(), fingerprint, next)
	return nil
}

// mayChangeCustodian refuses a custodian key that could not be registered: it
// changes while its node is in no set.
func mayChangeCustodian(s *apiv1.StatusResponse) error {
	if len(s.Copies) == 0 {
		return nil
	}
	set := s.Copies[0].Set
	return withCode(exitPrecondition, fmt.Errorf("this node is in custodian set %[1]s, and its custodian key changes while it is in none, so nothing was made: first run munimentd custody leave %[1]s, and have an office run muniment custody set %[1]s --remove with the id of this node", set))
}

// keepCustodian leaves a custodian key that waits out of a card that is made for
// other keys: while the node is in a set no card with it would be taken.
func keepCustodian(chain *node.Keychain, keys *node.Keys) error {
	fact, registered, err := chain.Registered()
	if err != nil || !registered {
		return err
	}
	for _, g := range chain.Generations() {
		if g.Use == "custodian" && g.Public() == fact.CustodianKey {
			keys.Custodian = g.Key
		}
	}
	return nil
}

// reachOf gives where the card of this node says that it is reached.
func (o options) reachOf(chain *node.Keychain) (reach, error) {
	for _, path := range []string{o.node().Card(chain.InUse().ID()), o.node().OwnCard()} {
		switch card, err := node.ReadCard(path); {
		case err == nil:
			return reach{p2p: card.P2P, grpc: card.GRPC}, nil
		case !errors.Is(err, os.ErrNotExist):
			return reach{}, fmt.Errorf("read member card: %w", err)
		}
	}
	return reach{}, withCode(exitUsage, errors.New("where is this node reached? give --p2p and --grpc, each as host:port"))
}

func keysUseCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "use node [GENERATION]",
		Short: "Go by another node key from the next start on: the newest, or the one that is named",
		Long: `Go by another node key from the next start on: the newest, or the one that is named.

A node cannot change its name while it runs. Stop it when the offices have decided
that the new key takes the place of the old one, run this, and start it again.
The other keys need no such command.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 || args[0] != "node" {
				return withCode(exitUsage, errors.New("which key? it takes node, and the number of a generation after it; the other keys follow the ledger by themselves"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			number := 0
			if len(args) == 2 {
				var err error
				if number, err = strconv.Atoi(args[1]); err != nil || number < 1 {
					return withCode(exitUsage, fmt.Errorf("generation %q: use a number, as munimentd keys lists them", args[1]))
				}
			}
			return o.useNodeKey(c, number)
		},
	}
}

func (o options) useNodeKey(c *cobra.Command, number int) error {
	if o.runs() {
		return withCode(exitPrecondition, errors.New("the node of this home runs under its present key: stop it first"))
	}
	chain, err := o.keychain()
	if err != nil {
		return err
	}
	if number == 0 {
		for _, g := range chain.Generations() {
			if g.Use == "node" {
				number = g.Number
			}
		}
	}
	if err := chain.UseNode(number); err != nil {
		if errors.Is(err, node.ErrNoSuchGeneration) {
			return withCode(exitPrecondition, err)
		}
		return err
	}
	id := chain.InUse().ID()
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"node": id, "generation": number})
	}
	fmt.Fprintf(c.OutOrStdout(), "node         %s\ngeneration   %d\n\nStart the node: it goes by this key.\n", id, number)
	return nil
}

// runs tells whether a node answers at the operators' socket.
func (o options) runs() bool {
	conn, err := net.DialTimeout("unix", o.node().Socket(), time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func keysDropCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "drop",
		Short: "Delete the keys that the ledger has retired, for good",
		Long: `Delete the keys that the ledger has retired, for good.

Retired is what came before the key that the ledger registers, as the node knew it
when it ran last. Keys that wait for a decision stay. The node may run.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withCode(exitUsage, errors.New("keys drop takes no names: it deletes every key that munimentd keys lists as retired, and no other"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			chain, err := o.keychain()
			if err != nil {
				return err
			}
			lines, err := keyLines(chain)
			if err != nil {
				return err
			}
			dropped := []keyLine{}
			for _, l := range lines {
				if l.State != keyRetired {
					continue
				}
				if err := chain.Drop(l.Use, l.Generation); err != nil {
					return err
				}
				dropped = append(dropped, l)
			}
			if o.output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"dropped": dropped})
			}
			if len(dropped) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "no key of this home is retired")
				return nil
			}
			fmt.Fprintln(c.OutOrStdout(), "deleted:")
			return o.showKeys(c, dropped)
		},
	}
}
