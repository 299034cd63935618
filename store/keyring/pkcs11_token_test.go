//go:build cgo

package keyring

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
)

// softHSM makes a token of its own for a test, in software. SoftHSM reads its
// configuration whenever the module is started.
func softHSM(t *testing.T, settings ...string) (p PKCS11, tokens string) {
	t.Helper()
	module := softHSMModule(t)
	dir := t.TempDir()
	tokens = filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n%s\n", tokens, strings.Join(settings, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", config)
	p = PKCS11{Module: module, Token: "muniment test", PIN: []byte("1234 5678")}
	makeToken(t, p.Token)
	return p, tokens
}

// softHSMModule finds SoftHSM, which .ci/run installs.
func softHSMModule(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		t.Skip("tests of a PKCS#11 device need SoftHSM 2: ", err)
	}
	for _, pattern := range []string{
		"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so", "/opt/homebrew/lib/softhsm/libsofthsm2.so",
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // the patterns are well formed
			return found[0]
		}
	}
	t.Fatal("softhsm2-util is here, and its module is not")
	return ""
}

func makeToken(t *testing.T, label string) {
	t.Helper()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234 5678", "--so-pin", "8765 4321").CombinedOutput()
	if err != nil {
		t.Fatalf("make token: %v: %s", err, out)
	}
}

func openToken(t *testing.T, p PKCS11) *Token {
	t.Helper()
	token, err := OpenPKCS11(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}

// keys counts the keys in a token.
func keys(t *testing.T, token *Token) int {
	t.Helper()
	token.mu.Lock()
	defer token.mu.Unlock()
	if err := token.module.FindObjectsInit(token.session, nil); err != nil {
		t.Fatal(err)
	}
	handles, _, err := token.module.FindObjects(token.session, 100)
	if err := errors.Join(err, token.module.FindObjectsFinal(token.session)); err != nil {
		t.Fatal(err)
	}
	return len(handles)
}

func mustWrap(t *testing.T, root Root, key string) []byte {
	t.Helper()
	wrapped, err := root.Wrap([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

func wantKey(t *testing.T, root Root, wrapped []byte, want string) {
	t.Helper()
	if got, err := root.Unwrap(wrapped); string(got) != want || err != nil {
		t.Errorf("unwrapped %q, %v; want %q", got, err, want)
	}
}

func TestTokenWraps(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	secret := make([]byte, 60)
	rand.Read(secret)
	one, two := mustWrap(t, token, string(secret)), mustWrap(t, token, string(secret))
	if n := keys(t, token); n != 2 {
		t.Errorf("%d keys for two wrappings", n)
	}
	for i := range 24 {
		at := len(one) - 24 + i
		if bytes.Equal(one[at:], two[at:]) {
			t.Errorf("two wrappings are equal from byte %d on", at)
		}
	}
	if bytes.Contains(one, secret[:8]) || bytes.Contains(one, secret[52:]) {
		t.Error("a wrapped key holds the key")
	}
	wantKey(t, token, one, string(secret))
	if err := token.Destroy(one); err != nil {
		t.Fatal(err)
	}
	if key, err := token.Unwrap(one); !errors.Is(err, ErrRoot) || key != nil {
		t.Errorf("unwrap after its key was destroyed: %v, want ErrRoot", err)
	}
	if err := token.Destroy(one); err != nil {
		t.Errorf("destroy what is gone: %v", err)
	}
	if n := keys(t, token); n != 1 {
		t.Errorf("%d keys are left, want 1", n)
	}
	wantKey(t, token, two, string(secret))
	if err := token.Try(); err != nil || keys(t, token) != 1 {
		t.Errorf("trial: %v, %d keys", err, keys(t, token))
	}
	if token.Device() != "PKCS#11" || token.Model() != "SoftHSM project, SoftHSM v2" {
		t.Errorf("device %q, model %q", token.Device(), token.Model())
	}
	if printed := fmt.Sprintf("%v %+v %#v", token, token, token); strings.Contains(printed, string(p.PIN)) {
		t.Errorf("the PIN is printed: %s", printed)
	}
	for _, size := range []int{0, maxTokenWrap} {
		if wrapped, err := token.Wrap(make([]byte, size)); err == nil || wrapped != nil {
			t.Errorf("a key of %d bytes was wrapped", size)
		}
	}
	if n := keys(t, token); n != 1 {
		t.Errorf("%d keys are left of wrappings that failed, want 1", n)
	}
}

// TestTokenRefusesEveryChange flips every byte of a wrapped key.
func TestTokenRefusesEveryChange(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	wrapped := mustWrap(t, token, "a key")
	for i := range wrapped {
		flipped := bytes.Clone(wrapped)
		flipped[i] ^= 0x20
		if key, err := token.Unwrap(flipped); !errors.Is(err, ErrRoot) || key != nil {
			t.Errorf("byte %d flipped: %q, %v; want ErrRoot", i, key, err)
		}
	}
	for _, other := range [][]byte{nil, wrapped[:len(wrapped)-1], append(bytes.Clone(wrapped), 0), mustWrap(t, testRoot(t), "a key")} {
		if key, err := token.Unwrap(other); !errors.Is(err, ErrRoot) || key != nil {
			t.Errorf("%x: %q, %v; want ErrRoot", other, key, err)
		}
	}
	if err := token.Destroy(mustWrap(t, testRoot(t), "a key")); !errors.Is(err, ErrRoot) {
		t.Errorf("destroy what a key file wrapped: %v, want ErrRoot", err)
	}
	wantKey(t, token, wrapped, "a key")
}

// TestKeysStayInTheToken asks the token for what must not come out.
func TestKeysStayInTheToken(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	w, err := parseTokenWrap(mustWrap(t, token, "a key"))
	if err != nil {
		t.Fatal(err)
	}
	handles, err := token.find(w.id)
	if err != nil || len(handles) != 1 {
		t.Fatalf("%d keys, %v", len(handles), err)
	}
	if _, err := token.module.GetAttributeValue(token.session, handles[0], []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)}); err == nil {
		t.Error("the token gives away a key")
	}
	change := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true)}
	if err := token.module.SetAttributeValue(token.session, handles[0], change); err == nil {
		t.Error("a key can be made extractable")
	}
}

