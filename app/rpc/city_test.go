package rpc

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/state"
	"github.com/muniment/muniment/store/vault"
	"github.com/muniment/muniment/tests/printed"
)

const (
	today  record.Day = 22280 // 2031-01-01
	origin            = "records.example.org/test"
)

// genesisTime is when ledger day today begins.
var genesisTime = time.Unix((int64(today)*86400 + 43200), 0).UTC()

var networkID = record.Network(sha256.Sum256([]byte("genesis of the tests")))

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) [32]byte { return [32]byte(key(name)[32:]) }

func keyID(name string) record.KeyID { p := public(name); return record.KeyIDOf(p[:]) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// office is an office of the test city with a signing and an access key, whose
// names are its code with a suffix.
type office struct {
	code      record.Code
	roles     []record.Role
	suspended bool // the office
	keyGone   bool // its access key
}

// cityOffices gives the offices that every test knows and, for each role, four
// that have it alone: two active ones, one suspended, one whose key is.
func cityOffices() []office {
	all := []office{
		{code: "CLERK", roles: []record.Role{record.RoleDepartment, record.RoleClerk, record.RoleGovernor}},
		{code: "COUNSEL", roles: []record.Role{record.RoleCounsel, record.RoleGovernor}},
		{code: "DPW", roles: []record.Role{record.RoleDepartment}},
		{code: "AUDIT", roles: []record.Role{record.RoleAuditor}},
	}
	for _, r := range record.Roles() {
		all = append(all,
			office{code: activeOffice(r), roles: []record.Role{r}},
			office{code: secondOffice(r), roles: []record.Role{r}},
			office{code: suspendedOffice(r), roles: []record.Role{r}, suspended: true},
			office{code: suspendedKeyOffice(r), roles: []record.Role{r}, keyGone: true})
	}
	return all
}

func activeOffice(r record.Role) record.Code       { return record.Code(fmt.Sprintf("R-%d", r)) }
func secondOffice(r record.Role) record.Code       { return record.Code(fmt.Sprintf("R-%d-TWO", r)) }
func suspendedOffice(r record.Role) record.Code    { return record.Code(fmt.Sprintf("R-%d-OFF", r)) }
func suspendedKeyOffice(r record.Role) record.Code { return record.Code(fmt.Sprintf("R-%d-KEY", r)) }

func genesisFacts() ledger.GenesisFacts {
	active := record.StatusActive
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range cityOffices() {
		status := active
		if o.suspended {
			status = record.StatusSuspended
		}
		facts = append(facts, &record.Office{Code: o.code, Roles: o.roles, Status: status},
			&record.Key{Office: o.code, Use: record.UseSigning, PublicKey: public(string(o.code) + " signing"), Status: active},
			&record.Key{Office: o.code, Use: record.UseAccess, PublicKey: public(string(o.code) + " access"), Status: active})
	}
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK", "COUNSEL"}, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "COUNSEL"}, Threshold: 2},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{keyID("custodian")}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: active},
		&record.Node{NodeKey: public("node"), ValidatorKey: public("validator"), CosignerKey: public("cosigner"), LogKey: public("log"),
			CustodianKey: public("custodian"), Power: 10},
		&record.Node{NodeKey: public("node 2"), ValidatorKey: public("validator 2"), CosignerKey: public("cosigner 2"), LogKey: public("log 2"),
			CustodianKey: public("custodian 2")},
		&record.Node{NodeKey: public("node 3"), ValidatorKey: public("validator 3"), CosignerKey: public("cosigner 3"), LogKey: public("log 3")},
	)
	return ledger.GenesisFacts{Network: networkID, ChainID: "test-1", Origin: origin, Time: genesisTime.UnixNano(), Facts: facts}
}

// testNode is a ledger of one validator: each transaction becomes a block.
type testNode struct {
	state    *state.State
	nodeID   string
	hold     chan struct{} // where not nil, Submit waits for it to close
	panicked atomic.Bool   // whether Submit is to panic

	mu     sync.Mutex
	signed []byte // the newest cosigned checkpoint
	sizes  []int64
}

