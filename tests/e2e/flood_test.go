package e2e

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// floodCalls is how many calls an office has under way at one node: more than it takes.
const floodCalls = 1100

// TestAFloodOfOneOffice: while one office hands in all that it can, at two nodes at
// once, another one's transactions are all committed, a third one's hold is in one of
// the next blocks, and the office that floods is told what is too much.
func TestAFloodOfOneOffice(t *testing.T) {
	w := newTown(t)
	w.begin(t)
	flood, over := context.WithCancel(t.Context())
	defer over()
	var got, tooMany atomic.Int64
	var all sync.WaitGroup
	for _, at := range w.at[:2] {
		for range 5 { // a connection has 256 calls under way at once
			departments := apiv1.NewDepartmentsClient(at.dial(t, "DPW"))
			for range floodCalls / 5 {
				all.Go(func() {
					for flood.Err() == nil {
						r, err := departments.Submit(flood, &apiv1.SubmitRequest{Transaction: w.random(t, "DPW")})
						switch {
						case err == nil && r.Reason == "OK":
							got.Add(1)
						case saysTooMuch(err):
							tooMany.Add(1)
						case flood.Err() == nil:
							t.Errorf("the flood is told %v, %v", r, err)
							over()
						}
					}
				})
			}
		}
	}
	until(t, "the flood is too much", func() bool { return tooMany.Load() > 0 && got.Load() > 100 })
	clerk := w.at[2].dial(t, "CLERK")
	for range 20 {
		r, err := apiv1.NewDepartmentsClient(clerk).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: w.random(t, "CLERK")})
		if err != nil || r.Reason != "OK" {
			t.Errorf("another office beside the flood: %v, %v", r, err)
		}
	}
	var nonce record.Nonce
	rand.Read(nonce[:])
	from, _ := w.at[2].head(t)
	r, err := apiv1.NewDepartmentsClient(w.at[2].dial(t, "COUNSEL")).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: w.signed(t, "COUNSEL", nonce, &record.PlaceHold{
		Kind: record.HoldAdviceRequested, Matter: record.Commitment{1}, Issues: 1, Scope: record.Scope{Department: "DPW"},
	})})
	if err != nil || r.Reason != "OK" || int64(r.Height) > from+10 {
		t.Errorf("a hold that was sent after block %d: %v, %v", from, r, err)
	}
	over()
	all.Wait()
	t.Logf("of the flood %d were committed and %d refused", got.Load(), tooMany.Load())
	w.end(0, 1, 2, 3)
}

// saysTooMuch says whether an office is told, in a sentence and by a reason, that it
// sends too much.
func saysTooMuch(err error) bool {
	s := status.Convert(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.Reason == "BUSY" {
			return strings.Contains(s.Message(), "office") && strings.Contains(s.Message(), ": wait until some")
		}
	}
	return false
}

// random is a transaction that anchors something new.
func (w *town) random(t testing.TB, office record.Code) []byte {
	var id record.Commitment
	var nonce record.Nonce
	rand.Read(id[:])
	rand.Read(nonce[:])
	return w.signed(t, office, nonce, &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: id, Day: today - 1000}}})
}

func (w *town) signed(t testing.TB, office record.Code, nonce record.Nonce, m record.Message) []byte {
	body, err := record.NewBody(w.network.ID, nonce, today+5, m)
	if err != nil {
		t.Error(err)
		return nil
	}
	raw, err := record.Sign(w.offices[office].signing, body)
	if err != nil {
		t.Error(err)
	}
	return raw
}
