package custody

import (
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// secrets are what a ring keeps of a record: version 2 (u8), the layout key (32),
// the fingerprint of the content (32), the key state.
type secrets struct {
	layout      [32]byte
	fingerprint [32]byte // zero once a part was erased: it would tell guesses at that
	state       commitment.State
}

// String hides the secrets from logs.
func (secrets) String() string { return "secrets of a record" }

const secretsVersion = 2

// secretsHead is how many bytes come before the key state.
const secretsHead = 1 + 32 + 32

func (s secrets) marshal() []byte {
	b := append([]byte{secretsVersion}, s.layout[:]...)
	b = append(b, s.fingerprint[:]...)
	return append(b, s.state.Marshal()...)
}

// parseSecrets reads what marshal wrote.
func parseSecrets(b []byte) (secrets, error) {
	if len(b) < secretsHead || b[0] != secretsVersion {
		return secrets{}, fmt.Errorf("secrets of %d bytes", len(b))
	}
	state, err := commitment.ParseState(b[secretsHead:])
	if err != nil {
		return secrets{}, err
	}
	return secrets{layout: [32]byte(b[1:33]), fingerprint: [32]byte(b[33:secretsHead]), state: state}, nil
}

func ringOf(r vault.Record) keyring.RingID {
	return keyring.RingID{Department: r.Office, Class: r.Series}
}

// state gives the secrets of a record; ok is false when it has none, as after a
// deposit that was not finished.
func (c *Custody) state(r vault.Record) (s secrets, ok bool, err error) {
	s, ok, err = c.stateIn(ringOf(r), r.RID)
	if ok && s.state.N() != r.Manifest.N {
		return secrets{}, false, damaged(fmt.Errorf("%s for %d leaves", s.state, r.Manifest.N))
	}
	return s, ok, err
}

// stateIn gives what a ring keeps of a rid.
func (c *Custody) stateIn(ring keyring.RingID, rid vault.RID) (s secrets, ok bool, err error) {
	raw, ok, err := c.rings.State(ring, rid)
	if errors.Is(err, keyring.ErrDestroyed) {
		return secrets{}, false, refuseFor(err, Destroyed, "the record was destroyed")
	}
	if err != nil || !ok {
		return secrets{}, false, damaged(err)
	}
	defer clear(raw)
	if s, err = parseSecrets(raw); err != nil {
		return secrets{}, false, damaged(err)
	}
	return s, true, nil
}

// damaged says that what is stored is not what was stored.
func damaged(err error) error {
	if err == nil {
		return nil
	}
	return refuseFor(err, Damaged, "what is stored of the record is damaged: restore it from another custodian")
}
