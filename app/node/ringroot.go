package node

import (
	"fmt"
	"io"
	"os"

	"github.com/muniment/muniment/store/keyring"
)

// RingRoot opens the root of a home's rings, and the device that it leads to.
// Rings are closed before it, with done.
func (h Home) RingRoot(passphrase []byte) (root keyring.Root, done func() error, err error) {
	text, err := os.ReadFile(h.ringRoot())
	if err == nil {
		root, err = keyring.OpenRootFile(passphrase, text)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open ring root: %w", err)
	}
	done = func() error { return nil }
	if device, ok := root.(io.Closer); ok {
		done = device.Close
	}
	return root, done, nil
}

// makeRingRoot writes the key file of the root: a key, or the way to a device.
func makeRingRoot(home Home, o KeyOptions) error {
	text, err := []byte(nil), error(nil)
	if o.Device == nil {
		text, err = keyring.NewRootFile(o.Rand, o.Passphrase, o.Iterations)
	} else {
		text, err = keyring.NewPKCS11File(o.Rand, o.Passphrase, o.Iterations, *o.Device)
	}
	if err == nil {
		err = writeNew(home.ringRoot(), text)
	}
	if err != nil {
		return fmt.Errorf("make ring root: %w", err)
	}
	return nil
}
