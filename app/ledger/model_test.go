package ledger_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// model is the ledger once more, slow and obvious, written from docs/spec
// (ledger.md, schedules.md, holds.md, disposition.md, retention.md): slices and
// maps, everything recomputed each time. It knows nothing of package ledger;
// TestModel holds the two against each other.
type model struct {
	network      record.Network
	origin       string
	height, time int64
	log          []record.Entry
	raw          [][]byte // of log

	facts     map[string]modelFact // by state key: parameters, offices, governance, custodian sets, series, nodes
	keys      map[record.KeyID]modelKey
	proposals map[int64]modelProposal
	nonces    map[string]int64 // key id and nonce -> transaction entry
	refused   map[record.Code]modelQuota
	clock     modelClock

	// model_member_test.go
	members    []modelMember
	eras       []modelEra
	upgrades   []modelVersionOfRules
	departed   map[string]int64 // set, slash, custodian -> departure entry; 0: it came back
	newSets    bool             // a custodian set was stated after genesis
	blockStart int64
	spent      map[modelShare]int // transactions of the block; nil: there is none
	live       map[[20]byte]bool  // who signed the commit in the block; nil: nobody knows
	evidence   []modelEvidence    // in the block

	// model_change_test.go
	versions    map[string]*modelVersion // by schedule and version
	adoptions   []modelAdoption          // of all schedules, in their order
	activations map[[2]record.Code]modelFact
	standings   map[int64]record.StandingAuthorization
	batches     map[modelBatch]int64

	// model_event_test.go, model_hold_test.go, model_disposition_test.go
	lives        map[int64]*modelLife // of records that something befell
	postings     map[record.Code][]modelPosting
	holds        map[int64]*modelHold
	dispositions map[int64]*modelDisposition
	everLocked   bool
}

type modelFact struct {
	at   int64
	fact record.Fact
}

type modelKey struct {
	registered       int64
	fact             record.Key
	suspended, since int64
}

type modelProposal struct {
	office    record.Code
	fact      record.Fact
	day       record.Day
	executed  int64
	approvals map[record.Code]modelApproval
}

type modelApproval struct {
	key    record.KeyID
	height int64
}

type modelAnswer struct {
	code           string
	tx, count, bad int64
}

func modelRefusal(code string) modelAnswer { return modelAnswer{code: code, bad: -1} }

func newModel(network record.Network, chainID, origin string, time int64, facts []record.Fact) *model {
	m := &model{
		network: network, origin: origin, time: time, facts: map[string]modelFact{}, keys: map[record.KeyID]modelKey{},
		proposals: map[int64]modelProposal{}, nonces: map[string]int64{}, refused: map[record.Code]modelQuota{},
		versions: map[string]*modelVersion{}, activations: map[[2]record.Code]modelFact{},
		standings: map[int64]record.StandingAuthorization{}, batches: map[modelBatch]int64{},
		lives: map[int64]*modelLife{}, postings: map[record.Code][]modelPosting{},
		holds: map[int64]*modelHold{}, dispositions: map[int64]*modelDisposition{}, departed: map[string]int64{},
	}
	m.write(record.GenesisEntry{Network: network, ChainID: chainID, Origin: origin, Time: time})
	for _, f := range facts {
		m.state(f, 0)
	}
	m.eras = []modelEra{m.era(0)}
	m.write(record.BlockEntry{Height: 0, Time: time, StateRoot: m.stateRoot()})
	return m
}

func (m *model) size() int64 { return int64(len(m.log)) }

func (m *model) write(e record.Entry) int64 {
	raw, err := record.MarshalEntry(e)
	if err != nil {
		panic(err)
	}
	m.log, m.raw = append(m.log, e), append(m.raw, raw)
	return m.size() - 1
}

// state writes the entry of a fact and takes it as stated.
func (m *model) state(f record.Fact, height int64) int64 {
	fact, err := record.MarshalFact(f)
	if err != nil {
		panic(err)
	}
	at := m.write(record.FactEntry{Fact: fact})
	name := ""
	switch f := f.(type) {
	case *record.Parameters:
		name = "parameters"
	case *record.Office:
		name = "office/" + string(f.Code)
	case *record.Governance:
		name = "governance/" + string([]byte{byte(f.Subject)})
	case *record.Series:
		name = "series/" + string(f.Code)
	case *record.Key:
		k := modelKey{registered: at, fact: *f}
		if before, known := m.keys[f.ID()]; known {
			k.registered = before.registered
		}
		if f.Status == record.StatusSuspended {
			k.suspended = height
		}
		m.keys[f.ID()] = k
		return at
	default:
		if !m.stateMember(f, at) {
			m.stateSchedule(f, at)
		}
		return at
	}
	m.facts[name] = modelFact{at, f}
	return at
}

