package ledger_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
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
	for seed := range uint64(10) {
		playDuel(t, seed+1, 150, seen)
	}
	newDuel(t, 2, seen).flood(t)
	for seed := range uint64(6) {
		playMembers(t, seed+1, 100, seen)
	}
	crowd(t, seen)
	for _, code := range ledger.Codes() {
		if code != ledger.CodeInternal && seen[code.String()] == 0 {
			t.Errorf("no random transaction was answered %s", code)
		}
	}
	for _, reached := range []string{"a locked redaction", "a complete redaction"} {
		if seen[reached] == 0 {
			t.Errorf("the fixed seeds led to no state with %s", reached)
		}
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("answers of the fixed seeds: %v", seen)
	t.Logf("fresh seed: -seed=%d", seed)
	playDuel(t, seed, 40, seen)
	playMembers(t, seed, 40, seen)
}

// TestModelOfTheClock waits until a freeze is over and goes on from there.
func TestModelOfTheClock(t *testing.T) {
	d := newDuel(t, 3, map[string]int{})
	d.thaw(t)
	d.random(t, 10)
}

// duel is a chain that the machine and the model carry out side by side.
type duel struct {
	*city
	model     *model
	generator *generator
	seed      uint64
	now       int64
	seen      map[string]int // answers
}

// newDuel founds the city of a seed on both sides.
func newDuel(t *testing.T, seed uint64, seen map[string]int) *duel {
	t.Helper()
	return newDuelIn(t, seed, randomCity(seed), seen)
}

// newDuelIn founds a city on both sides.
func newDuelIn(t *testing.T, seed uint64, facts ledger.GenesisFacts, seen map[string]int) *duel {
	t.Helper()
	d := &duel{city: found(t, facts), seed: seed, now: facts.Time, seen: seen}
	d.model = newModel(facts.Network, facts.ChainID, facts.Origin, facts.Time, facts.Facts)
	d.generator = &generator{rand: rand.New(rand.NewPCG(seed, 1)), city: d.city, model: d.model, leaps: leaps(seed)}
	compare(t, seed, d.model, d.genesis)
	if d.generator.leaps {
		d.prelude(t)
	}
	return d
}

// playDuel plays a chain of random blocks.
func playDuel(t *testing.T, seed uint64, blocks int, seen map[string]int) *duel {
	t.Helper()
	d := newDuel(t, seed, seen)
	d.random(t, blocks)
	compareView(t, d.model, d.view)
	for _, c := range d.model.dispositions {
		if ends := map[int64]string{modelLocked: "a locked ", modelComplete: "a complete "}; c.msg.Action == record.ActionRedact && ends[c.status] != "" {
			seen[ends[c.status]+"redaction"]++
		}
	}
	return d
}

// random plays random blocks.
func (d *duel) random(t *testing.T, blocks int) {
	t.Helper()
	for range blocks {
		if d.model.height > 0 {
			d.now += d.generator.step()
		}
		d.generator.today = record.LedgerDay(d.now)
		var txs [][]byte
		for range d.generator.rand.IntN(14) {
			txs = append(txs, d.generator.tx(t))
		}
		d.block(t, txs...)
	}
}

// block has both judge the transactions beforehand and carry out the next block
// with them, and compares.
func (d *duel) block(t *testing.T, txs ...[]byte) {
	t.Helper()
	height := d.model.height + 1
	for i, raw := range txs {
		got := d.machine.Check(d.view, ledger.Header{Height: height, Time: d.now}, raw)
		want, _ := d.model.judge(height, d.now, raw)
		if want.count > 0 { // a refusal that becomes an entry has to get into a block
			want.code = "OK"
		}
		if got.String() != want.code {
			t.Fatalf("seed %d, block %d: Check of transaction %d = %s, want %s", d.seed, height, i, got, want.code)
		}
	}
	d.network()
	changes, results := d.apply(t, d.now, txs...)
	answers := d.model.block(height, d.now, txs)
	for i, r := range results {
		got := modelAnswer{r.Code.String(), int64(r.TxIndex), r.Count, int64(r.Bad)}
		if got != answers[i] {
			tx, _ := record.ParseTx(txs[i])
			t.Fatalf("seed %d, block %d: answer %d, to %T%+v, = %+v, want %+v", d.seed, height, i, tx.Message, tx.Message, got, answers[i])
		}
		d.seen[got.code]++
	}
	compare(t, d.seed, d.model, changes)
}

// decided states a fact: every office signs in a block of its own.
func (d *duel) decided(t *testing.T, f record.Fact, offices ...string) {
	t.Helper()
	until := record.LedgerDay(d.now) + 1
	at := d.model.size() + 1
	for i, office := range offices {
		var m record.Message = &record.ProposeChange{Fact: f}
		if i > 0 {
			m = &record.ApproveChange{Proposal: record.Index(at), FactHash: modelFactHash(f)}
		}
		d.block(t, d.sign(t, office, until, m))
	}
	if d.model.proposals[at].executed == 0 {
		t.Fatalf("seed %d: %T is not stated", d.seed, f)
	}
}

