package ledger_test

import (
	"bytes"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// The lock and what follows it, from docs/spec/disposition.md.

func (m *model) lock(msg *record.LockDisposition, by modelSigner, entry *record.TxEntry) (modelNo, func()) {
	d, code := m.open(msg.Disposition)
	switch {
	case code != "":
		return modelNot(code), nil
	case !by.has(record.RoleIT, record.RoleOperator):
		return modelNot("WRONG_ROLE"), nil
	case msg.Hash != d.hash:
		return modelNot("WRONG_HASH"), nil
	case by.office.Code == d.office || by.office.Code == d.msg.To:
		return modelNot("SAME_OFFICE"), nil
	case d.msg.To != "" && !m.active(d.msg.To):
		return modelNot("UNKNOWN_OFFICE"), nil
	case m.frozen(by):
		return modelNo{code: "FROZEN", bad: -1, disposition: d.at}, nil
	}
	for n := range d.msg.Records {
		if no := m.indisposable(d, n, by.today); no.code != "" {
			return no, nil
		}
	}
	good := slices.DeleteFunc(slices.Clone(d.approvals), func(a modelAuthorization) bool { return !m.counts(a, by.today) })
	if code := m.unlockable(d, good, by); code != "" {
		return modelNo{code: code, bad: -1, disposition: d.at}, nil
	}
	entry.Count = 1 + int64(len(d.msg.Records))
	return modelNo{}, func() { m.makeFinal(d, good, by) }
}

// unlockable says what approvals and notices are wanting.
func (m *model) unlockable(d *modelDisposition, good []modelAuthorization, by modelSigner) string {
	parties := []record.Code{d.office, by.office.Code, d.msg.To}
	var approvers []record.Code
	lastDay, lastHeight := d.day, d.height
	for _, a := range good {
		parties, approvers = append(parties, a.office), append(approvers, a.office)
		lastDay, lastHeight = max(lastDay, a.day), max(lastHeight, a.height)
	}
	if slices.Contains(approvers, by.office.Code) || slices.ContainsFunc(parties, func(c record.Code) bool { return m.touched(d, c) }) {
		return "SAME_OFFICE"
	}
	var roles []record.Role
	var days, heights uint32
	var notices []retention.Rule
	express := false
	for n, i := range d.msg.Records {
		it := m.item(i, by.today)
		roles, notices, express = append(roles, m.asked(d, n, by.today)...), append(notices, it.notices...), express || it.oneByOne
		for _, r := range it.rules {
			days, heights = max(days, r.rule.NoticeDays), max(heights, r.rule.NoticeHeights)
		}
	}
	if m.standingCovers(int64(d.msg.Standing), d.office, d.msg.Series, by.today) {
		if roles = nil; express {
			roles = []record.Role{record.RoleStateRecords}
		}
	}
	slices.Sort(roles)
	if !m.headed(d) || !m.fill(slices.Compact(roles), approvers) {
		return "MISSING_APPROVAL"
	}
	if days > 0 {
		lastDay += record.Day(days) + 1
	}
	if by.today < lastDay || by.height < lastHeight+int64(heights) {
		return "NOTICE_PERIOD"
	}
	for _, n := range notices {
		if d.notice == 0 || modelAdd(int(d.noticeDay), n.Count, n.Unit) >= int(by.today) {
			return "NOTICE_MISSING"
		}
	}
	return ""
}

// active tells whether an office may act.
func (m *model) active(c record.Code) bool {
	office, ok := m.office(c)
	return ok && office.Status == record.StatusActive
}

// headed tells whether the head of a department still stands by the proposal.
func (m *model) headed(d *modelDisposition) bool {
	office, _ := m.office(d.office)
	keeps := slices.Contains(office.Roles, record.RoleDepartment) || slices.Contains(office.Roles, record.RoleLibraryCEO)
	return m.active(d.office) && keeps && !m.void(modelApproval{d.key, d.height})
}

// touched tells whether an office had a hand in a hold on one of the records
// since the proposal.
func (m *model) touched(d *modelDisposition, office record.Code) bool {
	for _, i := range d.msg.Records {
		for _, h := range m.holdsOn(i) {
			if h.since > d.at && h.brought == office || h.released > d.at && h.by == office {
				return true
			}
		}
	}
	return false
}

// makeFinal writes the lock and why each record could be locked.
func (m *model) makeFinal(d *modelDisposition, good []modelAuthorization, by modelSigner) {
	e := record.LockEntry{
		Office: by.office.Code, Disposition: record.Index(d.at), Day: by.today, Standing: d.msg.Standing, Count: int64(len(d.msg.Records)),
	}
	for _, a := range good {
		e.Authorizations = append(e.Authorizations, record.Index(a.at))
	}
	e.Authorizations = modelCited(e.Authorizations)
	items := make([]modelItem, len(d.msg.Records))
	for n, i := range d.msg.Records {
		items[n] = m.item(i, by.today)
		if len(items[n].notices) > 0 {
			e.Notice = record.Index(d.notice)
		}
	}
	d.lock, d.status = m.write(e), modelLocked
	for n, i := range d.msg.Records {
		m.write(m.itemEntry(d, i, items[n], by.today))
		m.touch(i).disposition = d.at
	}
	if d.reports = m.reportsDue(d, items); len(d.reports) == 0 {
		d.status = modelComplete
	} else {
		m.everLocked = true
	}
	m.dispositions[d.at] = d
}

// itemEntry cites what the lock of a record rests on.
func (m *model) itemEntry(d *modelDisposition, i record.Index, it modelItem, today record.Day) record.ItemEntry {
	e := record.ItemEntry{Disposition: record.Index(d.at), Record: i}
	if d.msg.Action == record.ActionDestroy || d.msg.Action == record.ActionRedact && it.overdue(today) {
		e.Due = record.Day(it.end.due)
	}
	if it.audit != nil {
		e.Audit = record.Index(it.audit.at)
	}
	for _, r := range it.rules {
		e.Rules = append(e.Rules, record.Index(r.stated))
	}
	for _, at := range it.cited {
		e.Rules = append(e.Rules, record.Index(at))
	}
	e.Rules = modelCited(e.Rules)
	for _, l := range []modelLife{m.life(i), m.life(record.Index(m.life(i).file))} {
		for _, said := range l.events {
			e.Facts = append(e.Facts, record.Index(said.at))
		}
		for _, at := range []int64{l.supersession, l.filing} {
			if at != 0 {
				e.Facts = append(e.Facts, record.Index(at))
			}
		}
	}
	e.Facts = modelCited(e.Facts)
	return e
}

func modelCited(list []record.Index) []record.Index {
	slices.Sort(list)
	return slices.Compact(list)
}

// reportsDue lists who has to report: offices, then custodians.
func (m *model) reportsDue(d *modelDisposition, items []modelItem) []modelReport {
	if d.msg.Action == record.ActionPermanent {
		return nil
	}
	var due []modelReport
	add := func(r modelReport) {
		if !slices.Contains(due, r) {
			due = append(due, r)
		}
	}
	if d.msg.To != "" {
		add(modelReport{office: d.msg.To})
	}
	for _, it := range items {
		if it.anchor.Custody == "" {
			add(modelReport{office: d.office})
			continue
		}
		for _, id := range m.facts["custody/"+string(it.anchor.Custody)].fact.(*record.CustodianSet).Custodians {
			add(modelReport{custodian: id})
		}
	}
	slices.SortFunc(due, func(a, b modelReport) int {
		if c := bytes.Compare(a.custodian[:], b.custodian[:]); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a.office), []byte(b.office))
	})
	return due
}

