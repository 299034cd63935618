package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/tests/ports"
)

// A besieged city has one node, which somebody attacks from two addresses while the
// clerk goes on working from one of them.
type besieged struct {
	*city
	node         *running
	p2p, monitor string
	constant     *grpc.ClientConn // of the clerk, since before the siege
	anchored     atomic.Int64
	before       int64 // memory at the beginning, in bytes
}

// growth is how much more memory a node may take for its attackers than before.
const growth = 256 << 20

// elsewhere is another address of this machine.
const elsewhere = "127.0.0.2"

func besiege(t testing.TB) *besieged {
	t.Helper()
	b := &besieged{city: newCity(t), p2p: ports.Free(t), monitor: ports.Free(t)}
	b.node = launch(t, append(b.startArgs(t), "--set", "p2p.listen="+b.p2p, "--set", "monitor.listen="+b.monitor)...)
	b.constant = b.dial(t, "CLERK")
	b.anchor(t, b.constant)
	b.before = b.memory(t, "VmRSS")
	return b
}

// anchor anchors a record for the clerk, and wants it to be in the log.
func (b *besieged) anchor(t testing.TB, conn *grpc.ClientConn) {
	t.Helper()
	var id record.Commitment
	copy(id[:], fmt.Sprint("a record of the siege, ", b.anchored.Add(1)))
	raw := b.transaction(t, "CLERK", "DEMO-MINUTES", id)
	resp, err := apiv1.NewDepartmentsClient(conn).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: raw}, grpc.WaitForReady(true))
	if err != nil || resp.Reason != "OK" {
		t.Fatalf("the clerk anchors: %v, %v", resp, err)
	}
}

// works is a round of the clerk's work: it anchors over its connection and over a new
// one, and reads the checkpoint from the tiles, over a new one too.
func (b *besieged) works(t *testing.T) {
	t.Helper()
	b.anchor(t, b.constant)
	fresh := b.dial(t, "CLERK")
	b.anchor(t, fresh)
	fresh.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); ; <-tick.C {
		client := b.tileClient(t)
		client.Transport.(*http.Transport).DisableKeepAlives = true
		resp, err := client.Get("https://" + b.node.tiles + "/checkpoint")
		if err == nil && resp.StatusCode == http.StatusOK {
			resp.Body.Close()
			return
		}
		if wait.Err() != nil {
			t.Fatalf("the clerk reads the checkpoint: %v", err)
		}
	}
}

// survives has somebody attack while the clerk works. Where the attack lasts until it is told to end, ready says whether
// it has all that it wants, and the clerk's five rounds count from then on. Then the
// node must be as before.
func (b *besieged) survives(t *testing.T, ready func() bool, attack func(ctx context.Context)) {
	t.Helper()
	least := 2
	if ready != nil {
		least = 5
	}
	before, open := b.memory(t, "VmRSS"), b.files(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // five rounds take three seconds
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		attack(ctx)
	}()
	var slowest time.Duration
	for rounds, ended := 0, false; rounds < least || !ended; {
		began := time.Now()
		b.works(t)
		slowest = max(slowest, time.Since(began))
		if ready == nil || ended || ready() {
			rounds++
		}
		if ready != nil && rounds == least {
			if ctx.Err() != nil {
				t.Fatal("the clerk could not work during the siege")
			}
			cancel()
			<-over
		}
		select {
		case <-over:
			ended = true
		default:
		}
	}
	peak := b.memory(t, "VmHWM")
	t.Logf("memory %d MiB before, at most %d MiB since the node began; a round of work took at most %v", before>>20, peak>>20, slowest.Round(time.Millisecond))
	if peak > b.before+growth {
		t.Errorf("the node's memory grew from %d to %d MiB", b.before>>20, peak>>20)
	}
	if log := b.node.stderr.String(); strings.Contains(log, "BUG:") || strings.Contains(log, "panic") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the node's log:\n%s", log[max(0, len(log)-5000):])
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for wait := time.After(30 * time.Second); b.files(t) > open+16; {
		select {
		case <-tick.C:
		case <-wait:
			t.Fatalf("the node had %d files and connections open before, and has %d", open, b.files(t))
		}
	}
}

// memory reads a line of the process's status, in bytes.
func (b *besieged) memory(t testing.TB, line string) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(string(read(t, fmt.Sprintf("/proc/%d/status", b.node.cmd.Process.Pid))), line+":")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// files counts what the node has open, as it says itself: nobody else may look.
func (b *besieged) files(t testing.TB) int {
	t.Helper()
	return int(figure(t, b.monitor, "process_open_fds", ""))
}

