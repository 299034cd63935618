package rpc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// inLine is how many transactions of an office wait for their turn.
func (c *city) inLine(code record.Code) (inside, waiting int) {
	c.server.door.mu.Lock()
	defer c.server.door.mu.Unlock()
	if p := c.server.door.lines[transactionLine{payer: "office " + string(code)}]; p != nil {
		return p.inside, len(p.waiting)
	}
	return 0, 0
}

// TestTransactionsOfOneOfficeWaitInLine: an office has some under way at once, by
// calls or streams; more wait, another office's do not, and all are done in the end.
func TestTransactionsOfOneOfficeWaitInLine(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.transactions = 2 }), within10s(t)
	c.node.hold = make(chan struct{})
	works := apiv1.NewDepartmentsClient(c.as("DPW"))
	stream, err := works.SubmitStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range byte(3) {
		if err := stream.Send(&apiv1.SubmitStreamRequest{Submit: &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{1, i}))}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "two are inside, one waits", func() bool { in, waiting := c.inLine("DPW"); return in == 2 && waiting == 1 })
	answered := make(chan error, 3)
	for i := range byte(3) {
		raw := c.tx("DPW", anchor(record.Commitment{2, i}))
		go func() {
			r, err := works.Submit(ctx, &apiv1.SubmitRequest{Transaction: raw})
			if err == nil && r.Reason != "OK" {
				err = fmt.Errorf("refused: %s", r.Reason)
			}
			answered <- err
		}()
	}
	eventually(t, "four wait", func() bool { in, waiting := c.inLine("DPW"); return in == 2 && waiting == 4 })
	impatient, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := works.Submit(impatient, &apiv1.SubmitRequest{}); err == nil {
		t.Error("who goes away got an answer")
	}
	eventually(t, "who goes away leaves the line", func() bool { _, waiting := c.inLine("DPW"); return waiting == 4 })
	other := make(chan error, 1)
	go func() {
		_, err := apiv1.NewDepartmentsClient(c.as("AUDIT")).Submit(ctx, &apiv1.SubmitRequest{})
		other <- err
	}()
	urgent := make(chan error, 1)
	go func() {
		_, err := works.Submit(ctx, &apiv1.SubmitRequest{Transaction: c.tx("DPW", &record.PlaceHold{
			Kind: record.HoldAdviceRequested, Matter: record.Commitment{1}, Issues: 1, Scope: record.Scope{Department: "DPW"},
		})})
		urgent <- err
	}()
	eventually(t, "its own hold is inside", func() bool {
		c.server.door.mu.Lock()
		defer c.server.door.mu.Unlock()
		return c.server.door.lines[transactionLine{payer: "office DPW", urgent: true}] != nil
	})
	eventually(t, "another office is inside", func() bool { in, _ := c.inLine("AUDIT"); return in == 1 })
	close(c.node.hold)
	for range 3 {
		if err := <-answered; err != nil {
			t.Errorf("a call that waited: %v", err)
		}
		if r, err := stream.Recv(); err != nil || r.Submit.Reason != "OK" {
			t.Errorf("one of the stream: %v, %v", r, err)
		}
	}
	<-other
	if err := <-urgent; err != nil {
		t.Errorf("its own hold: %v", err)
	}
	eventually(t, "the door is empty", func() bool {
		c.server.door.mu.Lock()
		defer c.server.door.mu.Unlock()
		return len(c.server.door.lines) == 0
	})
}

// TestTheLineEndsInTime: who waits for too long is told why.
func TestTheLineEndsInTime(t *testing.T) {
	d, works := newDoor(1), transactionLine{payer: "office DPW"}
	if err := d.enter(t.Context(), works); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err := d.enter(over, works)
	if reason, text := reasonOf(err); reason != reasonBusy || text != "office DPW has 1 transactions under way and more in line: wait until some are committed" {
		t.Errorf("%s: %s", reason, text)
	}
	if d.leave(works); len(d.lines) != 0 {
		t.Errorf("%d lines are left", len(d.lines))
	}
}

// TestARefusalOfTooMuchTakesItsTime: a connection that calls too much is held for
// each refusal, which so costs the node little.
func TestARefusalOfTooMuchTakesItsTime(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.calls, l.pause = 1, 30*time.Millisecond }), within10s(t)
	works := apiv1.NewDepartmentsClient(c.as("DPW"))
	if _, err := works.SubmitStream(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a call", func() bool { return c.underWay("DPW") == 1 })
	begin := time.Now()
	for range 3 {
		_, err := works.Receipt(ctx, &apiv1.ReceiptRequest{})
		wantReason(t, "one call too many", err, "BUSY")
	}
	if took := time.Since(begin); took < 3*c.server.limits.pause {
		t.Errorf("three refusals in %v", took)
	}
	if _, err := apiv1.NewDepartmentsClient(c.as("AUDIT")).Receipt(ctx, &apiv1.ReceiptRequest{}); err != nil {
		t.Errorf("another office: %v", err)
	}
}