// block carries out a block, holds first, and gives the answers to its transactions.
func (m *model) block(height, time int64, txs [][]byte) []modelAnswer {
	start := m.size()
	m.blockStart = start
	m.step(height, time)
	m.misbehave()
	m.height, m.time, m.spent = height, time, map[modelShare]int{}
	answers := make([]modelAnswer, len(txs))
	for _, holds := range []bool{true, false} {
		for i, raw := range txs {
			if modelHolds(raw) != holds {
				continue
			}
			var act func()
			if answers[i], act = m.judge(height, time, raw); act != nil {
				act()
			}
		}
	}
	m.live, m.evidence, m.spent = nil, nil, nil
	if m.size() > start {
		m.write(record.BlockEntry{Height: height, Time: time, First: record.Index(start), StateRoot: m.stateRoot()})
	}
	return answers
}

// modelHolds tells whether a transaction places or extends a hold.
func modelHolds(raw []byte) bool {
	tx, err := record.ParseTx(raw)
	if err != nil {
		return false
	}
	switch tx.Message.(type) {
	case *record.PlaceHold, *record.ExtendHold:
		return true
	}
	return false
}

// modelShare is what an office has of a block.
type modelShare struct {
	office record.Code
	urgent bool
}

// modelUrgent tells whether a message has a share of its own: holds and
// governance do.
func modelUrgent(msg record.Message) bool {
	switch msg.(type) {
	case *record.PlaceHold, *record.ExtendHold, *record.ProposeChange, *record.ApproveChange, *record.SuspendKey:
		return true
	}
	return false
}

// modelSigner is who acts, and when.
type modelSigner struct {
	office    record.Office // zero for a custodian
	key       record.KeyID
	custodian bool
	height    int64
	time      int64 // of the block
	today     record.Day
	body      [32]byte // hash of the signed body
}

func (s *modelSigner) has(roles ...record.Role) bool {
	for _, role := range roles {
		if slices.Contains(s.office.Roles, role) {
			return true
		}
	}
	return false
}

// judge answers a transaction. What it would do is done by the function
// returned, which is nil when there is nothing to do.
func (m *model) judge(height, time int64, raw []byte) (modelAnswer, func()) {
	tx, err := record.ParseTx(raw)
	if errors.Is(err, record.ErrTooLarge) {
		return modelRefusal("TOO_LARGE"), nil
	}
	if err != nil {
		return modelRefusal("MALFORMED"), nil
	}
	if tx.Network != m.network {
		return modelRefusal("WRONG_NETWORK"), nil
	}
	by := modelSigner{key: tx.KeyID, height: height, time: time, today: m.today(time), body: sha256.Sum256(tx.Body)}
	key, ok := m.keys[tx.KeyID]
	if !ok {
		if key, ok = m.custodian(tx); !ok {
			return modelRefusal("UNKNOWN_KEY"), nil
		}
		by.custodian = true
	}
	if !ed25519.Verify(key.fact.PublicKey[:], tx.SignedMessage(), tx.Signature[:]) {
		return modelRefusal("BAD_SIGNATURE"), nil
	}
	if key.fact.Use != record.UseSigning {
		return modelRefusal("WRONG_KEY_USE"), nil
	}
	if at, ok := m.accepted(tx, by.body, key.fact.Office); ok {
		return m.answerOf(at), nil
	}
	_, anchors := tx.Message.(*record.AnchorRecords)
	nonce := string(tx.KeyID[:]) + string(tx.Nonce[:])
	if _, used := m.nonces[nonce]; used && !anchors {
		return modelRefusal("NONCE_REUSED"), nil
	}
	if share := (modelShare{key.fact.Office, modelUrgent(tx.Message)}); m.spent != nil && !by.custodian {
		if m.spent[share]++; m.spent[share] > 1000 {
			return modelRefusal("OFFICE_QUOTA"), nil
		}
	}
	if key.fact.Status != record.StatusActive {
		return modelRefusal("KEY_SUSPENDED"), nil
	}
	if by.office, _ = m.office(key.fact.Office); !by.custodian && by.office.Status != record.StatusActive {
		return modelRefusal("OFFICE_SUSPENDED"), nil
	}
	ahead := m.parameters().OtherDays
	if _, batch := tx.Message.(*record.AnchorBatch); anchors || batch {
		ahead = m.parameters().AnchorDays
	}
	if tx.NotAfter < by.today {
		return modelRefusal("EXPIRED"), nil
	}
	if tx.NotAfter > by.today+record.Day(ahead) {
		return modelRefusal("TOO_FAR_AHEAD"), nil
	}
	entry := record.TxEntry{KeyID: tx.KeyID, Signature: tx.Signature, BodyHash: by.body, Nonce: tx.Nonce, NotAfter: tx.NotAfter}
	if anchors {
		return m.anchor(tx.Message.(*record.AnchorRecords), entry, by)
	}
	entry.Body, entry.Count = tx.Body, 1
	no, act := m.message(tx.Message, by, &entry)
	if no.code == "" {
		return modelAnswer{"OK", m.size(), entry.Count, -1}, func() {
			m.nonces[nonce] = m.write(entry)
			act()
		}
	}
	number, recorded := modelRecorded[no.code]
	if !recorded {
		return modelAnswer{no.code, no.inTheWay, 0, no.bad}, nil
	}
	quota := m.refused[by.office.Code]
	if quota.day != by.today {
		quota = modelQuota{day: by.today}
	}
	if quota.count++; quota.count > 1000 {
		return modelRefusal("QUOTA"), nil
	}
	return modelAnswer{no.code, m.size(), 1, no.bad}, func() {
		entry.Count = 1
		m.nonces[nonce] = m.write(entry)
		m.refused[by.office.Code] = quota
		m.write(record.RefusalEntry{
			Office: by.office.Code, Code: number, Disposition: record.Index(no.disposition),
			Record: record.Index(no.record), Hold: record.Index(no.hold),
		})
	}
}

