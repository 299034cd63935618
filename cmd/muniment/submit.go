package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// notAfterDays is how long a transaction of this program can be executed: the
// ledger allows a day more, so that this clock may be behind by one.
const notAfterDays = 6

// submitAttempts is how often a transaction is handed in while no node answers.
// It is safe: the same transaction is executed once.
const submitAttempts = 3

// quorumAttempts is how often an act is handed in that the ledger refuses because
// a validator was not heard in the last block: one that was down, or slow, is
// heard in the block that the refusal is in. It is the same transaction each time:
// it has left no entry, and nodes that had not executed it yet may bring it into
// another block by themselves. It is executed once all the same.
const quorumAttempts = 5

// sign makes a transaction of a message.
func (s *session) sign(m record.Message, notAfter record.Day) ([]byte, error) {
	var nonce record.Nonce
	rand.Read(nonce[:]) // never fails
	body, err := record.NewBody(s.network.ID, nonce, notAfter, m)
	if err != nil {
		return nil, err
	}
	return record.Sign(s.signing, body)
}

// submit hands in a transaction and gives where it stands in the log, and how
// often it was handed in. A refusal of the ledger is a failure with exit code 7;
// the response is there then too.
func (s *session) submit(ctx context.Context, raw []byte) (response *apiv1.SubmitResponse, attempts int, err error) {
	for attempt := 1; ; attempt++ {
		response, err := s.handIn(ctx, raw)
		switch {
		case err == nil && response.Reason == "OK":
			return response, attempt, nil
		case err == nil:
			return response, attempt, refused(response.Reason)
		case codeOf(err) != exitUnavailable || attempt == submitAttempts || ctx.Err() != nil:
			return nil, attempt, err
		}
		if err := sleep(ctx, s.program.pause*time.Duration(attempt)); err != nil {
			return nil, attempt, err
		}
	}
}

// handIn is one call of submit. It says so when no block comes.
func (s *session) handIn(ctx context.Context, raw []byte) (*apiv1.SubmitResponse, error) {
	watched, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { s.watchBlocks(watched) })
	response, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.Submit, &apiv1.SubmitRequest{Transaction: raw})
	cancel()
	watch.Wait()
	if reason := reasonOf(err); s.stalled && (reason == "DEADLINE" || reason == outcomeUnknown) {
		return nil, failed(exitUnavailable, reason, "nothing is lost: run the same command again when they are up", "no block came: too few validators seem to be up")
	}
	s.stalled = s.stalled && err != nil
	return response, err
}

// watchBlocks says once that no block comes, when the log has not grown for a while
// in which it should have: what was handed in waits for a block. A node that was
// started without the others has no tree to tell of.
func (s *session) watchBlocks(ctx context.Context) {
	wait := s.program.slow / 2
	if wait == 0 {
		return
	}
	size := func() (n uint64, none bool, err error) {
		if err := sleep(ctx, wait); err != nil {
			return 0, false, err
		}
		soon, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		tree, err := unary(soon, s, apiv1.NewAuditorsClient, apiv1.AuditorsClient.Checkpoint, &apiv1.CheckpointRequest{})
		if none = reasonOf(err) == "DEADLINE" && ctx.Err() == nil; none {
			err = nil
		}
		return tree.GetSize(), none, err
	}
	before, none, err := size()
	for err == nil && !s.stalled {
		now := before
		if !none {
			now, none, err = size()
		}
		if s.stalled = err == nil && (none || now == before); s.stalled {
			s.program.say("no block for %s: too few validators seem to be up. Nothing is lost, and this goes on waiting", s.program.slow)
		}
		before = now
	}
}

// sleep waits unless the run ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// actResult is what commands print that put one signed act on the ledger.
type actResult struct {
	Kind        string `json:"kind"`
	Index       int64  `json:"index"`       // of the act's entry
	Transaction int64  `json:"transaction"` // index of its transaction entry
	Height      int64  `json:"height"`
}

// act signs a message, submits it, and verifies the receipt of its entry.
func (p *program) act(ctx context.Context, m record.Message) (actResult, error) {
	s, err := p.open(true)
	if err != nil {
		return actResult{}, err
	}
	defer s.close()
	return s.act(ctx, m)
}

