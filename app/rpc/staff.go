package rpc

import (
	"context"
	"fmt"
	"strings"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// staff is what records staff ask before they act: indexes, codes and days, as
// the log has them, and nothing of what the records say.
type staff struct {
	apiv1.UnimplementedRecordsStaffServer
	server *Server
}

// mostListed is how many items one message of a list holds.
const mostListed = 1000

// Why explains where one record stands.
func (s *staff) Why(ctx context.Context, r *apiv1.WhyRequest) (*apiv1.WhyResponse, error) {
	department, err := departmentOr(ctx, r.Department)
	if err != nil {
		return nil, err
	}
	view := s.server.options.State.View()
	index, _, err := s.server.anchorOf(view, department, r.Record)
	if err != nil {
		return nil, err
	}
	inquiry := ledger.NewInquiry(view)
	it, _, err := inquiry.Explain(index)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.WhyResponse{Item: dueItem(&it), Lines: explanation(&it), LedgerDay: int32(inquiry.Day())}
	resp.Item.Approvals = roleNames(it.Approvals(record.ActionDestroy))
	for _, on := range it.Holds {
		hold, _, err := ledger.HoldOf(view, on.Hold)
		if err != nil {
			return nil, err
		}
		resp.Holds = append(resp.Holds, holdInfo(on.Hold, hold))
	}
	for _, rule := range it.Rules {
		resp.Rules = append(resp.Rules, &apiv1.RuleInfo{
			Schedule: string(rule.Schedule), Version: rule.Version, Series: string(rule.Series), Rule: rule.Rule.String(),
			Stated: uint64(rule.Stated), Adopted: uint64(rule.Adopted),
		})
	}
	return resp, nil
}

// explanation gives the lines of a verdict. Where several rules bind, each has a
// line above its own that says which it is.
func explanation(it *ledger.Item) (lines []string) {
	rules, indent := it.Rules, 0
	if len(rules) > 1 {
		indent = 1
	}
	for _, step := range it.Verdict.Why {
		if step.Depth == 0 && indent > 0 && len(rules) > 0 {
			lines = append(lines, fmt.Sprintf("version %d of schedule %s:", rules[0].Version, rules[0].Schedule))
			rules = rules[1:]
		}
		lines = append(lines, strings.Repeat("  ", step.Depth+indent)+step.Text)
	}
	return lines
}

// Clock tells the ledger day and whether dispositions are frozen.
func (s *staff) Clock(context.Context, *apiv1.ClockRequest) (*apiv1.ClockResponse, error) {
	view := s.server.options.State.View()
	resp := &apiv1.ClockResponse{LedgerDay: int32(record.LedgerDay(view.Head().Time))}
	freeze, frozen, err := ledger.FreezeOf(view)
	if err != nil || !frozen {
		return resp, err
	}
	resp.Frozen, resp.Jump = true, uint64(freeze.Jump)
	resp.UntilTime, resp.UntilHeight = freeze.EndTime, uint64(freeze.EndHeight)
	for _, office := range freeze.Offices {
		resp.AcknowledgedBy = append(resp.AcknowledgedBy, string(office))
	}
	return resp, nil
}

func roleNames(roles []record.Role) (names []string) {
	for _, role := range roles {
		names = append(names, role.String())
	}
	return names
}

func numbers[T ~int64](indexes []T) (list []uint64) {
	for _, i := range indexes {
		list = append(list, uint64(i))
	}
	return list
}