func (n *testNode) View() ledger.View { return n.state.View() }

func (n *testNode) Status() *apiv1.StatusResponse {
	return &apiv1.StatusResponse{LogSize: uint64(n.View().Head().Size), Network: networkID[:]}
}

func (n *testNode) Cosigned(ctx context.Context, size int64) ([]byte, int64, error) {
	n.mu.Lock()
	signed, newest := n.signed, n.sizes[len(n.sizes)-1]
	n.mu.Unlock()
	if newest < size {
		<-ctx.Done() // nothing but a Submit of this test would bring it
		return nil, 0, ctx.Err()
	}
	return signed, newest, nil
}

func (n *testNode) Submit(ctx context.Context, raw []byte) (ledger.Result, int64, error) {
	if n.panicked.Load() {
		panic("canary of a panic")
	}
	if n.hold != nil {
		select {
		case <-n.hold:
		case <-ctx.Done():
			return ledger.Result{}, 0, fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctx.Err())
		}
	}
	results, err := n.block(raw)
	if err != nil {
		return ledger.Result{}, 0, err
	}
	return results[0], n.View().Head().Height, nil
}

// block applies transactions as one block, commits it and cosigns its tree.
func (n *testNode) block(txs ...[]byte) ([]ledger.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	head := n.View().Head()
	changes, results, err := ledger.Machine{Verify: ed25519.Verify}.Apply(n.View(), ledger.Block{Height: head.Height + 1, Time: head.Time + 1e9, Txs: txs})
	if err != nil {
		return nil, err
	}
	if err := n.state.Commit(changes); err != nil {
		return nil, err
	}
	if len(changes.Entries) == 0 {
		return results, nil
	}
	return results, n.sign(changes)
}

func (n *testNode) sign(c ledger.Changes) error {
	line, err := receipt.SignCheckpoint(c.Checkpoint, key("log"))
	if err != nil {
		return err
	}
	cosignature, err := receipt.Cosign(c.Checkpoint, receipt.CosignerName(origin, n.nodeID), key("cosigner"), c.Time/1e9+1)
	if err != nil {
		return err
	}
	signed, err := receipt.Assemble(c.Checkpoint, line, cosignature)
	if err != nil {
		return err
	}
	n.signed, n.sizes = signed, append(n.sizes, c.Size)
	return nil
}

// city is a server on loopback over a ledger in memory, with a custodian.
type city struct {
	t       testing.TB
	node    *testNode
	server  *Server
	network receipt.Network
	address string // of the gRPC listener
	tiles   string // of the HTTPS listener
	socket  string // of the operators
	custody *custody.Custody
	clock   atomic.Int64 // Unix nanoseconds
	log     printed.Output
	nonces  atomic.Int64
}

