package node

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// submitSigned signs a message with the custodian's key and hands it in. That the
// ledger has it already, as done says, is no error: an answer can be lost.
func (s *Service) submitSigned(ctx context.Context, m record.Message, done ledger.Code) error {
	var nonce record.Nonce
	rand.Read(nonce[:])
	day := record.LedgerDay(s.node.View().Head().Time) + reportDays
	body, err := record.NewBody(record.Network(s.node.network.ID), nonce, day, m)
	if err != nil {
		return err
	}
	raw, err := record.Sign(s.node.keys.Custodian, body)
	if err != nil {
		return err
	}
	result, _, err := s.node.Submit(ctx, raw)
	if err == nil && result.Code != ledger.OK && result.Code != done {
		err = fmt.Errorf("%w: %s", ErrReportRefused, result.Code)
	}
	return err
}

// submitDeparture hands in that this custodian has left a set.
func (s *Service) submitDeparture(ctx context.Context, m *record.LeaveCustody) error {
	if err := s.submitSigned(ctx, m, ledger.OK); err != nil {
		return fmt.Errorf("state the departure from set %s: %w", m.Set, err)
	}
	return nil
}

// heard is told that another custodian was heard of.
func (s *Service) heard(custodian record.KeyID) {
	if s.copying != nil {
		s.copying.heard(custodian)
	}
}

// leaveForOperator answers Operators.LeaveCustody.
func (s *Service) leaveForOperator(ctx context.Context, set record.Code) (*apiv1.LeaveCustodyResponse, error) {
	departure, err := s.custody.Leave(ctx, set, func(ctx context.Context) error { return s.copying.handOver(ctx, set) })
	if err != nil {
		return nil, err
	}
	index, _, err := ledger.DepartureOf(s.node.View(), set, s.copying.own)
	if err != nil {
		return nil, err
	}
	s.node.log.Info("left a custodian set", "set", set, "departure", departure)
	return &apiv1.LeaveCustodyResponse{Departure: departure.String(), Index: uint64(index)}, nil
}
