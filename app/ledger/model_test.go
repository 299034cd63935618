package ledger_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// model is the ledger once more, slow and obvious, written from
// docs/spec/ledger.md: slices and maps, everything recomputed each time. It knows
// nothing of package ledger; TestModel holds the two against each other.
type model struct {
	network      record.Network
	origin       string
	height, time int64
	log          []record.Entry
	raw          [][]byte // of log

	facts     map[string]modelFact // by state key: parameters, offices, governance, custodian sets, series, nodes
	keys      map[record.KeyID]modelKey
	proposals map[int64]modelProposal
	successor map[int64][3]int64 // anchor -> its successor, supersession entry, its ledger day
	nonces    map[string]int64   // key id and nonce -> transaction entry
	clock     modelClock
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
		proposals: map[int64]modelProposal{}, successor: map[int64][3]int64{}, nonces: map[string]int64{},
	}
	m.write(record.GenesisEntry{Network: network, ChainID: chainID, Origin: origin, Time: time})
	for _, f := range facts {
		m.state(f, 0)
	}
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
	case *record.CustodianSet:
		name = "custody/" + string(f.Code)
	case *record.Series:
		name = "series/" + string(f.Code)
	case *record.Node:
		id := record.KeyIDOf(f.NodeKey[:])
		name = "node/" + string(id[:])
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
	}
	m.facts[name] = modelFact{at, f}
	return at
}

// block carries out a block and gives the answers to its transactions.
func (m *model) block(height, time int64, txs [][]byte) []modelAnswer {
	start := m.size()
	m.step(height, time)
	m.height, m.time = height, time
	var answers []modelAnswer
	for _, raw := range txs {
		answer, act := m.judge(height, time, raw)
		if act != nil {
			act()
		}
		answers = append(answers, answer)
	}
	if m.size() > start {
		m.write(record.BlockEntry{Height: height, Time: time, First: record.Index(start), StateRoot: m.stateRoot()})
	}
	return answers
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
	key, ok := m.keys[tx.KeyID]
	if !ok {
		return modelRefusal("UNKNOWN_KEY"), nil
	}
	if !ed25519.Verify(key.fact.PublicKey[:], tx.SignedMessage(), tx.Signature[:]) {
		return modelRefusal("BAD_SIGNATURE"), nil
	}
	if key.fact.Use != record.UseSigning {
		return modelRefusal("WRONG_KEY_USE"), nil
	}
	if at, ok := m.accepted(tx, key.fact.Office); ok {
		return modelAnswer{"OK", at, m.log[at].(record.TxEntry).Count, -1}, nil
	}
	_, anchors := tx.Message.(*record.AnchorRecords)
	nonce := string(tx.KeyID[:]) + string(tx.Nonce[:])
	if _, used := m.nonces[nonce]; used && !anchors {
		return modelRefusal("NONCE_REUSED"), nil
	}
	if key.fact.Status != record.StatusActive {
		return modelRefusal("KEY_SUSPENDED"), nil
	}
	office, _ := m.office(key.fact.Office)
	if office.Status != record.StatusActive {
		return modelRefusal("OFFICE_SUSPENDED"), nil
	}
	today := m.today(time)
	ahead := m.parameters().OtherDays
	if anchors {
		ahead = m.parameters().AnchorDays
	}
	if tx.NotAfter < today {
		return modelRefusal("EXPIRED"), nil
	}
	if tx.NotAfter > today+record.Day(ahead) {
		return modelRefusal("TOO_FAR_AHEAD"), nil
	}
	entry := record.TxEntry{KeyID: tx.KeyID, Signature: tx.Signature, BodyHash: sha256.Sum256(tx.Body), Nonce: tx.Nonce, NotAfter: tx.NotAfter}
	if anchors {
		return m.anchor(tx.Message.(*record.AnchorRecords), entry, office)
	}
	entry.Body, entry.Count = tx.Body, 1
	var code string
	var act func()
	switch msg := tx.Message.(type) {
	case *record.SupersedeRecord:
		code, act = m.supersede(msg, office)
	case *record.ProposeChange:
		code, act = m.propose(msg, office, tx.KeyID, height, today, &entry)
	case *record.ApproveChange:
		code, act = m.approve(msg, office, tx.KeyID, height, today, &entry)
	case *record.SuspendKey:
		code, act = m.suspend(msg, office, height)
	}
	if code != "" {
		return modelRefusal(code), nil
	}
	return modelAnswer{"OK", m.size(), entry.Count, -1}, func() {
		m.nonces[nonce] = m.write(entry)
		act()
	}
}

func (m *model) today(time int64) record.Day { return record.LedgerDay(max(m.time, time)) }

