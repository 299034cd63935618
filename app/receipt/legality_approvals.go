package receipt

import (
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// approvalDays is how long an approval of a disposition is good, in ledger days.
const approvalDays = 180

// judgeApprovals reads the approvals that the lock cites, and tells whether they
// are of the right offices, bound to the proposal, and neither too old nor too
// fresh.
func (c *legalCase) judgeApprovals() error {
	day, height := c.proposed.day(), c.proposed.block.Height
	for _, i := range c.lock.Authorizations {
		s, err := c.approvalAt(i)
		if err != nil {
			return err
		}
		c.approvals = append(c.approvals, s)
		day, height = max(day, s.day()), max(height, s.block.Height)
	}
	needed, err := c.neededRoles()
	if err != nil {
		return err
	}
	if role, ok := c.unfilled(needed); ok {
		return refuse(MissingApproval, "no approval fills the role %s, or only one that fills another", role)
	}
	for _, rule := range c.own() {
		between := max(0, int64(c.lock.Day)-int64(day)-1) // whole days
		if between < int64(rule.NoticeDays) || c.locked.block.Height-height < int64(rule.NoticeHeights) {
			return refuse(NoticePeriod, "the rule of entry %d wants %d days and %d heights between the last approval and the lock; there were %d and %d",
				rule.index, rule.NoticeDays, rule.NoticeHeights, between, c.locked.block.Height-height)
		}
	}
	return nil
}

// approvalAt reads an approval that the lock cites.
func (c *legalCase) approvalAt(i record.Index) (signatory, error) {
	d, err := c.earlier(i, c.locked.index)
	if err != nil {
		return signatory{}, err
	}
	e, ok := d.entry.(record.AuthorizationEntry)
	if !ok || e.Disposition != c.item.Disposition || e.Hash != c.proposed.tx.BodyHash {
		return signatory{}, refuse(LockContradicted, "entry %d does not approve this disposition as it was proposed", i)
	}
	s, err := c.withRoles(d, c.locked.index) // roles count as they were at the lock
	if err != nil {
		return signatory{}, err
	}
	others := append([]signatory{c.proposed, c.locked}, c.approvals...)
	if s.office == c.asked.To || slices.ContainsFunc(others, func(o signatory) bool { return o.office == s.office }) {
		return signatory{}, refuse(SameOffice, "%s approved the disposition and has another part in it", s.office)
	}
	if age := int64(c.lock.Day) - int64(d.day()); age > approvalDays {
		return signatory{}, refuse(MissingApproval, "the approval of %s was %d days old, and is good for %d", s.office, age, approvalDays)
	}
	return s, nil
}

// neededRoles lists the roles whose approval this record asks for, ascending.
func (c *legalCase) neededRoles() (roles []record.Role, err error) {
	alone := c.subject.oneByOne()
	for _, rule := range c.own() {
		roles = append(roles, rule.Approvals...)
	}
	if c.asked.Action == record.ActionRedact {
		roles = append(roles, record.RoleClerk, record.RoleCounsel)
		alone = alone || !c.judgement.ripe
	}
	if c.judgement.review {
		roles = append(roles, record.RoleStateArchivist)
	}
	if c.lock.Standing != 0 {
		covers, err := c.standingCovers()
		if err != nil {
			return nil, err
		}
		if covers {
			roles = nil
		}
	}
	if alone { // or ahead of the schedule
		roles = append(roles, record.RoleStateRecords)
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

// standingCovers tells whether the standing authorization held on the day of
// the lock.
func (c *legalCase) standingCovers() (bool, error) {
	if int64(c.lock.Standing) >= c.proposed.index {
		return false, refuse(LockContradicted, "the standing authorization of entry %d does not precede the proposal", c.lock.Standing)
	}
	s, err := factAt[*record.StandingAuthorization](c, int64(c.lock.Standing), "a standing authorization")
	if err != nil {
		return false, err
	}
	c.standing = s
	_, named := slices.BinarySearch(s.Series, c.subject.anchor.Series)
	c.authorized = s.Office == c.proposed.office && named && s.From <= c.lock.Day && c.lock.Day <= s.Until
	return c.authorized, nil
}

// unfilled finds a role that no office of its own fills. An office with several
// roles fills one.
func (c *legalCase) unfilled(roles []record.Role) (record.Role, bool) {
	fills := make([]int, len(c.approvals)) // position of the role that an office fills; -1: none
	for i := range fills {
		fills[i] = -1
	}
	var fill func(role int, asked []bool) bool
	fill = func(role int, asked []bool) bool {
		for i, s := range c.approvals {
			if asked[i] || !s.has(roles[role]) {
				continue
			}
			asked[i] = true
			if fills[i] < 0 || fill(fills[i], asked) {
				fills[i] = role
				return true
			}
		}
		return false
	}
	for n, role := range roles {
		if !fill(n, make([]bool, len(fills))) {
			return role, true
		}
	}
	return 0, false
}

// judgeNotice tells whether the persons concerned were told long enough before.
func (c *legalCase) judgeNotice() error {
	var told record.NoticeEntry
	if c.lock.Notice != 0 {
		d, err := c.earlier(c.lock.Notice, c.locked.index)
		if err != nil {
			return err
		}
		var ok bool
		if told, ok = d.entry.(record.NoticeEntry); !ok || told.Disposition != c.item.Disposition || d.office != c.proposed.office || told.Day > d.day() {
			return refuse(LockContradicted, "entry %d is no notice of this disposition", d.index)
		}
		c.notice = &d
	}
	for _, v := range c.judgement.notices {
		if c.notice == nil || retention.Add(told.Day, v.NoticeCount, v.NoticeUnit) >= c.lock.Day {
			return refuse(NoticeMissing, "the persons concerned were not told %d %s before the lock", v.NoticeCount, v.NoticeUnit)
		}
	}
	return nil
}
