package ledger_test

import (
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// disposition draws a proposal, mostly of records of one series that are due.
func (g *generator) disposition() (string, record.Message) {
	anything := g.rand.IntN(4) == 0
	fits := func(i record.Index, a record.AnchorEntry) bool {
		if anything {
			return true
		}
		it := g.model.item(i, g.today)
		due := it.end.sure == 0 && it.end.due <= int(g.today) && len(it.rules) > 0 && len(it.holds) == 0
		return due && g.model.life(i).disposition == 0
	}
	first := g.someAnchors(1, fits)[0]
	anchor, _ := g.model.anchorAt(first)
	m := &record.ProposeDisposition{Series: anchor.Series, Action: record.ActionDestroy, Records: []record.Index{first}}
	if !m.Series.Valid() {
		m.Series = "DEMO-MINUTES"
	}
	switch g.rand.IntN(10) {
	case 0, 1:
		m.Action, m.To = record.ActionTransfer, pick[record.Code](g.rand, "ARCHIVE", "ARCHIVE", "PRA", "IT", "DPW", "NOBODY")
	case 2:
		m.Action = record.ActionPermanent
	case 3, 4, 5:
		return g.redaction(first, anchor)
	}
	one := anchor.Flags != 0 || anchor.Day < day("1900-01-01")
	if g.rand.IntN(2) == 0 && (!one || g.rand.IntN(4) == 0) {
		m.Records = append(m.Records, g.someAnchors(2, func(i record.Index, a record.AnchorEntry) bool {
			return fits(i, a) && (a.Office == anchor.Office && a.Series == anchor.Series && (a.Day > 0 || g.rand.IntN(10) == 0) || g.rand.IntN(60) == 0)
		})...)
		slices.Sort(m.Records)
		m.Records = slices.Compact(m.Records)
	}
	if all := slices.Sorted(maps.Keys(g.model.standings)); len(all) > 0 && g.rand.IntN(3) == 0 {
		m.Standing = record.Index(pick(g.rand, all...))
	} else if g.rand.IntN(40) == 0 {
		m.Standing = 1
	}
	if anchor.Office == "" || g.rand.IntN(25) == 0 {
		return g.able(departments...), m
	}
	return g.able(string(anchor.Office)), m
}

// redaction draws a proposal to erase parts of a record, be it due or not.
func (g *generator) redaction(first record.Index, anchor record.AnchorEntry) (string, record.Message) {
	if g.rand.IntN(2) == 0 {
		first = g.someAnchors(1, func(i record.Index, a record.AnchorEntry) bool { return g.model.life(i).disposition == 0 })[0]
		anchor, _ = g.model.anchorAt(first)
	}
	m := &record.ProposeDisposition{
		Series: anchor.Series, Action: record.ActionRedact, Redaction: commitment("parts"), Records: []record.Index{first},
	}
	if !m.Series.Valid() {
		m.Series = "DEMO-MINUTES"
	}
	if anchor.Office == "" || g.rand.IntN(25) == 0 {
		return g.able(departments...), m
	}
	return g.able(string(anchor.Office)), m
}

// withholding draws a decision to withhold parts of a record.
func (g *generator) withholding() (string, record.Message) {
	m := &record.Withhold{Record: g.anchor(), Redaction: commitment("parts")}
	anchor, _ := g.model.anchorAt(m.Record)
	if anchor.Office != "" && g.rand.IntN(3) > 0 {
		return g.able(string(anchor.Office)), m
	}
	return g.able("CLERK", "COUNSEL", "DPW", "AUDIT"), m
}

// someDisposition picks a disposition of a status, now and then any other, or
// the index of something else; nil where there is none.
func (g *generator) someDisposition(status int64) (record.Index, *modelDisposition) {
	var some []int64
	for _, at := range slices.Sorted(maps.Keys(g.model.dispositions)) {
		if g.model.dispositions[at].status == status || g.rand.IntN(20) == 0 {
			some = append(some, at)
		}
	}
	if len(some) == 0 && g.rand.IntN(10) > 0 {
		return 0, nil
	}
	if len(some) == 0 || g.rand.IntN(30) == 0 {
		return record.Index(1 + g.rand.IntN(len(g.model.log))), &modelDisposition{msg: &record.ProposeDisposition{Records: []record.Index{1}}}
	}
	some = some[max(0, len(some)-4):]
	at := pick(g.rand, some...)
	return record.Index(at), g.model.dispositions[at]
}

// hash gives the hash of a disposition, seldom another one.
func (g *generator) hash(d *modelDisposition) [32]byte {
	h := d.hash
	if g.rand.IntN(25) == 0 {
		h[0] ^= 1
	}
	return h
}

func (g *generator) authorization() (string, record.Message) {
	at, d := g.someDisposition(modelProposed)
	if all := slices.Sorted(maps.Keys(g.model.dispositions)); g.rand.IntN(4) == 0 { // a redaction asks for more approvals than others
		for _, i := range all {
			if c := g.model.dispositions[i]; c.status == modelProposed && c.msg.Action == record.ActionRedact {
				at, d = record.Index(i), c
			}
		}
	}
	if d == nil {
		return "", nil
	}
	signer := pick(g.rand, allOffices...)
	if g.rand.IntN(8) > 0 {
		signer = g.able(g.wanted(d)...)
	}
	return signer, &record.ApproveDisposition{Disposition: at, Hash: g.hash(d)}
}

// wanted names offices that have not approved yet and could.
func (g *generator) wanted(d *modelDisposition) []string {
	roles := append(g.model.asked(d, 0, g.today), record.RoleStateRecords)
	var names []string
	for _, name := range allOffices {
		office, _ := g.model.office(record.Code(name))
		asked := slices.ContainsFunc(roles, func(r record.Role) bool { return slices.Contains(office.Roles, r) })
		approved := slices.ContainsFunc(d.approvals, func(a modelAuthorization) bool { return a.office == office.Code })
		if asked && !approved {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return allOffices
	}
	return names
}

func (g *generator) locking() (string, record.Message) {
	at, d := g.someDisposition(modelProposed)
	if d == nil {
		return "", nil
	}
	if len(g.model.item(d.msg.Records[0], g.today).notices) > 0 && g.rand.IntN(3) == 0 {
		notice := g.today - pick[record.Day](g.rand, -1, 0, 20, 40, 40, 40)
		return string(d.office), &record.RecordNotice{Disposition: at, Day: notice}
	}
	if ready := g.ready(); len(ready) > 0 && g.rand.IntN(2) > 0 {
		at = pick(g.rand, ready...)
		d = g.model.dispositions[int64(at)]
	}
	return g.able("IT", "OPS", "OPS", "OPS", "CLERK"), &record.LockDisposition{Disposition: at, Hash: g.hash(d)}
}

// ready lists the dispositions that the operator could lock.
func (g *generator) ready() []record.Index {
	var ready []record.Index
	office, _ := g.model.office("OPS")
	by := modelSigner{office: office, key: keyID("OPS"), height: g.model.height + 1, time: g.model.time, today: g.today}
	for _, at := range slices.Sorted(maps.Keys(g.model.dispositions)) {
		d := g.model.dispositions[at]
		if no, _ := g.model.lock(&record.LockDisposition{Disposition: record.Index(at), Hash: d.hash}, by, new(record.TxEntry)); no.code == "" {
			ready = append(ready, record.Index(at))
		}
	}
	return ready
}

func (g *generator) reporting() (string, record.Message) {
	at, d := g.someDisposition(modelLocked)
	if d == nil {
		return "", nil
	}
	m := &record.ReportErasure{Disposition: at, Outcome: pick(g.rand, record.OutcomeDone, record.OutcomeDone, record.OutcomePreserved)}
	if m.Outcome == record.OutcomeDone && g.rand.IntN(3) == 0 {
		m.Preserved = d.msg.Records[:1]
		if g.rand.IntN(4) == 0 {
			m.Preserved = []record.Index{d.msg.Records[0] + 1}
		}
	}
	if m.Outcome == record.OutcomeDone && g.rand.IntN(2) == 0 {
		m.Claim, m.Report = pick(g.rand, record.ClaimFiles, record.ClaimKey), commitment("report")
	}
	signers := []string{"DPW"}
	for _, r := range d.reports {
		if r.office == "" {
			signers = append(signers, map[bool]string{true: "node/custodian", false: "other/custodian"}[r.custodian == keyID("node/custodian")])
		} else {
			signers = append(signers, string(r.office))
		}
	}
	return pick(g.rand, signers...), m
}

// ending withdraws, or states what nobody can state.
func (g *generator) ending() (string, record.Message) {
	at, d := g.someDisposition(modelProposed)
	if d == nil {
		return "", nil
	}
	if g.rand.IntN(3) > 0 {
		return g.able("DPW", "HEALTH"), &record.RecordNotice{Disposition: at, Day: g.today - record.Day(g.rand.IntN(3))}
	}
	return pick(g.rand, string(d.office), "CLERK", "DPW"), &record.WithdrawDisposition{Disposition: at}
}

func (g *generator) acknowledgment() (string, record.Message) {
	m := &record.AcknowledgeJump{Jump: record.Index(g.model.clock.jump)}
	if m.Jump == 0 || g.rand.IntN(10) == 0 {
		m.Jump++
	}
	return g.able("CLERK", "IT", "COUNSEL", "DPW"), m
}
