package node

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/muniment/muniment/app/keyfile"
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

// MoveRingRoot has the key file of a home lead to a device in another way: under
// another PIN, label or path of its module. The device was tried before. It must be
// the one, or a clone of the one, that has wrapped what rings there are; a home
// without any may get its first device so. The node is stopped.
func (h Home) MoveRingRoot(rand io.Reader, passphrase []byte, to keyring.PKCS11) (err error) {
	unlock, err := h.lock() // a node that runs would make rings under the root that it has
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	text, err := os.ReadFile(h.ringRoot())
	if err != nil {
		return fmt.Errorf("open ring root: %w", err)
	}
	info, err := keyfile.Parse(text)
	if err == nil {
		_, _, err = keyfile.Open(passphrase, text)
	}
	if err != nil {
		return fmt.Errorf("open ring root: %w", err)
	}
	if text, err = keyring.NewPKCS11File(rand, passphrase, info.Iterations, to); err != nil {
		return err
	}
	token, err := keyring.OpenPKCS11(to)
	if err != nil {
		return err
	}
	if err := errors.Join(keyring.Fits(h.Rings(), token, keyring.Options{}), token.Close()); err != nil {
		return fmt.Errorf("the rings of this home need another token: %w", err)
	}
	return replaceFile(h.ringRoot(), text, nil)
}
