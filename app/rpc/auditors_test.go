package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// grown is a city whose log has some hundred entries in blocks of several sizes.
func grown(t *testing.T) *city {
	c := newCity(t, nil)
	for i, n := range []int{1, 2, 7, 40, 90, 1, 256, 3} {
		var items []record.Commitment
		for j := range n {
			items = append(items, record.Commitment{byte(i), byte(j), byte(j >> 8), 1})
		}
		c.mustApply(c.tx("DPW", anchor(items...)))
	}
	return c
}

func hashesOf(raw [][]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(raw))
	for i, h := range raw {
		out[i] = tlog.Hash(h)
	}
	return out
}

// entries is the log as an auditor recomputes it.
type entries struct {
	leaves []tlog.Hash
	stored []tlog.Hash
}

func (e *entries) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = e.stored[at]
	}
	return out, nil
}

// TestProofsBetweenAllSizes fetches every entry, recomputes the trees and checks
// inclusion and consistency with golang.org/x/mod.
func TestProofsBetweenAllSizes(t *testing.T) {
	c, ctx := grown(t), context.Background()
	auditors := apiv1.NewAuditorsClient(c.as("AUDIT"))
	newest, err := auditors.Checkpoint(ctx, &apiv1.CheckpointRequest{})
	if err != nil {
		t.Fatal(err)
	}
	standing, err := c.network.CheckCheckpoint(newest.Checkpoint, nil)
	if err != nil || standing.Checkpoint.Size != int64(newest.Size) {
		t.Fatalf("checkpoint: %v, %v", standing, err)
	}
	log := &entries{}
	for i := range int64(newest.Size) {
		got, err := auditors.Entry(ctx, &apiv1.EntryRequest{Index: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		log.leaves = append(log.leaves, tlog.RecordHash(got.Entry))
		log.stored = append(log.stored, must(tlog.StoredHashes(i, got.Entry, log))...)
	}
	if root := must(tlog.TreeHash(int64(newest.Size), log)); root != standing.Checkpoint.Root {
		t.Fatalf("entries give root %v, the checkpoint says %v", root, standing.Checkpoint.Root)
	}
	sizes := append([]int64{1, 2, 3, 255, 256, 257, 300}, c.node.sizes...)
	for _, second := range sizes {
		for _, first := range sizes {
			if first > second {
				continue
			}
			got, err := auditors.ConsistencyProof(ctx, &apiv1.ConsistencyProofRequest{First: uint64(first), Second: uint64(second)})
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(hashesOf(got.Hashes), second, must(tlog.TreeHash(second, log)), first, must(tlog.TreeHash(first, log))); err != nil {
				t.Errorf("consistency of %d and %d: %v", first, second, err)
			}
		}
		for _, index := range []int64{0, 1, second / 2, second - 1} {
			if index >= second {
				continue
			}
			got, err := auditors.InclusionProof(ctx, &apiv1.InclusionProofRequest{Index: uint64(index), Size: uint64(second)})
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckRecord(hashesOf(got.Hashes), second, must(tlog.TreeHash(second, log)), index, log.leaves[index]); err != nil {
				t.Errorf("inclusion of %d in %d: %v", index, second, err)
			}
		}
	}
}

// TestAuditorsRefuse: numbers that name nothing have a reason, and none of them
// ends the node.
func TestAuditorsRefuse(t *testing.T) {
	c, ctx := grown(t), within10s(t)
	auditors := apiv1.NewAuditorsClient(c.as("AUDIT"))
	size := uint64(c.node.View().Head().Size)
	const huge = 1<<64 - 1
	for _, test := range []struct {
		what string
		call func() error
		want string
	}{
		{"entry beyond the end", func() error { _, err := auditors.Entry(ctx, &apiv1.EntryRequest{Index: size}); return err }, "NOT_FOUND"},
		{"huge entry", func() error { _, err := auditors.Entry(ctx, &apiv1.EntryRequest{Index: huge}); return err }, "NOT_FOUND"},
		{"tree that is not there", func() error {
			_, err := auditors.InclusionProof(ctx, &apiv1.InclusionProofRequest{Index: 0, Size: size + 1})
			return err
		}, "NOT_FOUND"},
		{"empty tree", func() error { _, err := auditors.InclusionProof(ctx, &apiv1.InclusionProofRequest{}); return err }, "NOT_FOUND"},
		{"entry outside the tree", func() error {
			_, err := auditors.InclusionProof(ctx, &apiv1.InclusionProofRequest{Index: 5, Size: 5})
			return err
		}, "NOT_FOUND"},
		{"huge tree", func() error {
			_, err := auditors.InclusionProof(ctx, &apiv1.InclusionProofRequest{Size: huge})
			return err
		}, "MALFORMED"},
		{"proof from nothing", func() error {
			_, err := auditors.ConsistencyProof(ctx, &apiv1.ConsistencyProofRequest{First: 0, Second: 5})
			return err
		}, "MALFORMED"},
		{"proof backwards", func() error {
			_, err := auditors.ConsistencyProof(ctx, &apiv1.ConsistencyProofRequest{First: 6, Second: 5})
			return err
		}, "MALFORMED"},
		{"huge checkpoint", func() error {
			_, err := auditors.Checkpoint(ctx, &apiv1.CheckpointRequest{Size: huge})
			return err
		}, "MALFORMED"},
		{"no state key", func() error { _, err := auditors.StateProof(ctx, &apiv1.StateProofRequest{}); return err }, "MALFORMED"},
		{"long state key", func() error {
			_, err := auditors.StateProof(ctx, &apiv1.StateProofRequest{Key: make([]byte, 129)})
			return err
		}, "MALFORMED"},
	} {
		wantReason(t, test.what, test.call(), test.want)
	}
}

// TestStateProofs verifies presence and absence under the cosigned tree.
func TestStateProofs(t *testing.T) {
	c, ctx := grown(t), within10s(t)
	auditors := apiv1.NewAuditorsClient(c.as("AUDIT"))
	for _, test := range []struct {
		what    string
		key     []byte
		present bool
	}{
		{"an office", ledger.StateKeyOffice("CLERK"), true},
		{"a series", ledger.StateKeySeries("DEMO-MINUTES"), true},
		{"an office that is not", ledger.StateKeyOffice("NOBODY"), false},
		{"what befell a record that was only anchored", ledger.StateKeyLifecycle(record.Index(c.node.View().Head().Size - 3)), false},
	} {
		got, err := auditors.StateProof(ctx, &apiv1.StateProofRequest{Key: test.key})
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		v, err := receipt.VerifyState(c.network, got.Receipt, nil)
		if err != nil || v.Outcome != receipt.Passed || v.State.Present != test.present || !bytes.Equal(v.State.Bytes(), got.Value) || test.present != (len(got.Value) > 0) {
			t.Errorf("%s: %+v, %v", test.what, v, err)
		}
	}
}

// TestRegistry lists what governs, as it stands, and what is proposed.
func TestRegistry(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	fact := &record.Office{Code: "NEW", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	proposal := c.mustApply(c.tx("COUNSEL", &record.ProposeChange{Fact: fact}))
	got, err := apiv1.NewAuditorsClient(c.as("DPW")).Registry(ctx, &apiv1.RegistryRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Indexes) != len(got.Facts) {
		t.Fatalf("%d facts, %d entries that state them", len(got.Facts), len(got.Indexes))
	}
	offices, suspended := 0, 0
	for n, raw := range got.Facts {
		stated, isFact := must(record.ParseEntry(must(c.node.View().Entry(record.Index(got.Indexes[n]))))).(record.FactEntry)
		if f, isKey := must(record.ParseFact(raw)).(*record.Key); isKey { // as it stands now, not as it was stated
			f.Status = record.StatusActive
			raw = must(record.MarshalFact(f))
		}
		if !isFact || !bytes.Equal(stated.Fact, raw) {
			t.Errorf("fact %d: entry %d states %x, not %x", n, got.Indexes[n], stated.Fact, raw)
		}
	}
	for _, raw := range got.Facts {
		switch f := must(record.ParseFact(raw)).(type) {
		case *record.Office:
			offices++
		case *record.Key:
			if f.Status == record.StatusSuspended {
				suspended++
			}
		}
	}
	if offices != len(cityOffices()) || suspended != len(record.Roles()) {
		t.Errorf("%d offices, %d suspended keys; want %d and %d", offices, suspended, len(cityOffices()), len(record.Roles()))
	}
	hash := must(record.FactHash(fact))
	if len(got.Proposals) != 1 || got.Proposals[0].Index != uint64(proposal.TxIndex)+1 || !bytes.Equal(got.Proposals[0].FactHash, hash[:]) ||
		got.Proposals[0].Office != "COUNSEL" || !bytes.Equal(got.Proposals[0].Fact, must(record.MarshalFact(fact))) {
		t.Errorf("proposals %v", got.Proposals)
	}
}

// client is an HTTPS client with the node pinned and a certificate, if any.
func (c *city) client(code record.Code) *http.Client {
	config := c.clientTLS("CLERK")
	config.Certificates = nil
	if code != "" {
		config.Certificates = c.clientTLS(code).Certificates
	}
	config.NextProtos = nil
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fetch gives status and body of a path of the tiles.
func (c *city) fetch(hc *http.Client, path string) (int, http.Header, []byte, error) {
	resp, err := hc.Get("https://" + c.tiles + path)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, body, err
}

// TestTilesByAnotherReader mirrors the log with a tile client that we did not
// write, for each tree that was ever signed: all entries, under the signed root.
func TestTilesByAnotherReader(t *testing.T) {
	c, ctx := grown(t), within10s(t)
	fetcher := must(torchwood.NewTileFetcher("https://"+c.tiles, torchwood.WithHTTPClient(c.client("AUDIT"))))
	text, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	newest, err := receipt.ParseCheckpoint(text)
	if err != nil || newest.Size != c.node.View().Head().Size {
		t.Fatalf("checkpoint of %d, %v", newest.Size, err)
	}
	client := must(torchwood.NewClient(fetcher))
	for _, size := range c.node.sizes {
		tree := tlog.Tree{N: size, Hash: must(tlog.TreeHash(size, c.node.state))}
		next := int64(0)
		for i, entry := range client.AllEntries(ctx, tree, 0) {
			if want := must(c.node.View().Entry(record.Index(i))); i != next || !bytes.Equal(entry, want) {
				t.Fatalf("tree of %d: entry %d differs", size, i)
			}
			next++
		}
		if err := client.Err(); err != nil || next != size {
			t.Fatalf("tree of %d: %d entries, %v", size, next, err)
		}
	}
	if newest.Root != must(tlog.TreeHash(newest.Size, c.node.state)) {
		t.Error("the served checkpoint has another root than the tiles")
	}
}

// TestTilesOfEverySize: every hash tile that a tree of any size needs is there,
// byte for byte, and nothing beyond.
func TestTilesOfEverySize(t *testing.T) {
	c := grown(t)
	hc := c.client("")
	last := c.node.View().Head().Size
	for _, size := range append(c.node.sizes, 1, 255, 256, 257) {
		for _, tile := range tlog.NewTiles(torchwood.TileHeight, 0, size) {
			status, header, got, err := c.fetch(hc, "/"+torchwood.TilePath(tile))
			want := must(tlog.ReadTileData(tile, c.node.state))
			if err != nil || status != http.StatusOK || !bytes.Equal(got, want) || header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
				t.Errorf("size %d, %s: %d, %d bytes, %v", size, torchwood.TilePath(tile), status, len(got), err)
			}
		}
	}
	beyond := []string{"/tile/0/099", "/tile/0/000.p/256", "/tile/0/00", "/tile/0/x001/000", "/tile/64/000", "/tile/1/000", "/tile/2/000.p/1",
		"/tile/0/x999/x999/x999/x999/x999/x999/999", "/tile/entries/099", "/tile/-1/000", "/tile/", "/other", "/"}
	beyond = append(beyond, "/"+torchwood.TilePath(tlog.Tile{H: 8, L: 0, N: last / 256, W: int(last%256) + 1}))
	auditor := c.client("AUDIT")
	for _, path := range beyond {
		if status, _, _, err := c.fetch(auditor, path); err != nil || status != http.StatusNotFound {
			t.Errorf("%s: %d, %v, want 404", path, status, err)
		}
	}
}

// TestS0_3_EntriesNeedACertificate: hashes are open, entries are for registered
// offices, and a suspension holds at once.
func TestS0_3_EntriesNeedACertificate(t *testing.T) {
	c := grown(t)
	for _, code := range []record.Code{"AUDIT", "DPW"} {
		status, header, _, err := c.fetch(c.client(code), "/tile/entries/000")
		if err != nil || status != http.StatusOK || header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
			t.Errorf("%s: %d, %v, %v", code, status, header, err)
		}
	}
	stranger := c.client("")
	if status, _, body, err := c.fetch(stranger, "/tile/entries/000"); err != nil || status != http.StatusForbidden || bytes.Contains(body, []byte("DEMO")) {
		t.Errorf("without a certificate: %d %q, %v", status, body, err)
	}
	for _, path := range []string{"/checkpoint", "/tile/0/000"} {
		if status, _, _, err := c.fetch(stranger, path); err != nil || status != http.StatusOK {
			t.Errorf("%s without a certificate: %d, %v", path, status, err)
		}
	}
	works := c.client("DPW")
	if status, _, _, err := c.fetch(works, "/tile/entries/000"); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %v", status, err)
	}
	c.suspend("DPW")
	if status, _, _, err := c.fetch(works, "/tile/entries/000"); err != nil || status != http.StatusForbidden {
		t.Errorf("suspended, on the same connection: %d, %v", status, err)
	}
	if status, _, _, err := c.fetch(c.client("DPW"), "/tile/entries/000"); err == nil {
		t.Errorf("suspended, on a new connection: %d", status)
	}
	if _, _, _, err := c.fetch(&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}}}, "/checkpoint"); err == nil {
		t.Error("TLS 1.2 is accepted")
	}
}
