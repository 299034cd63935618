package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/torchwood"
	merkleproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestSpicyVerifiesReceipts has torchwood's own program, built from its module,
// verify what a running node gave: inclusion and the log's signature. The file
// that it wants is the entry, and beside it the receipt from its second line
// on without the line "extra". What spicy does not know, the cosignatures,
// torchwood's library checks with the policy of the network file.
func TestSpicyVerifiesReceipts(t *testing.T) {
	dir := t.TempDir()
	spicy := filepath.Join(dir, "spicy")
	if out, err := exec.Command("go", "build", "-o", spicy, "filippo.io/torchwood/cmd/spicy").CombinedOutput(); err != nil {
		t.Fatalf("build spicy: %v\n%s", err, out)
	}
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	indexes := c.anchorMany(t, conn, 3)
	logKey := receipt.LogVKey(c.network.Origin, c.network.Eras[0].Logs[0])
	policy, err := torchwood.ParsePolicy(c.network.PolicyFor(logKey.Hash()))
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		text := receiptOf(t, conn, index)
		r, err := receipt.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(r.Entry), text); err != nil {
			t.Errorf("entry %d: library: %v", index, err)
		}
		other := bytes.Clone(r.Entry)
		other[len(other)-1] ^= 1
		if _, ok := errors.AsType[*torchwood.VerifyRecordError](torchwood.VerifyProof(policy, tlog.RecordHash(other), text)); !ok {
			t.Errorf("entry %d: the library takes another entry", index)
		}
		_, sidecar, ok := strings.Cut(string(text), "\nindex ")
		if !ok {
			t.Fatalf("receipt without an index:\n%s", text)
		}
		file := write(t, filepath.Join(dir, "entry"), r.Entry)
		write(t, file+".spicy", []byte("index "+sidecar))
		if out, err := exec.Command(spicy, "-verify", logKey.String(), file).CombinedOutput(); err != nil || !strings.Contains(string(out), "verified") {
			t.Errorf("entry %d: spicy: %v\n%s", index, err, out)
		}
		write(t, file, other)
		if out, err := exec.Command(spicy, "-verify", logKey.String(), file).CombinedOutput(); err == nil || !strings.Contains(string(out), "could not verify inclusion") {
			t.Errorf("entry %d: spicy takes another entry: %v\n%s", index, err, out)
		}
	}
	n.stop()
}

// tileClient reads a node's tiles over HTTPS with the node's pinned key.
func (c *city) tileClient(t *testing.T, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if len(certificates) > 0 {
		var err error
		if config, err = identity.ClientConfig(certificates[0], c.network.Nodes[0].Certificate); err != nil {
			t.Fatal(err)
		}
		config.NextProtos = nil
	} else {
		config.InsecureSkipVerify = true // replaced by the comparison with the pinned certificate
		config.VerifyConnection = func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, c.network.Nodes[0].Certificate) {
				return errors.New("another server")
			}
			return nil
		}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestTorchwoodReadsTiles: torchwood's tile client mirrors the log of a running
