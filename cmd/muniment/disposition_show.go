package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// dispositionInfo is a disposition as the node tells of it.
type dispositionInfo struct {
	Index      uint64         `json:"index"`
	Department string         `json:"department"`
	Series     string         `json:"series"`
	Action     string         `json:"action"`
	To         string         `json:"to,omitempty"`
	Standing   uint64         `json:"standing_authorization,omitempty"`
	Redaction  string         `json:"redaction,omitempty"` // hash in hex of what is erased, with REDACT
	Hash       string         `json:"hash"`                // in hex: what approvals and the lock bind
	Count      uint64         `json:"count"`
	Day        string         `json:"day"` // of the proposal
	Status     string         `json:"status"`
	Approvals  []approvalInfo `json:"approvals"`
	NoticeDay  string         `json:"notice_day,omitempty"`
	Lock       uint64         `json:"lock,omitempty"`
	Reports    []reportInfo   `json:"reports"`
}

type approvalInfo struct {
	Office    string `json:"office"`
	Day       string `json:"day"`
	Entry     uint64 `json:"entry"`
	GoodUntil string `json:"good_until"` // last day
}

type reportInfo struct {
	Reporter string `json:"reporter"`        // office, or custodian in hex
	Entry    uint64 `json:"entry,omitempty"` // 0: it is due
}

func dispositionInfoOf(d *apiv1.DispositionInfo) dispositionInfo {
	info := dispositionInfo{
		Index: d.Index, Department: printable(d.Department), Series: printable(d.Series), Action: printable(d.Action), To: printable(d.To),
		Standing: d.StandingAuthorization, Hash: hex.EncodeToString(d.Hash), Count: d.Count, Day: dayText(record.Day(d.Day)), Status: printable(d.Status),
		Approvals: []approvalInfo{}, Lock: d.Lock, Reports: []reportInfo{},
	}
	if len(d.Redaction) > 0 {
		info.Redaction = hex.EncodeToString(d.Redaction)
	}
	if d.Notice != 0 {
		info.NoticeDay = dayText(record.Day(d.NoticeDay))
	}
	for _, a := range d.Approvals {
		info.Approvals = append(info.Approvals, approvalInfo{printable(a.Office), dayText(record.Day(a.Day)), a.Entry, dayText(record.Day(a.Day + ledger.ApprovalDays))})
	}
	for _, r := range d.Reports {
		reporter := printable(r.Office)
		if reporter == "" {
			reporter = "custodian " + hex.EncodeToString(r.Custodian)
		}
		info.Reports = append(info.Reports, reportInfo{reporter, r.Entry})
	}
	return info
}

// reportsIn counts the reports that were given.
func (d *dispositionInfo) reportsIn() int {
	in := 0
	for _, r := range d.Reports {
		if r.Entry != 0 {
			in++
		}
	}
	return in
}

// approvedBy lists approvals as "CLERK 2031-01-31".
func (d *dispositionInfo) approvedBy() []string {
	var by []string
	for _, a := range d.Approvals {
		by = append(by, a.Office+" "+a.Day)
	}
	return by
}

// dispositionInfo asks for one disposition, with its records.
func (s *session) dispositionInfo(ctx context.Context, index uint64) (*apiv1.DispositionInfo, error) {
	response, err := staffCall(ctx, s, apiv1.RecordsStaffClient.Dispositions, &apiv1.DispositionsRequest{Disposition: index})
	if err != nil {
		return nil, err
	}
	if len(response.Dispositions) != 1 || response.Dispositions[0].Index != index {
		return nil, failed(exitNotFound, "NOT_FOUND", "muniment disposition list lists them", "there is no disposition %d", index)
	}
	return response.Dispositions[0], nil
}

func (p *program) dispositionListCommand() *cobra.Command {
	var department string
	open := false
	c := &cobra.Command{
		Use: "list", Short: "List dispositions and how far they have come", Args: exactly(0, "no arguments"),
		Example: "  muniment disposition list --open",
	}
	c.Flags().StringVar(&department, "department", "", "only those of this office (default: every office)")
	c.Flags().BoolVar(&open, "open", false, "only those that are open, or locked and wait for reports")
	c.RunE = func(c *cobra.Command, _ []string) error {
		infos, err := p.dispositions(c.Context(), department, open)
		if err != nil {
			return err
		}
		result := struct {
			Dispositions []dispositionInfo `json:"dispositions"`
		}{infos}
		if len(infos) == 0 {
			p.say("there are no such dispositions")
		}
		return p.show(result, func(w io.Writer) {
			for _, d := range infos {
				fmt.Fprintf(w, "%d\t%s\t%s %s\t%s of %s\t%s\t%s\n", d.Index, d.Status, d.Action, countText(int(d.Count)), d.Series, d.Department, d.Day, d.progress())
			}
		})
	}
	return c
}

// progress says in words what a disposition has, and waits for.
func (d *dispositionInfo) progress() string {
	switch d.Status {
	case "OPEN":
		if len(d.Approvals) == 0 {
			return "no approvals"
		}
		return "approved by " + strings.Join(d.approvedBy(), ", ")
	case "LOCKED", "COMPLETE":
		return fmt.Sprintf("lock entry %d, %d of %s", d.Lock, d.reportsIn(), counted(len(d.Reports), "report"))
	}
	return ""
}