func (m *model) report(msg *record.ReportErasure, by modelSigner) (modelNo, func()) {
	d, ok := m.dispositions[int64(msg.Disposition)]
	if !ok {
		return modelNot("UNKNOWN_DISPOSITION"), nil
	}
	if d.lock == 0 {
		return modelNot("NOT_LOCKED"), nil
	}
	own := modelReport{office: by.office.Code}
	if by.custodian {
		own.custodian = by.key
	}
	at := slices.IndexFunc(d.reports, func(r modelReport) bool { return r.office == own.office && r.custodian == own.custodian })
	if at < 0 {
		return modelNot("NO_REPORT_DUE"), nil
	}
	if d.reports[at].at != 0 {
		return modelNot("ALREADY_REPORTED"), nil
	}
	preserved := msg.Preserved
	if msg.Outcome == record.OutcomePreserved {
		preserved = d.msg.Records
	}
	for n, i := range preserved {
		if !slices.Contains(d.msg.Records, i) {
			return modelNo{code: "UNKNOWN_RECORD", bad: int64(n)}, nil
		}
	}
	return modelNo{}, func() {
		d.reports[at].done = msg.Outcome == record.OutcomeDone && len(preserved) == 0
		d.reports[at].at = m.write(record.ReportEntry{
			Office: own.office, Custodian: own.custodian, Disposition: msg.Disposition, Outcome: msg.Outcome, Preserved: int64(len(preserved)),
		})
		for _, i := range preserved {
			if m.life(i).disposition == d.at {
				m.touch(i).disposition = 0
			}
		}
		if !slices.ContainsFunc(d.reports, func(r modelReport) bool { return r.at == 0 }) {
			d.status = modelComplete
			if i := d.msg.Records[0]; d.msg.Action == record.ActionRedact && m.life(i).disposition == d.at {
				m.touch(i).disposition = 0
			}
		}
	}
}
