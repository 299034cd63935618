package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// city is a node in memory: the real ledger rules, real receipts, a vault that
// is a map, behind TLS with the project's own certificates.
type city struct {
	t       testing.TB
	network receipt.Network
	file    []byte // the network file
	server  *grpc.Server
	clock   func() time.Time // by which certificates are judged

	mu     sync.Mutex // guards all below
	view   ledger.View
	values map[string][]byte
	hashes []tlog.Hash
	time   int64 // of the next block, Unix nanoseconds
	vault  map[record.Commitment]vaulted
	access map[record.KeyID]*record.Key

	generation string   // of the log key and the cosigner; see rotate
	handovers  [][]byte // to the second era and so on
	cards      [][]byte

	deposits, submits int
	hooks             hooks
}

// hook gives the hooks as they are now; set puts others in their place.
func (c *city) hook() hooks {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hooks
}

func (c *city) set(h hooks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = h
}

// hooks are called without the lock; an error is what the caller gets.
type hooks struct {
	deposit    func(header *apiv1.DepositHeader) error // the custodian has everything
	submit     func() error                            // before the block
	submitted  func() error                            // after the block, before the answer
	receipt    func(index uint64) error
	copy       func(request *apiv1.CopyRequest) // may change what is asked for
	plan       func(response *apiv1.PlanRedactionResponse)
	filed      func(response *apiv1.FileRedactionResponse)
	redactions func() error
	disposed   func(index uint64) *apiv1.DispositionInfo // what the record is under
	lie        func(response *apiv1.SubmitResponse)
	record     func(index uint64) uint64 // whose receipt is given
	moved      func() bool               // after a state proof: the ledger moves on
	stateKey   func(key []byte) []byte   // whose state is given

	tree        func(size int64) int64  // what a checkpoint says of its size
	consistency func(first int64) int64 // from which tree a consistency proof leads
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (c *city) key(label string) ed25519.PrivateKey {
	if label == "log" || label == "cosigner" {
		label += c.generation
	}
	seed := sha256.Sum256([]byte("city test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(key ed25519.PrivateKey) [32]byte { return [32]byte(key.Public().(ed25519.PublicKey)) }

// newCity starts a city in which the given offices have the given keys.
func newCity(t testing.TB, offices map[string]publicKeys) *city {
	t.Helper()
	c := &city{t: t, clock: time.Now, view: ledger.Blank(), values: map[string][]byte{}, vault: map[record.Commitment]vaulted{}, access: map[record.KeyID]*record.Key{},
		time: time.Now().Add(-time.Hour).Truncate(time.Second).UnixNano()}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	node := c.key("node")
	id := receipt.NodeID(node.Public().(ed25519.PublicKey))
	certificate := must(identity.ServerCertificate(bytes.NewReader(make([]byte, 64)), node, receipt.ServerName(id), time.Unix(0, c.time)))
	network := receipt.Network{ID: sha256.Sum256([]byte("genesis")), ChainID: "muniment-test-1", Origin: "records.example.org/test",
		Nodes: []receipt.Node{{ID: id, Address: listener.Addr().String(), Certificate: certificate}},
		Eras: []receipt.Era{{Logs: [][32]byte{publicOf(c.key("log"))},
			Validators: []receipt.Validator{{NodeID: id, Cosigner: publicOf(c.key("cosigner"))}}}}}
	c.file = network.Marshal()
	c.network = must(receipt.ParseNetwork(c.file))
	c.found(offices)
	c.serve(listener, tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: node})
	return c
}

// found puts the genesis facts on the ledger.
func (c *city) found(offices map[string]publicKeys) {
	governors := []record.Code{"CLERK", "IT"}
	roles := map[string]record.Role{"CLERK": record.RoleClerk, "IT": record.RoleIT, "COUNSEL": record.RoleCounsel, "PURCHASING": record.RoleProcurement,
		"CHIEF": record.RoleChiefAdmin, "STATE": record.RoleStateRecords, "ARCHIVE": record.RoleStateArchivist, "AUDIT": record.RoleAuditor}
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, code := range slices.Sorted(maps.Keys(roles)) {
		if _, ok := offices[code]; !ok { // the city itself holds its key
			facts = append(facts, &record.Key{Office: record.Code(code), Use: record.UseSigning, PublicKey: publicOf(c.key(code)), Status: record.StatusActive})
		}
	}
	for _, code := range append(slices.Sorted(maps.Keys(roles)), "PERMITS", "POLICE") {
		role := cmpOr(roles[code], record.RoleDepartment)
		facts = append(facts, &record.Office{Code: record.Code(code), Roles: []record.Role{role}, Status: record.StatusActive})
	}
	for _, code := range slices.Sorted(maps.Keys(offices)) {
		k := offices[code]
		for use, public := range map[record.KeyUse]string{record.UseSigning: k.Signing, record.UseAccess: k.Access} {
			key := &record.Key{Office: record.Code(code), Use: use, Status: record.StatusActive}
			if err := unhex(key.PublicKey[:], public); err != nil {
				panic(err)
			}
			facts = append(facts, key)
			c.access[key.ID()] = key
		}
	}
	custodian := publicOf(c.key("custodian"))
	for _, subject := range []record.Subject{record.SubjectRecords, record.SubjectSecurity} {
		facts = append(facts, &record.Governance{Subject: subject, Offices: governors, Threshold: 2})
	}
	facts = append(facts, &record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{record.KeyIDOf(custodian[:])}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive},
		&record.Series{Code: "DEMO-OLD", Granularity: record.GranularityDay, Status: record.StatusInactive},
		&record.Series{Code: "DEMO-PERMITS", Granularity: record.GranularityMonth, Departments: []record.Code{"PERMITS"}, Status: record.StatusActive},
		&record.Node{NodeKey: publicOf(c.key("node")), ValidatorKey: publicOf(c.key("validator")), CosignerKey: publicOf(c.key("cosigner")),
			LogKey: publicOf(c.key("log")), CustodianKey: custodian, Power: 10})
	c.take(must(ledger.Genesis(ledger.GenesisFacts{Network: c.network.ID, ChainID: c.network.ChainID, Origin: c.network.Origin, Time: c.time, Facts: facts})))
}

func cmpOr(a, b record.Role) record.Role {
	if a != 0 {
		return a
	}
	return b
}

func (c *city) take(changes ledger.Changes) {
	for i, leaf := range changes.LeafHashes {
		c.hashes = append(c.hashes, must(tlog.StoredHashesForRecordHash(changes.FirstIndex+int64(i), leaf, c))...)
	}
	for _, v := range changes.Values {
		c.values[string(v.Key)] = v.Value
	}
	c.view = ledger.Overlay(c.view, changes)
}

// block executes transactions at the next second.
func (c *city) block(txs ...[]byte) []ledger.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blockLocked(txs...)
}

func (c *city) blockLocked(txs ...[]byte) []ledger.Result {
	c.time += int64(time.Second)
	changes, results, err := ledger.Machine{Verify: verify}.Apply(c.view, ledger.Block{Height: c.view.Head().Height + 1, Time: c.time, Txs: txs})
	if err != nil {
		panic(err)
	}
	c.take(changes)
	return results
}

func verify(public ed25519.PublicKey, message, signature []byte) bool {
	return ed25519.Verify(public, message, signature)
}

// ReadHashes serves the tree functions of tlog.
func (c *city) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = c.hashes[at]
	}
	return out, nil
}

