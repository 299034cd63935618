package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/keyring"
)

// checkLedger looks, while the node is stopped, for what keeps it from starting: a
// ledger that is older than what was signed.
func (o options) checkLedger(s *apiv1.StatusResponse) finding {
	if s != nil {
		return ok("height %d, the node has it open", s.Height)
	}
	if _, err := os.Stat(filepath.Join(o.node().Signer(), "validator.state")); errors.Is(err, fs.ErrNotExist) {
		return warning("see to the signer state first", "not compared: what was signed last is not here")
	}
	switch err := o.node().CheckBlocks(); {
	case errors.Is(err, node.ErrBlocksLost):
		return bad("restore a copy of ledger/ that has them, and leave signer/ as it is", "%v", err)
	case err != nil:
		return bad("look at it before the node is started", "cannot look: %v", err)
	}
	return ok("no block that was signed is missing")
}

// checkToken logs, while the node is stopped, into the token that keeps the keys of
// rings, and has it open what the home has of it.
func (o options) checkToken(s *apiv1.StatusResponse) finding {
	claim, _, err := o.claim()
	switch {
	case err != nil || claim != record.ClaimKey:
		return ok("this node needs none")
	case s != nil:
		return ok("the node that runs uses it: munimentd erase says what waits for it")
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return warning("give the passphrase of this home: it seals the way to the token", "it was not tried: %v", err)
	}
	root, done, err := o.node().RingRoot(passphrase)
	clear(passphrase)
	if err == nil {
		err = keyring.Fits(o.node().Rings(), root, keyring.Options{})
		if errors.Is(err, fs.ErrNotExist) { // another check says that there are no rings
			err = nil
		}
		err = errors.Join(err, done())
	}
	if err != nil {
		return bad("the node does not start without it", "%s", advise(err))
	}
	return ok("it is there, takes the PIN, and opens what this home has of it")
}