func (p *program) dispositions(ctx context.Context, department string, open bool) ([]dispositionInfo, error) {
	code, err := parseCode("office", department)
	if err != nil {
		return nil, err
	}
	s, err := p.open(false)
	if err != nil {
		return nil, err
	}
	defer s.close()
	list, err := s.allDispositions(ctx, &apiv1.DispositionsRequest{Department: string(code), Open: open})
	if err != nil {
		return nil, err
	}
	infos := make([]dispositionInfo, len(list))
	for i, d := range list {
		infos[i] = dispositionInfoOf(d)
	}
	return infos, nil
}

// allDispositions asks for every part of a list of dispositions.
func (s *session) allDispositions(ctx context.Context, request *apiv1.DispositionsRequest) ([]*apiv1.DispositionInfo, error) {
	var all []*apiv1.DispositionInfo
	for {
		part, err := staffCall(ctx, s, apiv1.RecordsStaffClient.Dispositions, request)
		if err != nil {
			return nil, err
		}
		all = append(all, part.Dispositions...)
		if !part.More || len(part.Dispositions) == 0 {
			return all, nil
		}
		request.After = part.Dispositions[len(part.Dispositions)-1].Index
	}
}

// dispositionResult is what disposition show prints.
type dispositionResult struct {
	dispositionInfo
	Records       []uint64    `json:"records"`
	Roles         []string    `json:"roles"`   // whose approval it needs
	Missing       []string    `json:"missing"` // roles that no approval fills
	NoticeDays    uint32      `json:"notice_days"`
	NoticeHeights uint32      `json:"notice_heights"`
	Earliest      string      `json:"earliest_lock,omitempty"` // first day on which it may be locked, once no approval is missing
	Touched       []touchInfo `json:"touched"`                 // since the proposal, of an open one
}

// touchInfo is an office that placed, extended or released a hold on one of the
// records since the proposal. It has no other part in the disposition: where it
// had one, the lock is refused.
type touchInfo struct {
	Office string `json:"office"`
	Hold   uint64 `json:"hold"`
	Part   string `json:"part,omitempty"` // proposed, approved or takes custody over
}

// partOf says in words which part an office has in a disposition, as far as it
// counts on a day.
func (d *dispositionInfo) partOf(office, today string) string {
	switch {
	case office == d.Department:
		return "proposed"
	case office == d.To:
		return "takes custody over"
	case slices.ContainsFunc(d.Approvals, func(a approvalInfo) bool { return a.Office == office && a.GoodUntil >= today }):
		return "approved"
	}
	return ""
}

// barred tells whether every lock is refused because of who touched a hold.
func (r *dispositionResult) barred() bool {
	return slices.ContainsFunc(r.Touched, func(t touchInfo) bool { return t.Part != "" })
}

func (p *program) dispositionShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "show DISPOSITION", Short: "Show a disposition: records, approvals given and missing, when it can be locked, reports due",
		Args: exactly(1, "one disposition"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		index, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		said, err := s.dispositionInfo(c.Context(), uint64(index))
		if err != nil {
			return err
		}
		r := dispositionResult{dispositionInfo: dispositionInfoOf(said), Records: append([]uint64{}, said.Records...), Roles: printables(said.Roles), Missing: []string{}, Touched: []touchInfo{}}
		if said.Status == "OPEN" {
			for _, t := range said.Touched {
				r.Touched = append(r.Touched, touchInfo{printable(t.Office), t.Hold, r.partOf(t.Office, dayText(s.ledgerDay()))})
			}
			if err := s.outlook(c.Context(), &r); err != nil {
				return err
			}
		}
		return p.showDisposition(r)
	}
	return c
}

// outlook finds which approvals are missing, and the first day of a lock.
func (s *session) outlook(ctx context.Context, r *dispositionResult) error {
	registry, err := s.registry(ctx)
	if err != nil {
		return err
	}
	r.Missing = missingRoles(r.Roles, s.rolesOf(registry, r.Approvals))
	if len(r.Records) == 0 {
		return nil
	}
	for _, i := range slices.Compact([]uint64{r.Records[0], r.Records[len(r.Records)-1]}) { // the rules of the oldest anchor and of the newest
		rules, err := s.rulesOn(ctx, i)
		if err != nil {
			return err
		}
		for _, rule := range rules {
			r.NoticeDays, r.NoticeHeights = max(r.NoticeDays, rule.NoticeDays), max(r.NoticeHeights, rule.NoticeHeights)
		}
	}
	if len(r.Missing) > 0 || r.barred() {
		return nil
	}
	last := r.Day
	for _, a := range r.Approvals {
		last = max(last, a.Day)
	}
	day, err := parseDay(last)
	r.Earliest = dayText(ledger.Noticed(day, uint32(r.NoticeDays)))
	return err
}