// sign makes a transaction of an office whose keys the city itself holds.
func (c *city) sign(office string, m record.Message) []byte {
	c.submits++
	body := must(record.NewBody(c.network.ID, record.Nonce{byte(c.submits), 1}, record.LedgerDay(c.time)+5, m))
	return must(record.Sign(c.key(office), body))
}

// anchors counts the records on the ledger, by commitment.
func (c *city) anchors() map[record.Commitment]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := map[record.Commitment]int{}
	for i := range c.view.Head().Size {
		if e, ok := c.entry(record.Index(i)).(record.AnchorEntry); ok {
			count[e.Commitment]++
		}
	}
	return count
}

// contents gives the anchored contents, each as often as it was anchored.
func (c *city) contents() []string {
	anchors := c.anchors()
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for commitment, n := range anchors {
		for range n {
			list = append(list, string(c.vault[commitment].content))
		}
	}
	slices.Sort(list)
	return list
}

func (c *city) entry(i record.Index) record.Entry {
	return must(record.ParseEntry(must(c.view.Entry(i))))
}

func (c *city) leaf(size int64, index record.Index) receipt.Leaf {
	return receipt.Leaf{Index: int64(index), Entry: must(c.view.Entry(index)), Proof: must(tlog.ProveRecord(size, int64(index), c))}
}