func TestTokenRefusals(t *testing.T) {
	p, _ := softHSM(t)
	noModule := filepath.Join(t.TempDir(), "module.so")
	if err := os.WriteFile(noModule, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	makeToken(t, "twice")
	makeToken(t, "twice")
	for name, c := range map[string]struct {
		change func(*PKCS11)
		want   error
	}{
		"module that is not there": {func(p *PKCS11) { p.Module += ".9" }, ErrModule},
		"file that is no module":   {func(p *PKCS11) { p.Module = noModule }, ErrModule},
		"token that is not there":  {func(p *PKCS11) { p.Token = "another" }, ErrToken},
		"two tokens of one label":  {func(p *PKCS11) { p.Token = "twice" }, ErrToken},
		"wrong PIN":                {func(p *PKCS11) { p.PIN = []byte("1234 5679") }, ErrPIN},
	} {
		asked := p
		c.change(&asked)
		if token, err := OpenPKCS11(asked); !errors.Is(err, c.want) || token != nil || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	token := openToken(t, p) // what was refused left nothing started
	if _, err := OpenPKCS11(p); !errors.Is(err, ErrModule) {
		t.Errorf("second token of one process: %v, want ErrModule", err)
	}
	wrapped := mustWrap(t, token, "a key")
	if err := token.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Unwrap(wrapped); !errors.Is(err, ErrDevice) {
		t.Errorf("unwrap after the end: %v, want ErrDevice", err)
	}
}

// TestTokenWithoutAESGCM is refused before anything is made in it.
func TestTokenWithoutAESGCM(t *testing.T) {
	for can, cannot := range map[string]string{"CKM_AES_KEY_GEN": "seal with AES-GCM", "CKM_AES_CBC": "make AES keys"} {
		t.Run(can, func(t *testing.T) {
			p, _ := softHSM(t, "slots.mechanisms = "+can)
			if token, err := OpenPKCS11(p); !errors.Is(err, ErrToken) || token != nil || !strings.Contains(err.Error(), cannot) {
				t.Errorf("open: %v, want ErrToken and %q", err, cannot)
			}
		})
	}
}

// TestWrongPINIsTriedOnce changes the PIN behind the back of a token that is in
// use: no second login is made, not even with the right PIN.
func TestWrongPINIsTriedOnce(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	wrapped := mustWrap(t, token, "a key")
	if err := token.module.SetPIN(token.session, string(p.PIN), "another PIN"); err != nil {
		t.Fatal(err)
	}
	wantKey(t, token, wrapped, "a key") // the session is still good
	if err := token.module.CloseAllSessions(mustSlot(t, token)); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Unwrap(wrapped); !errors.Is(err, ErrPIN) {
		t.Errorf("unwrap: %v, want ErrPIN", err)
	}
	token.place.PIN = []byte("another PIN")
	for _, err := range []error{token.Destroy(wrapped), token.Try()} {
		if !errors.Is(err, ErrPIN) {
			t.Errorf("after a wrong PIN: %v, want ErrPIN", err)
		}
	}
	p.PIN = []byte("another PIN")
	wantKey(t, openToken(t, p), wrapped, "a key")
}

func mustSlot(t *testing.T, token *Token) uint {
	t.Helper()
	slot, _, err := token.slot()
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func TestCheckFlags(t *testing.T) {
	for _, c := range []struct {
		flags uint
		want  error
	}{
		{pkcs11.CKF_TOKEN_INITIALIZED | pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_LOGIN_REQUIRED, nil},
		{pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_USER_PIN_COUNT_LOW, nil},
		{pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_USER_PIN_COUNT_LOW | pkcs11.CKF_USER_PIN_FINAL_TRY, ErrPIN},
		{pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_USER_PIN_LOCKED, ErrPIN},
		{pkcs11.CKF_USER_PIN_INITIALIZED | pkcs11.CKF_WRITE_PROTECTED, ErrToken},
	} {
		if err := checkFlags(c.flags); !errors.Is(err, c.want) {
			t.Errorf("flags %x: %v, want %v", c.flags, err, c.want)
		}
	}
}

// TestTokenComesBack ends sessions and the module behind the token's back.
func TestTokenComesBack(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	one, two := mustWrap(t, token, "one"), mustWrap(t, token, "two")
	for name, lose := range map[string]func() error{
		"session": func() error { return token.module.CloseSession(token.session) },
		"login":   func() error { return token.module.Logout(token.session) },
		"module":  func() error { return token.module.Finalize() },
	} {
		for _, then := range []func(){
			func() { wantKey(t, token, two, "two") },
			func() { wantKey(t, token, mustWrap(t, token, "three"), "three") },
			func() {
				if err := token.Destroy(one); err != nil {
					t.Errorf("destroy after the loss of the %s: %v", name, err)
				}
				if _, err := token.Unwrap(one); !errors.Is(err, ErrRoot) {
					t.Errorf("the key is there still: %v", err)
				}
				one = mustWrap(t, token, "one")
			},
		} {
			if err := lose(); err != nil {
				t.Fatal(err)
			}
			then()
		}
	}
	if n := keys(t, token); n != 5 { // one, two and three times three
		t.Errorf("%d keys, want 5", n)
	}
}

// away takes all tokens away, and brings them back.
func away(t *testing.T, tokens string) (back func()) {
	t.Helper()
	if err := errors.Join(os.Rename(tokens, tokens+".away"), os.Mkdir(tokens, 0o700)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.Remove(tokens), os.Rename(tokens+".away", tokens)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTokenThatIsGone takes the token away and brings it back. While it is away,
// nothing counts as destroyed, and nothing is blamed on the wrapped key.
func TestTokenThatIsGone(t *testing.T) {
	p, tokens := softHSM(t)
	token := openToken(t, p)
	wrapped := mustWrap(t, token, "a key")
	back := away(t, tokens)
	for range 2 {
		_, wrapErr := token.Wrap([]byte("another key"))
		_, unwrapErr := token.Unwrap(wrapped)
		for _, err := range []error{wrapErr, unwrapErr, token.Destroy(wrapped)} {
			if !errors.Is(err, ErrToken) || errors.Is(err, ErrRoot) {
				t.Errorf("without the token: %v, want ErrToken", err)
			}
		}
	}
	back()
	wantKey(t, token, wrapped, "a key")
	if n := keys(t, token); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
}

// TestTokenTakesTurns calls from many sides at once.
func TestTokenTakesTurns(t *testing.T) {
	p, _ := softHSM(t)
	token := openToken(t, p)
	done := make(chan error)
	for i := range 4 {
		go func() {
			key := []byte{byte(i), 1, 2, 3}
			for range 5 {
				wrapped, err := token.Wrap(key)
				var opened []byte
				if err == nil {
					opened, err = token.Unwrap(wrapped)
				}
				if err == nil && !slices.Equal(opened, key) {
					err = fmt.Errorf("opened %x, want %x", opened, key)
				}
				if err == nil {
					err = token.Destroy(wrapped)
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := keys(t, token); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}