// newCity starts a city; change, where not nil, may alter its limits first.
func newCity(t testing.TB, change func(*limits), more ...grpc.ServerOption) *city {
	t.Helper()
	c := &city{t: t}
	c.clock.Store(genesisTime.UnixNano())
	db, err := pebble.Open("ledger", state.NewOptions(state.Options{FS: vfs.NewMem(), CacheBytes: 8 << 20, Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	nodeKey := key("node")
	id := receipt.NodeID(nodeKey.Public().(ed25519.PublicKey))
	c.node = &testNode{state: must(state.Open(db)), nodeID: id}
	c.genesis()
	c.openCustody()

	der := must(identity.ServerCertificate(rand.Reader, nodeKey, receipt.ServerName(id), genesisTime))
	l := standard
	if change != nil {
		change(&l)
	}
	c.server = newServer(Options{
		Node: c.node, State: c.node.state, Custody: c.custody, Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: nodeKey},
		Now: c.now, Log: slog.New(slog.NewTextHandler(&c.log, nil)),
	}, l, more...)
	c.serve()
	c.network = must(receipt.ParseNetwork(receipt.Network{
		ID: networkID, ChainID: "test-1", Origin: origin, Nodes: []receipt.Node{{ID: id, Address: c.address, Certificate: der}},
		Eras: []receipt.Era{{Logs: [][32]byte{public("log")}, Validators: []receipt.Validator{{NodeID: id, Cosigner: public("cosigner")}}}},
	}.Marshal()))
	return c
}

func (c *city) now() time.Time { return time.Unix(0, c.clock.Load()) }

// genesis commits the genesis with block 1, and then the suspensions.
func (c *city) genesis() {
	genesis, err := ledger.Genesis(genesisFacts())
	if err != nil {
		c.t.Fatal(err)
	}
	first, _, err := ledger.Machine{Verify: ed25519.Verify}.Apply(ledger.Overlay(ledger.Blank(), genesis), ledger.Block{Height: 1, Time: genesis.Time})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.node.state.Commit(genesis, first); err != nil {
		c.t.Fatal(err)
	}
	if err := c.node.sign(genesis); err != nil {
		c.t.Fatal(err)
	}
	for _, o := range cityOffices() {
		if o.keyGone {
			c.suspend(o.code)
		}
	}
}

// suspend suspends the access key of an office.
func (c *city) suspend(code record.Code) {
	c.t.Helper()
	c.suspendBy("CLERK", code)
}

func (c *city) suspendBy(governing, code record.Code) {
	c.t.Helper()
	c.mustApply(c.tx(governing, &record.SuspendKey{KeyID: keyID(string(code) + " access")}))
}

// suspendOffice suspends an office by decision of both governing offices.
func (c *city) suspendOffice(code record.Code, roles ...record.Role) {
	c.t.Helper()
	fact := &record.Office{Code: code, Roles: roles, Status: record.StatusSuspended}
	proposal := c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: fact}))
	c.mustApply(c.tx("COUNSEL", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: must(record.FactHash(fact))}))
}

func (c *city) mustApply(raw []byte) ledger.Result {
	c.t.Helper()
	results, err := c.node.block(raw)
	if err != nil || results[0].Code != ledger.OK {
		c.t.Fatalf("block: %+v, %v", results, err)
	}
	return results[0]
}

// tx is a message signed by an office.
func (c *city) tx(code record.Code, m record.Message) []byte {
	nonce := sha256.Sum256(fmt.Append(nil, "nonce ", c.nonces.Add(1)))
	body := must(record.NewBody(networkID, record.Nonce(nonce[:16]), today+1, m))
	return must(record.Sign(key(string(code)+" signing"), body))
}

func anchor(items ...record.Commitment) *record.AnchorRecords {
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
	for _, item := range items {
		m.Items = append(m.Items, record.AnchorItem{Commitment: item, Day: today})
	}
	return m
}

// testRoot is one root for all tests: deriving it takes time.
var testRoot = sync.OnceValue(func() keyring.Root {
	text := must(keyring.NewRootFile(rand.Reader, []byte("root of the tests"), 1000))
	return must(keyring.OpenRootFile([]byte("root of the tests"), text))
})

