package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
)

// config is what the program remembers of its user: config.toml in the
// configuration directory. Unknown names are refused.
type config struct {
	// Network is the chain id of the network that commands mean by default.
	Network string `toml:"network"`
	// Office is the office that commands act for by default.
	Office string `toml:"office"`
	// Account is the pseudonym of this user within the office: 16 hex digits,
	// drawn once. Access logs name it; no name of a person belongs here.
	Account string `toml:"account"`
	// Networks gives the fingerprint of each pinned network file by chain id.
	Networks map[string]string `toml:"networks"`
	// Keys gives the public keys of each office whose keys are here.
	Keys map[string]publicKeys `toml:"keys"`
}

// publicKeys are the public halves of an office's keys, 64 hex digits each.
type publicKeys struct {
	Signing string `toml:"signing"`
	Access  string `toml:"access"`
}

const maxConfigBytes = 1 << 20

// loadConfig reads the configuration. One that is not there is empty.
func (p places) loadConfig() (config, error) {
	text, err := readBounded(p.configFile(), maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, failed(exitError, "BAD_CONFIG", "mend "+p.configFile()+"; docs/cli.md describes it", "configuration: %w", err)
	}
	return c, nil
}

func parseConfig(text []byte) (config, error) {
	var c config
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok && len(strict.Errors) > 0 {
			return config{}, fmt.Errorf("unknown setting %q", strings.Join(strict.Errors[0].Key(), "."))
		}
		return config{}, err
	}
	return c, c.check()
}

func (c config) check() error {
	if c.Account != "" && !(identity.Account{Office: "X", ID: c.Account}).Valid() {
		return errors.New("account is not 16 lower-case hex digits")
	}
	if c.Office != "" && !record.Code(c.Office).Valid() {
		return fmt.Errorf("office %q is not a code", c.Office)
	}
	for chain, pin := range c.Networks {
		if !fileName(chain) || !isHex(pin, 32) {
			return fmt.Errorf("network %q: its fingerprint is not 64 lower-case hex digits", chain)
		}
	}
	for office, k := range c.Keys {
		if !record.Code(office).Valid() || !isHex(k.Signing, 32) || !isHex(k.Access, 32) {
			return fmt.Errorf("keys of %q: code or public keys are malformed", office)
		}
	}
	if _, pinned := c.Networks[c.Network]; c.Network != "" && !pinned {
		return fmt.Errorf("network %q is not among the pinned ones", c.Network)
	}
	return nil
}

// fileName tells whether a chain id can be part of a file's name.
func fileName(chain string) bool {
	return chain != "" && chain != "." && chain != ".." && chain == filepath.Base(chain)
}

// isHex tells whether s is n bytes in lower-case hex.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n && hex.EncodeToString(b) == s
}

// text writes the configuration with the comments of its reader.
func (c config) text() []byte {
	var b bytes.Buffer
	b.WriteString("# Settings of muniment; docs/cli.md describes them.\n\n")
	setting := func(name, value, comment string) {
		if value != "" {
			fmt.Fprintf(&b, "# %s\n%s = %s\n", comment, name, strconv.Quote(value))
		}
	}
	setting("network", c.Network, "the network that commands mean by default")
	setting("office", c.Office, "the office that commands act for by default")
	setting("account", c.Account, "the pseudonym of this user in access logs")
	if len(c.Networks) > 0 {
		b.WriteString("\n# SHA-256 of each pinned network file\n[networks]\n")
	}
	for _, chain := range slices.Sorted(maps.Keys(c.Networks)) {
		fmt.Fprintf(&b, "%s = %s\n", strconv.Quote(chain), strconv.Quote(c.Networks[chain]))
	}
	for _, office := range slices.Sorted(maps.Keys(c.Keys)) {
		k := c.Keys[office]
		fmt.Fprintf(&b, "\n[keys.%s]\nsigning = %s\naccess = %s\n", strconv.Quote(office), strconv.Quote(k.Signing), strconv.Quote(k.Access))
	}
	return b.Bytes()
}

// saveConfig writes what loadConfig will read.
func (p places) saveConfig(c config) error {
	if _, err := parseConfig(c.text()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := replaceFile(p.configFile(), c.text()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// actingOffice is the office of the flag, or else of the configuration.
func (p *program) actingOffice(c config) (record.Code, error) {
	office := record.Code(p.office)
	if office == "" {
		office = record.Code(c.Office)
	}
	if office == "" {
		return "", failed(exitUsage, "NO_OFFICE", "make keys with: muniment key new --office CODE", "no office to act for: give --office CODE")
	}
	if !office.Valid() {
		return "", usage("office %q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", p.office)
	}
	return office, nil
}