// node, from checkpoint to entries, and finds every proof itself.
func TestTorchwoodReadsTiles(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	indexes := c.anchorMany(t, conn, 2)
	var batch []record.Commitment // more than a tile of entries
	for i := range 300 {
		batch = append(batch, record.Commitment{1: byte(i), 2: byte(i >> 8)})
	}
	submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", batch...), "OK")
	receiptOf(t, conn, indexes[1]+300) // the tree is cosigned

	logKey := receipt.LogVKey(c.network.Origin, c.network.Eras[0].Logs[0])
	policy, err := torchwood.ParsePolicy(c.network.PolicyFor(logKey.Hash()))
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := torchwood.NewTileFetcher("https://"+n.tiles, torchwood.WithHTTPClient(c.tileClient(t, c.account(t, "CLERK"))))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := fetcher.ReadEndpoint(ctx(t), "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		t.Fatal(err)
	}
	client, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	count := int64(0)
	for i, raw := range client.AllEntries(ctx(t), checkpoint.Tree, 0) {
		if i != count {
			t.Fatalf("entry %d comes as %d", count, i)
		}
		if _, err := record.ParseEntry(raw); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		count++
	}
	if err := client.Err(); err != nil || count != checkpoint.N || count < 300 {
		t.Fatalf("%d of %d entries: %v", count, checkpoint.N, err)
	}
	entry, proof, err := client.Entry(ctx(t), checkpoint.Tree, int64(indexes[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(proof, checkpoint.N, checkpoint.Hash, int64(indexes[0]), tlog.RecordHash(entry)); err != nil {
		t.Error(err)
	}
	r, err := receipt.Parse(receiptOf(t, conn, indexes[0]))
	if err != nil || !bytes.Equal(r.Entry, entry) {
		t.Errorf("the receipt is of another entry than the tile: %v", err)
	}
	// Without a certificate: the hashes, but no entry.
	open := c.tileClient(t)
	for path, want := range map[string]int{
		"checkpoint": http.StatusOK, "tile/0/000": http.StatusOK, "tile/entries/000": http.StatusForbidden,
		"tile/0/999": http.StatusNotFound, "tile/0/../../keys": http.StatusNotFound, "": http.StatusNotFound,
	} {
		resp, err := open.Get("https://" + n.tiles + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("/%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
	n.stop()
}

// TestConsistencyByOthers: between checkpoints fetched from a running node its
// consistency proof holds for x/mod's tlog and for transparency-dev's merkle,
// and a changed one for neither.
func TestConsistencyByOthers(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	auditors := apiv1.NewAuditorsClient(conn)
	var trees []tlog.Tree
	for range 4 {
		index := c.anchorMany(t, conn, 3)[2]
		resp, err := auditors.Checkpoint(ctx(t), &apiv1.CheckpointRequest{Size: index + 1})
		if err != nil {
			t.Fatal(err)
		}
		standing, err := c.network.CheckCheckpoint(resp.Checkpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tlog.Tree{N: standing.Checkpoint.Size, Hash: standing.Checkpoint.Root})
	}
	for i, old := range trees {
		for _, now := range trees[i+1:] {
			if old.N >= now.N {
				t.Fatalf("the tree of %d did not grow to %d", old.N, now.N)
			}
			proof := consistency(t, conn, old.N, now.N)
			if err := proof.check(old, now); err != nil {
				t.Errorf("from %d to %d: %v", old.N, now.N, err)
			}
			proof[len(proof)-1][7] ^= 1
			if err := proof.check(old, now); err == nil {
				t.Errorf("from %d to %d: a changed proof holds", old.N, now.N)
			}
		}
	}
	n.stop()
}

type hashes [][]byte

func consistency(t *testing.T, conn *grpc.ClientConn, first, second int64) hashes {
	t.Helper()
	resp, err := apiv1.NewAuditorsClient(conn).ConsistencyProof(ctx(t), &apiv1.ConsistencyProofRequest{First: uint64(first), Second: uint64(second)})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Hashes
}

// check asks both libraries, which must agree.
func (h hashes) check(old, now tlog.Tree) error {
	var proof tlog.TreeProof
	for _, hash := range h {
		proof = append(proof, tlog.Hash(hash))
	}
	first := tlog.CheckTree(proof, now.N, now.Hash, old.N, old.Hash)
	second := merkleproof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old.N), uint64(now.N), h, old.Hash[:], now.Hash[:])
	if (first == nil) != (second == nil) {
		panic(fmt.Sprintf("the libraries disagree: %v, %v", first, second))
	}
	return first
}

// TestS0_15_UnknownCertificateIsRefused: a running node talks to nobody whose
// certificate does not come from a registered access key.
func TestS0_15_UnknownCertificateIsRefused(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	stranger := c.offices["CLERK"]
	stranger.access = newKey(t) // says CLERK, signed by a key that the ledger does not list
	known := c.offices["CLERK"]
	c.offices["CLERK"] = stranger
	conn := c.dial(t, "CLERK")
	for what, call := range map[string]func() error{
		"submit": func() error {
			_, err := apiv1.NewDepartmentsClient(conn).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: []byte("x")})
			return err
		},
		"checkpoint": func() error {
			_, err := apiv1.NewAuditorsClient(conn).Checkpoint(ctx(t), &apiv1.CheckpointRequest{})
			return err
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: an unknown certificate is served", what)
		}
	}
	if resp, err := c.tileClient(t, c.account(t, "CLERK")).Get("https://" + n.tiles + "/tile/entries/000.p/1"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("entries are served to an unknown certificate")
		}
	}
	// No certificate at all, and one that is not of an account but self-signed.
	for what, certificates := range map[string][]tls.Certificate{"none": nil, "the server's own": {{Certificate: [][]byte{c.network.Nodes[0].Certificate}, PrivateKey: newKey(t)}}} {
		config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, Certificates: certificates, NextProtos: []string{"h2"}}
		tcp, err := tls.Dial("tcp", c.address, config)
		if err == nil { // TLS 1.3: the client learns of the refusal when it reads
			_, err = tcp.Read(make([]byte, 1))
			tcp.Close()
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stands", what)
		}
	}
	c.offices["CLERK"] = known
	if _, err := apiv1.NewAuditorsClient(c.dial(t, "CLERK")).Checkpoint(ctx(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("the registered key is refused: %v", err)
	}
	n.stop()
}
