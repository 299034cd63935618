package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/record"
)

func (p *program) keyCommand() *cobra.Command {
	return group("key", "Make, list and suspend keys of offices", p.keyNewCommand(), p.keyListCommand(), p.keySuspendCommand())
}

// The two uses of an office's keys, as they stand in names of files and flags.
const (
	useSigning = "signing"
	useAccess  = "access"
)

// sealKey writes the seed of a key, sealed, as a new file.
func (p *program) sealKey(office record.Code, use string, key ed25519.PrivateKey, passphrase []byte) error {
	text, err := keyfile.Seal(rand.Reader, passphrase, iterations, string(office)+"-"+use, key.Seed())
	if err != nil {
		return err
	}
	return createFile(p.places.keyFile(string(office), use), text)
}

// openKey opens one key of an office and holds it against the public key of the
// configuration.
func (p *program) openKey(c config, office record.Code, use string, passphrase []byte) (ed25519.PrivateKey, error) {
	known, ok := c.Keys[string(office)]
	path := p.places.keyFile(string(office), use)
	text, err := readBounded(path, keyfile.MaxSecret*4)
	if !ok || errors.Is(err, fs.ErrNotExist) {
		return nil, failed(exitError, "NO_KEY", "make keys with: muniment key new --office "+string(office), "there are no keys of office %s here", office)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	label, seed, err := keyfile.Open(passphrase, text)
	if errors.Is(err, keyfile.ErrSealed) {
		return nil, failed(exitError, "WRONG_PASSPHRASE", "type it again; if it is lost, make new keys (muniment key new) and have them registered", "%s: %w", path, err)
	}
	if err != nil {
		return nil, failed(exitError, "BAD_KEY_FILE", "", "%s: %w", path, err)
	}
	defer clear(seed)
	public := known.Signing
	if use == useAccess {
		public = known.Access
	}
	if label != string(office)+"-"+use || len(seed) != ed25519.SeedSize {
		return nil, failed(exitError, "BAD_KEY_FILE", "", "%s holds something else: %s", path, label)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if hex.EncodeToString(key.Public().(ed25519.PublicKey)) != public {
		return nil, failed(exitError, "BAD_KEY_FILE", "", "%s does not hold the key of the configuration", path)
	}
	return key, nil
}

// keyInfo is what is shown of a key.
type keyInfo struct {
	Office string `json:"office"`
	Use    string `json:"use"`
	Public string `json:"public_key"` // hex
	ID     string `json:"key_id"`     // hex
}

func (k publicKeys) infos(office string) ([]keyInfo, error) {
	var list []keyInfo
	for _, one := range []struct{ use, public string }{{useSigning, k.Signing}, {useAccess, k.Access}} {
		raw, err := hex.DecodeString(one.public)
		if err != nil {
			return nil, fmt.Errorf("public key of %s: %w", office, err)
		}
		list = append(list, keyInfo{Office: office, Use: one.use, Public: one.public, ID: fmt.Sprintf("%x", record.KeyIDOf(raw))})
	}
	return list, nil
}
