package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// eventually waits for something that another goroutine is about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not after 10 seconds", what)
		}
	}
}

// underWay is the number of calls of an office.
func (c *city) underWay(code record.Code) int {
	c.server.quota.mu.Lock()
	defer c.server.quota.mu.Unlock()
	return c.server.quota.runs["office "+string(code)]
}

// raw is an HTTP/2 connection that keeps to no rule.
type raw struct {
	*http2.Framer
	conn   *tls.Conn
	encode *hpack.Encoder
	block  bytes.Buffer
}

func (c *city) raw(code record.Code) *raw {
	c.t.Helper()
	conn, err := tls.Dial("tcp", c.address, c.clientTLS(code))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	r := &raw{Framer: http2.NewFramer(conn, conn), conn: conn}
	r.encode = hpack.NewEncoder(&r.block)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		c.t.Fatal(err)
	}
	if err := r.WriteSettings(); err != nil {
		c.t.Fatal(err)
	}
	return r
}

// call opens a stream; it does not end it.
func (r *raw) call(stream uint32, method string, more ...hpack.HeaderField) error {
	r.block.Reset()
	for _, f := range append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: method}, {Name: ":authority", Value: "node"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, more...) {
		r.encode.WriteField(f)
	}
	fragment := r.block.Bytes()
	first := fragment[:min(16<<10, len(fragment))]
	if err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: len(first) == len(fragment)}); err != nil {
		return err
	}
	for rest := fragment[len(first):]; len(rest) > 0; {
		n := min(16<<10, len(rest))
		if err := r.WriteContinuation(stream, n == len(rest), rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// TestTenThousandStreams: a client that opens streams without regard for the
// limit has them refused one by one, and others are served meanwhile.
func TestTenThousandStreams(t *testing.T) {
	const streams = 10_000
	c := newCity(t, func(l *limits) { l.streams = 16 })
	r := c.raw("DPW")
	refused := make(chan int, 1)
	go func() {
		n := 0
		for n < streams-16 {
			f, err := r.ReadFrame()
			if err != nil {
				break
			}
			if reset, ok := f.(*http2.RSTStreamFrame); ok && reset.ErrCode == http2.ErrCodeRefusedStream {
				n++
			}
		}
		refused <- n
	}()
	for i := range uint32(streams) {
		if err := r.call(2*i+1, apiv1.Departments_SubmitStream_FullMethodName); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
	if n := <-refused; n != streams-16 {
		t.Errorf("%d streams refused, want %d", n, streams-16)
	}
	if n := c.underWay("DPW"); n > 16 {
		t.Errorf("%d calls under way, want at most 16", n)
	}
	if _, err := apiv1.NewAuditorsClient(c.as("AUDIT")).Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("another office meanwhile: %v", err)
	}
}

// TestCallsOfOneOffice: an office that keeps calls under way is told so, and takes
// nothing from others.
func TestCallsOfOneOffice(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.calls = 3 }), within10s(t)
	works := apiv1.NewDepartmentsClient(c.as("DPW"))
	for range 3 {
		if _, err := works.SubmitStream(ctx); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "three calls", func() bool { return c.underWay("DPW") == 3 })
	_, err := works.Receipt(ctx, &apiv1.ReceiptRequest{})
	wantReason(t, "fourth call", err, "BUSY")
	stream, err := works.SubmitStream(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, "fourth stream", err, "BUSY")
	if _, err := apiv1.NewDepartmentsClient(c.as("AUDIT")).Receipt(ctx, &apiv1.ReceiptRequest{}); err != nil {
		t.Errorf("another office: %v", err)
	}
}

// TestOversizeMessages are refused by gRPC itself, which knows no reasons.
func TestOversizeMessages(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	departments := apiv1.NewDepartmentsClient(c.as("DPW"))
	large := make([]byte, standard.messageBytes+1)
	before := c.node.View().Head().Height
	_, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: large})
	wantReason(t, "Submit", err, codes.ResourceExhausted.String())
	_, err = depositRaw(ctx, c.as("DPW"), headerPart(&apiv1.DepositHeader{Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today), Profile: "raw/1", Size: uint64(len(large))}),
		chunkPart(string(large)))
	wantReason(t, "Deposit", err, codes.ResourceExhausted.String())
	eventually(t, "line in the log", func() bool { return c.lines("Departments/Deposit", "reason=TOO_LARGE") == 1 })
	if after := c.node.View().Head().Height; after != before {
		t.Errorf("height %d, then %d", before, after)
	}
}

