package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
)

var errNoToken = errors.New("which token? give --pkcs11-module and --pkcs11-token")

// deviceFlags name a PKCS#11 token that is to keep the keys of rings.
type deviceFlags struct {
	module, token, pinFile string
}

func (d *deviceFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&d.module, "pkcs11-module", "", "PKCS#11 module of the device that keeps the keys of rings: the vendor's .so file (default: a key file, claim C1)")
	c.Flags().StringVar(&d.token, "pkcs11-token", "", "label of the token in it")
	c.Flags().StringVar(&d.pinFile, "pkcs11-pin-file", "", "file with the PIN of the token's user (default: ask)")
}

// check refuses flags that do not fit together, before anybody is asked for anything.
func (d deviceFlags) check(custodian bool) error {
	switch {
	case d == deviceFlags{}:
		return nil
	case d.module == "" || d.token == "":
		return withCode(exitUsage, errNoToken)
	case !custodian:
		return withCode(exitUsage, errors.New("a node that keeps no content needs no token: leave --pkcs11-module out, or name a custody in the founding file"))
	}
	return nil
}

// open asks for the PIN, has the token do once all that a root of rings must do,
// and tells what it is. Nil means a key file. A refusal begins with nothing: what
// was not done.
func (d deviceFlags) open(nothing string) (place *keyring.PKCS11, model string, err error) {
	if d.module == "" {
		return nil, "", nil
	}
	module, err := filepath.Abs(d.module)
	if err != nil {
		return nil, "", err
	}
	pin, err := d.pin()
	if err != nil {
		return nil, "", err
	}
	place = &keyring.PKCS11{Module: module, Token: d.token, PIN: pin}
	token, err := keyring.OpenPKCS11(*place)
	if err != nil {
		return nil, "", withCode(exitPrecondition, fmt.Errorf("%s: %w", nothing, err))
	}
	model = token.Model()
	if err := errors.Join(token.Try(), token.Close()); err != nil {
		return nil, "", withCode(exitPrecondition, fmt.Errorf("%s: %w", nothing, err))
	}
	return place, model, nil
}

// pin reads the PIN as passphrase does the passphrase.
func (d deviceFlags) pin() ([]byte, error) {
	if d.pinFile != "" {
		text, err := os.ReadFile(d.pinFile)
		if err != nil {
			return nil, fmt.Errorf("read PIN: %w", err)
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, withCode(exitUsage, errors.New("no terminal to ask for the PIN of the token: give --pkcs11-pin-file"))
	}
	return ask("PIN of the token: ")
}

func tokenCommand(o *options) *cobra.Command {
	var device deviceFlags
	c := &cobra.Command{
		Use:   "token --pkcs11-module FILE --pkcs11-token LABEL",
		Short: "Say anew how the token of this home is reached, whose node is stopped: PIN, label or module have changed",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.checkHome(); err != nil {
				return withCode(exitPrecondition, err)
			}
			claim, _, err := o.claim()
			if err != nil {
				return withCode(exitPrecondition, err)
			}
			if device == (deviceFlags{}) {
				return withCode(exitUsage, errNoToken)
			}
			if err := device.check(claim != 0); err != nil {
				return err
			}
			return o.moveToken(c, device)
		},
	}
	device.add(c)
	return c
}

func (o options) moveToken(c *cobra.Command, device deviceFlags) error {
	const nothing = "nothing was changed"
	place, model, err := device.open(nothing)
	if err != nil {
		return err
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return err
	}
	err = o.node().MoveRingRoot(rand.Reader, passphrase, *place)
	clear(passphrase)
	if err != nil {
		return withCode(exitPrecondition, fmt.Errorf("%s: %w", nothing, err))
	}
	claim, kind, err := o.claim()
	if err != nil {
		return err
	}
	if o.output == "json" {
		return json.NewEncoder(c.OutOrStdout()).Encode(claimSaid(claim, kind, model))
	}
	sayClaim(c, claim, model)
	return nil
}

// sayClaim prints what will be claimed, and what a token is that is known to keep
// its keys in files.
func sayClaim(c *cobra.Command, claim record.Claim, model string) {
	fmt.Fprintf(c.OutOrStdout(), "Of what this node erases will be claimed:\n  %s\n", claim.Says())
	if strings.Contains(model, "SoftHSM") {
		fmt.Fprintf(c.OutOrStdout(), "  %s keeps its keys in files: whoever has a copy of them has a copy of the device.\n  It is for tests.\n", model)
	}
}

// claimSaid is the same for programs.
func claimSaid(claim record.Claim, device, model string) map[string]string {
	return map[string]string{"claim": claim.String(), "claim_says": claim.Says(), "device": device, "model": model}
}

// claim tells what this home may claim of what it erases, and by which device; 0
// where it keeps no content.
func (o options) claim() (c record.Claim, device string, err error) {
	keys := o.node().Keys()
	// Of any generation: the first one is deleted in the end.
	if found, err := filepath.Glob(filepath.Join(keys, "custodian*.key")); err != nil || len(found) == 0 {
		return 0, "", err
	}
	text, err := os.ReadFile(filepath.Join(keys, "ring-root.key"))
	if err != nil {
		return 0, "", err
	}
	return keyring.RootFileClaim(text)
}

func (o options) checkClaim() finding {
	const apart = "keep key file and passphrase apart from every copy of the disk; for C3, found a node with munimentd init --pkcs11-module"
	switch claim, _, err := o.claim(); {
	case err != nil:
		return bad("restore the key file from where it is kept", "%v", err)
	case claim == 0:
		return ok("this node keeps no content")
	case claim != record.ClaimKey:
		return warning(apart, "%s", claim.Says())
	default:
		return ok("%s", claim.Says())
	}
}