// modelNo says why a message is refused; the zero value says that it is not.
type modelNo struct {
	code                      string
	inTheWay                  int64 // entry that stands in the way
	bad                       int64 // position of the record that does
	disposition, record, hold int64 // for the refusal entry
}

func modelNot(code string) modelNo { return modelNo{code: code, bad: -1} }

// modelRecorded are the refusals that become entries.
var modelRecorded = map[string]uint32{
	"HELD": 80, "NOT_DUE": 81, "MISSING_APPROVAL": 82, "FROZEN": 83, "NOTICE_PERIOD": 84, "NOTICE_MISSING": 85,
}

// modelQuota counts the recorded refusals of an office on its last day with some.
type modelQuota struct {
	day   record.Day
	count int64
}

// message applies the rules of a message.
func (m *model) message(msg record.Message, by modelSigner, entry *record.TxEntry) (modelNo, func()) {
	switch msg := msg.(type) {
	case *record.SupersedeRecord:
		return m.supersede(msg, by)
	case *record.ProposeChange:
		return m.propose(msg, by, entry)
	case *record.ApproveChange:
		return m.approve(msg, by, entry)
	case *record.SuspendKey:
		return m.suspend(msg, by)
	case *record.AcknowledgeJump:
		return m.acknowledge(msg, by)
	case *record.AnchorBatch:
		return m.anchorBatch(msg, by)
	case *record.RecordEvents:
		return m.recordEvents(msg, by)
	case *record.FileRecords:
		return m.fileRecords(msg, by)
	case *record.PostAuditedThrough:
		return m.postAudited(msg, by)
	case *record.Withhold:
		return m.withhold(msg, by)
	case *record.PlaceHold:
		return m.placeHold(msg, by)
	case *record.ExtendHold:
		return m.extendHold(msg, by)
	case *record.ResolveIssue:
		return m.resolveIssue(msg, by)
	case *record.ReleaseHold:
		return m.releaseHold(msg, by)
	case *record.ProposeDisposition:
		return m.proposeDisposition(msg, by)
	case *record.ApproveDisposition:
		return m.approveDisposition(msg, by)
	case *record.WithdrawDisposition:
		return m.withdraw(msg, by)
	case *record.RecordNotice:
		return m.recordNotice(msg, by)
	case *record.LockDisposition:
		return m.lock(msg, by, entry)
	case *record.ReportErasure:
		return m.report(msg, by)
	case *record.LeaveCustody:
		return m.leave(msg, by)
	}
	panic(fmt.Sprintf("no rules for %T", msg))
}

func (m *model) today(time int64) record.Day { return record.LedgerDay(max(m.time, time)) }

// custodian finds the key of a custodian, for reports and departures alone.
func (m *model) custodian(tx record.Tx) (modelKey, bool) {
	_, reports := tx.Message.(*record.ReportErasure)
	if _, leaves := tx.Message.(*record.LeaveCustody); !reports && !leaves {
		return modelKey{}, false
	}
	for _, n := range m.nodes() {
		if n.CustodianKey != [32]byte{} && record.KeyIDOf(n.CustodianKey[:]) == tx.KeyID {
			return modelKey{fact: record.Key{Use: record.UseSigning, PublicKey: n.CustodianKey, Status: record.StatusActive}}, true
		}
	}
	return modelKey{}, false
}