// drip is a connection that goes no further than to some point, and then sends a byte
// now and then.
type drip struct {
	address string
	from    string
	begin   func(net.Conn) (net.Conn, error) // goes to that point; nil: it is there
	first   string                           // and says this at once
}

// siege is so many connections of each of some kinds, kept up: where the node closes
// one, another one comes.
type siege struct {
	many  int
	kinds map[string]drip
	came  map[string]*atomic.Int64 // how many there were of each
}

// begun says whether there have been as many of each as there are to be.
func (s *siege) begun() bool {
	for _, count := range s.came {
		if count.Load() < int64(s.many) {
			return false
		}
	}
	return true
}

// lay keeps the siege up until ctx ends.
func (s *siege) lay(ctx context.Context) {
	var group sync.WaitGroup
	for name, kind := range s.kinds {
		for i := range s.many {
			kind := kind
			if kind.from == "" {
				kind.from = []string{"127.0.0.1", elsewhere}[i%2]
			}
			group.Go(func() {
				tick := time.NewTicker(time.Second)
				defer tick.Stop()
				for ctx.Err() == nil {
					kind.drip(ctx, s.came[name], tick.C)
				}
			})
		}
	}
	group.Wait()
}

// drip is one connection, from its beginning to its end.
func (d drip) drip(ctx context.Context, count *atomic.Int64, now <-chan time.Time) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}, Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", d.address)
	if err != nil {
		<-now
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if d.begin != nil {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if conn, err = d.begin(conn); err != nil {
			<-now
			return
		}
		conn.SetDeadline(time.Time{})
	}
	count.Add(1)
	for word := []byte(d.first); err == nil; word = []byte{'a'} {
		_, err = conn.Write(word)
		select {
		case <-now:
		case <-ctx.Done():
			return
		}
	}
}

// secured gives the start of a connection that has TLS.
func secured(config *tls.Config, protocols ...string) func(net.Conn) (net.Conn, error) {
	config = config.Clone()
	config.NextProtos = protocols
	return func(conn net.Conn) (net.Conn, error) {
		secured := tls.Client(conn, config)
		return secured, secured.Handshake()
	}
}

// TestT29_SlowCallers: a thousand connections and more that dawdle, at each listener and
// at each step that one can dawdle at, keep nobody from working, and are gone at the end.
func TestT29_SlowCallers(t *testing.T) {
	b := besiege(t)
	const (
		hello = "\x16\x03\x01\x02\x00\x01" // of a longer ClientHello
		frame = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x40\x00\x01\x04\x00\x00\x00\x01"
		get   = "GET /checkpoint HTTP/1.1\r\nHost: node\r\nX-Slow: "
	)
	anybody := &tls.Config{InsecureSkipVerify: true}
	insider := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{b.account(t, "DPW")}}
	for name, s := range map[string]siege{
		"gRPC, strangers": {many: 800, kinds: map[string]drip{
			"say nothing": {address: b.address},
			"ClientHello": {address: b.address, first: hello},
		}},
		"gRPC, an office": {many: 120, kinds: map[string]drip{ // and has no more connections than it may
			"preface": {address: b.address, begin: secured(insider, "h2"), first: "PRI"},
			"HEADERS": {address: b.address, begin: secured(insider, "h2"), first: frame},
		}},
		"tiles": {many: 350, kinds: map[string]drip{
			"ClientHello":     {address: b.node.tiles, first: hello},
			"HTTP/1.1 header": {address: b.node.tiles, begin: secured(anybody, "http/1.1"), first: get},
			"HTTP/2 HEADERS":  {address: b.node.tiles, begin: secured(anybody, "h2"), first: frame},
		}},
		"monitor": {many: 1000, kinds: map[string]drip{"header": {address: b.monitor, first: get}}},
		"p2p": {many: 500, kinds: map[string]drip{
			"say nothing":    {address: b.p2p, from: elsewhere},
			"half handshake": {address: b.p2p, from: elsewhere, first: "\x22\x0a\x20"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s.came = map[string]*atomic.Int64{}
			for kind := range s.kinds {
				s.came[kind] = new(atomic.Int64)
			}
			b.survives(t, func() bool {
				figure(t, b.monitor, "muniment_height", "") // and whoever watches the node can do so
				return s.begun()
			}, s.lay)
			for kind, count := range s.came {
				t.Logf("%s: %d connections", kind, count.Load())
			}
		})
	}
	b.node.stop()
}
