package restore

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
)

// inToken has the rings of a city that keeps nothing yet made under a token in
// software. Its programs are in .ci/run.
func (c *city) inToken(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		t.Skipf("this test needs softhsm2-util: %v", err)
	}
	var modules []string
	for _, dir := range []string{"/usr/lib/softhsm", "/usr/lib/*/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm", "/opt/homebrew/lib/softhsm"} {
		found, _ := filepath.Glob(filepath.Join(dir, "libsofthsm2.so")) // the patterns are well formed
		modules = append(modules, found...)
	}
	if len(modules) == 0 {
		t.Fatal("softhsm2-util is here, and its module is not")
	}
	dir := t.TempDir()
	tokens, config := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, config, fmt.Appendf(nil, "directories.tokendir = %s\nlog.level = ERROR\n", tokens))
	t.Setenv("SOFTHSM2_CONF", config)
	if out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "city", "--pin", "123456", "--so-pin", "654321").CombinedOutput(); err != nil {
		t.Fatalf("make token: %v: %s", err, out)
	}
	text, err := keyring.NewPKCS11File(rand.Reader, []byte(passphrase), 1000, keyring.PKCS11{Module: modules[0], Token: "city", PIN: []byte("123456")})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(c.custodian.Keys(), "ring-root.key"), text)
}

// TestC3_OldKeyringsDoNotOpen: the device has destroyed the key of the epoch of
// before. Its backup is refused, with all keys and the passphrase there; so are
// the rings as files. The keyring of after opens, and the rest is as it was.
func TestC3_OldKeyringsDoNotOpen(t *testing.T) {
	c := newCity(t, 1)
	c.inToken(t)
	a := c.archive(t, 24, 16)
	home := copied(t, a.home)
	lose(t, home, "rings")
	sentence := a.restoreInto(t, home, 7, "--keyring", a.before.keyring)
	if !strings.Contains(sentence, "or older than the last erasure, which has destroyed its key in the device") {
		t.Errorf("keyring of before: %s", sentence)
	}
	copyFolder(t, a.before.rings, home.Rings())
	w := a.watching(t)
	p := a.start(t, home)
	if got := p.code(t); got != 7 || !strings.Contains(p.stderr.String(), "wrapped key does not open under this root key") {
		t.Errorf("rings of before as files: exit code %d\n%s", got, &p.stderr)
	}
	w.end()
	lose(t, home, "rings", "vault")
	a.restored(t, home, a.before.data, a.after.keyring)
	a.settles(t, home)
	p = a.start(t, home)
	p.serves(t)
	if s := status(t, home); s.Claim != record.ClaimKey.String() {
		t.Errorf("the node claims %s", s.Claim)
	}
	p.stop(t)
}
