package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	rules "github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// chain is a log that package ledger makes, of the network of a name.
type chain struct {
	network receipt.Network
	machine rules.Machine
	view    rules.View
	entries [][]byte
	records uint64
}

// newChain founds a city with the office CLERK.
func newChain(name string) *chain {
	c := &chain{network: network(name, origin), machine: rules.Machine{Verify: ed25519.Verify}, view: rules.Blank()}
	governed := func(s record.Subject) *record.Governance {
		return &record.Governance{Subject: s, Offices: []record.Code{"CLERK"}, Threshold: 1}
	}
	c.take(must(rules.Genesis(rules.GenesisFacts{
		Network: c.network.ID, ChainID: c.network.ChainID, Origin: c.network.Origin, Time: start * 1e9,
		Facts: []record.Fact{
			&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600},
			&record.Office{Code: "CLERK", Roles: []record.Role{record.RoleDepartment, record.RoleGovernor}, Status: record.StatusActive},
			&record.Key{Office: "CLERK", Use: record.UseSigning, PublicKey: public(key("CLERK")), Status: record.StatusActive},
			governed(record.SubjectRecords), governed(record.SubjectSecurity),
			&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive},
			&record.Node{NodeKey: public(key(name + " node")), ValidatorKey: public(key("validator")), CosignerKey: public(key(name + " cosigner")),
				LogKey: public(key(name + " log")), CustodianKey: public(key("custodian")), Power: 10},
		},
	})))
	return c
}

func (c *chain) take(changes rules.Changes) {
	c.entries = append(c.entries, changes.Entries...)
	c.view = rules.Overlay(c.view, changes)
}

// anchor anchors records in a block of their own, signed by the key of a label.
func (c *chain) anchor(label string, count int) {
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Items: make([]record.AnchorItem, count)}
	for i := range m.Items {
		c.records++
		binary.BigEndian.PutUint64(m.Items[i].Commitment[:], c.records*0x9E3779B97F4A7C15)
	}
	head := c.view.Head()
	body := must(record.NewBody(c.network.ID, record.Nonce{1}, record.LedgerDay(head.Time)+1, m))
	raw := must(record.Sign(key("CLERK"), body))
	if label != "CLERK" { // a signature by another key, under the CLERK's name
		other := must(record.Sign(key(label), body))
		raw = append(raw[:len(raw)-ed25519.SignatureSize], other[len(other)-ed25519.SignatureSize:]...)
	}
	changes, results, err := c.machine.Apply(c.view, rules.Block{Height: head.Height + 1, Time: head.Time + 1e9, Txs: [][]byte{raw}})
	if err != nil || results[0].Code != rules.OK {
		panic(results[0].Code.String())
	}
	c.take(changes)
}

// checkpoint is that of the first entries, signed, and cosigned where that is wanted.
func (c *chain) checkpoint(name string, size int, cosigned bool) []byte {
	var t tree
	for _, raw := range c.entries[:size] {
		t.push(record.LeafHash(raw))
	}
	body := record.CheckpointBody(c.network.Origin, int64(size), t.root())
	lines := []string{must(receipt.SignCheckpoint(body, key(name+" log")))}
	if cosigned {
		cosigner := receipt.CosignerName(c.network.Origin, c.network.Nodes[0].ID)
		lines = append(lines, must(receipt.Cosign(body, cosigner, key(name+" cosigner"), start+1000)))
	}
	return must(receipt.Assemble(body, lines...))
}

// mirror writes the first entries as a mirror, with the hashes next to them, and
// gives its folder.
func (c *chain) mirror(t testing.TB, dir string, size int, checkpoint []byte) string {
	t.Helper()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := 0; n*torchwood.TileWidth < size; n++ {
		var bundle, hashes []byte
		entries := c.entries[n*torchwood.TileWidth : min(size, (n+1)*torchwood.TileWidth)]
		for _, raw := range entries {
			bundle = must(torchwood.AppendTileEntry(bundle, raw))
			hash := record.LeafHash(raw)
			hashes = append(hashes, hash[:]...)
		}
		tile := tlog.Tile{H: torchwood.TileHeight, N: int64(n), W: len(entries)}
		write(torchwood.TilePath(tile), hashes)
		tile.L = entriesLevel
		write(torchwood.TilePath(tile), bundle)
	}
	write("checkpoint", checkpoint)
	return dir
}

// honestly mirrors a whole chain.
func (c *chain) honestly(t testing.TB, dir string) string {
	return c.mirror(t, dir, len(c.entries), c.checkpoint("city", len(c.entries), true))
}

