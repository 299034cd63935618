package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/keyring"
)

// inToken makes a token in software and gives it to a city that keeps nothing
// yet: its rings will be made under it.
func (c *city) inToken(t testing.TB) (tokens string, flags []string) {
	t.Helper()
	needs(t, "softhsm2-util")
	var modules []string
	for _, dir := range []string{"/usr/lib/softhsm", "/usr/lib/*/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm", "/opt/homebrew/lib/softhsm"} {
		found, _ := filepath.Glob(filepath.Join(dir, "libsofthsm2.so")) // the patterns are well formed
		modules = append(modules, found...)
	}
	if len(modules) == 0 {
		t.Fatal("softhsm2-util is here, and its module is not")
	}
	dir := t.TempDir()
	tokens = filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", write(t, filepath.Join(dir, "softhsm2.conf"), fmt.Appendf(nil, "directories.tokendir = %s\nlog.level = ERROR\n", tokens)))
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "city", "--pin", "123456", "--so-pin", "654321").CombinedOutput()
	if err != nil {
		t.Fatalf("make token: %v: %s", err, out)
	}
	text, err := keyring.NewPKCS11File(rand.Reader, []byte(passphrase), 1000, keyring.PKCS11{Module: modules[0], Token: "city", PIN: []byte("123456")})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(c.home.Keys(), "ring-root.key"), text)
	return tokens, []string{"--pkcs11-module", modules[0], "--pkcs11-token", "city", "--pkcs11-pin-file", write(t, filepath.Join(dir, "pin"), []byte("123456\n"))}
}

// tryDeposit is a deposit whose error matters.
func tryDeposit(t testing.TB, conn *grpc.ClientConn, series record.Code, content []byte) error {
	t.Helper()
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	var key [32]byte
	rand.Read(key[:])
	header := &apiv1.DepositHeader{
		Series: string(series), Custody: "CITY", NotAfterDay: uint32(record.LedgerDay(time.Now().UnixNano()) + 5), Profile: "raw/1", RecordKey: key[:], Size: uint64(len(content)),
	}
	if err := stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Header{Header: header}}); err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: content}}) // the answer tells
	_, err = stream.CloseAndRecv()
	return err
}

// TestNodeWithItsKeysInAToken: a node whose token is away goes on with what it has
// in memory, and makes no new ring; it is well again when the token is back. It
// does not start without it.
func TestNodeWithItsKeysInAToken(t *testing.T) {
	c := newCity(t)
	tokens, flags := c.inToken(t)
	if out := program(t, 0, "", "munimentd", "doctor", "--home", string(c.home)).stdout; !strings.Contains(out, "\nok       claim          "+record.ClaimKey.Says()) {
		t.Errorf("doctor does not say C3:\n%s", out)
	}
	n := c.start(t)
	clerk, dpw := c.dial(t, "CLERK"), c.dial(t, "DPW")
	content := []byte("the minutes of a meeting, kept under a token\n")
	commitment, _ := c.deposit(t, clerk, "DEMO-MINUTES", content, nil)
	index := submit(t, clerk, c.transaction(t, "CLERK", "DEMO-MINUTES", commitment), "OK").FirstIndex
	opens := func(when string) {
		t.Helper()
		if !bytes.Contains(evidence(t, c.dial(t, "CLERK"), index), content) {
			t.Errorf("%s: the record does not open", when)
		}
	}
	opens("at first")
	again := append([]string{"token", "--home", string(c.home), "--passphrase-file", write(t, filepath.Join(t.TempDir(), "passphrase"), []byte(passphrase))}, flags...)
	program(t, 7, "nothing was changed: the node of this home is running", "munimentd", again...)

	away := tokens + ".away"
	if err := os.Rename(tokens, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	opens("without the token")
	if err := tryDeposit(t, dpw, "DEMO-PERMITS", []byte("a permit")); err == nil {
		t.Error("a new ring was made without the token")
	}
	opens("after a deposit without the token")
	back := func() {
		t.Helper()
		if err := os.Remove(tokens); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(away, tokens); err != nil {
			t.Fatal(err)
		}
	}
	back()
	if err := tryDeposit(t, dpw, "DEMO-PERMITS", []byte("a permit")); err != nil {
		t.Errorf("deposit when the token is back: %v", err)
	}
	n.kill()

	if err := os.Rename(tokens, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	c.refused(t, 7, `shows no token "city": connect the token that has this label and AES-GCM, or name the right one`)
	back()
	program(t, 0, "", "munimentd", again...)
	n = c.start(t)
	opens("after a restart")
	n.stop()
}
