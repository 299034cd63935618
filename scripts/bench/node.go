package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// The registered facts of the network that is measured.
const (
	department = "DPW"
	small      = "PARKS" // another department, with hardly a record
	auditor    = "AUDIT"
	clerk      = "CLERK"
	operator   = "IT"
	series     = "DEMO-MINUTES"
	custody    = "CITY"
)

// founding is the document from which the network is made, as
// cmd/munimentd/founding.toml explains it.
const founding = `chain_id = "muniment-bench-1"
origin = "records.example.org/bench"
address = %q
custody = %q

[[office]]
code = %q
roles = ["CLERK", "GOVERNOR"]
signing = [%q]
access = []

[[office]]
code = %q
roles = ["DEPARTMENT"]
signing = [%q]
access = [%q]

[[office]]
code = %q
roles = ["DEPARTMENT"]
signing = [%q]
access = [%q]

[[office]]
code = %q
roles = ["AUDITOR"]
signing = [%q]
access = [%q]

[[office]]
code = %q
roles = ["IT"]
signing = [%q]
access = []

[[governance]]
subject = "SECURITY"
offices = [%q]
threshold = 1
required = []

[[governance]]
subject = "RECORDS"
offices = [%q]
threshold = 1
required = []

[[series]]
code = %q
granularity = "DAY"
departments = []
`

// node is a munimentd process: the one of its network, or the first of several.
type node struct {
	*child
	others  []*child // nodes of its network
	home    string
	address string
	network receipt.Network
	signing map[string]ed25519.PrivateKey // by office
	clients map[string]tls.Certificate    // account certificates, by office
	steady  []*grpc.ClientConn            // the connection of who anchors one record at a time; nil before the first
}

func code(s string) record.Code { return record.Code(s) }

// node gives the running network, made with the first row that needs it.
func (b *bench) node() (*node, error) {
	if b.running == nil && b.nodeErr == nil {
		b.running, b.nodeErr = b.startNode()
	}
	return b.running, b.nodeErr
}

// build builds a program of the project and gives its path.
func (b *bench) build(program string) (string, error) {
	path := filepath.Join(b.bin, program)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	args, err := b.overlay()
	if err != nil {
		return "", err
	}
	args = append(append([]string{"build", "-o", path}, args...), "github.com/muniment/muniment/cmd/"+program)
	text, err := exec.CommandContext(b.ctx, "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w: %s", program, err, firstLine(text))
	}
	return path, nil
}

func firstLine(text []byte) []byte {
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#")) {
			return bytes.TrimSpace(line)
		}
	}
	return nil
}

// startNode founds a network, starts its node, and waits until it serves.
func (b *bench) startNode() (*node, error) {
	program, err := b.build("munimentd")
	if err != nil {
		return nil, err
	}
	if _, err := b.build("muniment-verify"); err != nil { // now, so that both are of one source
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "node-")
	if err != nil {
		return nil, err
	}
	n := &node{home: filepath.Join(dir, "home"), clients: make(map[string]tls.Certificate)}
	if n.address, err = freeAddress(); err != nil {
		return nil, err
	}
	passphrase, err := n.found(dir, program, "init", "--home", n.home)
	if err != nil {
		return nil, err
	}
	n.child, err = b.startMunimentd(program, n.home, passphrase, "MUNIMENT_GRPC_LISTEN="+n.address, "MUNIMENT_P2P_LISTEN=127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return n, n.serves(b.ctx)
}

// startMunimentd starts the node of a home, with settings over those of its file.
// Its log is beside the home.
func (b *bench) startMunimentd(program, home, passphrase string, settings ...string) (*child, error) {
	log, err := os.Create(logOf(home))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c := &child{command: exec.Command(program, "start", "--home", home, "--passphrase-file", passphrase), ended: make(chan error, 1)}
	c.command.Stdout, c.command.Stderr = log, log
	c.command.Env = append(append(os.Environ(), "MUNIMENT_TILES_LISTEN=", "MUNIMENT_MONITOR_LISTEN=", "MUNIMENT_LOG_LEVEL=warn", "BENCH_PROFILE="+b.profile), settings...)
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("start munimentd: %w", err)
	}
	return c, nil
}

func logOf(home string) string { return home + ".log" }

// serves waits until a first record is anchored, and stops a node that does not
// serve.
func (n *node) serves(ctx context.Context) error {
	err := n.ready(ctx)
	if err == nil {
		return nil
	}
	text, _ := os.ReadFile(logOf(n.home))
	return errors.Join(fmt.Errorf("munimentd does not serve: %w: %s", err, firstLine(text)), n.stop())
}

