package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrHomeInUse is returned where a home to be made holds keys already.
var ErrHomeInUse = errors.New("home holds keys already")

// Home is the folder of one node. Everything the node writes is in it.
type Home string

// The files and folders of a home.
func (h Home) Config() string   { return h.path("munimentd.toml") }
func (h Home) Genesis() string  { return h.path("genesis.json") }
func (h Home) Network() string  { return h.path("network.mun") }
func (h Home) Ledger() string   { return h.path("ledger") } // Pebble: the ledger's state and the engine's databases
func (h Home) WAL() string      { return h.path("wal") }    // the engine's consensus log
func (h Home) Keys() string     { return h.path("keys") }
func (h Home) Signer() string   { return h.path("signer") } // what was signed last; never in a backup
func (h Home) Vault() string    { return h.path("vault") }
func (h Home) Rings() string    { return h.path("rings") }
func (h Home) Accesses() string { return h.path("access-log") }
func (h Home) Socket() string   { return h.path("admin.sock") }

func (h Home) ringRoot() string       { return filepath.Join(h.Keys(), "ring-root.key") }
func (h Home) homeKey() string        { return filepath.Join(h.Keys(), "home.key") }
func (h Home) nodeUse() string        { return filepath.Join(h.Keys(), "node.use") }   // number of the node key in use
func (h Home) registered() string     { return filepath.Join(h.Keys(), "registered") } // which keys the ledger registers
func (h Home) key(name string) string { return filepath.Join(h.Keys(), name+".key") }
func (h Home) validatorState() string { return filepath.Join(h.Signer(), "validator.state") }
func (h Home) cosignerState() string  { return filepath.Join(h.Signer(), "cosigner.state") }
func (h Home) certificate(generation int) string {
	return filepath.Join(h.Keys(), generationName("node", generation)+".crt")
}
func (h Home) path(name string) string {
	return filepath.Join(string(h), name)
}

// create makes the folders that every home has, for the owner alone.
func (h Home) create() error {
	for _, dir := range []string{string(h), h.Keys(), h.Signer(), h.WAL(), h.Ledger(), h.Vault(), h.Rings(), h.Accesses()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make home: %w", err)
		}
	}
	return nil
}

// writeNew writes a file that must not exist, durably.
func writeNew(path string, data []byte) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, os.ErrExist)
	}
	return replaceFile(path, data, nil)
}
