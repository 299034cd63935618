package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
)

func initCommand(o *options) *cobra.Command {
	var file string
	var example bool
	var device deviceFlags
	c := &cobra.Command{
		Use:   "init --founding FILE",
		Short: "Make the home of a new network: keys, genesis.json, network.mun, munimentd.toml",
		Example: `  munimentd init --example >founding.toml   # then fill in offices and keys
  munimentd init --founding founding.toml
  munimentd init --founding founding.toml --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --pkcs11-token muniment`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if example {
				_, err := c.OutOrStdout().Write(exampleFounding)
				return err
			}
			if file == "" {
				return withCode(exitUsage, errors.New("which network is to be founded? give --founding FILE; --example prints one"))
			}
			return o.init(c, file, device)
		},
	}
	c.Flags().StringVar(&file, "founding", "", "what the city has decided")
	c.Flags().BoolVar(&example, "example", false, "print an example of the founding file")
	device.add(c)
	return c
}

func (o options) init(c *cobra.Command, file string, device deviceFlags) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read founding file: %w", err)
	}
	f, err := parseFounding(text)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("founding file %s: %w", file, err))
	}
	if err = f.checkAddress(); err == nil {
		_, err = f.facts(record.KeyID{1})
	}
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("founding file %s: %w", file, err))
	}
	if err := device.check(f.Custody != ""); err != nil {
		return err
	}
	place, model, passphrase, err := o.beforeKeys(device)
	if err != nil {
		return err
	}
	keys, err := o.makeHome(func(home node.Home) (node.Keys, error) {
		return node.Init(home, node.InitOptions{
			Keys:    node.KeyOptions{Rand: rand.Reader, Passphrase: passphrase, Custodian: f.Custody != "", Device: place, Now: time.Now()},
			ChainID: f.ChainID, Origin: f.Origin, Address: f.Address,
			Facts: func(custodian record.KeyID) []record.Fact {
				facts, _ := f.facts(custodian) // was tried above
				return facts
			},
		})
	})
	switch _, isPath := errors.AsType[*fs.PathError](err); {
	case err == nil:
	case isPath, errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("make home: %w", err)
	default: // what the ledger would refuse
		return withCode(exitUsage, fmt.Errorf("founding file %s: nothing was made: %w", file, err))
	}
	return o.founded(c, keys, model)
}

// beforeKeys refuses a home that is there before anybody is asked for a secret,
// and opens the token and asks for the passphrase of a new one.
func (o options) beforeKeys(device deviceFlags) (place *keyring.PKCS11, model string, passphrase []byte, err error) {
	if err := o.checkNew(); err != nil {
		return nil, "", nil, err
	}
	if place, model, err = device.open("nothing was made"); err != nil {
		return nil, "", nil, err
	}
	if passphrase, err = o.passphrase(true); err != nil {
		return nil, "", nil, err
	}
	return place, model, passphrase, nil
}

// founded says what was made, what will be claimed of what it erases, and what
// comes next. The model is that of a token, empty without one.
func (o options) founded(c *cobra.Command, keys node.Keys, model string) error {
	claim, device, err := o.claim()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(o.node().Network())
	if err != nil {
		return err
	}
	network, err := receipt.ParseNetwork(text)
	if err != nil {
		return err
	}
	fingerprint := network.Fingerprint()
	if o.output == "json" {
		said := map[string]string{
			"home": o.home, "node": keys.ID(), "chain_id": network.ChainID, "network_file": o.node().Network(), "fingerprint": hex.EncodeToString(fingerprint[:]),
		}
		if claim.Valid() {
			maps.Copy(said, claimSaid(claim, device, model))
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(said)
	}
	fmt.Fprintf(c.OutOrStdout(), `network      %s
node         %s
network file %s
fingerprint  %x

Give the network file to departments and auditors, and the fingerprint by
another way: it is what they trust. Next:
  munimentd start --home %s
  muniment network add %s --fingerprint %x
`, network.ChainID, keys.ID(), o.node().Network(), fingerprint, o.home, o.node().Network(), fingerprint)
	if claim.Valid() {
		fmt.Fprintln(c.OutOrStdout())
		sayClaim(c, claim, model)
	}
	return nil
}