// found makes the offices' keys and a passphrase file, has a command make the
// network, and gives the passphrase file.
func (n *node) found(dir, program string, command ...string) (string, error) {
	n.signing = make(map[string]ed25519.PrivateKey)
	public := make(map[string]string)
	for _, office := range []string{clerk, small, department, auditor, operator} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", err
		}
		n.signing[office], public[office] = key, hexKey(key)
	}
	for _, office := range []string{department, small, auditor} {
		_, access, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", err
		}
		public[office+"/access"] = hexKey(access)
		if n.clients[office], err = issueAccount(access, office); err != nil {
			return "", err
		}
	}
	document := fmt.Sprintf(founding, n.address, custody, clerk, public[clerk], small, public[small], public[small+"/access"],
		department, public[department], public[department+"/access"], auditor, public[auditor], public[auditor+"/access"],
		operator, public[operator], clerk, clerk, series)
	passphrase, file := filepath.Join(dir, "passphrase"), filepath.Join(dir, "founding.toml")
	if err := os.WriteFile(passphrase, []byte("only for this measurement\n"), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		return "", err
	}
	text, err := exec.Command(program, append(command, "--passphrase-file", passphrase, "--founding", file)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("munimentd %s: %w: %s", command[0], err, firstLine(text))
	}
	if text, err = os.ReadFile(n.networkFile()); err != nil {
		return "", err
	}
	if n.network, err = receipt.ParseNetwork(text); err != nil {
		return "", err
	}
	return passphrase, nil
}

func hexKey(key ed25519.PrivateKey) string {
	return hex.EncodeToString(key.Public().(ed25519.PublicKey))
}

func (n *node) networkFile() string { return filepath.Join(n.home, "network.mun") }

// ready waits until a first record is anchored.
func (n *node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conns, err := n.dial(department, 1)
	if err != nil {
		return err
	}
	tx, err := n.newSigner().anchors(1)
	if err != nil {
		return errors.Join(err, hangUp(conns))
	}
	r, err := apiv1.NewDepartmentsClient(conns[0]).Submit(ctx, &apiv1.SubmitRequest{Transaction: tx}, grpc.WaitForReady(true))
	if err == nil && r.Reason != "OK" {
		err = fmt.Errorf("the first anchor was refused: %s", r.Reason)
	}
	return errors.Join(err, hangUp(conns))
}

// dial opens connections as an account of an office.
func (n *node) dial(office string, conns int) ([]*grpc.ClientConn, error) {
	i := slices.IndexFunc(n.network.Nodes, func(x receipt.Node) bool { return x.Address == n.address })
	return dial(n.address, n.clients[office], n.network.Nodes[max(i, 0)].Certificate, conns)
}

// stop ends its network as operators would.
func (n *node) stop() error {
	var errs []error
	for _, c := range append(n.others, n.child) {
		if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, c.wait(30*time.Second))
	}
	return errors.Join(errs...)
}

// signer makes transactions of an office.
type signer struct {
	network record.Network
	key     ed25519.PrivateKey
	today   record.Day
	day     record.Day // of the records
	random  interface{ Read([]byte) (int, error) }
}

// newSigner gives one for the department.
func (n *node) newSigner() *signer { return n.signerFor(department) }

func (n *node) signerFor(office string) *signer {
	return &signer{network: n.network.ID, key: n.signing[office], today: record.LedgerDay(time.Now().UnixNano()), day: record.LedgerDay(time.Now().UnixNano()), random: newRandom()}
}

// anchors makes a signed transaction that anchors count random commitments.
func (s *signer) anchors(count int) ([]byte, error) {
	m := &record.AnchorRecords{Series: series, Custody: custody, Items: make([]record.AnchorItem, count)}
	for i := range m.Items {
		_, _ = s.random.Read(m.Items[i].Commitment[:])
		m.Items[i].Day = s.day
	}
	return s.sign(m)
}

func (s *signer) sign(m record.Message) ([]byte, error) {
	var nonce record.Nonce
	_, _ = s.random.Read(nonce[:])
	body, err := record.NewBody(s.network, nonce, s.today+2, m)
	if err != nil {
		return nil, err
	}
	return record.Sign(s.key, body)
}

// transactions makes n of them.
func (s *signer) transactions(n, items int) (txs [][]byte, err error) {
	txs = make([][]byte, n)
	for i := range txs {
		if txs[i], err = s.anchors(items); err != nil {
			return nil, err
		}
	}
	return txs, nil
}

// freeAddress gives an address of the loopback that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
