package ledger_test

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Who decides, from docs/spec/ledger.md and docs/spec/schedules.md.

func (m *model) governing(s record.Subject) *record.Governance {
	return m.facts["governance/"+string([]byte{byte(s)})].fact.(*record.Governance)
}

func (m *model) security() *record.Governance { return m.governing(record.SubjectSecurity) }

// signOffRoles are those that further offices fill, besides the one that asks.
var signOffRoles = map[bool][]record.Role{
	true:  {record.RoleIT, record.RoleCounsel, record.RoleClerk, record.RoleProcurement}, // an activation
	false: {record.RoleIT, record.RoleClerk, record.RoleStateArchivist, record.RoleStateRecords},
}

// hasPart tells whether an office may propose and approve a fact; ok is false
// for facts that nobody changes.
func (m *model) hasPart(f record.Fact, by *modelSigner) (part, ok bool) {
	signsOff := func(own record.Code, activation bool) bool {
		return by.office.Code == own || by.has(signOffRoles[activation]...)
	}
	records := slices.Contains(m.governing(record.SubjectRecords).Offices, by.office.Code)
	switch f := f.(type) {
	case *record.Office, *record.Key, *record.Node, *record.Witnesses, *record.Upgrade:
		return slices.Contains(m.security().Offices, by.office.Code), true
	case *record.ScheduleRule, *record.CustodianSet:
		return records, true
	case *record.Schedule:
		return records || f.State && by.has(record.RoleStateRecords), true
	case *record.Activation:
		return signsOff(f.Office, true), true
	case *record.StandingAuthorization:
		return signsOff(f.Office, false), true
	}
	return false, false
}

// enough tells whether a proposal has the approvals that it needs, as things are now.
func (m *model) enough(p modelProposal) bool {
	var able []record.Code
	for code, a := range p.approvals {
		if office, _ := m.office(code); office.Status == record.StatusActive && !m.void(a) {
			able = append(able, code)
		}
	}
	decided := func(s record.Subject) bool { return modelQuorum(m.governing(s), able) }
	signedOff := func(own record.Code, activation bool) bool {
		others := slices.DeleteFunc(slices.Clone(able), func(c record.Code) bool { return c == own })
		return len(others) < len(able) && m.fill(signOffRoles[activation], others)
	}
	switch f := p.fact.(type) {
	case *record.ScheduleRule:
		return slices.ContainsFunc(able, func(c record.Code) bool {
			return slices.Contains(m.governing(record.SubjectRecords).Offices, c)
		})
	case *record.CustodianSet:
		return decided(record.SubjectRecords)
	case *record.Schedule:
		return decided(record.SubjectRecords) && (!f.State || m.fill([]record.Role{record.RoleStateRecords}, able))
	case *record.Activation:
		return signedOff(f.Office, true)
	case *record.StandingAuthorization:
		return signedOff(f.Office, false)
	}
	return decided(record.SubjectSecurity)
}

// fill tries every way of giving each role to an office of its own.
func (m *model) fill(roles []record.Role, offices []record.Code) bool {
	if len(roles) == 0 {
		return true
	}
	for i, code := range offices {
		office, _ := m.office(code)
		if slices.Contains(office.Roles, roles[0]) && m.fill(roles[1:], slices.Delete(slices.Clone(offices), i, i+1)) {
			return true
		}
	}
	return false
}

func (m *model) propose(msg *record.ProposeChange, by modelSigner, entry *record.TxEntry) (modelNo, func()) {
	part, ok := m.hasPart(msg.Fact, &by)
	switch {
	case !ok:
		return modelNot("UNSUPPORTED_CHANGE"), nil
	case slices.ContainsFunc(modelCodes(msg.Fact), modelPersonal):
		return modelNot("BAD_FACT"), nil
	case !part:
		return modelNot("NOT_GOVERNING"), nil
	}
	p := modelProposal{
		office: by.office.Code, fact: msg.Fact, day: by.today,
		approvals: map[record.Code]modelApproval{by.office.Code: {by.key, by.height}},
	}
	if bad := m.unstatable(p, by); bad != "" {
		return modelNot(bad), nil
	}
	enough := m.enough(p)
	if enough && m.atRisk(p.fact) {
		return modelNot("QUORUM_AT_RISK"), nil
	}
	if enough {
		entry.Count = 2
	}
	return modelNo{}, func() {
		at := m.write(record.ProposalEntry{Office: by.office.Code, FactHash: modelFactHash(msg.Fact)})
		if enough {
			p.executed = m.state(p.fact, by.height)
		}
		m.proposals[at] = p
	}
}