// receiptOf makes the receipt of an entry under the newest tree.
func (c *city) receiptOf(index record.Index) []byte {
	size := c.view.Head().Size
	var leaves []receipt.Leaf
	for at := index; ; at++ {
		if _, ok := c.entry(at).(record.BlockEntry); ok {
			if at != index {
				leaves = append(leaves, c.leaf(size, at))
			}
			break
		}
	}
	for at := index; at > 0; at-- {
		tx, ok := c.entry(at).(record.TxEntry)
		if !ok || int64(index-at) > tx.Count {
			continue
		}
		if at != index {
			leaves = append(leaves, c.leaf(size, at))
		}
		key, _, err := ledger.KeyOf(c.view, tx.KeyID)
		if err != nil {
			panic(err)
		}
		leaves = append(leaves, c.leaf(size, key.Registered))
		break
	}
	body := record.CheckpointBody(c.network.Origin, size, must(tlog.TreeHash(size, c)))
	cosigner := receipt.CosignerName(c.network.Origin, c.network.Nodes[0].ID)
	signed := must(receipt.Assemble(body, must(receipt.SignCheckpoint(body, c.key("log"))),
		must(receipt.Cosign(body, cosigner, c.key("cosigner"), c.time/1e9+1))))
	return must(receipt.New(must(c.view.Entry(index)), int64(index), must(tlog.ProveRecord(size, int64(index), c)), leaves, signed))
}

// serve answers calls until the test ends.
func (c *city) serve(listener net.Listener, certificate tls.Certificate) {
	config := identity.ServerConfig(certificate, c.admit)
	c.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	apiv1.RegisterDepartmentsServer(c.server, departmentsFake{city: c})
	apiv1.RegisterAuditorsServer(c.server, auditorsFake{city: c})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			c.t.Errorf("serve: %v", err)
		}
	}()
	c.t.Cleanup(func() { c.server.Stop(); <-done })
}

// admit lets in certificates of registered access keys.
func (c *city) admit(cert *x509.Certificate) error {
	_, issuer, err := identity.Claim(cert)
	if err != nil {
		return err
	}
	for id, key := range c.access {
		if identity.IssuerOf(id) == issuer && key.Use == record.UseAccess {
			return identity.Check(cert, key.PublicKey[:], c.clock())
		}
	}
	return errors.New("unknown access key")
}

type auditorsFake struct {
	apiv1.UnimplementedAuditorsServer
	city *city
}

func (a auditorsFake) Registry(context.Context, *apiv1.RegistryRequest) (*apiv1.RegistryResponse, error) {
	c := a.city
	c.mu.Lock()
	defer c.mu.Unlock()
	registry, err := ledger.RegistryOf(c.view, c.valuesWith)
	if err != nil {
		return nil, err
	}
	response := &apiv1.RegistryResponse{}
	for _, f := range registry.Facts {
		response.Facts = append(response.Facts, must(record.MarshalFact(f)))
	}
	for _, p := range registry.Proposals {
		open := &apiv1.OpenProposal{Index: uint64(p.Index), Fact: must(record.MarshalFact(p.Fact)), Office: string(p.Office), LastDay: uint32(p.LastDay)}
		for _, approval := range p.Approvals {
			open.ApprovedBy = append(open.ApprovedBy, string(approval.Office))
		}
		response.Proposals = append(response.Proposals, open)
	}
	return response, nil
}

func (c *city) valuesWith(prefix []byte) iter.Seq2[ledger.Value, error] {
	return func(yield func(ledger.Value, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(c.values)) {
			if bytes.HasPrefix([]byte(key), prefix) && !yield(ledger.Value{Key: []byte(key), Value: c.values[key]}, nil) {
				return
			}
		}
	}
}

func (c *city) String() string { return fmt.Sprintf("city at %s", c.network.Nodes[0].Address) }
