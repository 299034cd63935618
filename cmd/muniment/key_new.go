package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) keyNewCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "new --office CODE", Short: "Make the signing and the access key of an office",
		Long: "Makes the two keys of an office and seals them in the configuration directory. The signing key signs\n" +
			"transactions; the access key issues the short-lived certificates with which calls are made. Whoever governs\n" +
			"the network registers the public keys that are printed.",
		Example: "  muniment key new --office CLERK",
		Args:    exactly(0, "no argument"),
	}
	c.RunE = func(*cobra.Command, []string) error { return p.newKeys() }
	return c
}

// newKeysResult is what key new prints.
type newKeysResult struct {
	Office   string    `json:"office"`
	Account  string    `json:"account"`
	Keys     []keyInfo `json:"keys"`
	Register []string  `json:"register"` // commands for a governing office
}

func (p *program) newKeys() error {
	c, err := p.places.loadConfig()
	if err != nil {
		return err
	}
	if p.office == "" {
		return usage("which office? give --office CODE")
	}
	office, err := p.actingOffice(c)
	if err != nil {
		return err
	}
	if _, ok := c.Keys[string(office)]; ok {
		return failed(exitRefused, "KEYS_EXIST", "muniment key list shows them; for new ones use another configuration directory (XDG_CONFIG_HOME)",
			"office %s has keys here already", office)
	}
	passphrase, err := p.passphrase("passphrase for the keys of "+string(office), true)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	var public publicKeys
	for _, one := range []struct {
		use string
		hex *string
	}{{useSigning, &public.Signing}, {useAccess, &public.Access}} {
		if *one.hex, err = p.newKey(office, one.use, passphrase); err != nil {
			return err
		}
	}
	if c.Account == "" {
		account := make([]byte, 8)
		rand.Read(account) // never fails
		c.Account = hex.EncodeToString(account)
	}
	if c.Office == "" {
		c.Office = string(office)
	}
	if c.Keys == nil {
		c.Keys = map[string]publicKeys{}
	}
	c.Keys[string(office)] = public
	if err := p.places.saveConfig(c); err != nil {
		return err
	}
	return p.showNewKeys(office, c)
}

// newKey makes and seals one key and gives its public half in hex. A file that
// is not in the configuration is from a run that was cut off before it printed
// anything, so nobody has registered its key.
func (p *program) newKey(office record.Code, use string, passphrase []byte) (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	path := p.places.keyFile(string(office), use)
	if _, err := os.Lstat(path); err == nil {
		if err := os.Rename(path, path+".unused"); err != nil {
			return "", fmt.Errorf("make key: %w", err)
		}
	}
	if err := p.sealKey(office, use, key, passphrase); err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	return hex.EncodeToString(key.Public().(ed25519.PublicKey)), nil
}

func (p *program) showNewKeys(office record.Code, c config) error {
	infos, err := c.Keys[string(office)].infos(string(office))
	if err != nil {
		return err
	}
	result := newKeysResult{Office: string(office), Account: c.Account, Keys: infos}
	for _, k := range infos {
		result.Register = append(result.Register, fmt.Sprintf("muniment office propose key %s --use %s --public %s", office, k.Use, k.Public))
	}
	err = p.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "office\t%s\naccount\t%s/%s\n", office, office, c.Account)
		for _, k := range infos {
			fmt.Fprintf(w, "%s key\t%s\n%s key id\t%s\n", k.Use, k.Public, k.Use, k.ID)
		}
	})
	if err == nil {
		p.say("the keys are in %s; hand these lines to a governing office, which registers them:", p.places.config)
		for _, line := range result.Register {
			p.say("  %s", line)
		}
	}
	return err
}
