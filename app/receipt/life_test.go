package receipt

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// life is a log with records that are kept, held and disposed of. Its fields
// are indexes of entries.
type life struct {
	*world
	vary      variation
	custodian ed25519.PrivateKey
	second    ed25519.PrivateKey    // another custodian
	offices   map[record.Code]int64 // fact entries of offices

	node, rule, schedule, standing, activation int64
	records                                    int64 // first of three anchors
	batch                                      int64
	closed, filing, audit, supersession        int64
	hold, extension, resolution, release       int64
	refused                                    int64 // refusal of a proposal
	proposal                                   int64 // of a disposition of the first two records
	approvals                                  []int64
	notice, lock, items                        int64 // items: the first of two
	report, officeReport, jump, acknowledgment int64
	withdrawn, withdrawal                      int64
	withheld                                   int64 // decision about the third record
	other, fileClosed, otherFiling             int64 // see stateOther, intoFile
}

const lifeSeries = "CT-M1-105"

var lifeRoles = map[record.Code][]record.Role{
	"HR": {record.RoleDepartment}, "CLERK": {record.RoleClerk}, "ADMIN": {record.RoleChiefAdmin}, "STATE": {record.RoleStateRecords},
	"ARCHIVE": {record.RoleStateArchivist}, "COUNSEL": {record.RoleCounsel}, "IT": {record.RoleIT}, "AUDITOR": {record.RoleAuditor},
}

func ruleOf(text string) retention.Rule { return must1(retention.Parse(text)) }

// variation changes what happens in a life. Its zero value is a lawful one.
type variation struct {
	roles     map[record.Code][]record.Role // of offices, besides their own
	rule      func(*record.ScheduleRule)
	effective record.Day  // days after today on which the schedule is in force
	created   record.Day  // of the first record
	undated   bool        // likewise
	audited   record.Day  // days by which the audit reaches further
	auditor   record.Code // AUDITOR
	propose   func(*record.ProposeDisposition)
	approvers []record.Code
	approved  func(*record.AuthorizationEntry)
	noticed   func(*record.NoticeEntry)
	wait      int64       // days between the last approval and the lock, besides 14: the rule wants 13 whole ones between
	locker    record.Code // IT
	locks     func(*record.LockDisposition, *record.LockEntry)
	item      func(*life, *record.ItemEntry)            // of the first record
	between   func(*life)                               // before the proposal
	follow    func(*life, record.Index, []record.Index) // after the lock, instead of what comes else
}

// newLife writes the log of a lawful life.
func newLife(t testing.TB, n Network) *life { return newLifeWith(t, n, variation{}) }

// newLifeWith writes the log, each transaction in a block of its own.
func newLifeWith(t testing.TB, n Network, v variation) *life {
	l := &life{world: newLog(t, n), offices: map[record.Code]int64{}, custodian: testKey("custodian"), second: testKey("second custodian"), vary: v}
	for _, office := range []record.Code{"HR", "CLERK", "ADMIN", "STATE", "ARCHIVE", "COUNSEL", "IT", "AUDITOR"} {
		roles := append(slices.Clone(lifeRoles[office]), v.roles[office]...)
		slices.Sort(roles)
		l.offices[office] = l.fact(&record.Office{Code: office, Roles: roles, Status: record.StatusActive})
		l.registerKey(office)
	}
	custodianKey := publicOf(l.custodian)
	l.node = l.fact(&record.Node{NodeKey: [32]byte{1}, ValidatorKey: [32]byte{2}, CosignerKey: [32]byte{3}, LogKey: [32]byte{4}, CustodianKey: custodianKey, Power: 10})
	l.keys[record.KeyIDOf(custodianKey[:])] = l.node
	secondKey := publicOf(l.second)
	l.keys[record.KeyIDOf(secondKey[:])] = l.fact(&record.Node{NodeKey: [32]byte{5}, ValidatorKey: [32]byte{6}, CosignerKey: [32]byte{7}, LogKey: [32]byte{8}, CustodianKey: secondKey, Power: 10})
	l.endBlock()
	l.govern()
	l.keep()
	l.suspend()
	l.dispose()
	return l
}

// act appends a transaction with one item, alone in its block, and gives the
// index of the item.
func (l *life) act(office record.Code, m record.Message, item record.Entry) int64 {
	at := l.tx(office, m, item)
	l.endBlock()
	return at + 1
}