// mirrors writes the mirrors that the scripts find in their folder: an honest one and lies.
func mirrors(t testing.TB, dir string) {
	in := func(name string) string { return filepath.Join(dir, name) }
	c := newChain("city")
	for _, count := range []int{3, 300, 1, 4} {
		c.anchor("CLERK", count)
	}
	size := len(c.entries)
	whole := c.checkpoint("city", size, true)
	c.mirror(t, in("log"), size, whole)
	c.mirror(t, in("short"), size-7, whole)
	c.mirror(t, in("uncosigned"), size, c.checkpoint("city", size, false))
	c.mirror(t, in("inblock"), size-1, c.checkpoint("city", size-1, true))
	earlier := size - 6 // the last block is not there yet
	c.mirror(t, in("earlier"), earlier, c.checkpoint("city", earlier, true))

	changed := *c
	changed.entries = slices.Clone(c.entries)
	changed.entries[10] = bytes.Clone(changed.entries[10])
	changed.entries[10][30] ^= 1
	changed.mirror(t, in("changed"), size, whole)
	// In another mirror the hashes are still those of the tree.
	c.mirror(t, in("pinpointed"), size, whole)
	const bundle = "tile/entries/000"
	if err := os.WriteFile(in("pinpointed/"+bundle), must(os.ReadFile(in("changed/"+bundle))), 0o600); err != nil {
		t.Fatal(err)
	}
	changed.honestly(t, in("cosigned")) // by a city that answers for a changed entry

	lax := newChain("city")
	lax.machine.Verify = func(ed25519.PublicKey, []byte, []byte) bool { return true }
	lax.anchor("CLERK", 2)
	lax.anchor("a stranger", 2)
	lax.honestly(t, in("forged"))

	town := newChain("town") // a log of another network, cosigned by this one
	town.mirror(t, in("foreign"), len(town.entries), func() []byte {
		swapped := *c
		swapped.entries = town.entries
		return swapped.checkpoint("city", len(town.entries), true)
	}())
}

// TestReplayReport: the JSON has what is documented, and no more than one
// finding.
func TestReplayReport(t *testing.T) {
	dir := t.TempDir()
	mirrors(t, dir)
	for name, want := range map[string]receipt.Outcome{
		"log": receipt.Passed, "earlier": receipt.Passed, "short": receipt.Indeterminate, "uncosigned": receipt.Indeterminate, "inblock": receipt.Indeterminate,
		"changed": receipt.Failed, "pinpointed": receipt.Failed, "cosigned": receipt.Failed, "forged": receipt.Failed, "foreign": receipt.Failed,
	} {
		r, err := replay(network("city", origin), filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Outcome != want || (len(r.Reasons) == 0) != (want == receipt.Passed) || (r.Replay != nil) != (want == receipt.Passed) || (r.Entry != nil) && want != receipt.Failed {
			t.Errorf("%s: %+v, want %s", name, r, want)
		}
		onlyText(t, r.text())
		if text, err := json.Marshal(r); err != nil || !strings.Contains(string(text), `"outcome":"`+string(want)+`"`) {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
}

// TestEveryByteOfAMirrorCounts: no byte of a mirror can be changed, but in the
// hashes, which are not needed, and in what a reader never gets to.
func TestEveryByteOfAMirrorCounts(t *testing.T) {
	c := newChain("city")
	c.anchor("CLERK", 2)
	dir := c.honestly(t, t.TempDir())
	bundle := filepath.Join(dir, "tile", "entries", "000.p", "13")
	for _, path := range []string{filepath.Join(dir, "checkpoint"), bundle} {
		whole := must(os.ReadFile(path))
		for i := range whole {
			changed := bytes.Clone(whole)
			changed[i] ^= 1
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := replay(c.network, dir); err != nil || r.Outcome == receipt.Passed {
				t.Errorf("%s, byte %d: %v", filepath.Base(path), i, err)
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := replay(c.network, dir); err != nil || r.Outcome != receipt.Passed {
		t.Errorf("the mirror as it was: %+v, %v", r, err)
	}
}

var (
	anchorsFlag = flag.Int("anchors", 20_000, "anchors in the log of BenchmarkReplay")
	batchFlag   = flag.Int("batch", 1000, "anchors in each of its transactions")
	keepFlag    = flag.String("keep", "", "folder in which BenchmarkReplay leaves network file and mirror")
)

// BenchmarkReplay replays a mirror of blocks of one batch each. One operation is
// the whole log.
func BenchmarkReplay(b *testing.B) {
	c := newChain("city")
	for range *anchorsFlag / *batchFlag {
		c.anchor("CLERK", *batchFlag)
	}
	dir := *keepFlag
	if dir == "" {
		dir = b.TempDir()
	}
	log := c.honestly(b, filepath.Join(dir, "log"))
	if err := os.WriteFile(filepath.Join(dir, "city.mun"), c.network.Marshal(), 0o600); err != nil {
		b.Fatal(err)
	}
	size := len(c.entries)
	c.entries, c.view = nil, nil
	for b.Loop() {
		if r, err := replay(c.network, log); err != nil || r.Outcome != receipt.Passed {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "entries/s")
}
