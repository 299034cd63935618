package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// refusalResult is what is printed as JSON about a refusal that is an entry.
type refusalResult struct {
	Refused     string       `json:"refused"` // reason
	Disposition record.Index `json:"disposition,omitempty"`
	Record      record.Index `json:"record,omitempty"` // first that stands against it
	Hold        record.Index `json:"hold,omitempty"`   // on that record
	Entry       int64        `json:"entry"`            // refusal entry: its receipt is the refusal receipt
	Transaction int64        `json:"transaction"`
}

// explained says more about a refusal where the ledger says more: which record
// stands against the act, and which entry the refusal is. The entry is verified.
func (s *session) explained(ctx context.Context, m record.Message, raw []byte, response *apiv1.SubmitResponse, err error) error {
	switch {
	case response == nil:
		return err
	case response.Count > 0:
		return s.recorded(ctx, raw, response, err)
	}
	err = inContext(m, err)
	records := recordsIn(m)
	if bad := response.BadItem; bad >= 0 && bad < int64(len(records)) {
		text := sentence(reasonOf(err))
		if f, ok := errors.AsType[*failure](err); ok {
			text = f.err.Error()
		}
		return failed(codeOf(err), reasonOf(err), nextOf(err), "record %d: %s", records[bad], text)
	}
	return err
}

// inContext says what a reason means for an act where the sentence that serves
// every act says too little.
func inContext(m record.Message, err error) error {
	reason := reasonOf(err)
	var text, next string
	switch m := m.(type) {
	case *record.LockDisposition:
		if reason == "SAME_OFFICE" {
			text = "the office that locks, one that approved or the proposer had another part in this, or placed or released a hold on its records since the proposal"
			next = fmt.Sprintf("muniment disposition show %d and hold list --all name the offices: another one locks, or the proposal is withdrawn and made anew", m.Disposition)
		}
	case *record.RecordEvents:
		if reason == "BAD_DAY" {
			text = "the day is still to come, or the event is stated already with this day or a later one"
			next = "muniment clock shows the ledger day, muniment why RECORD what is stated"
		}
	case *record.RecordNotice:
		if reason == "BAD_DAY" {
			text, next = "the day of the notice is still to come", "muniment clock shows the ledger day"
		}
	}
	if text == "" {
		return err
	}
	return failed(codeOf(err), reason, next, "%s", text)
}

// recorded verifies the refusal receipt and says what stands against the act.
func (s *session) recorded(ctx context.Context, raw []byte, response *apiv1.SubmitResponse, err error) error {
	verdict, receiptErr := s.receiptOf(ctx, raw, response)
	if receiptErr != nil {
		return receiptErr
	}
	e, ok := verdict.Entry.(record.RefusalEntry)
	if !ok {
		return err
	}
	reason := ledger.Code(e.Code).String()
	if reason != reasonOf(err) {
		return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node says %s, entry %d says %s", reasonOf(err), verdict.Index, reason)
	}
	var against []string
	next := fmt.Sprintf("muniment receipt %d -o %d.receipt keeps the refusal receipt", verdict.Index, verdict.Index)
	if e.Record != 0 {
		against = append(against, fmt.Sprintf("record %d", e.Record))
	}
	switch {
	case reason == "FROZEN":
		next = adviceOn[reason] + "; " + next
	case e.Record != 0:
		next = fmt.Sprintf("muniment why %d explains it; ", e.Record) + next
	case e.Disposition != 0:
		next = fmt.Sprintf("muniment disposition show %d tells what is missing; ", e.Disposition) + next
	}
	if e.Hold != 0 {
		against = append(against, fmt.Sprintf("hold %d", e.Hold))
	}
	where := ""
	if len(against) > 0 {
		where = " (" + strings.Join(against, ", ") + ")"
	}
	return &failure{code: exitRefused, reason: reason, next: next,
		result: &refusalResult{Refused: reason, Disposition: e.Disposition, Record: e.Record, Hold: e.Hold, Entry: verdict.Index, Transaction: verdict.Signed.TxIndex},
		err:    fmt.Errorf("%s%s; the refusal is recorded as entry %d", sentence(reason), where, verdict.Index)}
}

// recordsIn lists the records that a message names, in the order in which the
// ledger counts them.
func recordsIn(m record.Message) []record.Index {
	switch m := m.(type) {
	case *record.ProposeDisposition:
		return m.Records
	case *record.PlaceHold:
		return m.Scope.Records
	case *record.ExtendHold:
		return m.Scope.Records
	case *record.RecordEvents:
		return m.Records
	case *record.FileRecords:
		return m.Records
	case *record.ReportErasure:
		return m.Preserved
	}
	return nil
}
