package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (a auditorsFake) Network(_ context.Context, r *apiv1.NetworkRequest) (*apiv1.NetworkResponse, error) {
	c := a.city
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Eras < 1 {
		return nil, refusal(codes.InvalidArgument, "MALFORMED", "no era")
	}
	after := c.handovers[min(int(r.Eras)-1, len(c.handovers)):]
	return &apiv1.NetworkResponse{Handovers: after[:min(len(after), 1)], Cards: c.cards}, nil // one at a time
}

func (a auditorsFake) Checkpoint(context.Context, *apiv1.CheckpointRequest) (*apiv1.CheckpointResponse, error) {
	c := a.city
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.view.Head().Size
	if hook := c.hooks.tree; hook != nil {
		size = hook(size)
	}
	return &apiv1.CheckpointResponse{Checkpoint: c.checkpoint(), Size: uint64(size)}, nil
}

func (a auditorsFake) ConsistencyProof(_ context.Context, r *apiv1.ConsistencyProofRequest) (*apiv1.ConsistencyProofResponse, error) {
	c := a.city
	c.mu.Lock()
	defer c.mu.Unlock()
	first := int64(r.First)
	if hook := c.hooks.consistency; hook != nil {
		first = hook(first)
	}
	proof := must(tlog.ProveTree(int64(r.Second), first, c))
	response := &apiv1.ConsistencyProofResponse{}
	for _, h := range proof {
		response.Hashes = append(response.Hashes, h[:])
	}
	return response, nil
}

// checkpoint signs the newest tree with the keys of the node as they are now.
func (c *city) checkpoint() []byte {
	size := c.view.Head().Size
	body := record.CheckpointBody(c.network.Origin, size, must(tlog.TreeHash(size, c)))
	return must(receipt.Assemble(body, must(receipt.SignCheckpoint(body, c.key("log"))),
		must(receipt.Cosign(body, receipt.CosignerName(c.network.Origin, c.network.Nodes[0].ID), c.key("cosigner"), c.time/1e9+1))))
}

// decide has a fact proposed and approved by the governing offices.
func (c *city) decide(fact record.Fact) {
	c.t.Helper()
	proposed := c.block(c.sign("CLERK", &record.ProposeChange{Fact: fact}))
	hash := must(record.FactHash(fact))
	approved := c.block(c.sign("IT", &record.ApproveChange{Proposal: proposed[0].TxIndex + 1, FactHash: hash}))
	if proposed[0].Code != ledger.OK || approved[0].Code != ledger.OK {
		c.t.Fatalf("the change was refused: %v, %v", proposed[0].Code, approved[0].Code)
	}
}

// handOver makes the handover to an era that the last block has opened.
func (c *city) handOver(number int64) {
	key := ledger.StateKeyEra(number)
	value, ok, err := c.view.Value(key)
	if err != nil || !ok {
		c.t.Fatalf("era %d is not there: %v", number, err)
	}
	proof := must(statetree.Prove(c.view, c.view.StateRoot(), statetree.KeyOf(key)))
	last := c.leaf(c.view.Head().Size, record.Index(c.view.Head().Size-1))
	c.handovers = append(c.handovers, must(receipt.NewState(last.Entry, last.Index, last.Proof, key, value, proof, c.checkpoint())))
}

// rotate replaces log key and cosigner of the node.
func (c *city) rotate(generation string) {
	c.t.Helper()
	was := c.generation
	c.generation = generation
	log, cosigner := publicOf(c.key("log")), publicOf(c.key("cosigner"))
	c.generation = was
	c.decide(&record.Node{NodeKey: publicOf(c.key("node")), ValidatorKey: publicOf(c.key("validator")), CosignerKey: cosigner,
		LogKey: log, CustodianKey: publicOf(c.key("custodian")), Power: 10})
	c.handOver(int64(len(c.handovers)) + 2)
	c.generation = generation
	c.block(c.sign("AUDIT", &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{byte(c.submits + 1)}, Scope: record.Scope{Department: "POLICE"}}))
}

