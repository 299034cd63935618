//go:build cgo

package keyring

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/pkcs11"
)

// connect starts the module anew, finds the token and logs in.
func (t *Token) connect() error {
	switch {
	case t.refused != nil:
		return t.refused
	case t.closed:
		return fmt.Errorf("%w: it was closed", ErrDevice)
	}
	_ = t.disconnect() // what is lost says so here, too
	if !t.started {
		if err := t.module.Initialize(); err != nil {
			if errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)) {
				return fmt.Errorf("%w: this process uses %s already", ErrModule, t.place.Module)
			}
			return fmt.Errorf("%w: start %s: %w", ErrModule, t.place.Module, err)
		}
		t.started = true
	}
	if err := t.login(); err != nil {
		_ = t.disconnect() // the error that matters is there already
		return err
	}
	t.ready = true
	return nil
}

// disconnect stops the module, and with it all sessions.
func (t *Token) disconnect() error {
	t.ready = false
	if !t.started {
		return nil
	}
	err := t.module.Finalize()
	if errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED)) {
		err = nil
	}
	t.started = err != nil
	return err
}

func (t *Token) login() error {
	slot, info, err := t.slot()
	if err != nil {
		return err
	}
	t.model = strings.TrimSpace(info.ManufacturerID) + ", " + strings.TrimSpace(info.Model)
	if err := t.checkMechanisms(slot); err != nil {
		return err
	}
	if err := checkFlags(info.Flags); err != nil {
		return err
	}
	t.session, err = t.module.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("%w: open a session: %w", ErrDevice, err)
	}
	err = t.module.Login(t.session, pkcs11.CKU_USER, string(t.place.PIN))
	if err == nil {
		return nil
	}
	switch code, _ := errors.AsType[pkcs11.Error](err); code {
	case pkcs11.CKR_USER_ALREADY_LOGGED_IN: // by this token, whose module would not stop
		return nil
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED,
		pkcs11.CKR_PIN_LOCKED, pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		t.refused = fmt.Errorf("%w: %w", ErrPIN, err)
		return t.refused
	}
	return fmt.Errorf("%w: log in: %w", ErrDevice, err)
}

// slot finds the one token with the label.
func (t *Token) slot() (slot uint, info pkcs11.TokenInfo, err error) {
	slots, err := t.module.GetSlotList(true)
	if err != nil {
		return 0, info, fmt.Errorf("%w: list slots: %w", ErrModule, err)
	}
	found := 0
	for _, s := range slots {
		i, err := t.module.GetTokenInfo(s)
		if err != nil || i.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 || strings.TrimRight(i.Label, " \x00") != t.place.Token {
			continue // a slot that does not answer is not the one
		}
		slot, info = s, i
		found++
	}
	switch found {
	case 0:
		return 0, info, fmt.Errorf("%w: %s shows no token %q", ErrToken, t.place.Module, t.place.Token)
	case 1:
		return slot, info, nil
	}
	return 0, info, fmt.Errorf("%w: %s shows %d tokens %q", ErrToken, t.place.Module, found, t.place.Token)
}

// checkMechanisms refuses a token without AES-GCM before anything is made in it.
func (t *Token) checkMechanisms(slot uint) error {
	listed, err := t.module.GetMechanismList(slot)
	if err != nil {
		return fmt.Errorf("%w: list what it can do: %w", ErrToken, err)
	}
	for _, need := range []struct {
		what  string
		of    uint
		flags uint
	}{
		{"make AES keys", pkcs11.CKM_AES_KEY_GEN, pkcs11.CKF_GENERATE},
		{"seal with AES-GCM", pkcs11.CKM_AES_GCM, pkcs11.CKF_ENCRYPT | pkcs11.CKF_DECRYPT},
	} {
		isListed := slices.ContainsFunc(listed, func(m *pkcs11.Mechanism) bool { return m.Mechanism == need.of })
		info, err := t.module.GetMechanismInfo(slot, mechanism(need.of, nil))
		if err != nil || !isListed || info.Flags&need.flags != need.flags {
			return fmt.Errorf("%w: token %q cannot %s", ErrToken, t.place.Token, need.what)
		}
	}
	return nil
}

// checkFlags refuses a token that the PIN would not open, or whose last try this
// would be: a program that is started again and again must not lock it.
func checkFlags(flags uint) error {
	switch {
	case flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("%w: it is locked", ErrPIN)
	case flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return fmt.Errorf("%w: one more wrong PIN would lock it, so none is tried", ErrPIN)
	case flags&pkcs11.CKF_WRITE_PROTECTED != 0:
		return fmt.Errorf("%w: it is write-protected", ErrToken)
	}
	return nil
}
