package keyfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	stdpbkdf2 "crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
)

var (
	passphrase = []byte("correct horse, for tests")
	secret     = []byte("0123456789abcdef0123456789abcdef")
)

// under is the key of the second form in tests.
var under = [32]byte{1, 2, 3}

// golden was sealed with 1,000 iterations, label TEST-1, by passphrase.
const golden = `muniment sealed key v1
label TEST-1
kdf pbkdf2-hmac-sha256 1000 000102030405060708090a0b0c0d0e0f
sealed K74ujoD2hSofWAti0Tj9cTF33jvzqfipm94Ds5WNF7cP9X0PJ6vyPT1o5zKRRmjWCCne0JJVVjmojY/p
`

func sealBoth(t *testing.T) (byPassphrase, underKey []byte) {
	t.Helper()
	byPassphrase, err := Seal(rand.Reader, passphrase, MinIterations, "CLERK-SIGNING", secret)
	if err != nil {
		t.Fatal(err)
	}
	underKey, err = SealUnder(under, "node.key", secret)
	if err != nil {
		t.Fatal(err)
	}
	return byPassphrase, underKey
}

func TestSealedKeysOpen(t *testing.T) {
	byPassphrase, underKey := sealBoth(t)
	label, got, err := Open(passphrase, byPassphrase)
	if err != nil || label != "CLERK-SIGNING" || !bytes.Equal(got, secret) {
		t.Errorf("Open = %q, %q, %v; want CLERK-SIGNING and the secret", label, got, err)
	}
	label, got, err = OpenUnder(under, underKey)
	if err != nil || label != "node.key" || !bytes.Equal(got, secret) {
		t.Errorf("OpenUnder = %q, %q, %v; want node.key and the secret", label, got, err)
	}
	info, err := Parse(byPassphrase)
	if want := (Info{"CLERK-SIGNING", MinIterations}); err != nil || info != want {
		t.Errorf("Parse = %v, %v; want %v", info, err, want)
	}
	info, err = Parse(underKey)
	if want := (Info{"node.key", 0}); err != nil || info != want {
		t.Errorf("Parse = %v, %v; want %v", info, err, want)
	}
	for _, text := range [][]byte{byPassphrase, underKey} {
		if bytes.Contains(text, secret) {
			t.Errorf("the file holds the secret: %s", text)
		}
	}
}

