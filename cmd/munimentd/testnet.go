package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

const (
	testnetPorts = 27000 // base of the ports, if none is named
	maxTestnet   = 64    // nodes of a network
)

// testnetFlags are what the command is told.
type testnetFlags struct {
	validators, custodians, basePort int
	founding                         string
}

func testnetCommand(o *options) *cobra.Command {
	var f testnetFlags
	c := &cobra.Command{
		Use:   "testnet DIR --passphrase-file FILE",
		Short: "Make a network of several nodes on this machine, to try things out",
		Long: `Make a network of several nodes on this machine, to try things out.

DIR gets the homes node-1, node-2 and so on, each with keys, genesis.json,
network.mun, munimentd.toml and the member cards of all; they find each other as
they are. The founding file is the one that munimentd init reads; its address is
not used, and its set of custodians gets the first --custodians nodes. Without
one, the example of munimentd init is founded, and muniment makes the keys of its
offices in DIR/offices. One passphrase seals all keys: a real network is made by
munimentd genesis instead.`,
		Example: `  munimentd testnet demo --passphrase-file passphrase
  munimentd testnet demo --validators 7 --founding founding.toml --passphrase-file passphrase`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withCode(exitUsage, errors.New("which folder is to hold the nodes? give one DIR"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("custodians") {
				f.custodians = f.validators
			}
			return o.testnet(c, args[0], f)
		},
	}
	c.AddCommand(testnetStatusCommand(o))
	c.Flags().IntVar(&f.validators, "validators", 4, "how many nodes, all of them validators")
	c.Flags().IntVar(&f.custodians, "custodians", 0, "how many of them keep content (default: all)")
	c.Flags().IntVar(&f.basePort, "base-port", testnetPorts, "node i listens at this port + 10 i and the three after it")
	c.Flags().StringVar(&f.founding, "founding", "", "what the city has decided (default: the example, with keys made for it)")
	return c
}

func (f testnetFlags) check() error {
	last := f.basePort + 10*f.validators + 9
	switch {
	case f.validators < 1 || f.validators > maxTestnet:
		return fmt.Errorf("%d validators: use 1 to %d", f.validators, maxTestnet)
	case f.custodians < 1 || f.custodians > f.validators:
		return fmt.Errorf("%d custodians: use 1 to %d", f.custodians, f.validators)
	case f.basePort < 1024 || last > 65535:
		return fmt.Errorf("base port %d: use 1024 to %d for %d nodes", f.basePort, 65535-9-10*f.validators, f.validators)
	}
	return nil
}

func (o options) testnet(c *cobra.Command, dir string, flags testnetFlags) (err error) {
	if err := flags.check(); err != nil {
		return withCode(exitUsage, err)
	}
	if o.passphraseFile == "" {
		return withCode(exitUsage, errors.New("give --passphrase-file: every node will read it at its start"))
	}
	passphrase, err := o.passphrase(true)
	if err != nil {
		return err
	}
	if err := (options{home: dir}).checkNew(); err != nil {
		return err
	}
	undo := made(dir)
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	nascent, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".testnet-*")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	network, err := o.makeTestnet(c, nascent, flags, passphrase)
	if err == nil {
		err = syscall.Rename(nascent, filepath.Clean(dir)) // takes the place of an empty folder, too
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(nascent), undo())
	}
	return o.madeTestnet(c, dir, flags, network)
}

// makeTestnet makes everything in a folder that becomes DIR.
func (o options) makeTestnet(c *cobra.Command, dir string, flags testnetFlags, passphrase []byte) (receipt.Network, error) {
	offices := offices{dir: dir, passphraseFile: o.passphraseFile}
	var text []byte
	var err error
	name := "of the example"
	if flags.founding != "" {
		name = flags.founding
		text, err = os.ReadFile(flags.founding)
	} else {
		text, err = offices.fill(c, exampleFounding)
	}
	if err != nil {
		return receipt.Network{}, fmt.Errorf("founding file %s: %w", name, err)
	}
	f, err := parseFounding(text)
	if err == nil {
		_, err = f.facts(record.KeyID{1})
	}
	if err != nil {
		return receipt.Network{}, withCode(exitUsage, fmt.Errorf("founding file %s: %w", name, err))
	}
	if f.Custody == "" {
		flags.custodians = 0
	}
	fmt.Fprintf(c.ErrOrStderr(), "making the keys of %d nodes\n", flags.validators)
	genesis, file, err := node.MakeTestnet(dir, node.TestnetOptions{
		Keys:  node.KeyOptions{Rand: rand.Reader, Passphrase: passphrase, Now: time.Now()},
		Nodes: flags.validators, Custodians: flags.custodians, ChainID: f.ChainID, Origin: f.Origin,
		Facts: func(custodians []record.KeyID) []record.Fact {
			facts, _ := f.facts(custodians...) // was tried above
			return facts
		},
		Listeners: func(i int) node.Listeners { return node.Loopback(flags.basePort, i) },
	})
	switch _, isPath := errors.AsType[*fs.PathError](err); {
	case err == nil:
	case isPath, errors.Is(err, syscall.ENOSPC):
		return receipt.Network{}, fmt.Errorf("make homes: %w", err)
	default: // what the ledger would refuse
		return receipt.Network{}, withCode(exitUsage, fmt.Errorf("founding file %s: nothing was made: %w", name, err))
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{"founding.toml", text}, {"genesis.json", genesis}, {"network.mun", file}} {
		if err := os.WriteFile(filepath.Join(dir, file.name), file.text, 0o600); err != nil {
			return receipt.Network{}, err
		}
	}
	network, err := receipt.ParseNetwork(file)
	if err == nil && flags.founding == "" {
		err = offices.pin(c, network)
	}
	return network, err
}