// accepted finds the entry of a transaction with this body: for anchors of this
// office, for the rest under this key and nonce.
func (m *model) accepted(tx record.Tx, office record.Code) (int64, bool) {
	for i, e := range m.log {
		e, ok := e.(record.TxEntry)
		if !ok || e.BodyHash != sha256.Sum256(tx.Body) {
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

func (m *model) anchor(msg *record.AnchorRecords, entry record.TxEntry, office record.Office) (modelAnswer, func()) {
	if !slices.Contains(office.Roles, record.RoleDepartment) {
		return modelRefusal("WRONG_ROLE"), nil
	}
	stated, ok := m.facts["series/"+string(msg.Series)]
	if !ok {
		return modelRefusal("UNKNOWN_SERIES"), nil
	}
	series := stated.fact.(*record.Series)
	if series.Status != record.StatusActive {
		return modelRefusal("SERIES_INACTIVE"), nil
	}
	if len(series.Departments) > 0 && !slices.Contains(series.Departments, office.Code) {
		return modelRefusal("WRONG_OFFICE"), nil
	}
	if _, ok := m.facts["custody/"+string(msg.Custody)]; !ok && msg.Custody != "" {
		return modelRefusal("UNKNOWN_CUSTODY"), nil
	}
	for i, it := range msg.Items {
		if it.Flags == 0 && !modelDay(it.Day, series.Granularity) {
			return modelAnswer{"BAD_DAY", 0, 0, int64(i)}, nil
		}
		for _, earlier := range msg.Items[:i] {
			if earlier.Commitment == it.Commitment {
				return modelAnswer{"DUPLICATE_IN_BATCH", 0, 0, int64(i)}, nil
			}
		}
		for at, e := range m.log {
			if a, ok := e.(record.AnchorEntry); ok && a.Office == office.Code && a.Commitment == it.Commitment {
				return modelAnswer{"ALREADY_ANCHORED", int64(at), 0, int64(i)}, nil
			}
		}
	}
	entry.Count = int64(len(msg.Items))
	return modelAnswer{"OK", m.size(), entry.Count, -1}, func() {
		m.write(entry)
		for _, it := range msg.Items {
			m.write(record.AnchorEntry{Office: office.Code, Series: msg.Series, Custody: msg.Custody, Commitment: it.Commitment, Day: it.Day, Flags: it.Flags})
		}
	}
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

func (m *model) supersede(msg *record.SupersedeRecord, office record.Office) (string, func()) {
	if !slices.Contains(office.Roles, record.RoleDepartment) {
		return "WRONG_ROLE", nil
	}
	for _, i := range []record.Index{msg.Record, msg.By} {
		if int64(i) >= m.size() {
			return "UNKNOWN_RECORD", nil
		}
		a, ok := m.log[i].(record.AnchorEntry)
		if !ok {
			return "UNKNOWN_RECORD", nil
		}
		if a.Office != office.Code {
			return "WRONG_OFFICE", nil
		}
	}
	if _, ok := m.successor[int64(msg.Record)]; ok {
		return "ALREADY_SUPERSEDED", nil
	}
	return "", func() {
		at := m.write(record.SupersedeEntry{Office: office.Code, Record: msg.Record, By: msg.By})
		m.successor[int64(msg.Record)] = [3]int64{int64(msg.By), at, int64(record.LedgerDay(m.time))}
	}
}

func (m *model) propose(msg *record.ProposeChange, office record.Office, key record.KeyID, height int64, today record.Day, entry *record.TxEntry) (string, func()) {
	var code record.Code
	switch f := msg.Fact.(type) {
	case *record.Office:
		code = f.Code
	case *record.Key:
		code = f.Office
	default:
		return "UNSUPPORTED_CHANGE", nil
	}
	digits := 0
	for _, c := range code {
		if c >= '0' && c <= '9' {
			digits++
		} else if c >= 'A' && c <= 'Z' {
			digits = 0
		}
		if digits == 7 {
			return "BAD_FACT", nil
		}
	}
	if !slices.Contains(m.security().Offices, office.Code) {
		return "NOT_GOVERNING", nil
	}
	p := modelProposal{office: office.Code, fact: msg.Fact, day: today, approvals: map[record.Code]modelApproval{office.Code: {key, height}}}
	if bad := m.unstatable(msg.Fact, height); bad != "" {
		return bad, nil
	}
	enough := m.enough(p)
	if enough {
		entry.Count = 2
	}
	return "", func() {
		at := m.write(record.ProposalEntry{Office: office.Code, FactHash: modelFactHash(msg.Fact)})
		if enough {
			p.executed = m.state(p.fact, height)
		}
		m.proposals[at] = p
	}
}

func (m *model) approve(msg *record.ApproveChange, office record.Office, key record.KeyID, height int64, today record.Day, entry *record.TxEntry) (string, func()) {
	p, ok := m.proposals[int64(msg.Proposal)]
	if !ok {
		return "UNKNOWN_PROPOSAL", nil
	}
	if !slices.Contains(m.security().Offices, office.Code) {
		return "NOT_GOVERNING", nil
	}
	if msg.FactHash != modelFactHash(p.fact) {
		return "WRONG_FACT", nil
	}
	if p.executed != 0 {
		return "PROPOSAL_EXECUTED", nil
	}
	if int(today) > int(p.day)+int(m.parameters().ProposalDays) {
		return "PROPOSAL_EXPIRED", nil
	}
	if a, ok := p.approvals[office.Code]; ok && !m.void(a) {
		return "ALREADY_APPROVED", nil
	}
	approvals := map[record.Code]modelApproval{}
	for code, a := range p.approvals {
		approvals[code] = a
	}
	approvals[office.Code] = modelApproval{key, height}
	p.approvals = approvals
	if bad := m.unstatable(p.fact, height); bad != "" {
		return bad, nil
	}
	enough := m.enough(p)
	if enough {
		entry.Count = 2
	}
	return "", func() {
		m.write(record.ApprovalEntry{Office: office.Code, Proposal: msg.Proposal, FactHash: msg.FactHash})
		if enough {
			p.executed = m.state(p.fact, height)
		}
		m.proposals[int64(msg.Proposal)] = p
	}
}

func (m *model) suspend(msg *record.SuspendKey, office record.Office, height int64) (string, func()) {
	if !slices.Contains(m.security().Offices, office.Code) {
		return "NOT_GOVERNING", nil
	}
	k, ok := m.keys[msg.KeyID]
	if !ok {
		return "UNKNOWN_TARGET", nil
	}
	if msg.SinceHeight > height {
		return "BAD_HEIGHT", nil
	}
	if k.fact.Status == record.StatusActive {
		k.suspended = height
	} else if msg.SinceHeight == 0 || k.since != 0 && msg.SinceHeight >= k.since {
		return "ALREADY_SUSPENDED", nil
	}
	before := m.keys[msg.KeyID]
	k.fact.Status, k.since = record.StatusSuspended, msg.SinceHeight
	m.keys[msg.KeyID] = k
	locked := !m.quorate()
	m.keys[msg.KeyID] = before
	if locked {
		return "LOCKOUT", nil
	}
	return "", func() {
		m.write(record.SuspensionEntry{Office: office.Code, KeyID: msg.KeyID, SinceHeight: msg.SinceHeight})
		m.keys[msg.KeyID] = k
	}
}

// unstatable says why a fact cannot be stated now: "" if it can. It tries on a
// copy whether a quorum is left.
func (m *model) unstatable(f record.Fact, height int64) string {
	try := *m
	try.facts, try.keys = map[string]modelFact{}, map[record.KeyID]modelKey{}
	for k, v := range m.facts {
		try.facts[k] = v
	}
	for k, v := range m.keys {
		try.keys[k] = v
	}
	switch f := f.(type) {
	case *record.Office:
		if now, ok := m.office(f.Code); ok && modelFactHash(&now) == modelFactHash(f) {
			return "NO_CHANGE"
		}
	case *record.Key:
		if _, ok := m.office(f.Office); !ok {
			return "UNKNOWN_OFFICE"
		}
		now, registered := m.keys[f.ID()]
		active := now.fact
		active.Status = record.StatusSuspended
		switch {
		case registered && now.fact == *f:
			return "NO_CHANGE"
		case registered && active != *f:
			return "KEY_REGISTERED"
		case !registered && f.Status != record.StatusActive:
			return "BAD_FACT"
		}
		for _, fact := range m.facts {
			n, ok := fact.fact.(*record.Node)
			if ok && slices.Contains([][32]byte{n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey, n.CustodianKey}, f.PublicKey) {
				return "KEY_REGISTERED"
			}
		}
	}
	try.state(f, height)
	if !try.quorate() {
		return "LOCKOUT"
	}
	return ""
}

// enough tells whether a proposal has the approvals that it needs, as things are now.
func (m *model) enough(p modelProposal) bool {
	var able []record.Code
	for code, a := range p.approvals {
		if office, _ := m.office(code); office.Status == record.StatusActive && !m.void(a) {
			able = append(able, code)
		}
	}
	return m.canDecide(able)
}

// quorate tells whether enough governing offices can still sign.
func (m *model) quorate() bool {
	var able []record.Code
	for _, k := range m.keys {
		office, _ := m.office(k.fact.Office)
		signs := k.fact.Use == record.UseSigning && k.fact.Status == record.StatusActive && office.Status == record.StatusActive
		if signs && !slices.Contains(able, office.Code) {
			able = append(able, office.Code)
		}
	}
	return m.canDecide(able)
}

func (m *model) canDecide(able []record.Code) bool {
	g := m.security()
	count := 0
	for _, code := range g.Offices {
		if slices.Contains(able, code) {
			count++
		} else if slices.Contains(g.Required, code) {
			return false
		}
	}
	return count >= int(g.Threshold)
}

func (m *model) void(a modelApproval) bool {
	k := m.keys[a.key]
	return k.since != 0 && a.height >= k.since
}

func (m *model) parameters() *record.Parameters {
	return m.facts["parameters"].fact.(*record.Parameters)
}

func (m *model) security() *record.Governance {
	return m.facts["governance/\x02"].fact.(*record.Governance)
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
