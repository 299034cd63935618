package model

import (
	"crypto/sha256"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// readDisposition reads what was signed about dispositions.
func (p *page) readDisposition(e record.Entry) {
	switch e.Kind() {
	case record.KindDisposition, record.KindAuthorization, record.KindLock:
		p.unless(!p.frozen, "dispositions are frozen since the clock leapt")
	}
	switch e := e.(type) {
	case record.DispositionEntry:
		m := p.body.(*record.ProposeDisposition)
		p.unless(e.Hash == sha256.Sum256(p.tx.Body), "the hash is not that of the proposal")
		parts := m.Action == record.ActionRedact
		p.free(m.Records, parts)
		for _, i := range m.Records {
			p.unless(p.records[i].office == p.office, "record %d is not of %s", i, p.office)
		}
		p.cases[p.at] = &dossier{
			office: p.office, key: p.tx.KeyID, records: m.Records, parts: parts, hash: sha256.Sum256(p.tx.Body), day: p.today, height: p.height,
		}
	case record.AuthorizationEntry:
		d := p.cases[e.Disposition]
		p.unless(!d.over, "disposition %d is over", e.Disposition)
		p.unless(p.body.(*record.ApproveDisposition).Hash == d.hash, "the approval is of something else than %d", e.Disposition)
		d.approvals = append(d.approvals, approval{p.office, p.tx.KeyID, p.today, p.height, p.at})
	case record.WithdrawalEntry:
		d := p.cases[e.Disposition]
		p.unless(!d.over, "disposition %d is over", e.Disposition)
		d.over = true
	case record.LockEntry:
		p.readLock(e)
	case record.ItemEntry:
		d := p.cases[e.Disposition]
		p.unless(d.locked && slices.Contains(d.records, e.Record), "record %d is no part of disposition %d", e.Record, e.Disposition)
	case record.ReportEntry:
		d := p.cases[e.Disposition]
		n := slices.Index(d.due, reporter{e.Office, e.Custodian})
		signed := e.Office == p.office && e.Office != "" || e.Custodian == p.tx.KeyID
		p.unless(n >= 0 && signed, "no report is due from %s under %d", p.office, e.Disposition)
		if n >= 0 {
			d.due = slices.Delete(d.due, n, n+1)
		}
		m := p.body.(*record.ReportErasure)
		if d.parts && m.Outcome == record.OutcomeDone {
			p.decide(d.records[0], e.Disposition)
		}
		if d.parts || m.Outcome == record.OutcomePreserved {
			d.records = nil // they live on
		}
	case record.WithholdingEntry:
		by, r := p.offices[p.office], p.records[e.Record]
		p.unless(r.office == p.office || has(by, record.RoleClerk) || has(by, record.RoleCounsel), "%s must not withhold", p.office)
		p.decide(e.Record, p.at)
	case record.RefusalEntry:
		p.unless(p.tx.Count == 1, "a refusal has left more than its entry")
	}
}

// readLock judges the one step that cannot be undone.
func (p *page) readLock(e record.LockEntry) {
	d := p.cases[e.Disposition]
	p.unless(!d.over, "disposition %d is over", e.Disposition)
	p.unless(p.body.(*record.LockDisposition).Hash == d.hash, "the lock is of something else than %d", e.Disposition)
	p.unless(e.Day == p.today, "the lock says day %d on day %d", e.Day, p.today)
	p.free(d.records, d.parts)
	locker := p.offices[p.office]
	p.unless(locker.Status == record.StatusActive && (has(locker, record.RoleIT) || has(locker, record.RoleOperator)), "%s must not lock", p.office)
	proposer := p.signers[d.key]
	p.unless(proposer.since == 0 || d.height < proposer.since, "the proposal is void")
	p.unless(has(p.offices[d.office], record.RoleDepartment) && p.offices[d.office].Status == record.StatusActive, "%s is no department", d.office)
	parties := []record.Code{p.office, d.office}
	var good []approval
	for _, a := range d.approvals {
		if !slices.Contains(e.Authorizations, a.entry) {
			continue
		}
		key := p.signers[a.key]
		p.unless(key.since == 0 || a.height < key.since, "the approval of entry %d is void", a.entry)
		p.unless(p.today-a.day <= 180, "the approval of entry %d is too old", a.entry)
		p.unless(p.offices[a.office].Status == record.StatusActive, "%s is not active", a.office)
		good, parties = append(good, a), append(parties, a.office)
	}
	p.unless(len(good) == len(e.Authorizations), "the lock cites %d approvals, of which %d are there", len(e.Authorizations), len(good))
	p.distinct(parties, e.Disposition, d)
	p.enough(good, e.Disposition, d)
	d.over, d.locked = true, true
	d.due = p.reporters(d)
	if len(d.due) == 0 {
		p.accuse("nobody has to report")
	}
}

// distinct wants every part played by an office of its own, and none by one that
// placed or released a hold on the records since the proposal.
func (p *page) distinct(parties []record.Code, at record.Index, d *dossier) {
	for n, office := range parties {
		p.unless(!slices.Contains(parties[:n], office), "%s plays two parts in disposition %d", office, at)
		for _, i := range d.records {
			for _, h := range p.holds {
				touched := h.placed > at && h.office == office || h.released > at && h.by == office
				p.unless(!touched || !h.covers(i, p.records[i]), "%s had a hand in the holds on record %d", office, i)
			}
		}
	}
}

// enough wants every role that the rules ask for filled by an office of its own
// that has it now, and the notice period over since the last of these approvals.
func (p *page) enough(good []approval, at record.Index, d *dossier) {
	days, heights := record.Day(0), int64(0)
	var roles []record.Role
	for _, i := range d.records {
		rule := p.rules[p.records[i].series]
		roles = append(roles, rule.Approvals...)
		if d.parts {
			roles = append(roles, record.RoleClerk, record.RoleCounsel)
		}
		if d.parts && p.today <= p.lastDay(p.records[i]) {
			roles = append(roles, record.RoleStateRecords)
		}
		days, heights = max(days, record.Day(rule.NoticeDays)), max(heights, int64(rule.NoticeHeights))
	}
	slices.Sort(roles)
	p.unless(p.fill(slices.Compact(roles), good), "disposition %d lacks approvals", at)
	for _, a := range good {
		p.unless((days == 0 || p.today-a.day > days) && p.height-a.height >= heights, "the notice period since entry %d is not over", a.entry)
	}
	p.unless((days == 0 || p.today-d.day > days) && p.height-d.height >= heights, "the notice period since the proposal is not over")
}

// fill tries every way of giving each role to an approval of its own.
func (p *page) fill(roles []record.Role, good []approval) bool {
	if len(roles) == 0 {
		return true
	}
	for n, a := range good {
		if has(p.offices[a.office], roles[0]) && p.fill(roles[1:], slices.Delete(slices.Clone(good), n, n+1)) {
			return true
		}
	}
	return false
}

// reporters lists who has to report on the records of a disposition.
func (p *page) reporters(d *dossier) []reporter {
	var due []reporter
	for _, i := range d.records {
		r := reporter{office: p.records[i].office}
		if p.records[i].custody != "" {
			r = reporter{custodian: keys["node/custodian"]}
		}
		if !slices.Contains(due, r) {
			due = append(due, r)
		}
	}
	return due
}

func has(o record.Office, role record.Role) bool { return slices.Contains(o.Roles, role) }