func (s *session) act(ctx context.Context, m record.Message) (actResult, error) {
	done, _, err := s.carryOut(ctx, m)
	return done, err
}

// carryOut is act that gives the verdict on the act's receipt as well.
func (s *session) carryOut(ctx context.Context, m record.Message) (actResult, receipt.Verdict, error) {
	raw, err := s.sign(m, s.ledgerDay()+notAfterDays)
	if err != nil {
		return actResult{}, receipt.Verdict{}, err
	}
	var response *apiv1.SubmitResponse
	for attempt := 1; ; attempt++ {
		response, _, err = s.submit(ctx, raw)
		if reasonOf(err) != ledger.CodeQuorumAtRisk.String() || attempt == quorumAttempts || sleep(ctx, s.program.pause) != nil {
			break
		}
		s.program.say("too few validators were heard in the last block: trying again")
	}
	if err != nil {
		return actResult{}, receipt.Verdict{}, s.explained(ctx, m, raw, response, unknownOutcome(err))
	}
	verdict, err := s.receiptOf(ctx, raw, response)
	if reasonOf(err) == string(receipt.UnknownSigner) {
		verdict, err = s.receiptOfNewEra(ctx, raw, response, err)
	}
	if err != nil {
		return actResult{}, receipt.Verdict{}, err
	}
	return actResult{Kind: verdict.Kind, Index: verdict.Index, Transaction: verdict.Signed.TxIndex, Height: verdict.BlockHeight}, verdict, nil
}

// receiptOf fetches and verifies the receipt of the first item of the
// transaction raw.
func (s *session) receiptOf(ctx context.Context, raw []byte, response *apiv1.SubmitResponse) (receipt.Verdict, error) {
	verdict, text, err := s.receipt(ctx, response.FirstIndex)
	if err != nil {
		return receipt.Verdict{}, err
	}
	if !isReceiptOf(text, verdict, raw) {
		return receipt.Verdict{}, failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the receipt of entry %d is not of what was signed", response.FirstIndex)
	}
	return verdict, nil
}

// receiptOfNewEra is receiptOf where the network has changed its keys, as by the
// act itself: it verifies the handovers first. What is pinned stays as it is.
func (s *session) receiptOfNewEra(ctx context.Context, raw []byte, response *apiv1.SubmitResponse, why error) (receipt.Verdict, error) {
	n, err := s.upToDate(ctx, nil)
	if err != nil {
		return receipt.Verdict{}, why
	}
	pinned := s.network
	s.network = n
	verdict, err := s.receiptOf(ctx, raw, response)
	if s.network = pinned; err != nil {
		return receipt.Verdict{}, why
	}
	s.program.say("the keys of the network have changed: run muniment network refresh")
	return verdict, nil
}

// isReceiptOf tells whether a verified receipt is of the transaction raw.
func isReceiptOf(text []byte, v receipt.Verdict, raw []byte) bool {
	tx, err := record.ParseTx(raw)
	if err != nil || v.Signed == nil {
		return false
	}
	parsed, err := receipt.Parse(text)
	if err != nil {
		return false
	}
	for _, leaf := range parsed.Leaves {
		if leaf.Index != v.Signed.TxIndex {
			continue
		}
		entry, err := record.ParseEntry(leaf.Entry)
		if err != nil {
			return false
		}
		signed, ok := entry.(record.TxEntry)
		return ok && signed.BodyHash == tx.BodyHash()
	}
	return false
}

const outcomeUnknown = "OUTCOME_UNKNOWN"

// unknownOutcome changes the advice where a transaction that is not in the
// journal may have been executed.
func unknownOutcome(err error) error {
	code := codeOf(err)
	if code != exitUnavailable && code != exitInterrupted {
		return err
	}
	return failed(code, outcomeUnknown, "before you try again, see with muniment office show, record show, hold list or disposition list whether it was done",
		"whether it was done is not known: %w", err)
}

func (p *program) showAct(a actResult, next string) error {
	err := p.show(a, func(w io.Writer) {
		fmt.Fprintf(w, "%s\tentry %d\ntransaction\tentry %d\nheight\t%d\n", a.Kind, a.Index, a.Transaction, a.Height)
	})
	if err == nil && next != "" {
		p.say("next: %s", next)
	}
	return err
}