// madeTestnet says what was made and what comes next.
func (o options) madeTestnet(c *cobra.Command, dir string, flags testnetFlags, network receipt.Network) error {
	fingerprint := network.Fingerprint()
	type member struct {
		Home      string `json:"home"`
		ID        string `json:"id"`
		Custodian bool   `json:"custodian"`
		node.Listeners
	}
	nodes := make([]member, flags.validators)
	for i := range nodes {
		home := node.TestnetHome(dir, i+1)
		nodes[i] = member{Home: string(home), Listeners: node.Loopback(flags.basePort, i+1)}
		cards, err := home.Cards()
		if err != nil {
			return err
		}
		for id, card := range cards {
			if card.P2P == nodes[i].P2P {
				nodes[i].ID, nodes[i].Custodian = id, card.Node.CustodianKey != [32]byte{}
			}
		}
	}
	w := c.OutOrStdout()
	if o.output == "json" {
		return json.NewEncoder(w).Encode(map[string]any{
			"chain_id": network.ChainID, "network_file": filepath.Join(dir, "network.mun"), "fingerprint": hex.EncodeToString(fingerprint[:]), "nodes": nodes,
		})
	}
	fmt.Fprintf(w, "network      %s\nnetwork file %s\nfingerprint  %x\n\n", network.ChainID, filepath.Join(dir, "network.mun"), fingerprint)
	for _, n := range nodes {
		content := "keeps content"
		if !n.Custodian {
			content = "keeps no content"
		}
		fmt.Fprintf(w, "%s  %s  gRPC %s  %s\n", n.Home, n.ID, n.GRPC, content)
	}
	fmt.Fprintf(w, "\nNext, each node in a terminal of its own:\n")
	for _, n := range nodes {
		fmt.Fprintf(w, "  munimentd start --home %s --passphrase-file %s\n", n.Home, o.passphraseFile)
	}
	if flags.founding != "" {
		fmt.Fprintf(w, "and for those who use it:\n  muniment network add %s --fingerprint %x\n", filepath.Join(dir, "network.mun"), fingerprint)
		return nil
	}
	fmt.Fprintf(w, "and as an office of it, with the keys that were made in %[1]s:\n  export XDG_CONFIG_HOME=%[1]s XDG_STATE_HOME=%[1]s/state\n  muniment series list --office CLERK --passphrase-file %[2]s\n",
		absolute(filepath.Join(dir, "offices")), absolute(o.passphraseFile))
	return nil
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// offices are the offices of the example, whose keys muniment makes.
type offices struct {
	dir            string // of the testnet; keys and settings are in dir/offices
	passphraseFile string
}

// fill puts the keys that muniment makes into the places of the example.
func (o offices) fill(c *cobra.Command, example []byte) ([]byte, error) {
	f, err := parseFounding(example)
	if err != nil {
		return nil, err
	}
	for _, office := range f.Offices {
		out, err := o.muniment(c, "key", "new", "--office", string(office.Code))
		if err != nil {
			return nil, err
		}
		var keys struct {
			Keys []struct {
				Use    string `json:"use"`
				Public string `json:"public_key"`
			} `json:"keys"`
		}
		if err := json.Unmarshal(out, &keys); err != nil {
			return nil, fmt.Errorf("read what muniment key new says: %w", err)
		}
		for _, k := range keys.Keys {
			example = bytes.ReplaceAll(example, fmt.Appendf(nil, "<%s %s>", office.Code, k.Use), []byte(k.Public))
		}
	}
	return example, nil
}

// pin has muniment believe the network that was made.
func (o offices) pin(c *cobra.Command, network receipt.Network) error {
	_, err := o.muniment(c, "network", "add", filepath.Join(o.dir, "network.mun"), "--fingerprint", fmt.Sprintf("%x", network.Fingerprint()))
	return err
}

// muniment runs the program of the offices, which is beside this one or in PATH.
func (o offices) muniment(c *cobra.Command, args ...string) ([]byte, error) {
	path := "muniment"
	if self, err := os.Executable(); err == nil {
		if beside, err := exec.LookPath(filepath.Join(filepath.Dir(self), path)); err == nil {
			path = beside
		}
	}
	run := exec.CommandContext(c.Context(), path, append(args, "--output", "json", "--passphrase-file", o.passphraseFile)...)
	config := filepath.Join(o.dir, "offices")
	run.Env = append(os.Environ(), "XDG_CONFIG_HOME="+config, "XDG_STATE_HOME="+filepath.Join(config, "state"))
	var said, complaint bytes.Buffer
	run.Stdout, run.Stderr = &said, &complaint
	switch err := run.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return nil, withCode(exitPrecondition, errors.New("muniment, which makes the keys of offices, is neither beside munimentd nor in PATH: install it, or give --founding FILE"))
	case err != nil:
		return nil, fmt.Errorf("muniment %s: %w: %s", strings.Join(args[:2], " "), err, complaint.String())
	}
	return said.Bytes(), nil
}