func (m *model) approve(msg *record.ApproveChange, by modelSigner, entry *record.TxEntry) (modelNo, func()) {
	p, ok := m.proposals[int64(msg.Proposal)]
	if !ok {
		return modelNot("UNKNOWN_PROPOSAL"), nil
	}
	if part, _ := m.hasPart(p.fact, &by); !part {
		return modelNot("NOT_GOVERNING"), nil
	}
	if msg.FactHash != modelFactHash(p.fact) {
		return modelNot("WRONG_FACT"), nil
	}
	if p.executed != 0 {
		return modelNot("PROPOSAL_EXECUTED"), nil
	}
	if int(by.today) > int(p.day)+int(m.parameters().ProposalDays) {
		return modelNot("PROPOSAL_EXPIRED"), nil
	}
	if a, ok := p.approvals[by.office.Code]; ok && !m.void(a) {
		return modelNot("ALREADY_APPROVED"), nil
	}
	approvals := map[record.Code]modelApproval{}
	for code, a := range p.approvals {
		approvals[code] = a
	}
	approvals[by.office.Code] = modelApproval{by.key, by.height}
	p.approvals = approvals
	if bad := m.unstatable(p, by); bad != "" {
		return modelNot(bad), nil
	}
	enough := m.enough(p)
	if enough && m.atRisk(p.fact) {
		return modelNot("QUORUM_AT_RISK"), nil
	}
	if enough {
		entry.Count = 2
	}
	return modelNo{}, func() {
		m.write(record.ApprovalEntry{Office: by.office.Code, Proposal: msg.Proposal, FactHash: msg.FactHash})
		if enough {
			p.executed = m.state(p.fact, by.height)
		}
		m.proposals[int64(msg.Proposal)] = p
	}
}

func (m *model) suspend(msg *record.SuspendKey, by modelSigner) (modelNo, func()) {
	if !slices.Contains(m.security().Offices, by.office.Code) {
		return modelNot("NOT_GOVERNING"), nil
	}
	k, ok := m.keys[msg.KeyID]
	if !ok {
		return modelNot("UNKNOWN_TARGET"), nil
	}
	if msg.SinceHeight > by.height {
		return modelNot("BAD_HEIGHT"), nil
	}
	if k.fact.Status == record.StatusActive {
		k.suspended = by.height
	} else if msg.SinceHeight == 0 || k.since != 0 && msg.SinceHeight >= k.since {
		return modelNot("ALREADY_SUSPENDED"), nil
	}
	before := m.keys[msg.KeyID]
	k.fact.Status, k.since = record.StatusSuspended, msg.SinceHeight
	m.keys[msg.KeyID] = k
	locked := !m.quorate()
	m.keys[msg.KeyID] = before
	if locked {
		return modelNot("LOCKOUT"), nil
	}
	return modelNo{}, func() {
		m.write(record.SuspensionEntry{Office: by.office.Code, KeyID: msg.KeyID, SinceHeight: msg.SinceHeight})
		m.keys[msg.KeyID] = k
	}
}

// modelCodes lists the codes that a fact would register for good.
func modelCodes(f record.Fact) []record.Code {
	switch f := f.(type) {
	case *record.Office:
		return []record.Code{f.Code}
	case *record.Key:
		return []record.Code{f.Office}
	case *record.ScheduleRule:
		return append(modelNamed(f.Rule), f.Schedule, f.Series)
	case *record.Schedule:
		return []record.Code{f.Code}
	case *record.Activation:
		return []record.Code{f.Series, f.Office}
	case *record.StandingAuthorization:
		return append(slices.Clone(f.Series), f.Office)
	case *record.CustodianSet:
		return []record.Code{f.Code}
	case *record.Witnesses:
		var codes []record.Code
		for _, w := range f.Witnesses {
			codes = append(codes, w.Code)
		}
		return codes
	}
	return nil
}

// modelPersonal tells whether a code has seven digits in a row.
func modelPersonal(code record.Code) bool {
	digits := 0
	for _, c := range code {
		if c >= '0' && c <= '9' {
			digits++
		} else if c >= 'A' && c <= 'Z' {
			digits = 0
		}
		if digits == 7 {
			return true
		}
	}
	return false
}

// unstatable says why a fact cannot be stated now: "" if it can. For offices and
// keys it tries on a copy whether a quorum is left.
func (m *model) unstatable(p modelProposal, by modelSigner) string {
	switch f := p.fact.(type) {
	case *record.Office:
		if now, ok := m.office(f.Code); ok && modelFactHash(&now) == modelFactHash(f) {
			return "NO_CHANGE"
		}
	case *record.Key:
		if bad := m.unregistrable(f); bad != "" {
			return bad
		}
	case *record.Node:
		return m.unfitNode(f)
	case *record.Witnesses:
		return m.unfitWitnesses(f)
	case *record.Upgrade:
		return m.unfitUpgrade(f, by.height)
	case *record.CustodianSet:
		return m.unfitSet(f)
	default:
		return m.unschedulable(p, by.today)
	}
	try := *m
	try.facts, try.keys = map[string]modelFact{}, map[record.KeyID]modelKey{}
	for k, v := range m.facts {
		try.facts[k] = v
	}
	for k, v := range m.keys {
		try.keys[k] = v
	}
	try.state(p.fact, by.height)
	if !try.quorate() {
		return "LOCKOUT"
	}
	return ""
}

// unregistrable says why a key cannot be registered or suspended.
func (m *model) unregistrable(f *record.Key) string {
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
	if !registered && m.used(f.PublicKey) {
		return "KEY_REGISTERED"
	}
	return ""
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
	return modelQuorum(m.security(), able)
}

func modelQuorum(g *record.Governance, able []record.Code) bool {
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