// TestFileReadsAsSpecified opens a file as docs/spec/keyfile.md says, without
// the package's own code for it.
func TestFileReadsAsSpecified(t *testing.T) {
	text, err := Seal(bytes.NewReader([]byte("0123456789abcdef")), passphrase, 1500, "L", secret)
	if err != nil {
		t.Fatal(err)
	}
	header, sealed, _ := strings.Cut(string(text), "\nsealed ")
	header += "\n"
	want := "muniment sealed key v1\nlabel L\nkdf pbkdf2-hmac-sha256 1500 30313233343536373839616263646566\n"
	if header != want {
		t.Fatalf("header %q, want %q", header, want)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(sealed, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	salt, _ := hex.DecodeString("30313233343536373839616263646566")
	key, err := stdpbkdf2.Key(sha256.New, string(passphrase), salt, 1500, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	got, err := gcm.Open(nil, raw[:12], raw[12:], []byte(header))
	if err != nil || !bytes.Equal(got, secret) {
		t.Fatalf("opened %q, %v; want the secret", got, err)
	}
}

func TestGoldenFileOpens(t *testing.T) {
	label, got, err := Open(passphrase, []byte(golden))
	if err != nil || label != "TEST-1" || !bytes.Equal(got, secret) {
		t.Errorf("Open = %q, %q, %v; want TEST-1 and the secret", label, got, err)
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	byPassphrase, underKey := sealBoth(t)
	for name, file := range map[string]struct {
		text []byte
		open func([]byte) (string, []byte, error)
	}{
		"passphrase": {byPassphrase, func(b []byte) (string, []byte, error) { return Open(passphrase, b) }},
		"key":        {underKey, func(b []byte) (string, []byte, error) { return OpenUnder(under, b) }},
	} {
		for i := range file.text {
			for _, flip := range []byte{1, 0x20, 0x80} {
				text := bytes.Clone(file.text)
				text[i] ^= flip
				label, got, err := file.open(text)
				if err == nil || label != "" || got != nil {
					t.Errorf("%s: byte %d xor %#x: opened as %q, %v", name, i, flip, label, err)
				}
			}
			if _, _, err := file.open(file.text[:i]); err == nil {
				t.Errorf("%s: opened when cut to %d bytes", name, i)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	byPassphrase, underKey := sealBoth(t)
	open := func(text string) error { _, _, err := Open(passphrase, []byte(text)); return err }
	edit := func(from, to string) string {
		if !strings.Contains(string(byPassphrase), from) {
			t.Fatalf("%q is not in the file", from)
		}
		return strings.Replace(string(byPassphrase), from, to, 1)
	}
	seal := func(iterations int, label string, secret []byte) error {
		_, err := Seal(rand.Reader, passphrase, iterations, label, secret)
		return err
	}
	_, _, wrong := Open([]byte("another"), byPassphrase)
	_, _, empty := Open(nil, byPassphrase)
	_, _, otherKey := OpenUnder([32]byte{9}, underKey)
	_, _, asKey := OpenUnder(under, byPassphrase)
	_, sealEmpty := Seal(rand.Reader, nil, MinIterations, "L", secret)
	_, noChance := Seal(iotest.ErrReader(errNoChance), passphrase, MinIterations, "L", secret)
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"wrong passphrase", wrong, ErrSealed},
		{"empty passphrase", empty, ErrPassphrase},
		{"other key", otherKey, ErrSealed},
		{"key for a passphrase file", asKey, ErrForm},
		{"passphrase for a key file", open(string(underKey)), ErrForm},
		{"sealed by an empty passphrase", sealEmpty, ErrPassphrase},
		{"no salt", noChance, errNoChance},
		{"too few iterations to seal", seal(MinIterations-1, "L", secret), ErrMalformed},
		{"too many iterations to seal", seal(MaxIterations+1, "L", secret), ErrMalformed},
		{"empty secret", seal(MinIterations, "L", nil), ErrMalformed},
		{"long secret", seal(MinIterations, "L", make([]byte, MaxSecret+1)), ErrMalformed},
		{"empty label", seal(MinIterations, "", secret), ErrMalformed},
		{"long label", seal(MinIterations, strings.Repeat("L", 65), secret), ErrMalformed},
		{"label with space", seal(MinIterations, "A B", secret), ErrMalformed},
		{"label with newline", seal(MinIterations, "A\nkdf none", secret), ErrMalformed},
		{"too few iterations to open", open(edit(" 1000 ", " 999 ")), ErrMalformed},
		{"too many iterations to open", open(edit(" 1000 ", " 10000001 ")), ErrMalformed},
		{"negative iterations", open(edit(" 1000 ", " -1000 ")), ErrMalformed},
		{"leading zero", open(edit(" 1000 ", " 01000 ")), ErrMalformed},
		{"two spaces", open(edit(" 1000 ", "  1000 ")), ErrMalformed},
		{"other version", open(edit("v1", "v2")), ErrMalformed},
		{"other derivation", open(edit("sha256", "sha512")), ErrMalformed},
		{"carriage returns", open(strings.ReplaceAll(string(byPassphrase), "\n", "\r\n")), ErrMalformed},
		{"trailing line", open(string(byPassphrase) + "\n"), ErrMalformed},
		{"no last newline", open(strings.TrimSuffix(string(byPassphrase), "\n")), ErrMalformed},
		{"nothing", open(""), ErrMalformed},
		{"too long", open(string(byPassphrase) + strings.Repeat("A", maxText)), ErrMalformed},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
		if c.got != nil && strings.Contains(c.got.Error(), string(secret)) {
			t.Errorf("%s: the error quotes the secret", c.name)
		}
	}
}

var errNoChance = errors.New("no randomness")

// TestFIPSOnly runs the round trip in a process that refuses everything that
// FIPS 140-3 does not approve.
func TestFIPSOnly(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSealedKeysOpen$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSealedKeysOpen") {
		t.Errorf("%v: %s", err, out)
	}
}

func FuzzParseKeyfile(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte("muniment sealed key v1\nlabel L\nkdf none\nsealed AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parsed, err := parse(text)
		if err != nil {
			if info, err := Parse(text); err == nil || info != (Info{}) {
				t.Errorf("Parse = %v, %v beside an error", info, err)
			}
			return
		}
		if got := parsed.text(); !bytes.Equal(got, text) {
			t.Errorf("read %q, wrote %q", text, got)
		}
		if _, _, err := OpenUnder(under, text); err == nil {
			t.Error("opened under a key that has sealed nothing")
		}
	})
}
