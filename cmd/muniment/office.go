package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
)

func (p *program) officeCommand() *cobra.Command {
	return group("office", "Propose, approve and show offices and keys",
		group("propose", "Put a change to the governing offices", p.proposeOfficeCommand(), p.proposeKeyCommand()),
		p.approveCommand(), p.officeShowCommand())
}

// factText says in one line what a fact states.
func factText(f record.Fact) string {
	if text, ok := scheduleText(f); ok {
		return text
	}
	if text, ok := memberText(f); ok {
		return text
	}
	switch f := f.(type) {
	case *record.Parameters:
		return fmt.Sprintf("parameters: anchors %d days ahead, other acts %d, proposals open %d days, clock jumps above %d s",
			f.AnchorDays, f.OtherDays, f.ProposalDays, f.JumpSeconds)
	case *record.Office:
		return fmt.Sprintf("office %s: %s, roles %v", f.Code, f.Status, f.Roles)
	case *record.Key:
		return fmt.Sprintf("%s key of %s: %s, key id %x, public key %x", f.Use, f.Office, f.Status, f.ID(), f.PublicKey)
	case *record.Governance:
		return fmt.Sprintf("governance of %s: %d of %v, required %v", f.Subject, f.Threshold, f.Offices, f.Required)
	case *record.Series:
		departments := "every department"
		if len(f.Departments) > 0 {
			departments = fmt.Sprint(f.Departments)
		}
		return fmt.Sprintf("series %s: %s, dates by %s, for %s", f.Code, f.Status, f.Granularity, departments)
	}
	return "a fact that this program does not know"
}
