package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
)

func memberCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "member",
		Short: "Ask to be a member of a network, join one, and say where this node is reached",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withCode(exitUsage, fmt.Errorf("there is no command %q: run munimentd member --help", "member "+args[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(memberRequestCommand(o), memberCardCommand(o), memberExportCommand(o), memberJoinCommand(o), memberAdoptCommand(o), memberOverrideCommand(o))
	return c
}

// reach is where others dial a node.
type reach struct{ p2p, grpc string }

func (r *reach) add(c *cobra.Command) {
	c.Flags().StringVar(&r.p2p, "p2p", "", "host:port at which other nodes reach this one")
	c.Flags().StringVar(&r.grpc, "grpc", "", "host:port at which departments, auditors and custodians reach it")
}

// check refuses addresses that nobody else could dial.
func (r reach) check() error {
	if r.p2p != "" && r.p2p == r.grpc {
		return withCode(exitUsage, fmt.Errorf("--p2p and --grpc are both %q: give each a port of its own", r.p2p))
	}
	for flag, address := range map[string]string{"--p2p": r.p2p, "--grpc": r.grpc} {
		if address == "" {
			return withCode(exitUsage, errors.New("where is this node reached? give --p2p and --grpc, each as host:port"))
		}
		host, port, err := net.SplitHostPort(address)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || n == 0 || host == "" {
			return withCode(exitUsage, fmt.Errorf("%s %q: use host:port", flag, address))
		}
		if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
			return withCode(exitUsage, fmt.Errorf("%s %q: others cannot dial that: name this machine as they know it", flag, address))
		}
	}
	return nil
}

// listens says whether both are addresses of this machine as they stand, so that
// the node can listen there.
func (r reach) listens() bool {
	for _, address := range []string{r.p2p, r.grpc} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return false
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return false
		}
	}
	return true
}

func memberRequestCommand(o *options) *cobra.Command {
	var at reach
	var custodian bool
	var device deviceFlags
	c := &cobra.Command{
		Use:   "request --p2p HOST:PORT --grpc HOST:PORT",
		Short: "Make the keys of a new node and the card with which it asks to be a member",
		Long: `Make the keys of a new node and the card with which it asks to be a member.

The card, member.card in the home, is public: give it to whoever assembles the
network, or to the offices that admit you to one that exists, and its fingerprint
by another way.`,
		Example: `  munimentd member request --p2p clerk.example.org:26656 --grpc clerk.example.org:7450 --custodian`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := at.check(); err != nil {
				return err
			}
			return o.request(c, at, custodian, device)
		},
	}
	at.add(c)
	c.Flags().BoolVar(&custodian, "custodian", false, "this node is to keep content")
	device.add(c)
	return c
}

func (o options) request(c *cobra.Command, at reach, custodian bool, device deviceFlags) error {
	if !custodian && device != (deviceFlags{}) {
		return withCode(exitUsage, errors.New("a node that keeps no content needs no token: leave --pkcs11-module out, or give --custodian"))
	}
	if err := device.check(custodian); err != nil {
		return err
	}
	place, model, passphrase, err := o.beforeKeys(device)
	if err != nil {
		return err
	}
	var card []byte
	now := time.Now()
	keys, err := o.makeHome(func(home node.Home) (node.Keys, error) {
		keys, err := node.MakeKeys(home, node.KeyOptions{Rand: rand.Reader, Passphrase: passphrase, Custodian: custodian, Device: place, Now: now})
		if err != nil {
			return node.Keys{}, err
		}
		if card, err = node.MakeCard(keys, at.p2p, at.grpc, now); err != nil {
			return node.Keys{}, err
		}
		l := node.DefaultListeners()
		if at.listens() {
			l.P2P, l.GRPC = at.p2p, at.grpc
		}
		return keys, errors.Join(home.PutOwnCard(card), home.WriteConfig(l))
	})
	if err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	return o.requested(c, keys, card, at, model)
}