// rulesOn gives the schedule rules that bind a record, from their verified entries.
func (s *session) rulesOn(ctx context.Context, index uint64) ([]*record.ScheduleRule, error) {
	why, err := staffCall(ctx, s, apiv1.RecordsStaffClient.Why, &apiv1.WhyRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: index}}})
	if err != nil {
		return nil, err
	}
	var rules []*record.ScheduleRule
	for _, r := range why.Rules {
		verdict, _, err := s.receipt(ctx, r.Stated)
		if err != nil {
			return nil, err
		}
		if e, ok := verdict.Entry.(record.FactEntry); ok {
			fact, err := record.ParseFact(e.Fact)
			if err != nil {
				return nil, err
			}
			if rule, ok := fact.(*record.ScheduleRule); ok {
				rules = append(rules, rule)
			}
		}
	}
	return rules, nil
}

// rolesOf gives the roles of each office whose approval is still good.
func (s *session) rolesOf(r registry, approvals []approvalInfo) [][]string {
	today := dayText(s.ledgerDay())
	var of [][]string
	for _, a := range approvals {
		if a.GoodUntil < today {
			continue
		}
		for _, f := range r.facts {
			if office, ok := f.(*record.Office); ok && string(office.Code) == a.Office && office.Status == record.StatusActive {
				var roles []string
				for _, role := range office.Roles {
					roles = append(roles, role.String())
				}
				of = append(of, roles)
			}
		}
	}
	return of
}

// missingRoles lists the roles that no office can fill, each office filling one.
func missingRoles(roles []string, offices [][]string) []string {
	missing := []string{}
	fills := make([]int, len(offices)) // role of each office plus one; 0: free
	var place func(role int, tried []bool) bool
	place = func(role int, tried []bool) bool {
		for n, has := range offices {
			if tried[n] || !slices.Contains(has, roles[role]) {
				continue
			}
			tried[n] = true
			if fills[n] == 0 || place(fills[n]-1, tried) {
				fills[n] = role + 1
				return true
			}
		}
		return false
	}
	for role := range roles {
		if !place(role, make([]bool, len(offices))) {
			missing = append(missing, roles[role])
		}
	}
	return missing
}

func (p *program) showDisposition(r dispositionResult) error {
	err := p.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "disposition\t%d, %s\naction\t%s %s of %s, series %s\n", r.Index, r.Status, r.Action, countText(int(r.Count)), r.Department, r.Series)
		if r.To != "" {
			fmt.Fprintf(w, "to\t%s\n", r.To)
		}
		fmt.Fprintf(w, "records\t%s\nproposed\t%s\nhash\t%s\n", listText(r.Records), r.Day, r.Hash)
		if r.Redaction != "" {
			fmt.Fprintf(w, "erases\twhat redaction %s marks\n", r.Redaction)
		}
		if r.Standing != 0 {
			fmt.Fprintf(w, "standing\tauthorization %d stands for approvals while it is in force\n", r.Standing)
		}
		for _, a := range r.Approvals {
			fmt.Fprintf(w, "approved\tby %s on %s, entry %d, good until %s\n", a.Office, a.Day, a.Entry, a.GoodUntil)
		}
		for _, role := range r.Missing {
			fmt.Fprintf(w, "missing\tapproval by an office with the role %s\n", role)
		}
		for _, t := range r.Touched {
			part := "it may neither approve nor lock"
			if t.Part != "" {
				part = "it also " + t.Part + ", so that every lock is refused"
			}
			fmt.Fprintf(w, "barred\t%s placed, extended or released hold %d on these records since the proposal: %s\n", t.Office, t.Hold, part)
		}
		if r.NoticeDay != "" {
			fmt.Fprintf(w, "notice\tthe persons concerned were told on %s\n", r.NoticeDay)
		}
		if r.Status == "OPEN" {
			fmt.Fprintf(w, "lock\t%s\n", r.when())
		}
		if r.Lock != 0 {
			fmt.Fprintf(w, "locked\tby entry %d\n", r.Lock)
		}
		for _, report := range r.Reports {
			state := "is due"
			if report.Entry != 0 {
				state = fmt.Sprintf("is in, entry %d", report.Entry)
			}
			fmt.Fprintf(w, "report\tof %s %s\n", report.Reporter, state)
		}
	})
	if err == nil && r.Status == "OPEN" && r.barred() {
		p.say("next: muniment disposition withdraw %d, then propose it anew", r.Index)
	} else if err == nil && r.Status == "OPEN" {
		next := "approve"
		if len(r.Missing) == 0 {
			next = "lock"
		}
		p.say("next: muniment disposition %s %d", next, r.Index)
	}
	return err
}

// when says from when on a disposition can be locked.
func (r *dispositionResult) when() string {
	if r.barred() {
		return "no more: it has to be proposed anew"
	}
	heights := counted(int(r.NoticeHeights), "block")
	if r.Earliest == "" {
		return fmt.Sprintf("%s and %s after the last approval", counted(int(r.NoticeDays), "day"), heights)
	}
	return fmt.Sprintf("from %s on, and %s after the last approval", r.Earliest, heights)
}