func (c *city) openCustody() {
	dir, fatal := c.t.TempDir(), func(err error) { c.t.Errorf("custody cannot go on: %v", err) }
	v, err := vault.Open(dir+"/vault", vault.Options{Fatal: fatal})
	if err != nil {
		c.t.Fatal(err)
	}
	rings, err := keyring.Open(dir+"/rings", testRoot(), keyring.Options{Fatal: fatal})
	if err != nil {
		c.t.Fatal(err)
	}
	accesses, err := vault.OpenLog(dir+"/access-log", vault.Options{Fatal: fatal})
	if err != nil {
		c.t.Fatal(err)
	}
	c.custody, err = custody.New(v, rings, accesses, custody.Config{
		View: c.node.View, Now: c.now, Custodian: keyID("custodian"), MaxContent: 8 << 20, MaxMemory: 64 << 20, Submit: c.report,
		Depart: func(context.Context, *record.LeaveCustody) error { return errors.New("nobody leaves in these tests") },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { errors.Join(accesses.Close(), rings.Close(), v.Close()) })
}

// report hands in a report of the custodian.
func (c *city) report(_ context.Context, m *record.ReportErasure) error {
	nonce := sha256.Sum256(fmt.Append(nil, "report ", c.nonces.Add(1)))
	body := must(record.NewBody(networkID, record.Nonce(nonce[:16]), today+1, m))
	results, err := c.node.block(must(record.Sign(key("custodian"), body)))
	if err == nil && results[0].Code != ledger.OK {
		err = errors.New(results[0].Code.String())
	}
	return err
}

// serve listens on loopback and on a socket until the test ends.
func (c *city) serve() {
	listen := func(network, address string, serve func(net.Listener) error) string {
		l, err := net.Listen(network, address)
		if err != nil {
			c.t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- serve(l) }()
		c.t.Cleanup(func() {
			if err := <-served; err != nil {
				c.t.Errorf("serve %s: %v", network, err)
			}
		})
		return l.Addr().String()
	}
	c.address = listen("tcp", "127.0.0.1:0", c.server.Serve)
	c.tiles = listen("tcp", "127.0.0.1:0", c.server.ServeTiles)
	c.socket = listen("unix", c.t.TempDir()+"/s", c.server.ServeOperators)
	c.t.Cleanup(func() { // runs before the above
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.server.Stop(ctx)
	})
}

// certificate is one of an account of an office, valid now, changed by change.
func (c *city) certificate(code record.Code, access string, notBefore time.Time) tls.Certificate {
	account := key("account of " + string(code))
	der := must(identity.Issue(rand.Reader, key(access), identity.Account{Office: code, ID: "00112233445566ff"},
		account.Public().(ed25519.PublicKey), notBefore, time.Hour))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: account}
}

// clientTLS is how an account of an office connects.
func (c *city) clientTLS(code record.Code) *tls.Config {
	cert := c.certificate(code, string(code)+" access", c.now().Add(-time.Minute))
	return must(identity.ClientConfig(cert, c.network.Nodes[0].Certificate))
}

// nodeTLS is how the node with a key connects.
func (c *city) nodeTLS(name string) *tls.Config {
	k := key(name)
	der := must(identity.ServerCertificate(rand.Reader, k, receipt.ServerName(receipt.NodeID(k.Public().(ed25519.PublicKey))), genesisTime))
	return must(identity.ClientConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, c.network.Nodes[0].Certificate))
}

// asNode is a connection of the node with a key.
func (c *city) asNode(name string) *grpc.ClientConn { return c.dial(c.nodeTLS(name)) }

// as is a connection of an account of an office.
func (c *city) as(code record.Code) *grpc.ClientConn { return c.dial(c.clientTLS(code)) }

func (c *city) dial(config *tls.Config, o ...grpc.DialOption) *grpc.ClientConn {
	c.t.Helper()
	conn, err := grpc.NewClient("passthrough:"+c.address, append(o, grpc.WithTransportCredentials(credentials.NewTLS(config)))...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// reasonIn gives the stable reason of an error from the server, or its gRPC code.
func reasonIn(err error) string {
	if err == nil {
		return "OK"
	}
	s := grpcstatus.Convert(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Domain == Domain {
			return info.Reason
		}
	}
	return s.Code().String()
}

func wantReason(t testing.TB, what string, err error, want string) {
	t.Helper()
	if got := reasonIn(err); got != want {
		t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

// within10s bounds a test's calls: it fails rather than hangs.
func within10s(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// drain reads a stream of chunks to its end.
func drain[M any](recv func() (M, error), chunk func(M) []byte) ([]byte, error) {
	var all []byte
	for {
		m, err := recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, chunk(m)...)
	}
}

// lines counts the lines of the server's log that contain all of the words.
func (c *city) lines(words ...string) (n int) {
	for line := range strings.Lines(c.log.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			n++
		}
	}
	return n
}
