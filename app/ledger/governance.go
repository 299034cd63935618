package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// propose judges a proposed change of an office or a key. The proposer's
// signature is its office's approval; where that is enough, the change is
// executed at once.
func (a *act) propose(m *record.ProposeChange) (Code, error) {
	switch m.Fact.(type) {
	case *record.Office, *record.Key:
	default:
		return CodeUnsupportedChange, nil
	}
	if why := faultOf(m.Fact); why != "" {
		return CodeBadFact, nil
	}
	g, code, err := a.governing()
	if err != nil || code != OK {
		return code, err
	}
	hash, err := record.FactHash(m.Fact)
	if err != nil {
		return 0, err
	}
	at := a.add(record.ProposalEntry{Office: a.office.Code, FactHash: hash})
	p := Proposal{Office: a.office.Code, Fact: m.Fact, Day: a.today}
	return a.decide(g, at, p)
}

// approve judges an office's approval of a proposal, and executes the change
// when it was the last one needed.
func (a *act) approve(m *record.ApproveChange) (Code, error) {
	p, known, err := ProposalOf(a.view, m.Proposal)
	if err != nil {
		return 0, err
	}
	if !known {
		return CodeUnknownProposal, nil
	}
	hash, err := record.FactHash(p.Fact)
	if err != nil {
		return 0, err
	}
	params, err := ParametersOf(a.view)
	if err != nil {
		return 0, err
	}
	g, code, err := a.governing()
	switch {
	case err != nil || code != OK:
		return code, err
	case m.FactHash != hash:
		return CodeWrongFact, nil
	case p.Executed != 0:
		return CodeProposalExecuted, nil
	case int64(a.today)-int64(p.Day) > int64(params.ProposalDays):
		return CodeProposalExpired, nil
	}
	for i, earlier := range p.Approvals {
		if earlier.Office != a.office.Code {
			continue
		}
		void, err := voided(a.view, earlier)
		if err != nil {
			return 0, err
		}
		if !void {
			return CodeAlreadyApproved, nil
		}
		p.Approvals = slices.Delete(p.Approvals, i, i+1)
		break
	}
	a.add(record.ApprovalEntry{Office: a.office.Code, Proposal: m.Proposal, FactHash: hash})
	return a.decide(g, m.Proposal, p)
}

// decide adds the signer's approval to proposal p, whose entry is at, and
// executes the change if that is enough.
func (a *act) decide(g record.Governance, at record.Index, p Proposal) (Code, error) {
	p.Approvals = append(p.Approvals, Approval{Office: a.office.Code, KeyID: a.tx.KeyID, Height: a.header.Height})
	slices.SortFunc(p.Approvals, func(x, y Approval) int { return strings.Compare(string(x.Office), string(y.Office)) })
	enough, err := approved(a.view, g, p.Approvals)
	if err != nil {
		return 0, err
	}
	index := a.first + record.Index(len(a.items)) + 1 // of the fact entry, if there is one
	values, code, err := change(a.view, p.Fact, index, a.header.Height)
	if err != nil || code != OK {
		return code, err
	}
	if enough {
		fact, err := record.MarshalFact(p.Fact)
		if err != nil {
			return 0, err
		}
		p.Executed = a.add(record.FactEntry{Fact: fact})
		a.values = append(a.values, values...)
	}
	value, err := proposalValue(p)
	if err != nil {
		return 0, err
	}
	a.set(StateKeyProposal(at), value)
	return OK, nil
}

// governing gives who decides on offices and keys, if the signer is one of them.
func (a *act) governing() (record.Governance, Code, error) {
	g, err := security(a.view)
	if err != nil {
		return record.Governance{}, 0, err
	}
	if !slices.Contains(g.Offices, a.office.Code) {
		return record.Governance{}, CodeNotGoverning, nil
	}
	return g, OK, nil
}

// security gives who decides on offices and keys.
func security(v View) (record.Governance, error) {
	g, ok, err := GovernanceOf(v, record.SubjectSecurity)
	if err == nil && !ok {
		err = fmt.Errorf("read who governs %s: nobody: %w", record.SubjectSecurity, errDamaged)
	}
	return g, err
}

// voided tells whether a suspension has voided an approval.
func voided(v View, a Approval) (bool, error) {
	key, known, err := KeyOf(v, a.KeyID)
	if err == nil && !known {
		err = fmt.Errorf("read key %x of an approval: it is not there: %w", a.KeyID, errDamaged)
	}
	return err == nil && key.voids(a.Height), err
}

// approved tells whether approvals suffice now: offices and keys are taken as
// they are, not as they were when they approved.
func approved(v View, g record.Governance, approvals []Approval) (bool, error) {
	var offices []record.Code
	for _, a := range approvals {
		void, err := voided(v, a)
		if err != nil {
			return false, err
		}
		office, known, err := OfficeOf(v, a.Office)
		if err != nil {
			return false, err
		}
		if known && !void && office.Status == record.StatusActive {
			offices = append(offices, a.Office)
		}
	}
	return quorum(g, offices), nil
}

// quorum tells whether the offices, each listed once, can decide.
func quorum(g record.Governance, offices []record.Code) bool {
	count := uint32(0)
	for _, office := range offices {
		if slices.Contains(g.Offices, office) {
			count++
		}
	}
	for _, office := range g.Required {
		if !slices.Contains(offices, office) {
			return false
		}
	}
	return count >= g.Threshold
}