// requested says what was made and what comes next.
func (o options) requested(c *cobra.Command, keys node.Keys, card []byte, at reach, model string) error {
	claim, device, err := o.claim()
	if err != nil {
		return err
	}
	fingerprint := node.Fingerprint(card)
	w := c.OutOrStdout()
	if o.output == "json" {
		said := map[string]string{"home": o.home, "node": keys.ID(), "card": o.node().OwnCard(), "fingerprint": hex.EncodeToString(fingerprint[:])}
		if claim.Valid() {
			maps.Copy(said, claimSaid(claim, device, model))
		}
		return json.NewEncoder(w).Encode(said)
	}
	fmt.Fprintf(w, "node         %s\ncard         %s\nfingerprint  %x\n", keys.ID(), o.node().OwnCard(), fingerprint)
	if !at.listens() {
		fmt.Fprintf(w, "\nSet p2p.listen and grpc.listen in %s to addresses of\nthis machine: %s and %s are names, and the node listens at\nloopback until then.\n", o.node().Config(), at.p2p, at.grpc)
	}
	fmt.Fprintf(w, `
Give the card to whoever assembles the network, or to the offices that admit
nodes, and the fingerprint by another way. When you have what they hand out:
  munimentd genesis join DIR --home %[1]s    # where the network is new
  munimentd member join DIR --home %[1]s     # where it exists already
`, o.home)
	if claim.Valid() {
		fmt.Fprintln(w)
		sayClaim(c, claim, model)
	}
	return nil
}

