//lint:file-ignore SA1019 net/http has no transport that keeps one connection for all that is asked of it

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // the test's clients can, the node can not
	grpcstatus "google.golang.org/grpc/status"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// frames is an HTTP/2 connection that keeps to no rule.
type frames struct {
	*http2.Framer
	conn   *tls.Conn
	out    *bufio.Writer
	block  bytes.Buffer
	encode *hpack.Encoder
	path   string // what it asks for
	next   uint32 // stream
}

// abused is a listener that speaks HTTP/2, and what is asked of it.
type abused struct {
	address, path string
	config        *tls.Config
}

// connect begins a connection. Where it does not listen, what the node sends stays
// with the node.
func (a abused) connect(ctx context.Context, listens bool, patience time.Duration) (*frames, error) {
	config := a.config.Clone()
	config.NextProtos = []string{"h2"}
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	f := &frames{conn: conn.(*tls.Conn), out: bufio.NewWriterSize(conn, 64<<10), path: a.path, next: 1}
	f.Framer = http2.NewFramer(f.out, conn)
	f.AllowIllegalWrites = true
	f.encode = hpack.NewEncoder(&f.block)
	_, err = io.WriteString(f.out, http2.ClientPreface)
	err = errors.Join(err, f.WriteSettings(), f.out.Flush())
	if listens {
		go io.Copy(io.Discard, conn)
	}
	return f, err
}

// headers is the block of a good call, with more fields.
func (f *frames) headers(more ...hpack.HeaderField) []byte {
	f.block.Reset()
	method := "POST"
	if f.path == "/checkpoint" {
		method = "GET"
	}
	for _, field := range append([]hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: f.path}, {Name: ":authority", Value: "node"},
		{Name: "content-type", Value: "application/grpc"}, {Name: "te", Value: "trailers"},
	}, more...) {
		f.encode.WriteField(field)
	}
	return f.block.Bytes()
}

// open opens a stream and gives its number.
func (f *frames) open(end bool, more ...hpack.HeaderField) (uint32, error) {
	stream := f.next
	f.next += 2
	return stream, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.headers(more...), EndHeaders: true, EndStream: end})
}

// abuse is something that HTTP/2 lets a client do, so many times, or until the node has
// had enough of it.
type abuse struct {
	times   int
	silent  bool // the client does not read
	prepare func(*frames) error
	do      func(*frames) error
}

var abuses = map[string]abuse{
	"10,000 streams": {times: 10_000, do: func(f *frames) error { _, err := f.open(false); return err }},
	"rapid reset": {times: 30_000, do: func(f *frames) error {
		stream, err := f.open(true)
		return errors.Join(err, f.WriteRSTStream(stream, http2.ErrCodeCancel))
	}},
	"rapid reset of bodies": {times: 30_000, do: func(f *frames) error {
		stream, err := f.open(false)
		return errors.Join(err, f.WriteData(stream, false, []byte{0, 0, 8, 0, 0, 1}), f.WriteRSTStream(stream, http2.ErrCodeCancel))
	}},
	"CONTINUATION flood": {times: 20_000, prepare: begunHeaders, do: func(f *frames) error {
		f.block.Reset()
		f.encode.WriteField(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("~", 1000), Sensitive: true})
		return f.WriteContinuation(1, false, f.block.Bytes())
	}},
	"empty CONTINUATION": {times: 200_000, prepare: begunHeaders, do: func(f *frames) error { return f.WriteContinuation(1, false, nil) }},
	"HPACK bomb": {times: 2000, do: func(f *frames) error {
		// One field of 4,000 bytes in the table of the connection, named ten thousand times.
		block := f.headers(hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("~", 3900)})
		stream := f.next
		f.next += 2
		block = append(bytes.Clone(block), bytes.Repeat([]byte{0x80 | 62}, 10_000)...)
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: true})
	}},
	"PING flood":          {times: 100_000, do: func(f *frames) error { return f.WritePing(false, [8]byte{1}) }},
	"PING flood, unheard": {times: 500_000, silent: true, do: func(f *frames) error { return f.WritePing(false, [8]byte{1}) }},
	"SETTINGS flood": {times: 50_000, do: func(f *frames) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	}},
	"SETTINGS, unheard":   {times: 300_000, silent: true, do: func(f *frames) error { return f.WriteSettings() }},
	"PRIORITY flood":      {times: 100_000, do: func(f *frames) error { return f.WritePriority(f.next+2, http2.PriorityParam{Weight: 1}) }},
	"WINDOW_UPDATE flood": {times: 100_000, do: func(f *frames) error { return f.WriteWindowUpdate(0, 1) }},
	"unknown frames":      {times: 20_000, do: func(f *frames) error { return f.WriteRawFrame(0xbe, 0, 0, make([]byte, 4<<10)) }},
	"empty DATA":          {times: 100_000, prepare: func(f *frames) error { _, err := f.open(false); return err }, do: func(f *frames) error { return f.WriteData(1, false, nil) }},
	"answers, unheard":    {times: 20_000, silent: true, do: func(f *frames) error { _, err := f.open(true); return err }},
	"frame of 16 megabytes": {times: 1, do: func(f *frames) error {
		return f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, make([]byte, 1<<24-1))
	}},
	"message of a gigabyte": {times: 200, do: func(f *frames) error {
		stream, err := f.open(false)
		return errors.Join(err, f.WriteData(stream, false, binary.BigEndian.AppendUint32([]byte{0}, 1<<30)))
	}},
}