// refreshed runs network refresh and reads what it prints.
func refreshed(t *testing.T, d *desk, args ...string) (r refreshResult) {
	t.Helper()
	if err := json.Unmarshal([]byte(d.must(append([]string{"network", "refresh", "--output", "json"}, args...)...).stdout), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryKeyIsReplaced: the network file follows, and a receipt of the first era
// is got anew, or proved to hold still.
func TestEveryKeyIsReplaced(t *testing.T) {
	d, c, index := anchoredTable(t)
	old := d.path("old.receipt")
	d.must("receipt", index, "-o", old)
	was := must(os.ReadFile(old))
	first := refreshed(t, d)
	if first.Added != 0 || first.Eras != 1 || first.Fingerprint != first.Was {
		t.Errorf("nothing has happened: %+v", first)
	}
	if r := d.must("network", "refresh"); !strings.Contains(r.stdout, "is up to date") {
		t.Errorf("got %q", r.stdout)
	}
	c.rotate(" second")
	c.rotate(" third")
	d.fails(exitIndeterminate, "muniment network refresh", "receipt", index, "-o", d.path("new.receipt"))
	d.fails(exitIndeterminate, "(UNKNOWN_SIGNER)", "receipt", "refresh", old)

	r := refreshed(t, d)
	if r.Added != 2 || r.Eras != 3 || r.Was != first.Fingerprint || r.Fingerprint == r.Was {
		t.Errorf("two eras have come: %+v", r)
	}
	if shown := d.must("network", "show"); !strings.Contains(shown.stdout, r.Fingerprint) {
		t.Errorf("another file is pinned: %s", shown.stdout)
	}
	pinned := must(receipt.ParseNetwork(must(os.ReadFile(d.places.networkFile(c.network.ChainID)))))
	if v := must(receipt.Verify(pinned, was)); v.Outcome != receipt.Indeterminate || v.Reasons[0] != receipt.KeysRetired {
		t.Errorf("the old receipt by itself is %s %v", v.Outcome, v.Reasons)
	}

	proof := d.path("old.consistency")
	d.must("receipt", "refresh", "--proof", proof, old)
	_, proofs, err := receipt.ParseConsistency(must(os.ReadFile(proof)))
	if err != nil || len(proofs) != 1 {
		t.Fatalf("%d proofs, %v", len(proofs), err)
	}
	if v := must(receipt.Verify(pinned.WithProofs(proofs...), was)); v.Outcome != receipt.Passed || v.Era != 1 {
		t.Errorf("the old receipt with the proof is %s %v", v.Outcome, v.Reasons)
	}
	d.must("receipt", "refresh", old)
	now := must(os.ReadFile(old))
	if v := must(receipt.Verify(pinned, now)); v.Outcome != receipt.Passed || v.Era != 3 || bytes.Equal(now, was) {
		t.Errorf("the new receipt is %s in era %d", v.Outcome, v.Era)
	}
	if r := d.must("receipt", "refresh", "--proof", d.path("none"), old); exists(d.path("none")) || !strings.Contains(r.stdout, "no tree in these files needs a proof") {
		t.Errorf("a proof was written for nothing: %s", r.stdout)
	}
}

func TestReceiptsThatAreNotRefreshed(t *testing.T) {
	d, c, index := anchoredTable(t)
	old := d.path("old.receipt")
	d.must("receipt", index, "-o", old)
	was := must(os.ReadFile(old))
	c.rotate(" second")
	d.must("network", "refresh")
	second := d.anchorJSON(exitDone, d.file("other.txt", "other")).Records[0].Index

	d.fails(exitUsage, "name at least one file", "receipt", "refresh")
	d.fails(exitUsage, "(NOT_A_RECEIPT)", "receipt", "refresh", d.file("a.txt", "no receipt"))
	c.set(hooks{record: func(uint64) uint64 { return second }})
	d.fails(exitContradicted, "(RECEIPT_OF_ANOTHER)", "receipt", "refresh", old)
	c.set(hooks{consistency: func(first int64) int64 { return first - 1 }})
	d.fails(exitContradicted, "(ERA_CONTRADICTED)", "receipt", "refresh", "--proof", d.path("out"), old)
	c.set(hooks{})
	other := bytes.Replace(was, []byte("\nrecords.example.org/test\n"), []byte("\nrecords.example.org/else\n"), 1)
	other = bytes.ReplaceAll(other, []byte("— records.example.org/test"), []byte("— records.example.org/else"))
	d.fails(exitIndeterminate, "(UNKNOWN_ORIGIN)", "receipt", "refresh", d.file("else.receipt", string(other)))
	// The receipt of another history at the same place.
	r := must(receipt.Parse(was))
	forged := must(receipt.New(append(bytes.Clone(r.Entry[:len(r.Entry)-1]), r.Entry[len(r.Entry)-1]^1), r.Index, r.Proof, r.Leaves, r.Checkpoint.Marshal()))
	d.fails(exitContradicted, "(RECEIPT_OF_ANOTHER)", "receipt", "refresh", d.file("forged.receipt", string(forged)))
	if got := must(os.ReadFile(old)); !bytes.Equal(got, was) || exists(d.path("out")) {
		t.Error("a file was written although nothing was verified")
	}
}

// TestNodesThatLieAboutEras: whatever is wrong, the pinned file stays.
func TestNodesThatLieAboutEras(t *testing.T) {
	d, c, _ := anchoredTable(t)
	before := d.must("network", "show").stdout
	c.rotate(" second")
	c.rotate(" third")
	good := c.handovers
	for _, test := range []struct {
		name      string
		handovers [][]byte
		code      int
		says      string
	}{
		{"the second handover first", good[1:], exitIndeterminate, "(UNKNOWN_SIGNER)"},
		{"a receipt of another state", [][]byte{bytes.Replace(good[0], []byte("index"), []byte("Index"), 1)}, exitContradicted, "(MALFORMED)"},
		{"one kept back", good[:1], exitIndeterminate, "(UNKNOWN_SIGNER)"},
	} {
		c.mu.Lock()
		c.handovers = test.handovers
		c.mu.Unlock()
		d.fails(test.code, test.says, "network", "refresh")
		if got := d.must("network", "show").stdout; got != before {
			t.Errorf("%s: another file is pinned", test.name)
		}
	}
}

// TestWitnessesAreNamed: an era with a witness outside needs the name.
func TestWitnessesAreNamed(t *testing.T) {
	d, c, _ := anchoredTable(t)
	name := "witness.example.org/library"
	c.decide(&record.Witnesses{Threshold: 1, Witnesses: []record.Witness{{Code: "LIBRARY", PublicKey: publicOf(c.key("witness")), NameHash: sha256.Sum256([]byte(name))}}})
	c.handOver(2)
	d.fails(exitIndeterminate, "(UNKNOWN_WITNESS)", "network", "refresh")
	d.fails(exitIndeterminate, "(UNKNOWN_WITNESS)", "network", "refresh", "--witness", "witness.example.org/clerk")
	if r := refreshed(t, d, "--witness", name); r.Witnesses != 1 || r.Eras != 2 {
		t.Errorf("got %+v", r)
	}
}

// TestRefreshThatWasCutOff: the new file is there and pinned, but not in its place.
func TestRefreshThatWasCutOff(t *testing.T) {
	d, c, _ := anchoredTable(t)
	path := d.places.networkFile(c.network.ChainID)
	old := must(os.ReadFile(path))
	c.rotate(" second")
	now := refreshed(t, d)
	fresh := must(os.ReadFile(path))
	write := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path, old)
	write(nextFile(path), fresh)
	if got := d.must("network", "show").stdout; !strings.Contains(got, now.Fingerprint) || exists(nextFile(path)) || !bytes.Equal(must(os.ReadFile(path)), fresh) {
		t.Errorf("the refresh was not finished: %s", got)
	}
	write(nextFile(path), old) // the fingerprint was not pinned yet
	if got := d.must("network", "show").stdout; !strings.Contains(got, now.Fingerprint) {
		t.Errorf("got %s", got)
	}
	write(path, old)
	d.fails(exitContradicted, "(FINGERPRINT_DIFFERS)", "network", "show")
}

// TestNodeLinesComeFromCards: a node that has moved is found where its card says,
// and another node is asked where the first does not answer.
func TestNodeLinesComeFromCards(t *testing.T) {
	d, c, _ := anchoredTable(t)
	line := c.network.Nodes[0]
	card := receipt.Card{P2P: "127.0.0.1:26656", GRPC: "localhost" + line.Address[strings.LastIndexByte(line.Address, ':'):], Certificate: line.Certificate, Issued: time.Now().Unix(),
		Node: &record.Node{NodeKey: publicOf(c.key("node")), ValidatorKey: publicOf(c.key("validator")), CosignerKey: publicOf(c.key("cosigner")), LogKey: publicOf(c.key("log"))}}
	text := must(card.Sign([5]ed25519.PrivateKey{c.key("node"), c.key("validator"), c.key("cosigner"), c.key("log")}))
	c.mu.Lock()
	c.cards = [][]byte{[]byte("junk"), text}
	c.mu.Unlock()
	if r := refreshed(t, d); len(r.Nodes) != 1 || r.Nodes[0].Address != card.GRPC || r.Fingerprint == r.Was {
		t.Errorf("got %+v", r)
	}
	d.must("office", "show")
}

// TestAnOlderFileIsNotPinnedAgain: who repeats the first step of the manual does not
// go back to keys that are retired.
func TestAnOlderFileIsNotPinnedAgain(t *testing.T) {
	d, c, _ := anchoredTable(t)
	path := d.places.networkFile(c.network.ChainID)
	text := must(os.ReadFile(path))
	first := fingerprint(must(receipt.ParseNetwork(text)))
	older := filepath.Join(t.TempDir(), "city.mun")
	if err := os.WriteFile(older, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.rotate(" second")
	now := refreshed(t, d)
	got := d.must("network", "add", older, "--fingerprint", first)
	if !strings.Contains(got.stdout, now.Fingerprint) || !strings.Contains(got.stderr, "with 1 era that came since") {
		t.Errorf("got %s%s", got.stdout, got.stderr)
	}
	if got := d.must("network", "show").stdout; !strings.Contains(got, now.Fingerprint) {
		t.Errorf("pinned is %s", got)
	}
}