func memberCardCommand(o *options) *cobra.Command {
	var at reach
	c := &cobra.Command{
		Use:   "card [--p2p HOST:PORT --grpc HOST:PORT]",
		Short: "Show this node's card, or make it anew with other addresses",
		Long: `Show this node's card, or make it anew with other addresses.

A new card replaces the one before. A running node takes it up within seconds and
tells the other nodes.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkFinished(); err != nil {
				return withCode(exitPrecondition, err)
			}
			if at != (reach{}) {
				if err := at.check(); err != nil {
					return err
				}
				if err := o.renewCard(at); err != nil {
					return err
				}
			}
			return o.showCard(c)
		},
	}
	at.add(c)
	return c
}

func (o options) renewCard(at reach) error {
	if err := o.checkKeys(); err != nil {
		return withCode(exitPrecondition, err)
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return err
	}
	keys, err := node.OpenKeys(o.node(), passphrase)
	clear(passphrase)
	if err != nil {
		return err
	}
	card, err := node.MakeCard(keys, at.p2p, at.grpc, time.Now())
	if err != nil {
		return withCode(exitUsage, err)
	}
	return o.node().PutOwnCard(card)
}

func (o options) showCard(c *cobra.Command) error {
	text, err := os.ReadFile(o.node().OwnCard())
	if errors.Is(err, fs.ErrNotExist) {
		return withCode(exitPrecondition, fmt.Errorf("%s: %w: give --p2p and --grpc, and it is made", o.home, node.ErrNoCard))
	}
	if err != nil {
		return fmt.Errorf("read member card: %w", err)
	}
	card, err := receipt.ParseCard(text)
	if err != nil {
		return withCode(exitContradicted, fmt.Errorf("%s: %w: make it anew with --p2p and --grpc", o.node().OwnCard(), err))
	}
	fingerprint := node.Fingerprint(text)
	keeps := card.Node.CustodianKey != [32]byte{}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"node": card.ID(), "card": o.node().OwnCard(), "p2p": card.P2P, "grpc": card.GRPC, "custodian": keeps,
			"issued": clock(time.Unix(card.Issued, 0)), "fingerprint": hex.EncodeToString(fingerprint[:]),
		})
	}
	content := "no"
	if keeps {
		content = "yes"
	}
	fmt.Fprintf(c.OutOrStdout(), "node         %s\np2p          %s\ngRPC         %s\ncustodian    %s\nissued       %s\ncard         %s\nfingerprint  %x\n",
		card.ID(), card.P2P, card.GRPC, content, clock(time.Unix(card.Issued, 0)), o.node().OwnCard(), fingerprint)
	return nil
}

func memberExportCommand(o *options) *cobra.Command {
	var witnesses []string
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "Write what a new member needs to join this network: genesis.json, network.mun and the members' cards",
		Long: `Write what a new member needs to join this network: genesis.json, network.mun and
the members' cards.

The network file is the one that munimentd network prints, with the keys and nodes
that came since the founding: it names those from whom the new member gets the
blocks. So its fingerprint is not that of the founding.`,
		Args: oneFolder("which folder is to be made? give one DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.checkHome(); err != nil {
				return withCode(exitPrecondition, err)
			}
			if err := (options{home: args[0]}).checkNew(); err != nil {
				return err
			}
			out, err := node.ReadHandout(o.home)
			if err != nil {
				return withCode(exitPrecondition, err)
			}
			// As it is now: nobody of the founding may be there any more.
			now, err := o.upToDate(witnesses)
			if err != nil {
				return err
			}
			if out, err = out.Of(now); err != nil {
				return err
			}
			if err := out.Write(args[0]); err != nil {
				return fmt.Errorf("write %s: %w", args[0], err)
			}
			return o.handedOut(c, args[0], out, "Next, at the new member:\n  munimentd member join "+args[0]+"\n")
		},
	}
	c.Flags().StringArrayVar(&witnesses, "witness", nil, "name of a witness, as it stands in its signatures")
	return c
}

func memberJoinCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "join DIR",
		Short: "Join a network that exists, with what one of its members has exported",
		Long: `Join a network that exists, with what one of its members has exported.

The offices admit the node by its card, before or after. Compare the fingerprint
with what they tell you by another way: it is what this node will believe.`,
		Args: oneFolder("which network? give the DIR that a member has exported"),
		RunE: func(c *cobra.Command, args []string) error {
			return o.join(c, args[0], node.Home.JoinNetwork)
		},
	}
}

// oneFolder wants one argument and asks for it.
func oneFolder(ask string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return withCode(exitUsage, errors.New(ask))
		}
		return nil
	}
}

// join puts a handout into the home, in one of the two ways.
func (o options) join(c *cobra.Command, dir string, put func(node.Home, node.Handout) (receipt.Network, error)) error {
	if err := o.checkFinished(); err != nil {
		return withCode(exitPrecondition, err)
	}
	out, err := node.ReadHandout(dir)
	if err != nil {
		return withCode(exitPrecondition, err)
	}
	if _, err := put(o.node(), out); err != nil {
		return withCode(exitPrecondition, err)
	}
	return o.handedOut(c, dir, out, "Compare the fingerprint with the others, aloud. If all have the same:\n  munimentd start --home "+o.home+"\n")
}

// handedOut says whose network it is.
func (o options) handedOut(c *cobra.Command, dir string, out node.Handout, next string) error {
	network, err := receipt.ParseNetwork(out.Network)
	if err != nil {
		return err
	}
	fingerprint := network.Fingerprint()
	type member struct {
		Node        string `json:"node"`
		P2P         string `json:"p2p"`
		GRPC        string `json:"grpc"`
		Fingerprint string `json:"fingerprint"`
	}
	var members []member
	for _, text := range out.Cards {
		card, err := receipt.ParseCard(text)
		if err != nil {
			return err
		}
		members = append(members, member{card.ID(), card.P2P, card.GRPC, fmt.Sprintf("%x", node.Fingerprint(text))})
	}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
			"folder": dir, "chain_id": network.ChainID, "fingerprint": hex.EncodeToString(fingerprint[:]), "members": members,
		})
	}
	w := c.OutOrStdout()
	fmt.Fprintf(w, "network      %s\nfolder       %s\n", network.ChainID, dir)
	for _, m := range members {
		fmt.Fprintf(w, "member       %s  p2p %s  gRPC %s\n             card %s\n", m.Node, m.P2P, m.GRPC, m.Fingerprint)
	}
	fmt.Fprintf(w, "fingerprint  %x\n\n%s", fingerprint, next)
	return nil
}