// stated has a fact proposed and executed at once; it gives the fact's index.
func (l *life) stated(office record.Code, f record.Fact) int64 {
	hash := must1(record.FactHash(f))
	at := l.tx(office, &record.ProposeChange{Fact: f}, record.ProposalEntry{Office: office, FactHash: hash}, record.FactEntry{Fact: must1(record.MarshalFact(f))})
	l.endBlock()
	return at + 2
}

func (l *life) today() record.Day { return record.LedgerDay(l.now()) }

// lifeRule is the rule of the records that are disposed of.
func lifeRule() *record.ScheduleRule {
	return &record.ScheduleRule{Schedule: "CT-M1", Version: 1, Series: lifeSeries, Rule: ruleOf("later of (2 years after closed, 1 day after audited)"),
		Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords}, NoticeDays: 13, NoticeHeights: 2, FiscalStart: 7}
}

func (l *life) govern() {
	rule := lifeRule()
	if l.vary.rule != nil {
		l.vary.rule(rule)
	}
	root := must1(record.ScheduleRoot([][]byte{must1(record.MarshalFact(rule))}))
	l.rule = l.stated("CLERK", rule)
	l.schedule = l.stated("STATE", &record.Schedule{Code: "CT-M1", Version: 1, State: true, Effective: l.today() + l.vary.effective, Count: 1, Root: root})
	l.activation = l.stated("HR", &record.Activation{Series: lifeSeries, Office: "HR", Granularity: record.GranularityDay,
		Assessment: [32]byte{1}, Assessed: l.today() - 1, Review: l.today() + 365, DataMap: [32]byte{2}})
	l.standing = l.stated("HR", &record.StandingAuthorization{Office: "HR", Series: []record.Code{lifeSeries}, From: l.today(), Until: l.today() + 365})
}

// keep anchors records and says what happened to them.
func (l *life) keep() {
	l.records = l.anchorLife()
	l.endBlock()
	batch := &record.AnchorBatch{Series: "CT-M1-700", Commitment: record.Commitment{9}}
	l.batch = l.act("HR", batch, record.AnchorEntry{Office: "HR", Series: batch.Series, Commitment: batch.Commitment, Day: l.today(), Flags: record.FlagBatch})
	all := []record.Index{record.Index(l.records), record.Index(l.records + 1), record.Index(l.records + 2)}
	day := retention.DayOf(2025, 6, 30)
	l.closed = l.act("HR", &record.RecordEvents{Event: retention.Closed, Day: day, Records: all}, record.EventsEntry{Office: "HR", Event: retention.Closed, Day: day, Count: 3})
	l.filing = l.act("HR", &record.FileRecords{Series: "CT-M1-280", Records: all[2:]}, record.FilingEntry{Office: "HR", Series: "CT-M1-280", Count: 1})
	through := day + l.vary.audited
	auditor := l.vary.auditor
	if auditor == "" {
		auditor = "AUDITOR"
	}
	l.audit = l.act(auditor, &record.PostAuditedThrough{Department: "HR", Through: through}, record.AuditEntry{Office: auditor, Department: "HR", Through: through})
	l.supersession = l.act("HR", &record.SupersedeRecord{Record: all[0], By: all[2]}, record.SupersedeEntry{Office: "HR", Record: all[0], By: all[2]})
}

// suspend places a hold, tries a disposition in vain, and ends the hold.
func (l *life) suspend() {
	first := []record.Index{record.Index(l.records)}
	l.hold = l.act("COUNSEL", &record.PlaceHold{Kind: record.HoldLitigation, Matter: [32]byte{7}, Issues: 1, Scope: record.Scope{Records: first}},
		record.HoldEntry{Office: "COUNSEL", HoldKind: record.HoldLitigation, Issues: 1})
	hold := record.Index(l.hold)
	l.extension = l.act("COUNSEL", &record.ExtendHold{Hold: hold, Issues: 1}, record.ExtensionEntry{Office: "COUNSEL", Hold: hold, Issues: 1, Late: 2})
	l.refused = l.act("HR", &record.ProposeDisposition{Series: lifeSeries, Action: record.ActionDestroy, Records: first},
		record.RefusalEntry{Office: "HR", Code: 80, Record: first[0], Hold: hold})
	for issue := range uint32(3) {
		l.resolution = l.act("COUNSEL", &record.ResolveIssue{Hold: hold, Issue: issue}, record.ResolutionEntry{Office: "COUNSEL", Hold: hold, Issue: issue})
	}
	l.release = l.act("CLERK", &record.ReleaseHold{Hold: hold}, record.ReleaseEntry{Office: "CLERK", Hold: hold})
}

