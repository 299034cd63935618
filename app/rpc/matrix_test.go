package rpc

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// method is an RPC that is served over the network.
type method struct {
	name   string // as "muniment.api.v1.Departments/Submit"
	stream bool
}

// methodsServed lists the RPCs from the service descriptors.
func methodsServed() (all []method) {
	for _, service := range []grpc.ServiceDesc{apiv1.Departments_ServiceDesc, apiv1.RecordsStaff_ServiceDesc, apiv1.Auditors_ServiceDesc, apiv1.Custodians_ServiceDesc} {
		for _, m := range service.Methods {
			all = append(all, method{service.ServiceName + "/" + m.MethodName, false})
		}
		for _, m := range service.Streams {
			all = append(all, method{service.ServiceName + "/" + m.StreamName, true})
		}
	}
	return all
}

// callers are those who may call a method.
type callers struct {
	roles []record.Role
	nodes bool
}

// permissionTable reads testdata/permissions.txt.
func permissionTable(t *testing.T) map[string]callers {
	t.Helper()
	text, err := os.ReadFile("testdata/permissions.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]callers{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, roles, ok := strings.Cut(line, ": ")
		if _, twice := table[name]; !ok || twice {
			t.Fatalf("permissions.txt: %q", line)
		}
		var who callers
		for _, role := range strings.Fields(roles) {
			if role == "NODE" {
				who.nodes = true
				continue
			}
			r, err := record.ParseRole(role)
			if err != nil {
				t.Fatal(err)
			}
			who.roles = append(who.roles, r)
		}
		table[name] = who
	}
	return table
}

// errReached is what the handlers of the matrix answer.
var errReached = grpcstatus.Error(codes.Aborted, "handler reached")

// reached counts the calls that got as far as a handler, in front of which it stands.
type reached struct {
	mu    sync.Mutex
	calls map[string]int
}

func (r *reached) count(method string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[strings.TrimPrefix(method, "/")]++
	return errReached
}

func (r *reached) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		n += c
	}
	return n
}

func (r *reached) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
			return nil, r.count(info.FullMethod)
		}),
		grpc.ChainStreamInterceptor(func(_ any, _ grpc.ServerStream, info *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			return r.count(info.FullMethod)
		}),
	}
}