// TestLargeHeaders end the call, not the node.
func TestLargeHeaders(t *testing.T) {
	c := newCity(t, nil)
	r := c.raw("DPW")
	// The whole connection may be cut, while the headers are sent or later.
	err := r.call(1, apiv1.Departments_SubmitStream_FullMethodName, hpack.HeaderField{Name: "x-large", Value: strings.Repeat("~", 1<<20)})
	for err == nil {
		var f http2.Frame
		if f, err = r.ReadFrame(); err != nil {
			break
		}
		if reset, ok := f.(*http2.RSTStreamFrame); ok && reset.StreamID == 1 {
			break
		}
		if headers, ok := f.(*http2.HeadersFrame); ok && headers.StreamID == 1 {
			t.Fatal("the call was answered")
		}
	}
	if _, err := apiv1.NewAuditorsClient(c.as("AUDIT")).Checkpoint(within10s(t), &apiv1.CheckpointRequest{}); err != nil {
		t.Errorf("another office: %v", err)
	}
}

// TestSilentConnections are closed: before TLS, before HTTP/2, and on the tiles.
func TestSilentConnections(t *testing.T) {
	c := newCity(t, func(l *limits) { l.handshake = 500 * time.Millisecond })
	for _, address := range []string{c.address, c.tiles} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Errorf("%s: a connection that sends nothing stays open", address)
		}
	}
	secured, err := tls.Dial("tcp", c.address, c.clientTLS("DPW"))
	if err != nil {
		t.Fatal(err)
	}
	defer secured.Close()
	secured.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(secured); isTimeout(err) {
		t.Error("a connection that sends nothing after its handshake stays open")
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// TestStalledStreams: a client that does not read, or does not go on sending,
// loses its stream and what was kept for it.
func TestStalledStreams(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.stalled = 500 * time.Millisecond }), within10s(t)
	conn := c.as("CLERK")
	content := longMinutes
	_, index := c.anchored(content, "Long minutes")
	reading, err := apiv1.NewDepartmentsClient(conn).Read(ctx, &apiv1.ReadRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "reader is cut off", func() bool { return c.lines("Departments/Read", "reason=DEADLINE") == 1 && c.underWay("CLERK") == 0 })
	got, err := drain(reading.Recv, (*apiv1.ReadResponse).GetChunk)
	wantReason(t, "slow reader", err, "DEADLINE")
	if len(got) >= len(content) {
		t.Errorf("all %d bytes came", len(got))
	}

	sending, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	header := &apiv1.DepositHeader{Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today), Profile: "raw/1", Size: 8 << 20}
	if err := errors.Join(sending.Send(headerPart(header)), sending.Send(chunkPart("a beginning"))); err != nil {
		t.Fatal(err)
	}
	err = sending.RecvMsg(&apiv1.DepositResponse{})
	wantReason(t, "slow sender", err, "DEADLINE")
	eventually(t, "deposit is given up", func() bool { return c.underWay("CLERK") == 0 })
	if n, err := c.custody.Records(); err != nil || n != 1 {
		t.Errorf("%d records and deposits are kept, %v; want 1", n, err)
	}
}

// TestUnaryCallsEnd: no unary call lasts longer than its limit, whatever the
// client asked for and wherever it waits.
func TestUnaryCallsEnd(t *testing.T) {
	c, ctx := newCity(t, func(l *limits) { l.call = 200 * time.Millisecond }), within10s(t)
	c.node.hold = make(chan struct{})
	conn := c.as("DPW")
	_, err := apiv1.NewDepartmentsClient(conn).Submit(ctx, &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{1}))})
	wantReason(t, "a block that does not come", err, "OUTCOME_UNKNOWN")
	_, err = apiv1.NewAuditorsClient(conn).Checkpoint(ctx, &apiv1.CheckpointRequest{Size: 1 << 40})
	wantReason(t, "a tree that does not come", err, "DEADLINE")

	stream, err := apiv1.NewDepartmentsClient(conn).SubmitStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&apiv1.SubmitStreamRequest{Submit: &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{2}))}}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, "a block that does not come, on a stream", err, "OUTCOME_UNKNOWN")

	r := c.raw("DPW")
	if err := r.call(1, apiv1.Departments_Submit_FullMethodName); err != nil {
		t.Fatal(err)
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, 1000) // gRPC's prefix of a message that does not follow
	if err := r.WriteData(1, false, message); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatalf("half a request: %v", err)
		}
		headers, ended := f.(*http2.HeadersFrame)
		if ended && headers.StreamID == 1 && headers.StreamEnded() {
			break
		}
	}
}