// anchorLife anchors three records, the first as the variation wants it.
func (l *life) anchorLife() int64 {
	m := &record.AnchorRecords{Series: lifeSeries, Custody: "CITY"}
	var items []record.Entry
	for i := range 3 {
		it := record.AnchorItem{Commitment: record.Commitment{byte(i + 1)}, Day: record.Day(20000 + i)}
		switch {
		case i == 0 && l.vary.undated:
			it.Day, it.Flags = 0, record.FlagUndated
		case i == 0 && l.vary.created != 0:
			it.Day = l.vary.created
		}
		m.Items = append(m.Items, it)
		items = append(items, record.AnchorEntry{Office: "HR", Series: m.Series, Custody: m.Custody, Commitment: it.Commitment, Day: it.Day, Flags: it.Flags})
	}
	return l.tx("HR", m, items...) + 1
}

// dispose takes two records to the lock and to a report, and one to a withdrawal.
func (l *life) dispose() {
	l.days += 20
	if l.vary.between != nil {
		l.vary.between(l)
	}
	asked := &record.ProposeDisposition{Series: lifeSeries, Action: record.ActionDestroy, Records: []record.Index{record.Index(l.records), record.Index(l.records + 1)}}
	if l.vary.propose != nil {
		l.vary.propose(asked)
	}
	l.proposal = l.propose(asked)
	approvers := l.vary.approvers
	if approvers == nil {
		approvers = []record.Code{"CLERK", "ADMIN", "STATE"}
	}
	for _, office := range approvers {
		l.approvals = append(l.approvals, l.approve(office, l.proposal))
	}
	d := record.Index(l.proposal)
	told := record.NoticeEntry{Office: "HR", Disposition: d, Day: l.today()}
	if l.vary.noticed != nil {
		l.vary.noticed(&told)
	}
	l.notice = l.act("HR", &record.RecordNotice{Disposition: told.Disposition, Day: told.Day}, told)
	l.days += 14 + l.vary.wait
	l.makeFinal(asked)
	if l.vary.follow != nil {
		l.vary.follow(l, d, asked.Records)
		return
	}
	l.follow(d, asked.Records)
}

// stateOther states and adopts a rule of another series.
func (l *life) stateOther() {
	rule := lifeRule()
	rule.Schedule, rule.Series, rule.Rule = "CITY", "CT-M1-280", ruleOf("1 year after closed")
	l.other = l.stated("CLERK", rule)
	root := must1(record.ScheduleRoot([][]byte{must1(record.MarshalFact(rule))}))
	l.stated("CLERK", &record.Schedule{Code: "CITY", Version: 1, Effective: l.today(), Count: 1, Root: root})
}

// followOther names that series for the first record.
func (l *life) followOther() {
	m := &record.FileRecords{Series: "CT-M1-280", Records: []record.Index{record.Index(l.records)}}
	l.filing = l.act("HR", m, record.FilingEntry{Office: "HR", Series: m.Series, Count: 1})
}

// intoFile makes the first record part of a file of that series, which is closed.
func (l *life) intoFile() {
	file := record.Index(l.anchorIn("CT-M1-280", "HR", 1) + 1)
	l.endBlock()
	m := &record.FileRecords{File: file, Records: []record.Index{record.Index(l.records)}}
	l.filing = l.act("HR", m, record.FilingEntry{Office: "HR", File: file, Count: 1})
	day := retention.DayOf(2025, 6, 30)
	l.fileClosed = l.act("HR", &record.RecordEvents{Event: retention.Closed, Day: day, Records: []record.Index{file}}, record.EventsEntry{Office: "HR", Event: retention.Closed, Day: day, Count: 1})
}