// invoke calls any method with an empty message.
func invoke(ctx context.Context, conn *grpc.ClientConn, m method) error {
	if !m.stream {
		return conn.Invoke(ctx, "/"+m.name, &emptypb.Empty{}, &emptypb.Empty{})
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/"+m.name)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

func TestPermissionTableIsComplete(t *testing.T) {
	table := permissionTable(t)
	var served []string
	for _, m := range methodsServed() {
		served = append(served, m.name)
	}
	slices.Sort(served)
	if listed := slices.Sorted(maps.Keys(table)); !slices.Equal(listed, served) {
		t.Errorf("permissions.txt lists\n%s\nserved are\n%s", strings.Join(listed, "\n"), strings.Join(served, "\n"))
	}
	c := newCity(t, nil)
	for name, info := range c.server.public.GetServiceInfo() {
		for _, m := range info.Methods {
			if _, ok := table[name+"/"+m.Name]; !ok {
				t.Errorf("%s/%s is served and has no line", name, m.Name)
			}
		}
	}
	if local := slices.Sorted(maps.Keys(c.server.operators.GetServiceInfo())); !slices.Equal(local, []string{"grpc.health.v1.Health", "muniment.api.v1.Operators"}) {
		t.Errorf("the operators' socket serves %v", local)
	}
}

// TestS0_3_EveryMethodAndRole tries every RPC as an office of every role, first
// with a good certificate, then on connections whose office, key or certificate
// has ceased to be good.
func TestS0_3_EveryMethodAndRole(t *testing.T) {
	table, hits := permissionTable(t), &reached{calls: map[string]int{}}
	c, ctx := newCity(t, nil, hits.options()...), within10s(t)
	conns, second := map[record.Role]*grpc.ClientConn{}, map[record.Role]*grpc.ClientConn{}
	cells, want := 0, map[string]int{}
	for _, r := range record.Roles() {
		conns[r], second[r] = c.as(activeOffice(r)), c.as(secondOffice(r))
		for _, m := range methodsServed() {
			err := invoke(ctx, conns[r], m)
			cells++
			if slices.Contains(table[m.name].roles, r) {
				want[m.name]++
				if grpcstatus.Code(err) != codes.Internal { // errReached has no reason of ours
					t.Errorf("%s as %s: %v, want it reached", m.name, r, err)
				}
				continue
			}
			wantReason(t, m.name+" as "+r.String(), err, "DENIED")
			who := "nodes"
			if !table[m.name].nodes {
				who = table[m.name].roles[0].String()
			}
			if text := err.Error(); strings.Contains(text, "Departments/") || !strings.Contains(text, " may not ") || !strings.Contains(text, who) {
				t.Errorf("%s as %s: %v", m.name, r, err)
			}
		}
		if err := invoke(ctx, second[r], method{"muniment.api.v1.Auditors/Entry", false}); grpcstatus.Code(err) != codes.Internal {
			t.Fatalf("second office of %s: %v", r, err)
		}
		want["muniment.api.v1.Auditors/Entry"]++
	}
	if !maps.Equal(hits.calls, want) {
		t.Errorf("handlers reached: %v, want %v", hits.calls, want)
	}
	if wantCells := len(record.Roles()) * len(table); cells != wantCells {
		t.Errorf("%d cells tried, want %d", cells, wantCells)
	}
	before := hits.total()

	refusedOn := func(state, reason string, conns map[record.Role]*grpc.ClientConn) {
		for _, r := range record.Roles() {
			for _, m := range methodsServed() {
				wantReason(t, m.name+" as "+r.String()+", "+state, invoke(ctx, conns[r], m), reason)
			}
		}
	}
	c.clock.Add(int64(2 * time.Hour))
	refusedOn("certificate expired", "CERTIFICATE_EXPIRED", conns)
	c.clock.Add(-int64(4 * time.Hour))
	refusedOn("certificate not yet valid", "CERTIFICATE_EXPIRED", conns)
	c.clock.Add(int64(2 * time.Hour))
	for _, r := range record.Roles() {
		c.suspend(activeOffice(r))
		c.suspendOffice(secondOffice(r), r)
	}
	refusedOn("key suspended", "SUSPENDED", conns)
	refusedOn("office suspended", "SUSPENDED", second)
	if after := hits.total(); after != before {
		t.Errorf("%d refused calls reached a handler", after-before)
	}
}

// TestS0_3_NobodyElseConnects tries every RPC for every role over connections
// that must not come about.
func TestS0_3_NobodyElseConnects(t *testing.T) {
	hits := &reached{calls: map[string]int{}}
	c, ctx := newCity(t, nil, hits.options()...), within10s(t)
	with := func(cert tls.Certificate) *tls.Config {
		return must(identity.ClientConfig(cert, c.network.Nodes[0].Certificate))
	}
	for _, state := range []struct {
		name   string
		reason string // in the server's log; empty: the handshake ends before a certificate is read
		config func(record.Role) *tls.Config
	}{
		{"unknown key", "UNKNOWN_KEY", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), "nobody's key", c.now()))
		}},
		{"access key of another network's office", "UNKNOWN_KEY", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), "other network "+string(activeOffice(r))+" access", c.now()))
		}},
		{"access key of another office", "UNKNOWN_KEY", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), "CLERK access", c.now()))
		}},
		{"signing key", "UNKNOWN_KEY", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), string(activeOffice(r))+" signing", c.now()))
		}},
		{"forged with the right issuer", "UNAUTHENTICATED", func(r record.Role) *tls.Config {
			return with(c.forged(activeOffice(r)))
		}},
		{"suspended key", "SUSPENDED", func(r record.Role) *tls.Config { return c.clientTLS(suspendedKeyOffice(r)) }},
		{"suspended office", "SUSPENDED", func(r record.Role) *tls.Config { return c.clientTLS(suspendedOffice(r)) }},
		{"expired", "CERTIFICATE_EXPIRED", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), string(activeOffice(r))+" access", c.now().Add(-2*time.Hour)))
		}},
		{"not yet valid", "CERTIFICATE_EXPIRED", func(r record.Role) *tls.Config {
			return with(c.certificate(activeOffice(r), string(activeOffice(r))+" access", c.now().Add(time.Minute)))
		}},
		{"no certificate", "", func(r record.Role) *tls.Config {
			config := c.clientTLS(activeOffice(r))
			config.Certificates = nil
			return config
		}},
		{"TLS 1.2", "", func(r record.Role) *tls.Config {
			config := c.clientTLS(activeOffice(r))
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return config
		}},
	} {
		before := c.lines("connection refused", "reason="+state.reason)
		for _, r := range record.Roles() {
			conn := c.dial(state.config(r))
			for _, m := range methodsServed() {
				if err := invoke(ctx, conn, m); grpcstatus.Code(err) != codes.Unavailable {
					t.Errorf("%s as %s, %s: %v", m.name, r, state.name, err)
				}
			}
			conn.Close()
		}
		if seen := c.lines("connection refused", "reason="+state.reason) - before; state.reason != "" && seen < len(record.Roles()) {
			t.Errorf("%s: %d connections refused as %s, want at least %d", state.name, seen, state.reason, len(record.Roles()))
		}
	}
	if n := hits.total(); n != 0 {
		t.Errorf("%d calls reached a handler", n)
	}
}

