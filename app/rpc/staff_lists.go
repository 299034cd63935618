package rpc

import (
	"context"
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// Dispositions lists dispositions.
func (s *staff) Dispositions(_ context.Context, r *apiv1.DispositionsRequest) (*apiv1.DispositionsResponse, error) {
	if r.Disposition != 0 {
		return s.disposition(r.Disposition)
	}
	var department record.Code
	if r.Department != "" {
		var err error
		if department, err = codeOf(r.Department, "department"); err != nil {
			return nil, err
		}
	}
	after, err := count(r.After, "after")
	if err != nil {
		return nil, err
	}
	resp, view := &apiv1.DispositionsResponse{}, s.server.options.State.View()
	for d, err := range ledger.Dispositions(s.server.options.State.Snapshot().Values(ledger.DispositionPrefix()), record.Index(after)) {
		ended := d.Value.Status == ledger.DispositionWithdrawn || d.Value.Status == ledger.DispositionComplete
		switch {
		case err != nil:
			return nil, err
		case department != "" && d.Value.Office != department, r.Open && ended:
			continue
		case len(resp.Dispositions) == mostListed:
			resp.More = true
			return resp, nil
		}
		info, err := dispositionInfo(view, d.Index, d.Value)
		if err != nil {
			return nil, err
		}
		resp.Dispositions = append(resp.Dispositions, info)
	}
	return resp, nil
}

// disposition tells of one disposition alone, with its records and, while it is
// open, whose approval it needs.
func (s *staff) disposition(named uint64) (*apiv1.DispositionsResponse, error) {
	view := s.server.options.State.View()
	i, err := within(named, view.Head().Size, "entry")
	if err != nil {
		return nil, err
	}
	index := record.Index(i)
	d, ok, err := ledger.DispositionOf(view, index)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refuse(reasonNotFound, "entry %d proposes no disposition", index)
	}
	info, err := dispositionInfo(view, index, d)
	if err != nil {
		return nil, err
	}
	records, err := ledger.RecordsOf(view, d)
	if err != nil {
		return nil, err
	}
	info.Records = numbers(records)
	if d.Status == ledger.DispositionOpen {
		inquiry := ledger.NewInquiry(view)
		roles, err := inquiry.Roles(d, records)
		if err != nil {
			return nil, err
		}
		info.Roles = roleNames(roles)
		touched, err := inquiry.Touched(index, records)
		if err != nil {
			return nil, err
		}
		for _, t := range touched {
			info.Touched = append(info.Touched, &apiv1.TouchInfo{Office: string(t.Office), Hold: uint64(t.Hold)})
		}
	}
	return &apiv1.DispositionsResponse{Dispositions: []*apiv1.DispositionInfo{info}}, nil
}

// dispositionInfo tells of a disposition, and what the log says of its lock and
// its reports.
func dispositionInfo(view ledger.View, index record.Index, d ledger.Disposition) (*apiv1.DispositionInfo, error) {
	locked, err := ledger.DayOfLock(view, d)
	if err != nil {
		return nil, err
	}
	info := &apiv1.DispositionInfo{
		Index: uint64(index), Department: string(d.Office), Series: string(d.Series), Action: d.Action.String(), To: string(d.To),
		StandingAuthorization: uint64(d.Standing), Hash: d.Hash[:], Count: uint64(d.Count), Day: int32(d.Day), Status: d.Status.String(),
		Notice: uint64(d.Notice), NoticeDay: int32(d.NoticeDay), Lock: uint64(d.Lock),
		LockDay: int32(locked),
	}
	if d.Action == record.ActionRedact {
		info.Redaction = d.Redaction[:]
	}
	for _, a := range d.Approvals {
		info.Approvals = append(info.Approvals, &apiv1.ApprovalInfo{Office: string(a.Office), Day: int32(a.Day), Entry: uint64(a.Entry)})
	}
	for _, report := range d.Reports {
		one, err := reportInfo(view, d, report)
		if err != nil {
			return nil, err
		}
		info.Reports = append(info.Reports, one)
	}
	return info, nil
}

