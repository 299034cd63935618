package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/ports"
)

// programs is where TestMain puts the three programs.
var programs string

func TestMain(m *testing.M) {
	if command := os.Getenv(surveyVariable); command != "" {
		os.Exit(surveyed(command)) // in a namespace of its own
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "muniment-e2e")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		programs = dir
		build := exec.Command("go", "build", "-o", dir, "./cmd/...")
		build.Dir = "../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the programs: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// office is an office of the city with its two keys.
type office struct {
	code            record.Code
	roles           []record.Role
	signing, access ed25519.PrivateKey
}

// city is a network of one validator with a few offices.
type city struct {
	home    node.Home
	address string
	network receipt.Network
	offices map[record.Code]office
}

const passphrase = "for tests alone"

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keep("key of an office", key.Seed())
	return key
}

// newCity founds a network in a new home, with keys that derive quickly.
func newCity(t testing.TB) *city {
	t.Helper()
	c := &city{home: node.Home(filepath.Join(t.TempDir(), "home")), address: ports.Free(t), offices: map[record.Code]office{}}
	for _, o := range []office{
		{code: "CLERK", roles: []record.Role{record.RoleDepartment, record.RoleClerk, record.RoleGovernor}},
		{code: "DPW", roles: []record.Role{record.RoleDepartment}},
		{code: "CIO", roles: []record.Role{record.RoleIT, record.RoleGovernor}},
	} {
		o.signing, o.access = newKey(t), newKey(t)
		c.offices[o.code] = o
	}
	_, err := node.Init(c.home, node.InitOptions{
		Keys:    node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Custodian: true, Now: time.Now()},
		ChainID: "muniment-test-1", Origin: "records.example.org/test", Address: c.address, Facts: c.facts,
	})
	if err != nil {
		t.Fatal(err)
	}
	keepKeys(t, c.home)
	noSecretsBelow(t, string(c.home))
	text, err := os.ReadFile(c.home.Network())
	if err != nil {
		t.Fatal(err)
	}
	if c.network, err = receipt.ParseNetwork(text); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *city) facts(custodian record.KeyID) []record.Fact {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, code := range []record.Code{"CIO", "CLERK", "DPW"} {
		o := c.offices[code]
		facts = append(facts, &record.Office{Code: code, Roles: o.roles, Status: record.StatusActive})
		for use, key := range map[record.KeyUse]ed25519.PrivateKey{record.UseSigning: o.signing, record.UseAccess: o.access} {
			facts = append(facts, &record.Key{Office: code, Use: use, PublicKey: [32]byte(key.Public().(ed25519.PublicKey)), Status: record.StatusActive})
		}
	}
	governors := []record.Code{"CIO", "CLERK"}
	return append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2, Required: []record.Code{"CLERK"}},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2, Required: []record.Code{"CIO"}},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive},
		&record.Series{Code: "DEMO-PERMITS", Granularity: record.GranularityMonth, Departments: []record.Code{"DPW"}, Status: record.StatusActive},
	)
}

// running is a munimentd process.
type running struct {
	t      testing.TB
	cmd    *exec.Cmd
	stderr bytes.Buffer
	stdout bytes.Buffer // read it when the process has ended
	done   chan error
	tiles  string // address
}

// start runs munimentd for the city and returns once it serves.
func (c *city) start(t testing.TB) *running {
	t.Helper()
	return launch(t, c.startArgs(t)...)
}

// launch runs munimentd and returns once it serves.
func launch(t testing.TB, args ...string) *running {
	t.Helper()
	return launchProgram(t, filepath.Join(programs, "munimentd"), nil, args...)
}

// launchProgram runs a munimentd and returns once it serves. What else it prints is
// told line by line.
func launchProgram(t testing.TB, program string, tell func(line string), args ...string) *running {
	t.Helper()
	r := &running{t: t, done: make(chan error, 1)}
	r.cmd = exec.Command(program, args...)
	r.cmd.Stderr = &r.stderr
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.leaksNothing)
	t.Cleanup(r.kill)
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	r.stdout.WriteString(line)
	go func() {
		for {
			more, err := lines.ReadString('\n')
			r.stdout.WriteString(more)
			if err != nil {
				break
			}
			if tell != nil {
				tell(strings.TrimSuffix(more, "\n"))
			}
		}
		r.done <- r.cmd.Wait()
	}()
	if err != nil || !strings.HasPrefix(line, "serving:") {
		t.Fatalf("munimentd said %q: %v\n%s", line, err, r.stderr.String())
	}
	_, tiles, _ := strings.Cut(line, ", tiles ")
	r.tiles = strings.TrimSpace(tiles)
	return r
}

// startArgs is how the city's node is started.
func (c *city) startArgs(t testing.TB) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"start", "--home", string(c.home), "--passphrase-file", file,
		"--set", "grpc.listen=" + c.address, "--set", "p2p.listen=127.0.0.1:0", "--set", "tiles.listen=127.0.0.1:0", "--set", "monitor.listen=127.0.0.1:0"}
}

// stop ends the process as an operator would and wants exit code 0.
func (r *running) stop() {
	r.t.Helper()
	r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-r.done:
		r.done <- err
		if err != nil {
			r.t.Fatalf("munimentd ended with %v\n%s", err, r.stderr.String())
		}
	case <-time.After(30 * time.Second):
		r.t.Fatalf("munimentd does not stop\n%s", r.stderr.String())
	}
}

func (r *running) kill() {
	r.cmd.Process.Kill()
	err := <-r.done
	r.done <- err
}

// leaksNothing looks at all that the process has said.
func (r *running) leaksNothing() {
	newSearch().said(r.t, "what the node says", r.stderr.Bytes(), r.stdout.Bytes())
}

// account makes an account certificate of an office with its key.
func (c *city) account(t testing.TB, code record.Code) tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := identity.Issue(rand.Reader, c.offices[code].access, identity.Account{Office: code, ID: "00112233445566aa"},
		key.Public().(ed25519.PublicKey), time.Now().Add(-time.Minute), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dial connects to the node as an account of an office.
func (c *city) dial(t testing.TB, code record.Code) *grpc.ClientConn {
	t.Helper()
	config, err := identity.ClientConfig(c.account(t, code), c.network.Nodes[0].Certificate)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// needs skips a test where a program is not installed. All are in .ci/run.
func needs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("this test needs %s: %v", name, err)
		}
	}
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}