// prelude adopts two schedules and activates their series, so that there is
// something to dispose of.
func (d *duel) prelude(t *testing.T) {
	t.Helper()
	d.generator.today = record.LedgerDay(d.now)
	bills, mail := ruleIn(t, "CT", 1, "CT-BILLS", "1 year after created"), ruleIn(t, "CT", 1, "CT-MAIL", "30 days after closed")
	bills.NoticeDays, mail.Batched = 1, true
	minutes, plans := ruleIn(t, "DEMO", 1, "DEMO-MINUTES", "30 days after created"), ruleIn(t, "DEMO", 1, "DEMO-PLANS", "after 30 days of notice: 1 year after created")
	for _, r := range []*record.ScheduleRule{minutes, plans} {
		r.NoticeDays, r.NoticeHeights, r.Approvals = 0, 1, []record.Role{record.RoleClerk}
	}
	for _, r := range []*record.ScheduleRule{bills, mail, minutes, plans} {
		d.decided(t, r, "CLERK")
	}
	d.decided(t, d.generator.adopted("CT", 1), "CLERK", "COUNSEL", "PRA")
	d.decided(t, d.generator.adopted("DEMO", 1), "CLERK", "COUNSEL")
	for _, series := range []record.Code{"CT-BILLS", "CT-MAIL"} {
		f := activation(series, "DPW", date(d.generator.today))
		f.Review = d.generator.today + 200
		d.decided(t, f, signOffs...)
	}
	d.decided(t, &record.StandingAuthorization{
		Office: "DPW", Series: []record.Code{"CT-BILLS", "DEMO-MINUTES"}, From: d.generator.today, Until: d.generator.today + 365,
	}, "DPW", "IT", "CLERK", "ARCHIVE", "PRA")
}

// flood has an office refused more often than a day takes, send more than a block
// takes of it, and more decided about one record than that takes.
func (d *duel) flood(t *testing.T) {
	t.Helper()
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: commitment("young"), Day: record.LedgerDay(d.now)}}}
	d.block(t, d.sign(t, "DPW", record.LedgerDay(d.now), m))
	young := record.Index(d.model.size() - 2)
	var txs [][]byte
	for range 1103 {
		txs = append(txs, d.sign(t, "DPW", record.LedgerDay(d.now), &record.ProposeDisposition{
			Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{young},
		}))
	}
	d.block(t, txs[:600]...)
	d.block(t, txs[600:1103]...)
	txs = txs[:1] // a repetition takes nothing of the share
	for range 1003 {
		txs = append(txs, d.sign(t, "DPW", record.LedgerDay(d.now), &record.WithdrawDisposition{Disposition: 1}))
	}
	d.block(t, txs...)
	txs = nil
	for range 65 {
		txs = append(txs, d.sign(t, "COUNSEL", record.LedgerDay(d.now), &record.Withhold{Record: young, Redaction: commitment("parts")}))
	}
	d.block(t, txs...)
}

// thaw waits, in empty blocks, until a freeze is over, and then has it end.
func (d *duel) thaw(t *testing.T) {
	t.Helper()
	for _, step := range []int64{0, 1, 1e9, 700e9} { // the first two steps are not judged
		d.now += step
		d.block(t)
	}
	jump := &record.AcknowledgeJump{Jump: record.Index(d.model.clock.jump)}
	d.block(t, d.sign(t, "CLERK", record.LedgerDay(d.now)+5, jump), d.sign(t, "COUNSEL", record.LedgerDay(d.now)+5, jump))
	frozen := true
	for range 8700 {
		d.now += 30e9
		d.apply(t, d.now)
		d.model.block(d.model.height+1, d.now, nil)
		_, is, err := ledger.FreezeOf(d.view)
		if by := (modelSigner{height: d.model.height + 1, time: d.now}); err != nil || is != d.model.frozen(by) {
			t.Fatalf("height %d: frozen %t, %v, want %t", d.model.height, is, err, !is)
		}
		frozen = frozen && is
	}
	if frozen {
		t.Error("the freeze has not ended")
	}
}

// playRandom plays a chain of random blocks and gives the city and the
// generator at its end.
func playRandom(t *testing.T, seed uint64, blocks int, seen map[string]int) (*city, *generator) {
	t.Helper()
	d := playDuel(t, seed, blocks, seen)
	return d.city, d.generator
}