// accepted finds the entry of a transaction with this body: for anchors of this
// office, for the rest under this key and nonce.
func (m *model) accepted(tx record.Tx, body [32]byte, office record.Code) (int64, bool) {
	for i, e := range m.log {
		e, ok := e.(record.TxEntry)
		if !ok || e.BodyHash != body {
			continue
		}
		if _, anchors := tx.Message.(*record.AnchorRecords); anchors {
			if m.keys[e.KeyID].fact.Office == office {
				return int64(i), true
			}
		} else if e.KeyID == tx.KeyID {
			return int64(i), true
		}
	}
	return 0, false
}

// answerOf gives the answer that the transaction of entry at got first.
func (m *model) answerOf(at int64) modelAnswer {
	answer := modelAnswer{"OK", at, m.log[at].(record.TxEntry).Count, -1}
	if e, refused := m.log[at+1].(record.RefusalEntry); refused {
		for code, number := range modelRecorded {
			if number == e.Code {
				answer.code = code
			}
		}
	}
	return answer
}

func (m *model) anchor(msg *record.AnchorRecords, entry record.TxEntry, by modelSigner) (modelAnswer, func()) {
	open, code := m.opening(msg.Series, msg.Custody, by)
	if code != "" {
		return modelRefusal(code), nil
	}
	if open.batched {
		return modelRefusal("BATCHED_SERIES"), nil
	}
	for i, it := range msg.Items {
		if it.Flags == 0 && !modelDay(it.Day, open.granularity) {
			return modelAnswer{"BAD_DAY", 0, 0, int64(i)}, nil
		}
		for _, earlier := range msg.Items[:i] {
			if earlier.Commitment == it.Commitment {
				return modelAnswer{"DUPLICATE_IN_BATCH", 0, 0, int64(i)}, nil
			}
		}
		if at, ok := m.anchored(by.office.Code, it.Commitment); ok {
			return modelAnswer{"ALREADY_ANCHORED", at, 0, int64(i)}, nil
		}
	}
	entry.Count = int64(len(msg.Items))
	return modelAnswer{"OK", m.size(), entry.Count, -1}, func() {
		m.firstAnchor(msg.Series, by.today, m.write(entry))
		for _, it := range msg.Items {
			m.write(record.AnchorEntry{Office: by.office.Code, Series: msg.Series, Custody: msg.Custody, Commitment: it.Commitment, Day: it.Day, Flags: it.Flags})
		}
	}
}

// anchored finds the entry at which an office anchored a commitment.
func (m *model) anchored(office record.Code, c record.Commitment) (int64, bool) {
	for at, e := range m.log {
		if a, ok := e.(record.AnchorEntry); ok && a.Office == office && a.Commitment == c {
			return int64(at), true
		}
	}
	return 0, false
}

// anchorAt gives the anchor entry at an index.
func (m *model) anchorAt(i record.Index) (record.AnchorEntry, bool) {
	if int64(i) >= m.size() {
		return record.AnchorEntry{}, false
	}
	a, ok := m.log[i].(record.AnchorEntry)
	return a, ok
}

// modelDay tells whether a day is rounded up: the day after it starts a new month or year.
func modelDay(d record.Day, g record.Granularity) bool {
	next := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(d)+1)
	if year := next.AddDate(0, 0, -1).Year(); year < 1 || year > 9999 {
		return false
	}
	switch g {
	case record.GranularityMonth:
		return next.Day() == 1
	case record.GranularityYear:
		return next.Day() == 1 && next.Month() == time.January
	}
	return true
}

func (m *model) supersede(msg *record.SupersedeRecord, by modelSigner) (modelNo, func()) {
	if !by.has(record.RoleDepartment) {
		return modelNot("WRONG_ROLE"), nil
	}
	for _, i := range []record.Index{msg.Record, msg.By} {
		a, ok := m.anchorAt(i)
		if !ok {
			return modelNot("UNKNOWN_RECORD"), nil
		}
		if a.Office != by.office.Code {
			return modelNot("WRONG_OFFICE"), nil
		}
	}
	if m.life(msg.Record).supersession != 0 {
		return modelNot("ALREADY_SUPERSEDED"), nil
	}
	return modelNo{}, func() {
		l := m.touch(msg.Record)
		l.successor, l.supersededOn = int64(msg.By), by.today
		l.supersession = m.write(record.SupersedeEntry{Office: by.office.Code, Record: msg.Record, By: msg.By})
	}
}

func (m *model) parameters() *record.Parameters {
	return m.facts["parameters"].fact.(*record.Parameters)
}

func (m *model) office(code record.Code) (record.Office, bool) {
	f, ok := m.facts["office/"+string(code)]
	if !ok {
		return record.Office{}, false
	}
	return *f.fact.(*record.Office), true
}

func modelFactHash(f record.Fact) [32]byte {
	b, err := record.MarshalFact(f)
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(b)
}
