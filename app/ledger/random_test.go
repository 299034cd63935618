package ledger_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

var seedFlag = flag.Uint64("seed", 0, "seed of one more random chain for TestModel; 0 draws one")

// TestModel plays random blocks to the machine and to the model, and wants the
// same answers, entries, roots and judgements beforehand. Fixed seeds reach every
// code; one fresh seed is printed.
func TestModel(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(6) {
		playRandom(t, seed+1, 90, seen)
	}
	for _, code := range ledger.Codes() {
		if code != ledger.CodeInternal && seen[code.String()] == 0 {
			t.Errorf("no random transaction was answered %s", code)
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("answers of the fixed seeds: %v", seen)
	t.Logf("fresh seed: -seed=%d", seed)
	playRandom(t, seed, 40, seen)
}

// playRandom plays a chain of random blocks and gives the city and the
// generator at its end.
func playRandom(t *testing.T, seed uint64, blocks int, seen map[string]int) (*city, *generator) {
	t.Helper()
	facts := randomCity(seed)
	c := found(t, facts)
	m := newModel(facts.Network, facts.ChainID, facts.Origin, facts.Time, facts.Facts)
	g := &generator{rand: rand.New(rand.NewPCG(seed, 1)), city: c, model: m}
	compare(t, seed, m, c.genesis)
	now := facts.Time
	for height := int64(1); height <= int64(blocks); height++ {
		if height > 1 {
			now += g.step()
		}
		g.today = record.LedgerDay(now)
		var txs [][]byte
		for range g.rand.IntN(14) {
			raw := g.tx(t)
			txs = append(txs, raw)
			got := c.machine.Check(c.view, ledger.Header{Height: height, Time: now}, raw)
			if want, _ := m.judge(height, now, raw); got.String() != want.code {
				t.Fatalf("seed %d, block %d: Check of transaction %d = %s, want %s", seed, height, len(txs)-1, got, want.code)
			}
		}
		changes, results := c.apply(t, now, txs...)
		answers := m.block(height, now, txs)
		for i, r := range results {
			got := modelAnswer{r.Code.String(), int64(r.TxIndex), r.Count, int64(r.Bad)}
			if got != answers[i] {
				t.Fatalf("seed %d, block %d: answer %d = %+v, want %+v", seed, height, i, got, answers[i])
			}
			seen[got.code]++
		}
		compare(t, seed, m, changes)
	}
	compareView(t, m, c.view)
	return c, g
}

// randomChain gives a city after random blocks, and all transactions that were sent.
func randomChain(t *testing.T, seed uint64, blocks int) (*city, [][]byte) {
	t.Helper()
	c, g := playRandom(t, seed, blocks, map[string]int{})
	return c, g.sent
}

// compareView reads a view from end to end.
func compareView(t *testing.T, m *model, v ledger.View) {
	t.Helper()
	anchors := 0
	for i, e := range m.log {
		raw, err := v.Entry(record.Index(i))
		if err != nil || !bytes.Equal(raw, m.raw[i]) {
			t.Fatalf("entry %d = %x, %v, want %x", i, raw, err, m.raw[i])
		}
		if a, ok := e.(record.AnchorEntry); ok {
			anchors++
			if at, ok, err := v.AnchorIndex(a.Office, a.Commitment); !ok || err != nil || int64(at) != int64(i) {
				t.Fatalf("anchor of entry %d is found at %d, %t, %v", i, at, ok, err)
			}
		}
	}
	root := v.StateRoot()
	for key, want := range m.values() {
		value, ok, err := v.Value([]byte(key))
		if err != nil || !ok || !bytes.Equal(value, want) {
			t.Fatalf("value of %q = %x, %t, %v, want %x", key, value, ok, err, want)
		}
		place := statetree.KeyOf([]byte(key))
		proof, err := statetree.Prove(v, root, place)
		if err != nil {
			t.Fatal(err)
		}
		if err := statetree.Verify(root, place, value, true, proof); err != nil {
			t.Fatalf("value of %q: %v", key, err)
		}
	}
	for _, i := range []record.Index{-1, record.Index(len(m.log))} {
		if _, err := v.Entry(i); err == nil {
			t.Errorf("entry %d of %d is there", i, len(m.log))
		}
	}
	if anchors == 0 {
		t.Error("the chain has no anchors")
	}
}

// compare holds the changes of a block against the model.
func compare(t *testing.T, seed uint64, m *model, c ledger.Changes) {
	t.Helper()
	if c.Size != m.size() || c.FirstIndex+int64(len(c.Entries)) != c.Size {
		t.Fatalf("seed %d, block %d: log of %d entries, %d of them new; want %d", seed, c.Height, c.Size, len(c.Entries), m.size())
	}
	for i, raw := range c.Entries {
		at := c.FirstIndex + int64(i)
		if !bytes.Equal(raw, m.raw[at]) {
			t.Fatalf("seed %d, block %d: entry %d = %x, want %x", seed, c.Height, at, raw, m.raw[at])
		}
	}
	if root := m.stateRoot(); c.StateRoot != root {
		t.Fatalf("seed %d, block %d: root of the state = %x, want %x", seed, c.Height, c.StateRoot, root)
	}
	if root := m.logRoot(); c.Root != root {
		t.Fatalf("seed %d, block %d: root of the log = %x, want %x", seed, c.Height, c.Root, root)
	}
	body := record.CheckpointBody(m.origin, m.size(), m.logRoot())
	if c.AppHash != record.AppHash(body) || c.Head.AppHash != c.AppHash || !bytes.Equal(c.Checkpoint, body) {
		t.Fatalf("seed %d, block %d: checkpoint = %q, AppHash = %x, want %q", seed, c.Height, c.Checkpoint, c.AppHash, body)
	}
}

// randomCity varies who governs: one office, two of three, all with one required.
func randomCity(seed uint64) ledger.GenesisFacts {
	facts := demoFacts()
	for _, f := range facts.Facts {
		if g, ok := f.(*record.Governance); ok && g.Subject == record.SubjectSecurity {
			switch seed % 3 {
			case 0:
				g.Threshold, g.Required = 1, nil
			case 1:
				g.Threshold = 2
			case 2:
				g.Threshold, g.Required = 2, nil
			}
		}
	}
	return facts
}

// generator draws transactions, a good part of them acceptable.
type generator struct {
	rand  *rand.Rand
	city  *city
	model *model
	today record.Day
	sent  [][]byte
}

func (g *generator) step() int64 {
	const second, day = int64(1e9), int64(86400e9)
	return pick(g.rand, second, second, 30*second, 600*second, 600*second+1, day, day, 11*day, 31*day)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var (
	randomOffices = []record.Code{"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "PARKS", "HARBOR", "P.555-0100"}
	randomKeys    = []string{"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "PARKS", "PARKS/2", "CLERK/2", "IT/2", "COUNSEL/2", "DPW/2"}
	randomSeries  = []record.Code{"DEMO-MINUTES", "DEMO-MINUTES", "DEMO-PERMITS", "DEMO-PLANS", "DEMO-OLD", "DEMO-MAIL"}
)

// tx draws a transaction: new, sent before, or damaged.
func (g *generator) tx(t *testing.T) []byte {
	t.Helper()
	if len(g.sent) > 0 && g.rand.IntN(8) == 0 {
		return pick(g.rand, g.sent...)
	}
	signer, m := g.message()
	if g.rand.IntN(12) == 0 {
		signer = pick(g.rand, append(randomKeys, "DPW/access", "nobody")...)
	}
	ahead := pick[record.Day](g.rand, 0, 1, 2, 3, 5, 7)
	if g.rand.IntN(12) == 0 {
		ahead = pick[record.Day](g.rand, -1, 8, 180, 181)
	}
	raw := g.city.sign(t, signer, g.today+ahead, m)
	switch g.rand.IntN(60) {
	case 0:
		raw = foreign(t, signer, g.today, m)
	case 1:
		raw[len(raw)-1-g.rand.IntN(60)] ^= 1 << g.rand.IntN(8)
	case 2:
		raw = append(raw, 0)
	case 3:
		raw = append(raw, make([]byte, record.MaxAnchorTxBytes)...)
	case 4, 5, 6:
		raw = sign(t, signer, record.Nonce{byte(g.rand.IntN(2))}, g.today+2, m)
	}
	g.sent = append(g.sent, raw)
	return raw
}

// message draws a message and the key that would rightly sign it.
func (g *generator) message() (string, record.Message) {
	governor := g.able("CLERK", "IT", "COUNSEL", "CLERK/2", "IT/2", "COUNSEL/2")
	switch n := g.rand.IntN(40); {
	case n < 15:
		return g.able("DPW", "DPW", "LIBRARY", "PARKS", "DPW/2", "AUDIT"), g.anchors()
	case n < 20:
		m := &record.SupersedeRecord{Record: g.anchor()}
		m.By = m.Record + 1 + record.Index(g.rand.IntN(3))
		if by := g.anchor(); by > m.Record {
			m.By = by
		}
		return g.able("DPW", "DPW/2", "LIBRARY"), m
	case n < 27:
		return governor, &record.ProposeChange{Fact: g.fact()}
	case n < 38:
		return governor, g.approval()
	}
	m := &record.SuspendKey{KeyID: keyID(pick(g.rand, append(randomKeys, "DPW/access", "node")...))}
	if g.rand.IntN(2) == 0 {
		m.SinceHeight = max(0, g.model.height+3-int64(g.rand.IntN(12)))
	}
	return governor, m
}

// able picks a key that may sign now, where there is one.
func (g *generator) able(names ...string) string {
	may := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		k, ok := g.model.keys[keyID(name)]
		office, _ := g.model.office(k.fact.Office)
		return !ok || k.fact.Status != record.StatusActive || office.Status != record.StatusActive
	})
	if len(may) == 0 || g.rand.IntN(20) == 0 {
		return pick(g.rand, names...)
	}
	return pick(g.rand, may...)
}

func (g *generator) anchors() *record.AnchorRecords {
	m := &record.AnchorRecords{Series: pick(g.rand, randomSeries...), Custody: pick[record.Code](g.rand, "", "CITY", "CITY", "CITY", "CITY", "COUNTY")}
	for range 1 + g.rand.IntN(4) {
		it := record.AnchorItem{Commitment: commitment(fmt.Sprint(g.rand.IntN(300)))}
		switch g.rand.IntN(12) {
		case 0:
			it.Flags = record.FlagUndated
		case 1:
			it.Day = pick[record.Day](g.rand, -719163, -719162, 2932896, 2932897, 1<<31-1, -1<<31)
		case 2:
			it.Day = record.Day(g.rand.IntN(40000) - 20000)
		default:
			it.Day = pick(g.rand, day("2030-12-31"), day("1999-12-31"), day("1960-12-31"))
		}
		m.Items = append(m.Items, it)
	}
	if g.rand.IntN(10) == 0 {
		m.Items = append(m.Items, m.Items[0])
	}
	return m
}

// anchor gives the index of an anchor, now and then of any entry, or of none.
func (g *generator) anchor() record.Index {
	var all []record.Index
	for i, e := range g.model.log {
		if _, ok := e.(record.AnchorEntry); ok {
			all = append(all, record.Index(i))
		}
	}
	if len(all) == 0 || g.rand.IntN(10) == 0 {
		return record.Index(g.rand.IntN(len(g.model.log) + 3))
	}
	return pick(g.rand, all...)
}

func (g *generator) fact() record.Fact {
	status := pick(g.rand, record.StatusActive, record.StatusActive, record.StatusActive, record.StatusSuspended)
	office := pick(g.rand, randomOffices...)
	switch g.rand.IntN(12) {
	case 0, 1, 2, 3, 4:
		roles := [][]record.Role{{record.RoleDepartment}, {record.RoleDepartment, record.RoleGovernor}, {record.RoleAuditor}}
		return &record.Office{Code: office, Roles: pick(g.rand, roles...), Status: status}
	case 5:
		return &record.Series{Code: "DEMO-MAIL", Granularity: record.GranularityDay, Status: record.StatusActive}
	case 6:
		return signingKey(office, pick(g.rand, "node", "node/log", "node/custodian"))
	case 7:
		k := signingKey(office, pick(g.rand, randomKeys...))
		k.Use, k.Status = record.UseAccess, status
		return k
	}
	name := pick(g.rand, randomKeys...)
	own, _, _ := strings.Cut(name, "/")
	k := signingKey(record.Code(own), name)
	k.Status = status
	return k
}

func (g *generator) approval() *record.ApproveChange {
	open := slices.Sorted(maps.Keys(g.model.proposals))
	if len(open) == 0 || g.rand.IntN(15) == 0 {
		return &record.ApproveChange{Proposal: record.Index(1 + g.rand.IntN(len(g.model.log)))}
	}
	if len(open) > 6 && g.rand.IntN(4) > 0 {
		open = open[len(open)-6:]
	}
	at := pick(g.rand, open...)
	m := &record.ApproveChange{Proposal: record.Index(at), FactHash: modelFactHash(g.model.proposals[at].fact)}
	if g.rand.IntN(15) == 0 {
		m.FactHash[0] ^= 1
	}
	return m
}

// TestModelIsIndependent wants that the model knows nothing but package record
// and the standard library.
func TestModelIsIndependent(t *testing.T) {
	files, err := filepath.Glob("model*_test.go")
	if err != nil || len(files) < 3 {
		t.Fatalf("files of the model = %v, %v, want at least three", files, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.Contains(imported, ".") && imported != "github.com/muniment/muniment/app/record" {
				t.Errorf("%s imports %s", file, imported)
			}
		}
	}
}