func begunHeaders(f *frames) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.headers()})
}

// commit abuses a listener over a few connections at once, and tells how often.
func (a abuse) commit(ctx context.Context, to abused) (done int64, err error) {
	const connections = 4
	var count atomic.Int64
	var group sync.WaitGroup
	for range connections {
		patience := 5 * time.Second
		if a.silent { // the node takes no more as soon as nobody takes its answers
			patience = time.Second
		}
		f, err := to.connect(ctx, !a.silent, patience)
		if err != nil {
			return 0, err
		}
		group.Go(func() {
			defer f.conn.NetConn().Close()
			var err error
			if a.prepare != nil {
				err = a.prepare(f)
			}
			for i := 0; err == nil && i < a.times && ctx.Err() == nil; i++ {
				count.Add(1)
				err = a.do(f)
			}
			if err == nil {
				f.out.Flush()
			}
		})
	}
	group.Wait()
	return count.Load(), nil
}

// TestT29_AbuseOfHTTP2: what a client can do to a server with frames ends its connection
// or is of no use, at the listener for offices, where an office does it, and at the tiles,
// where anybody can.
func TestT29_AbuseOfHTTP2(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	targets := map[string]abused{
		"gRPC":  {b.address, apiv1.Departments_SubmitStream_FullMethodName, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{b.account(t, "DPW")}}},
		"tiles": {b.node.tiles, "/checkpoint", &tls.Config{InsecureSkipVerify: true}},
	}
	for where, target := range targets {
		for what, a := range abuses {
			t.Run(where+", "+what, func(t *testing.T) {
				b.survives(t, nil, func(ctx context.Context) {
					done, err := a.commit(ctx, target)
					if t.Logf("%d times", done); err != nil || done == 0 {
						t.Errorf("it did not come to it: %d times, %v", done, err)
					}
				})
			})
		}
	}
	b.node.stop()
}

// halves begins so many calls over one connection, and sends the most of what a message
// may have and not its end, until ctx ends. Those that the node ends before are refused.
func (a abused) halves(ctx context.Context, calls, bytesEach int, begun, refused *atomic.Int64) {
	transport := &http2.Transport{TLSClientConfig: a.config, StrictMaxConcurrentStreams: true}
	defer transport.CloseIdleConnections()
	var group sync.WaitGroup
	for range calls {
		group.Go(func() {
			rest, end := io.Pipe()
			defer end.Close()
			stop := context.AfterFunc(ctx, func() { rest.CloseWithError(ctx.Err()) })
			defer stop()
			prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(bytesEach)+1)
			body := io.MultiReader(bytes.NewReader(prefix), io.LimitReader(zeros{}, int64(bytesEach)), counted{rest, begun})
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+a.address+a.path, body)
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/grpc")
			r.Header.Set("Te", "trailers")
			resp, err := transport.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
			}
			if ctx.Err() == nil {
				refused.Add(1)
			}
		})
	}
	group.Wait()
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// counted counts who comes to read it.
type counted struct {
	io.Reader
	count *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) { c.count.Add(1); return c.Reader.Read(p) }

// TestT29_Messages: what an office sends that is too large, or says that it is, or does
// not end, is refused, and what is kept of it is bounded.
func TestT29_Messages(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	for what, test := range map[string]struct {
		bytes   int
		options []grpc.CallOption
		want    codes.Code
	}{
		"a little too large":  {700 << 10, nil, codes.ResourceExhausted},
		"much too large":      {64 << 20, nil, codes.ResourceExhausted},
		"a bomb in 64 KiB":    {64 << 20, []grpc.CallOption{grpc.UseCompressor("gzip")}, codes.Unimplemented},
		"small, but squeezed": {100, []grpc.CallOption{grpc.UseCompressor("gzip")}, codes.Unimplemented},
	} {
		t.Run(what, func(t *testing.T) {
			b.survives(t, nil, func(context.Context) {
				var group sync.WaitGroup
				for range 4 {
					departments := apiv1.NewDepartmentsClient(b.dial(t, "DPW"))
					group.Go(func() {
						_, err := departments.Submit(ctx(t), &apiv1.SubmitRequest{Transaction: make([]byte, test.bytes)}, test.options...)
						if grpcstatus.Code(err) != test.want {
							t.Errorf("%v, want %v", err, test.want)
						}
					})
				}
				group.Wait()
			})
		})
	}
	t.Run("without end", func(t *testing.T) {
		const connections, calls, each = 8, 240, 590 << 10
		target := abused{b.address, apiv1.Departments_Submit_FullMethodName, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{b.account(t, "DPW")}}}
		var sent, refused atomic.Int64
		// Seven hundred would be more than the memory that a node may take.
		b.survives(t, func() bool { return refused.Load() >= 500 || sent.Load() >= 700 }, func(ctx context.Context) {
			var group sync.WaitGroup
			for range connections {
				group.Go(func() { target.halves(ctx, calls, each, &sent, &refused) })
			}
			group.Wait()
		})
		t.Logf("of %d calls %d were refused, and %d sent all but their last byte", connections*calls, refused.Load(), sent.Load())
	})
	b.node.stop()
}