// forged is a certificate that names an office's access key and is signed by another.
func (c *city) forged(code record.Code) tls.Certificate {
	good := c.certificate(code, string(code)+" access", c.now())
	template := must(x509.ParseCertificate(good.Certificate[0]))
	template.SerialNumber = big.NewInt(1)
	parent := &x509.Certificate{SubjectKeyId: template.AuthorityKeyId}
	good.Certificate[0] = must(x509.CreateCertificate(rand.Reader, template, parent, good.PrivateKey.(ed25519.PrivateKey).Public(), key("forger")))
	return good
}

// TestS1_21_SuspensionCutsLiveStreams: a stream that was allowed to begin ends
// with the next message after its office's key was suspended.
func TestS1_21_SuspensionCutsLiveStreams(t *testing.T) {
	t.Run("SubmitStream", func(t *testing.T) {
		c, ctx := newCity(t, nil), within10s(t)
		stream, err := apiv1.NewDepartmentsClient(c.as("DPW")).SubmitStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		submit := func(n byte) (*apiv1.SubmitStreamResponse, error) {
			raw := c.tx("DPW", anchor(record.Commitment{n}))
			if err := stream.Send(&apiv1.SubmitStreamRequest{Submit: &apiv1.SubmitRequest{Transaction: raw}}); err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return stream.Recv()
		}
		if got, err := submit(1); err != nil || got.Submit.Reason != "OK" {
			t.Fatalf("%v, %v", got, err)
		}
		c.suspend("DPW")
		size := c.node.View().Head().Size
		_, err = submit(2)
		wantReason(t, "after the suspension", err, "SUSPENDED")
		if grown := c.node.View().Head().Size; grown != size {
			t.Errorf("the log has grown from %d to %d", size, grown)
		}
	})
	t.Run("Read", func(t *testing.T) {
		c, ctx := newCity(t, nil), within10s(t)
		content := longMinutes
		_, index := c.anchored(content, "Long minutes")
		stream, err := apiv1.NewDepartmentsClient(c.as("CLERK")).Read(ctx, &apiv1.ReadRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
		if err != nil {
			t.Fatal(err)
		}
		first, err := stream.Recv()
		if err != nil || len(first.Chunk) == 0 {
			t.Fatalf("%d bytes, %v", len(first.GetChunk()), err)
		}
		// The rest is held back by flow control: most of it has not left yet.
		c.suspendBy("COUNSEL", "CLERK")
		rest, err := drain(stream.Recv, (*apiv1.ReadResponse).GetChunk)
		wantReason(t, "after the suspension", err, "SUSPENDED")
		if got := len(first.Chunk) + len(rest); got >= len(content) {
			t.Errorf("all %d bytes came", got)
		}
	})
}