// TestPanicsStayInside: a handler that breaks fails its call alone, and the
// client learns nothing of it.
func TestPanicsStayInside(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	departments := apiv1.NewDepartmentsClient(c.as("DPW"))
	c.node.panicked.Store(true)
	_, err := departments.Submit(ctx, &apiv1.SubmitRequest{})
	wantReason(t, "Submit", err, "INTERNAL")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the client is told %v", err)
	}
	stream, err := departments.SubmitStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&apiv1.SubmitStreamRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, "SubmitStream", err, "INTERNAL")
	if n := c.lines("level=ERROR", "canary of a panic", "account=DPW/"); n != 2 {
		t.Errorf("%d lines in the log, want 2:\n%s", n, c.log.String())
	}
	c.node.panicked.Store(false)
	if got, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{1}))}); err != nil || got.Reason != "OK" {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

// TestStopLetsCallsFinish: what is under way when the node stops is answered.
func TestStopLetsCallsFinish(t *testing.T) {
	c := newCity(t, nil)
	c.node.hold = make(chan struct{})
	answered := make(chan error, 1)
	departments := apiv1.NewDepartmentsClient(c.as("DPW"))
	raw := c.tx("DPW", anchor(record.Commitment{1}))
	go func() {
		_, err := departments.Submit(within10s(t), &apiv1.SubmitRequest{Transaction: raw})
		answered <- err
	}()
	eventually(t, "call is under way", func() bool { return c.underWay("DPW") == 1 })
	stopped := make(chan struct{})
	go func() {
		c.server.Stop(within10s(t))
		close(stopped)
	}()
	eventually(t, "no new connections", func() bool {
		conn, err := net.Dial("tcp", c.address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case <-stopped:
		t.Fatal("stopped while a call was under way")
	default:
	}
	close(c.node.hold)
	if err := <-answered; err != nil {
		t.Errorf("call under way: %v", err)
	}
	<-stopped
	if _, ok, err := c.node.View().AnchorIndex("DPW", record.Commitment{1}); err != nil || !ok {
		t.Errorf("anchor: %v, %v", ok, err)
	}
}

// TestStopCutsOff: what does not finish in time is cut, and no handler runs after.
func TestStopCutsOff(t *testing.T) {
	c := newCity(t, nil)
	c.node.hold = make(chan struct{})
	departments := apiv1.NewDepartmentsClient(c.as("DPW"))
	ended := make(chan error, 2)
	go func() {
		_, err := departments.Submit(within10s(t), &apiv1.SubmitRequest{})
		ended <- err
	}()
	go func() {
		stream, err := departments.SubmitStream(within10s(t))
		if err == nil {
			err = stream.Send(&apiv1.SubmitStreamRequest{})
		}
		if err == nil {
			_, err = stream.Recv()
		}
		ended <- err
	}()
	eventually(t, "calls are under way", func() bool { return c.underWay("DPW") == 2 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	c.server.Stop(ctx)
	if n := c.underWay("DPW"); n != 0 {
		t.Errorf("%d handlers run after the stop", n)
	}
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a call that was cut off succeeded")
		}
	}
}

// TestHealthOnTheOperatorsSocket: the socket tells health and status, and that a
// stop has begun.
func TestHealthOnTheOperatorsSocket(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	conn, err := grpc.NewClient("unix:"+c.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	if got, err := health.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health %v, %v", got, err)
	}
	if got, err := apiv1.NewOperatorsClient(conn).Status(ctx, &apiv1.StatusRequest{}); err != nil || got.LogSize != uint64(c.node.View().Head().Size) {
		t.Errorf("status %v, %v", got, err)
	}
	watch, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch %v, %v", got, err)
	}
	go func() {
		soon, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		c.server.Stop(soon)
	}()
	if got, err := watch.Recv(); err != nil || got.Status != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("watch %v, %v; want it not serving", got, err)
	}
	_, err = apiv1.NewDepartmentsClient(conn).Submit(ctx, &apiv1.SubmitRequest{})
	if code := grpcstatus.Code(err); code != codes.Unimplemented && code != codes.Unavailable {
		t.Errorf("departments' call on the operators' socket: %v", err)
	}
}