// randomChain gives a city after random blocks, and all transactions that were sent.
func randomChain(t *testing.T, seed uint64, blocks int) (*city, [][]byte) {
	t.Helper()
	d := playDuel(t, seed, blocks, map[string]int{})
	return d.city, d.generator.sent
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
	if anchors == 0 && m.height >= 90 { // a fresh seed's short chain may have none
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

// leaps tells whether the clock of a city may leap without a freeze, so that
// records come due.
func leaps(seed uint64) bool { return seed%3 != 0 }

// randomCity varies who governs: one office, two of three, all with one required.
func randomCity(seed uint64) ledger.GenesisFacts {
	facts := stateFacts()
	facts.Facts = append(facts.Facts,
		&record.Office{Code: "OPS", Roles: []record.Role{record.RoleOperator}, Status: record.StatusActive}, signingKey("OPS", "OPS"), otherNode())
	for _, f := range facts.Facts {
		if p, ok := f.(*record.Parameters); ok && leaps(seed) {
			p.JumpSeconds = 1000 * 86400
		}
		if set, ok := f.(*record.CustodianSet); ok {
			*set = *bothCustodians("CITY")
		}
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
	leaps bool // of the clock freeze nothing
	sent  [][]byte
	names map[record.KeyID]string // of the keys of nodes; nil: the network does not change
}

func (g *generator) step() int64 {
	const second, day = int64(1e9), int64(86400e9)
	if g.leaps {
		return pick(g.rand, second, second, second, 30*second, day, day, 2*day, 11*day, 31*day)
	}
	return pick(g.rand, second, second, 30*second, 600*second, 600*second+1, day, day, 11*day, 31*day)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var (
	randomOffices = []record.Code{"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "PARKS", "HARBOR", "P.555-0100"}
	randomKeys    = []string{"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "CAO", "PARKS", "PARKS/2", "CLERK/2", "IT/2", "COUNSEL/2", "DPW/2"}
	randomSeries  = []record.Code{"DEMO-MINUTES", "DEMO-MINUTES", "DEMO-PERMITS", "DEMO-PLANS", "DEMO-OLD", "DEMO-MAIL", "CT-BILLS", "CT-BILLS", "CT-MAIL"}
)

// tx draws a transaction: new, sent before, or damaged.
func (g *generator) tx(t *testing.T) []byte {
	t.Helper()
	if len(g.sent) > 0 && g.rand.IntN(16) == 0 {
		return pick(g.rand, g.sent...)
	}
	signer, m := g.message()
	if g.rand.IntN(20) == 0 {
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
	if g.names != nil {
		switch n := g.rand.IntN(10); {
		case n < 4:
			return g.member()
		case n < 6:
			return g.approval()
		}
	}
	switch n := g.rand.IntN(20); {
	case n < 2:
		return g.scheduling()
	case n < 12:
		return g.retentionMessage()
	}
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
		return g.approval()
	}
	targets := append(slices.Clone(randomKeys), "DPW/access", "node")
	if g.leaps {
		targets = []string{"CLERK/2", "IT/2", "COUNSEL/2", "DPW/2", "CAO", "PARKS"}
	}
	m := &record.SuspendKey{KeyID: keyID(pick(g.rand, targets...))}
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
			it.Day = pick(g.rand, day("2030-12-31"), day("1999-12-31"), day("1960-12-31"), day("1899-12-31"))
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
	if g.leaps {
		office = pick[record.Code](g.rand, "PARKS", "PARKS", "HARBOR", "CAO")
	}
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

// approval draws an approval by an office that has a part in the proposal.
func (g *generator) approval() (string, record.Message) {
	var open []int64
	for _, at := range slices.Sorted(maps.Keys(g.model.proposals)) {
		if g.model.proposals[at].executed == 0 || g.rand.IntN(10) == 0 {
			open = append(open, at)
		}
	}
	if len(open) == 0 || g.rand.IntN(15) == 0 {
		return g.able(allOffices...), &record.ApproveChange{Proposal: record.Index(1 + g.rand.IntN(len(g.model.log)))}
	}
	if len(open) > 6 && g.rand.IntN(4) > 0 {
		open = open[len(open)-6:]
	}
	at := pick(g.rand, open...)
	p := g.model.proposals[at]
	m := &record.ApproveChange{Proposal: record.Index(at), FactHash: modelFactHash(p.fact)}
	if g.rand.IntN(15) == 0 {
		m.FactHash[0] ^= 1
	}
	var parts []string
	for _, name := range append([]string{"CLERK/2", "IT/2", "COUNSEL/2"}, allOffices...) {
		office, _ := g.model.office(g.model.keys[keyID(name)].fact.Office)
		part, _ := g.model.hasPart(p.fact, &modelSigner{office: office})
		if _, approved := p.approvals[office.Code]; part && (!approved || g.rand.IntN(6) == 0) {
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		parts = allOffices
	}
	return g.able(parts...), m
}
