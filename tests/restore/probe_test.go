package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/node"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// ask reads a record: its content, or the reason why there is none.
func ask(ctx context.Context, conn *grpc.ClientConn, k kept) (content, reason string) {
	stream, err := apiv1.NewDepartmentsClient(conn).Read(ctx, &apiv1.ReadRequest{
		Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(k.index)}}, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK,
	})
	for err == nil {
		var m *apiv1.ReadResponse
		if m, err = stream.Recv(); err == nil {
			content += string(m.Chunk)
		}
	}
	if errors.Is(err, io.EOF) {
		return content, ""
	}
	s := grpcstatus.Convert(err)
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return content, info.Reason
		}
	}
	return content, s.Code().String()
}

// probe asks once for a record and gives the reason of the refusal, "" where the
// content comes whole.
func (a *archive) probe(t testing.TB, conn *grpc.ClientConn, k kept) string {
	t.Helper()
	content, reason := ask(within(t), conn, k)
	if reason == "" && content != k.content {
		t.Errorf("record %d is %q, was %q", k.index, content, k.content)
	}
	return reason
}

// watch asks for records without pause, from before the node is started until
// the test has seen enough.
type watch struct {
	asked   atomic.Int64
	mu      sync.Mutex
	reasons map[string]int // why a destroyed record was not given out
	living  map[string]int // the same of those that live
	end     func()
}

// watching begins to ask. What is given out of a destroyed record is an error of
// the test.
func (a *archive) watching(t testing.TB) *watch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watch{reasons: map[string]int{}, living: map[string]int{}}
	var group sync.WaitGroup
	for worker := range 4 {
		conn := a.dial(t, department)
		group.Go(func() {
			for i := worker; ctx.Err() == nil; i += 4 {
				one := a.gone[(i*7)%len(a.gone)]
				content, reason := ask(ctx, conn, one)
				if content != "" || reason == "" {
					t.Errorf("destroyed record %d is given out: %q, %s", one.index, content, reason)
				}
				living, why := ask(ctx, conn, a.living[i%len(a.living)])
				if why == "" && living != a.living[i%len(a.living)].content {
					t.Errorf("record %d is %q", a.living[i%len(a.living)].index, living)
				}
				w.note(reason, why)
				if reason == "Unavailable" {
					pause(ctx, time.Millisecond)
				}
			}
		})
	}
	w.end = func() {
		cancel()
		group.Wait()
	}
	t.Cleanup(w.end)
	return w
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (w *watch) note(gone, living string) {
	w.asked.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reasons[gone]++
	w.living[living]++
}

func (w *watch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("asked %d times; destroyed: %v; living: %v", w.asked.Load(), w.reasons, w.living)
}

// settles starts a node and watches it until everything that lives can be read
// and nothing waits; then it asks for every record once more.
func (a *archive) settles(t *testing.T, home node.Home) *watch {
	t.Helper()
	w := a.watching(t)
	p := a.start(t, home)
	conn := a.dial(t, department)
	p.serves(t)
	last := a.living[len(a.living)-1]
	eventually(t, "what lives can be read", func() bool {
		if p.hasEnded() {
			t.Fatalf("the node ended with code %d\n%s", p.code(t), &p.stderr)
		}
		return a.probe(t, conn, last) == ""
	})
	eventually(t, "nothing waits", func() bool {
		s := status(t, home)
		return s.Pending == 0 && len(s.Quarantined) == 0
	})
	w.end()
	t.Log(w)
	for _, k := range a.living {
		if reason := a.probe(t, conn, k); reason != "" {
			t.Errorf("record %d lives and is not given out: %s", k.index, reason)
		}
	}
	for _, k := range a.gone {
		if reason := a.probe(t, conn, k); reason != "DESTROYED" {
			t.Errorf("destroyed record %d: %q", k.index, reason)
		}
	}
	p.stop(t)
	return w
}
