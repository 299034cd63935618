package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// propose judges a proposed change. The proposer's signature is its office's
// approval; where that is enough, the change is executed at once.
func (a *act) propose(m *record.ProposeChange) (Code, error) {
	policy, ok, err := policyOf(a.view, m.Fact)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return CodeUnsupportedChange, nil
	case faultOf(m.Fact) != "":
		return CodeBadFact, nil
	case !policy.may(a.office):
		return CodeNotGoverning, nil
	}
	hash, err := record.FactHash(m.Fact)
	if err != nil {
		return 0, err
	}
	at := a.add(record.ProposalEntry{Office: a.office.Code, FactHash: hash})
	return a.decide(policy, at, Proposal{Office: a.office.Code, Fact: m.Fact, Day: a.today})
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
	policy, ok, err := policyOf(a.view, p.Fact)
	if err == nil && !ok {
		err = fmt.Errorf("read proposal %d: nobody can change such a fact: %w", m.Proposal, errDamaged)
	}
	switch {
	case err != nil:
		return 0, err
	case !policy.may(a.office):
		return CodeNotGoverning, nil
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
	return a.decide(policy, m.Proposal, p)
}

// decide adds the signer's approval to proposal p, whose entry is at, and
// executes the change if that is enough.
func (a *act) decide(policy policy, at record.Index, p Proposal) (Code, error) {
	p.Approvals = append(p.Approvals, Approval{Office: a.office.Code, KeyID: a.tx.KeyID, Height: a.header.Height})
	slices.SortFunc(p.Approvals, func(x, y Approval) int { return strings.Compare(string(x.Office), string(y.Office)) })
	offices, err := approving(a.view, p.Approvals)
	if err != nil {
		return 0, err
	}
	index := a.first + record.Index(len(a.items)) + 1 // of the fact entry, if there is one
	values, code, err := a.change(p, index)
	if err != nil || code != OK {
		return code, err
	}
	if policy.enough(offices) {
		if _, node := p.Fact.(*record.Node); node {
			if code, err := a.quorumStays(values); err != nil || code != OK {
				return code, err
			}
		}
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
func security(v View) (record.Governance, error) { return governorsOf(v, record.SubjectSecurity) }

// governorsOf gives who decides a subject. Genesis sees to it that somebody does.
func governorsOf(v View, s record.Subject) (record.Governance, error) {
	g, ok, err := GovernanceOf(v, s)
	if err == nil && !ok {
		err = fmt.Errorf("read who governs %s: nobody: %w", s, errDamaged)
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

// approving gives the offices whose approvals count now: offices and keys are
// taken as they are, not as they were when they approved.
func approving(v View, approvals []Approval) ([]record.Office, error) {
	var offices []record.Office
	for _, a := range approvals {
		void, err := voided(v, a)
		if err != nil {
			return nil, err
		}
		office, known, err := OfficeOf(v, a.Office)
		if err != nil {
			return nil, err
		}
		if known && !void && office.Status == record.StatusActive {
			offices = append(offices, office)
		}
	}
	return offices, nil
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