// reportInfo tells of a report that is due or was given.
func reportInfo(view ledger.View, d ledger.Disposition, r ledger.Report) (*apiv1.ReportInfo, error) {
	info := &apiv1.ReportInfo{Office: string(r.Office), Entry: uint64(r.Entry)}
	if r.Office == "" {
		info.Custodian = r.Custodian[:]
	}
	if r.Entry == 0 {
		return info, nil
	}
	said, err := ledger.ReportedIn(view, r.Entry)
	if err != nil {
		return nil, err
	}
	info.Outcome, info.Preserved = said.Outcome.String(), uint64(len(said.Preserved))
	if said.Outcome == record.OutcomePreserved {
		info.Preserved = uint64(d.Count)
	}
	if said.Claim != 0 && r.Office == "" { // an office has no keyring, whatever it signs
		info.Claim = said.Claim.String()
	}
	return info, nil
}

// Holds lists holds.
func (s *staff) Holds(ctx context.Context, r *apiv1.HoldsRequest) (*apiv1.HoldsResponse, error) {
	switch {
	case r.Hold != 0:
		return s.hold(r.Hold)
	case r.Record != nil:
		return s.holdsOn(callerOf(ctx).Office, r.Record)
	}
	after, err := count(r.After, "after")
	if err != nil {
		return nil, err
	}
	resp := &apiv1.HoldsResponse{}
	for h, err := range ledger.Holds(s.server.options.State.Snapshot().Values(ledger.HoldPrefix()), record.Index(after)) {
		switch {
		case err != nil:
			return nil, err
		case !r.All && h.Value.Released != 0:
			continue
		case len(resp.Holds) == mostListed:
			resp.More = true
			return resp, nil
		}
		resp.Holds = append(resp.Holds, holdInfo(h.Index, h.Value))
	}
	return resp, nil
}

// hold tells of one hold alone.
func (s *staff) hold(named uint64) (*apiv1.HoldsResponse, error) {
	view := s.server.options.State.View()
	i, err := within(named, view.Head().Size, "entry")
	if err != nil {
		return nil, err
	}
	index := record.Index(i)
	h, ok, err := ledger.HoldOf(view, index)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, refuse(reasonNotFound, "entry %d places no hold", index)
	}
	return &apiv1.HoldsResponse{Holds: []*apiv1.HoldInfo{holdInfo(index, h)}}, nil
}

// holdsOn lists the holds on one record, released ones too.
func (s *staff) holdsOn(department record.Code, ref *apiv1.RecordRef) (*apiv1.HoldsResponse, error) {
	view := s.server.options.State.View()
	index, _, err := s.server.anchorOf(view, department, ref)
	if err != nil {
		return nil, err
	}
	all, err := ledger.HoldsOn(view, index)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.HoldsResponse{}
	for _, on := range all {
		h, _, err := ledger.HoldOf(view, on.Hold)
		if err != nil {
			return nil, err
		}
		resp.Holds = append(resp.Holds, holdInfo(on.Hold, h))
	}
	return resp, nil
}

func holdInfo(index record.Index, h ledger.Hold) *apiv1.HoldInfo {
	info := &apiv1.HoldInfo{
		Index: uint64(index), Office: string(h.Office), Kind: h.Kind.String(), Matter: h.Matter[:], Day: int32(h.Day),
		Released: uint64(h.Released), ReleasedBy: string(h.By),
	}
	for issue := range h.Issues + 1 {
		if _, resolved := slices.BinarySearch(h.Resolved, issue); !resolved {
			info.OpenIssues = append(info.OpenIssues, issue)
		}
	}
	for _, part := range h.Parts {
		if words := scopeWords(part); words != "" {
			info.Scopes = append(info.Scopes, words)
		}
	}
	return info
}

// scopeWords says in words what a hold or its extension covers; nothing where it
// brought no more than issues.
func scopeWords(p ledger.HoldPart) string {
	var what string
	switch scope := p.Scope; {
	case p.Listed == 1:
		return "1 record, named by its entry"
	case p.Listed > 1:
		return fmt.Sprintf("%d records, named by their entries", p.Listed)
	case scope.City:
		what = "all records of the city"
	case scope.Department == "":
		return ""
	case scope.Series != "":
		what = fmt.Sprintf("all records of %s in %s", scope.Department, scope.Series)
	default:
		what = "all records of " + string(scope.Department)
	}
	if p.Scope.Dated {
		what += fmt.Sprintf(" dated %s to %s or undated", p.Scope.From, p.Scope.To)
	}
	return what + ", present and future"
}
