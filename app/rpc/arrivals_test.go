//lint:file-ignore SA1019 net/http has no transport that keeps one connection for all that is asked of it

package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// half begins a unary call and sends half of what it announces, until ctx ends. It
// gives the reason for which the node ends it before.
func (c *city) half(ctx context.Context, code record.Code, calls int) (ended *sync.Map, wait func()) {
	c.t.Helper()
	transport := &http2.Transport{DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
		return tls.Dial(network, c.address, c.clientTLS(code))
	}}
	ended = new(sync.Map)
	var group sync.WaitGroup
	for i := range calls {
		group.Go(func() {
			rest, _ := io.Pipe()
			defer rest.Close() // or the transport reads on, and never says that the call is over
			defer context.AfterFunc(ctx, func() { rest.Close() })()
			begun := append([]byte{0, 0, 8, 0, 0}, make([]byte, 256<<10)...) // of 512 KiB
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://node"+apiv1.Departments_Submit_FullMethodName, io.MultiReader(bytes.NewReader(begun), rest))
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/grpc")
			r.Header.Set("Te", "trailers")
			resp, err := transport.RoundTrip(r)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			ended.Store(i, resp.Header.Get("Grpc-Message"))
		})
	}
	return ended, func() { group.Wait(); transport.CloseIdleConnections() }
}

// TestHalfRequests: what an office begins and does not finish is bounded by office,
// whatever calls and connections it takes for that, and given back.
func TestHalfRequests(t *testing.T) {
	c := newCity(t, func(l *limits) { l.arriving = 4 })
	count := func(m *sync.Map) (n int) {
		m.Range(func(_, message any) bool {
			if !strings.Contains(message.(string), "DPW has 4 such calls under way") {
				t.Errorf("a call ends with %q", message)
			}
			n++
			return true
		})
		return n
	}
	arriving := func() int {
		c.server.arriving.mu.Lock()
		defer c.server.arriving.mu.Unlock()
		return c.server.arriving.runs["office DPW"]
	}
	ctx, cancel := context.WithCancel(within10s(t))
	one, waitForOne := c.half(ctx, "DPW", 3)
	eventually(t, "three calls", func() bool { return arriving() == 3 })
	more, waitForMore := c.half(ctx, "DPW", 6)
	eventually(t, "five of nine calls are refused", func() bool { return count(one)+count(more) == 5 })
	if n := arriving(); n != 4 {
		t.Errorf("%d calls are arriving, want 4", n)
	}
	if n := c.underWay("DPW"); n != 0 {
		t.Errorf("%d calls have got to the interceptor", n)
	}
	_, err := apiv1.NewDepartmentsClient(c.as("DPW")).Submit(ctx, &apiv1.SubmitRequest{})
	wantReason(t, "the same office", err, "BUSY")
	for i := range byte(20) {
		if _, err := apiv1.NewDepartmentsClient(c.as("CLERK")).Submit(ctx, &apiv1.SubmitRequest{Transaction: c.tx("CLERK", anchor(record.Commitment{i + 1}))}); err != nil {
			t.Errorf("another office: %v", err)
		}
	}
	cancel()
	waitForOne()
	waitForMore()
	eventually(t, "all are counted out", func() bool { return arriving() == 0 })
	if _, err := apiv1.NewDepartmentsClient(c.as("DPW")).Submit(within10s(t), &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{99}))}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	err = c.as("DPW").Invoke(within10s(t), "/muniment.api.v1.Departments/None", &apiv1.SubmitRequest{}, &apiv1.SubmitResponse{})
	if grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", err)
	}
}