// makeFinal locks the disposition, with an item for each record.
func (l *life) makeFinal(asked *record.ProposeDisposition) {
	d := record.Index(l.proposal)
	locker := l.vary.locker
	if locker == "" {
		locker = "IT"
	}
	m := &record.LockDisposition{Disposition: d, Hash: l.bodyHash(l.proposal - 1)}
	e := record.LockEntry{Office: locker, Disposition: d, Day: l.today(), Authorizations: indexes(l.approvals), Standing: asked.Standing, Count: int64(len(asked.Records))}
	if l.vary.locks != nil {
		l.vary.locks(m, &e)
	}
	items := []record.Entry{e}
	for n, i := range asked.Records {
		item := record.ItemEntry{Disposition: d, Record: i, Rules: []record.Index{record.Index(l.rule)}, Facts: []record.Index{record.Index(l.closed)}, Audit: record.Index(l.audit)}
		if asked.Action == record.ActionDestroy || asked.Action == record.ActionRedact {
			item.Due = l.ledgerDay(l.audit) + 2
		}
		if i == record.Index(l.records) {
			item.Facts = append(item.Facts, record.Index(l.supersession))
		}
		if n == 0 && l.vary.item != nil {
			l.vary.item(l, &item)
		}
		items = append(items, item)
	}
	l.lock = l.tx(locker, m, items...) + 1
	l.items = l.lock + 1
	l.endBlock()
}

// follow adds what comes after the lock.
func (l *life) follow(d record.Index, records []record.Index) {
	report := &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone, Preserved: records[:1]}
	l.report = l.signed(l.custodian, report, record.ReportEntry{Custodian: record.KeyIDOf(l.custodian.Public().(ed25519.PublicKey)), Disposition: d, Outcome: report.Outcome, Preserved: 1}) + 1
	l.endBlock()
	l.officeReport = l.act("HR", &record.ReportErasure{Disposition: d, Outcome: record.OutcomePreserved}, record.ReportEntry{Office: "HR", Disposition: d, Outcome: record.OutcomePreserved, Preserved: 2})
	l.jump = l.add(record.JumpEntry{Height: l.height, Before: l.now() - 700*second, After: l.now()})
	l.acknowledgment = l.act("CLERK", &record.AcknowledgeJump{Jump: record.Index(l.jump)}, record.AcknowledgmentEntry{Office: "CLERK", Jump: record.Index(l.jump)})
	l.withdrawn = l.propose(&record.ProposeDisposition{Series: lifeSeries, Action: record.ActionPermanent, Records: []record.Index{record.Index(l.records + 2)}})
	l.withdrawal = l.act("HR", &record.WithdrawDisposition{Disposition: record.Index(l.withdrawn)}, record.WithdrawalEntry{Office: "HR", Disposition: record.Index(l.withdrawn)})
	decided := &record.Withhold{Record: record.Index(l.records + 2), Redaction: [32]byte{8}}
	l.withheld = l.act("CLERK", decided, record.WithholdingEntry{Office: "CLERK", Record: decided.Record, Redaction: decided.Redaction})
}

// propose opens a disposition of HR's records.
func (l *life) propose(m *record.ProposeDisposition) int64 {
	return l.act("HR", m, record.DispositionEntry{Office: "HR", Series: m.Series, Action: m.Action, Count: int64(len(m.Records)), Hash: l.hashOf(m)})
}

// approve approves a disposition.
func (l *life) approve(office record.Code, disposition int64) int64 {
	d, hash := record.Index(disposition), l.bodyHash(disposition-1)
	e := record.AuthorizationEntry{Office: office, Disposition: d, Hash: hash}
	if l.vary.approved != nil {
		l.vary.approved(&e)
	}
	return l.act(office, &record.ApproveDisposition{Disposition: e.Disposition, Hash: e.Hash}, e)
}

// hashOf gives the body hash that a message will have in the next transaction.
func (w *world) hashOf(m record.Message) [32]byte {
	body := must1(record.NewBody(w.network.ID, record.Nonce{w.nonce + 1}, record.LedgerDay(w.now())+7, m))
	return record.Tx{Body: body}.BodyHash()
}

func (w *world) bodyHash(tx int64) [32]byte {
	return must1(record.ParseEntry(w.entries[tx])).(record.TxEntry).BodyHash
}

// ledgerDay is that of the block in which an entry is.
func (w *world) ledgerDay(index int64) record.Day {
	for _, at := range w.blocks {
		if at >= index {
			return record.LedgerDay(must1(record.ParseEntry(w.entries[at])).(record.BlockEntry).Time)
		}
	}
	return w.todayOf()
}

func (w *world) todayOf() record.Day { return record.LedgerDay(w.now()) }

func indexes(list []int64) []record.Index {
	out := make([]record.Index, len(list))
	for i, at := range list {
		out[i] = record.Index(at)
	}
	return out
}
