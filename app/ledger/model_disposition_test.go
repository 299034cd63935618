package ledger_test

import (
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Dispositions, from docs/spec/disposition.md.

// modelDisposition is a disposition.
type modelDisposition struct {
	at        int64
	msg       *record.ProposeDisposition
	office    record.Code
	key       record.KeyID // that signed the proposal
	hash      [32]byte
	tx        int64
	day       record.Day
	height    int64
	status    int64
	approvals []modelAuthorization
	notice    int64
	noticeDay record.Day
	lock      int64
	reports   []modelReport
}

// What the numbers of the status mean.
const (
	modelProposed = iota + 1
	modelWithdrawn
	modelLocked
	modelComplete
)

type modelAuthorization struct {
	office record.Code
	key    record.KeyID
	day    record.Day
	height int64
	at     int64
}

// modelReport is what an office or a custodian owes or gave.
type modelReport struct {
	office    record.Code
	custodian record.KeyID
	at        int64
	done      bool // everything of the disposition
}

// modelItem is a record as a disposition sees it.
type modelItem struct {
	anchor   record.AnchorEntry
	rules    []modelRule
	cited    []int64 // rules of other series
	end      modelEnd
	audit    *modelPosting
	roles    []record.Role // that its destruction asks for
	notices  []retention.Rule
	oneByOne bool
	kept     bool           // a rule has another final action than destruction
	holds    []modelCovered // that stand
}

// item judges a record on a day.
func (m *model) item(i record.Index, today record.Day) modelItem {
	it := modelItem{}
	it.anchor, _ = m.anchorAt(i)
	it.rules = m.binding(it.anchor.Series, i, today)
	it.oneByOne = it.anchor.Flags&record.FlagUndated != 0 || modelDate(int(it.anchor.Day)).Year() < 1900
	for _, h := range m.holdsOn(i) {
		if h.released == 0 {
			it.holds = append(it.holds, h)
		}
	}
	it.audit = m.audit(i, it)
	facts := m.knownOf(i, it)
	it.end = modelEnd{due: modelFirstDay}
	for _, r := range it.rules {
		j := modelJudgement{model: m, record: i, today: today}
		facts.fiscal = r.rule.FiscalStart
		if facts.file != nil {
			facts.file.fiscal = r.rule.FiscalStart
		}
		if end := j.end(r.rule.Rule, &facts, 0); it.end.before(end) {
			it.end = end
		}
		it.cited = append(it.cited, j.cited...)
		it.roles = append(it.roles, r.rule.Approvals...)
		it.kept = it.kept || r.rule.Action != record.ActionDestroy
		if j.review {
			it.roles = append(it.roles, record.RoleStateArchivist)
		}
		if j.notice.Count > 0 {
			it.notices = append(it.notices, j.notice)
		}
	}
	if it.oneByOne {
		it.roles = append(it.roles, record.RoleStateRecords)
	}
	slices.Sort(it.roles)
	it.roles = slices.Compact(it.roles)
	return it
}

// audit finds the first posting that covers the year of a record and that of its
// file, by whichever rule these years end last.
func (m *model) audit(i record.Index, it modelItem) *modelPosting {
	end, dated := modelFirstDay, false
	anchors := []record.AnchorEntry{it.anchor}
	if file := m.life(i).file; file != 0 {
		anchors = append(anchors, m.log[file].(record.AnchorEntry))
	}
	for _, a := range anchors {
		for _, r := range it.rules {
			if a.Flags&record.FlagUndated == 0 {
				end, dated = max(end, modelYearEnd(int(a.Day), r.rule.FiscalStart)), true
			}
		}
	}
	for _, p := range m.postings[it.anchor.Office] {
		if dated && int(p.through) >= end {
			return &p
		}
	}
	return nil
}

// knownOf collects what is known of a record and of its file.
func (m *model) knownOf(i record.Index, it modelItem) modelFacts {
	l := m.life(i)
	f := modelFacts{
		created: it.anchor.Day, undated: it.anchor.Flags&record.FlagUndated != 0, series: l.series, audit: it.audit,
		events: map[retention.Event]record.Day{},
	}
	for e, said := range l.events {
		f.events[e] = said.day
	}
	if l.supersession != 0 {
		f.events[retention.Superseded] = l.supersededOn
	}
	if l.file != 0 {
		of := modelItem{audit: it.audit}
		of.anchor, _ = m.anchorAt(record.Index(l.file))
		file := m.knownOf(record.Index(l.file), of)
		file.file, file.series = nil, of.anchor.Series
		f.file = &file
	}
	return f
}

// indisposable says what stands against an action on a record.
func (m *model) indisposable(d *modelDisposition, n int, today record.Day) modelNo {
	i := d.msg.Records[n]
	it := m.item(i, today)
	no := modelNo{bad: int64(n), disposition: d.at, record: int64(i)}
	switch {
	case m.life(i).disposition != 0:
		no.code = "ALREADY_LOCKED"
	case it.oneByOne && len(d.msg.Records) > 1:
		no.code = "ONE_BY_ONE"
	case len(it.holds) > 0:
		no.code, no.hold = "HELD", it.holds[0].at
	case len(it.rules) == 0:
		no.code = "NO_RULE"
	case d.msg.Action == record.ActionDestroy && !it.overdue(today):
		no.code = "NOT_DUE"
	}
	return no
}

func (m *model) proposeDisposition(msg *record.ProposeDisposition, by modelSigner) (modelNo, func()) {
	if !by.has(record.RoleDepartment, record.RoleLibraryCEO) {
		return modelNot("WRONG_ROLE"), nil
	}
	to, ok := m.office(msg.To)
	if msg.To != "" && (!ok || to.Status != record.StatusActive || msg.To == by.office.Code) {
		return modelNot("UNKNOWN_OFFICE"), nil
	}
	if msg.Standing != 0 && !m.standingCovers(int64(msg.Standing), by.office.Code, msg.Series, by.today) {
		return modelNot("NOT_AUTHORIZED"), nil
	}
	d := &modelDisposition{
		msg: msg, office: by.office.Code, key: by.key, hash: by.body, day: by.today, height: by.height, status: modelProposed,
	}
	for n, i := range msg.Records {
		no := modelNo{bad: int64(n)}
		a, ok := m.anchorAt(i)
		switch {
		case !ok:
			no.code = "UNKNOWN_RECORD"
		case a.Office != by.office.Code:
			no.code = "WRONG_OFFICE"
		case a.Series != msg.Series:
			no.code = "WRONG_SERIES"
		}
		if no.code != "" {
			return no, nil
		}
	}
	if m.frozen(by) {
		return modelNot("FROZEN"), nil
	}
	for n := range msg.Records {
		if no := m.indisposable(d, n, by.today); no.code != "" {
			return no, nil
		}
	}
	return modelNo{}, func() {
		d.tx = m.size() - 1
		d.at = m.write(record.DispositionEntry{
			Office: by.office.Code, Series: msg.Series, Action: msg.Action, Count: int64(len(msg.Records)), Hash: by.body,
		})
		m.dispositions[d.at] = d
	}
}

// open gives a copy of a disposition that is neither withdrawn nor locked.
func (m *model) open(i record.Index) (*modelDisposition, string) {
	d, ok := m.dispositions[int64(i)]
	switch {
	case !ok:
		return nil, "UNKNOWN_DISPOSITION"
	case d.status != modelProposed:
		return nil, "DISPOSITION_CLOSED"
	}
	clone := *d
	clone.approvals = slices.Clone(d.approvals)
	return &clone, ""
}

// counts tells whether an approval is good today.
func (m *model) counts(a modelAuthorization, today record.Day) bool {
	office, _ := m.office(a.office)
	return today-a.day <= 180 && office.Status == record.StatusActive && !m.void(modelApproval{a.key, a.height})
}

func (m *model) approveDisposition(msg *record.ApproveDisposition, by modelSigner) (modelNo, func()) {
	d, code := m.open(msg.Disposition)
	switch {
	case code != "":
		return modelNot(code), nil
	case msg.Hash != d.hash:
		return modelNot("WRONG_HASH"), nil
	case by.office.Code == d.office || by.office.Code == d.msg.To:
		return modelNot("SAME_OFFICE"), nil
	case !by.has(append(m.asked(d, 0, by.today), record.RoleStateRecords, record.RoleStateArchivist)...):
		return modelNot("WRONG_ROLE"), nil
	case m.frozen(by):
		return modelNo{code: "FROZEN", bad: -1, disposition: d.at}, nil
	}
	for n, a := range d.approvals {
		if a.office == by.office.Code {
			if m.counts(a, by.today) {
				return modelNot("ALREADY_APPROVED"), nil
			}
			d.approvals = slices.Delete(d.approvals, n, n+1)
			break
		}
	}
	return modelNo{}, func() {
		at := m.write(record.AuthorizationEntry{Office: by.office.Code, Disposition: msg.Disposition, Hash: msg.Hash})
		d.approvals = append(d.approvals, modelAuthorization{by.office.Code, by.key, by.today, by.height, at})
		m.dispositions[d.at] = d
	}
}

func (m *model) withdraw(msg *record.WithdrawDisposition, by modelSigner) (modelNo, func()) {
	d, code := m.open(msg.Disposition)
	switch {
	case code != "":
		return modelNot(code), nil
	case by.office.Code != d.office && !by.has(record.RoleClerk):
		return modelNot("WRONG_OFFICE"), nil
	}
	return modelNo{}, func() {
		m.write(record.WithdrawalEntry{Office: by.office.Code, Disposition: msg.Disposition})
		d.status = modelWithdrawn
		m.dispositions[d.at] = d
	}
}

func (m *model) recordNotice(msg *record.RecordNotice, by modelSigner) (modelNo, func()) {
	d, code := m.open(msg.Disposition)
	switch {
	case code != "":
		return modelNot(code), nil
	case by.office.Code != d.office:
		return modelNot("WRONG_OFFICE"), nil
	case msg.Day > by.today || msg.Day < modelFirstDay:
		return modelNot("BAD_DAY"), nil
	case m.frozen(by):
		return modelNo{code: "FROZEN", bad: -1, disposition: d.at}, nil
	}
	return modelNo{}, func() {
		d.notice, d.noticeDay = m.write(record.NoticeEntry{Office: by.office.Code, Disposition: msg.Disposition, Day: msg.Day}), msg.Day
		m.dispositions[d.at] = d
	}
}
