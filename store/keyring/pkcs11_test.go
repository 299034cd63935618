package keyring

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/record"
)

var samplePKCS11 = PKCS11{Module: "/usr/lib/device.so", Token: "muniment CLERK", PIN: []byte("pin of the user")}

func TestPKCS11File(t *testing.T) {
	passphrase := []byte("root passphrase")
	text, err := NewPKCS11File(rand.Reader, passphrase, 1000, samplePKCS11)
	if err != nil {
		t.Fatal(err)
	}
	if c, device, err := RootFileClaim(text); c != record.ClaimKey || device != "PKCS#11" || err != nil {
		t.Errorf("claim %v by %q, %v; want C3 by PKCS#11", c, device, err)
	}
	_, secret, err := keyfile.Open(passphrase, text)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := parsePKCS11(secret); err != nil || p.Module != samplePKCS11.Module || p.Token != samplePKCS11.Token || !bytes.Equal(p.PIN, samplePKCS11.PIN) {
		t.Errorf("parsed %v, %v", p, err)
	}
	if _, err := OpenRootFile(passphrase, text); !errors.Is(err, ErrModule) {
		t.Errorf("open where no module is: %v, want ErrModule", err)
	}
	if _, err := OpenRootFile([]byte("another"), text); !errors.Is(err, keyfile.ErrSealed) {
		t.Errorf("open by a wrong passphrase: %v, want ErrSealed", err)
	}
	for _, printed := range []string{fmt.Sprint(samplePKCS11), fmt.Sprintf("%+v %#v", samplePKCS11, samplePKCS11)} {
		if strings.Contains(printed, "pin of the user") || strings.Contains(printed, fmt.Sprint(samplePKCS11.PIN)) {
			t.Errorf("the PIN is printed: %s", printed)
		}
	}

	text, err = NewRootFile(rand.Reader, passphrase, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if c, device, err := RootFileClaim(text); c != record.ClaimFiles || device != "key file" || err != nil {
		t.Errorf("claim %v by %q, %v; want C1 by key file", c, device, err)
	}
	text, err = keyfile.Seal(rand.Reader, passphrase, 1000, "home", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if c, _, err := RootFileClaim(text); c != 0 || !errors.Is(err, ErrRootFile) {
		t.Errorf("claim %v of a file of another key, %v", c, err)
	}
}

func TestPKCS11FileRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*PKCS11)
		want   error
	}{
		"no module":         {func(p *PKCS11) { p.Module = "" }, ErrModule},
		"module by name":    {func(p *PKCS11) { p.Module = "device.so" }, ErrModule},
		"module, two lines": {func(p *PKCS11) { p.Module = "/usr/lib/a\npin b" }, ErrModule},
		"no label":          {func(p *PKCS11) { p.Token = "" }, ErrToken},
		"long label":        {func(p *PKCS11) { p.Token = strings.Repeat("a", 33) }, ErrToken},
		"padded label":      {func(p *PKCS11) { p.Token = "a " }, ErrToken},
		"no PIN":            {func(p *PKCS11) { p.PIN = nil }, ErrPIN},
		"long PIN":          {func(p *PKCS11) { p.PIN = bytes.Repeat([]byte("1"), 256) }, ErrPIN},
		"PIN, two lines":    {func(p *PKCS11) { p.PIN = []byte("1\n2") }, ErrPIN},
	} {
		p := samplePKCS11
		c.change(&p)
		if text, err := NewPKCS11File(rand.Reader, []byte("passphrase"), 1000, p); !errors.Is(err, c.want) || text != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := OpenPKCS11(p); !errors.Is(err, c.want) && !errors.Is(err, ErrModule) {
			t.Errorf("open, %s: %v, want %v", name, err, c.want)
		}
	}
}

// FuzzParsePKCS11: what is accepted has one spelling.
func FuzzParsePKCS11(f *testing.F) {
	f.Add(samplePKCS11.marshal())
	f.Add([]byte("module /m\ntoken t\npin p"))
	f.Add([]byte("token t\nmodule /m\npin p\n"))
	f.Add([]byte("module /m\ntoken t\npin p\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePKCS11(text)
		if err == nil && !bytes.Equal(p.marshal(), text) || err != nil && (p.Module != "" || p.PIN != nil || !errors.Is(err, ErrRootFile)) {
			t.Errorf("%q is read as %q %q %q, %v", text, p.Module, p.Token, p.PIN, err)
		}
	})
}

func FuzzParseTokenWrap(f *testing.F) {
	f.Add(tokenWrap{sealed: make([]byte, 49)}.marshal())
	f.Add(tokenWrap{sealed: make([]byte, 17)}.marshal())
	f.Add([]byte(tokenMagic))
	f.Fuzz(func(t *testing.T, wrapped []byte) {
		w, err := parseTokenWrap(wrapped)
		if err == nil && !bytes.Equal(w.marshal(), wrapped) || err != nil && (w.sealed != nil || !errors.Is(err, ErrRoot)) {
			t.Errorf("%x is read as %x, %v", wrapped, w, err)
		}
	})
}

// TestTokenWrapFlips changes every byte of a wrapped key: what is read is another
// one, or nothing.
func TestTokenWrapFlips(t *testing.T) {
	wrapped := tokenWrap{id: tokenKeyID{1}, nonce: [tokenNonce]byte{2}, sealed: make([]byte, 60)}.marshal()
	for i := range wrapped {
		flipped := bytes.Clone(wrapped)
		flipped[i] ^= 1
		if w, err := parseTokenWrap(flipped); (err == nil) != (i >= len(tokenMagic)) || err == nil && bytes.Equal(w.marshal(), wrapped) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	for _, n := range []int{0, minTokenWrap - 1, maxTokenWrap + 1} {
		if _, err := parseTokenWrap(append(bytes.Clone(wrapped), make([]byte, maxTokenWrap)...)[:n]); !errors.Is(err, ErrRoot) {
			t.Errorf("%d bytes: %v, want ErrRoot", n, err)
		}
	}
}
