package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// figure adds up a node's metric, over all its labels or those that contain a text.
func figure(t testing.TB, monitor, name, label string) (sum float64) {
	t.Helper()
	var text []byte
	until(t, "the monitor answers", func() bool {
		var err error
		text, err = scrape(monitor)
		return err == nil
	})
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, name+"{") && !strings.HasPrefix(line, name+" ") || !strings.Contains(line, label) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// scrape asks the monitor once. Where many others come from this host in that moment,
// it may be cut off.
func scrape(monitor string) ([]byte, error) {
	resp, err := http.Get("http://" + monitor + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// handled is the number of calls that got to a handler of the custodian.
func (h *hall) handled(t testing.TB) float64 {
	t.Helper()
	return figure(t, h.metrics, "muniment_calls_total", "")
}

// config is TLS as a client of the custodian speaks it.
func (h *hall) config(t testing.TB, cert tls.Certificate) *tls.Config {
	t.Helper()
	config, err := identity.ClientConfig(cert, h.network.Nodes[0].Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func (h *hall) dialWith(t testing.TB, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// issue makes an account certificate of an office that some key signs, changed as Issue
// would not make it.
func issue(t testing.TB, office record.Code, by ed25519.PrivateKey, from time.Time, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := identity.Issue(rand.Reader, by, identity.Account{Office: office, ID: "00112233445566aa"}, key.Public().(ed25519.PublicKey), from, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		der = changed(t, der, key, by, change)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func changed(t testing.TB, der []byte, key, by ed25519.PrivateKey, change func(*x509.Certificate)) []byte {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: "parent"}, SubjectKeyId: cert.AuthorityKeyId}
	cert.SerialNumber = big.NewInt(7)
	change(cert)
	if der, err = x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by); err != nil {
		t.Fatal(err)
	}
	return der
}

// stranger is somebody who is not to get in.
type stranger struct {
	name   string
	alert  string // with which the handshake ends
	reason string // in the node's log and figures; empty: before a certificate is judged
	config *tls.Config
}

const (
	alertBad     = "bad certificate"
	alertVersion = "protocol version not supported"
	alertNone    = "certificate required"
	alertProof   = "error decrypting message"
)

// strangers are all who are refused in any state of the network.
func (h *hall) strangers(t testing.TB, peer node.Keys) []stranger {
	t.Helper()
	now := time.Now().Add(-time.Minute)
	clerk := h.offices["CLERK"]
	as := func(cert tls.Certificate, change func(*tls.Config)) *tls.Config {
		config := h.config(t, cert)
		if change != nil {
			change(config)
		}
		return config
	}
	account := func(by ed25519.PrivateKey, from time.Time, change func(*x509.Certificate)) *tls.Config {
		return as(issue(t, "CLERK", by, from, change), nil)
	}
	machine := func(name string, key ed25519.PrivateKey, change func(*x509.Certificate)) *tls.Config {
		der, err := identity.ServerCertificate(rand.Reader, key, name, now)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			der = changed(t, der, key, key, change)
		}
		return as(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil)
	}
	good := issue(t, "CLERK", clerk.access, now, nil)
	for12 := func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }
	servers := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	clients := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return []stranger{
		{"TLS 1.2", alertVersion, "", as(good, for12)},
		{"TLS 1.2, as a node", alertVersion, "", as(peer.TLS(), for12)},
		{"a certificate without its key", alertProof, "", as(tls.Certificate{Certificate: good.Certificate, PrivateKey: newKey(t)}, nil)},
		{"two certificates", alertBad, "", as(tls.Certificate{Certificate: [][]byte{good.Certificate[0], good.Certificate[0]}, PrivateKey: good.PrivateKey}, nil)},
		{"an unknown key", alertBad, "UNKNOWN_KEY", account(newKey(t), now, nil)},
		{"a signing key", alertBad, "UNKNOWN_KEY", account(clerk.signing, now, nil)},
		{"the access key of another office", alertBad, "UNKNOWN_KEY", account(h.offices["DPW"].access, now, nil)},
		{"an office that is not registered", alertBad, "UNKNOWN_KEY", as(issue(t, "NOBODY", clerk.access, now, nil), nil)},
		{"an expired certificate", alertBad, "CERTIFICATE_EXPIRED", account(clerk.access, now.Add(-2*time.Hour), nil)},
		{"a certificate that is not valid yet", alertBad, "CERTIFICATE_EXPIRED", account(clerk.access, now.Add(2*time.Hour), nil)},
		{"a certificate for servers", alertBad, "UNAUTHENTICATED", account(clerk.access, now, func(c *x509.Certificate) { c.ExtKeyUsage = servers })},
		{"a certificate for nothing", alertBad, "UNAUTHENTICATED", account(clerk.access, now, func(c *x509.Certificate) { c.ExtKeyUsage = nil })},
		{"a certificate for two days", alertBad, "UNAUTHENTICATED", account(clerk.access, now, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(48 * time.Hour) })},
		{"a certificate of an account, as an authority", alertBad, "UNAUTHENTICATED", account(clerk.access, now, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })},
		{"a certificate that names nobody", alertBad, "UNAUTHENTICATED", account(clerk.access, now, func(c *x509.Certificate) { c.URIs = nil })},
		{"the key of no node", alertBad, "UNKNOWN_KEY", machine("node", newKey(t), nil)},
		{"a node's validator key", alertBad, "UNKNOWN_KEY", machine("node", peer.Validator, nil)},
		{"a node, for clients", alertBad, "UNAUTHENTICATED", machine("node", peer.Node, func(c *x509.Certificate) { c.ExtKeyUsage = clients })},
	}
}

// oneOfEach is a method of each service that the public listener has.
var oneOfEach = []string{
	apiv1.Departments_Submit_FullMethodName, apiv1.RecordsStaff_Due_FullMethodName, apiv1.Auditors_Checkpoint_FullMethodName,
	apiv1.Custodians_Compare_FullMethodName, apiv1.Custodians_Keep_FullMethodName,
}

// keptOut wants a stranger to be refused by both listeners in the handshake, with the
// alert and the reason, and every call of every service to fail as unavailable.
func (h *hall) keptOut(t testing.TB, s stranger) {
	t.Helper()
	listeners := []string{h.address, h.node.tiles}
	if s.alert == alertNone {
		listeners = listeners[:1] // the tiles are for everybody
	}
	for _, address := range listeners {
		before := figure(t, h.metrics, "muniment_refused_connections_total", s.reason)
		conn, err := tls.Dial("tcp", address, s.config)
		if err == nil { // by TLS 1.3 the client hears of it with the first byte that it reads
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if alert, ok := errors.AsType[*net.OpError](err); !ok || alert.Op != "remote error" || !strings.HasSuffix(err.Error(), s.alert) {
			t.Errorf("%s at %s: %v, want the alert %q", s.name, address, err, s.alert)
		}
		if after := figure(t, h.metrics, "muniment_refused_connections_total", s.reason); s.reason != "" && after != before+1 {
			t.Errorf("%s at %s: the figure for %s went from %v to %v", s.name, address, s.reason, before, after)
		}
	}
	conn := h.dialWith(t, s.config)
	for _, method := range oneOfEach {
		if err := call(t, conn, method); grpcstatus.Code(err) != codes.Unavailable {
			t.Errorf("%s calls %s: %v, want %v", s.name, method, err, codes.Unavailable)
		}
	}
}

// call calls any method with a message that says nothing.
func call(t testing.TB, conn *grpc.ClientConn, method string) error {
	t.Helper()
	stream, err := conn.NewStream(ctx(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&apiv1.StatusRequest{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&apiv1.StatusRequest{})
}

// TestT02_WhoIsNotLetIn: who is not to be there is refused before any handler, at every
// listener that knows callers, and so is who has ceased to belong there while connected.
func TestT02_WhoIsNotLetIn(t *testing.T) {
	h := newHall(t)
	h.open(t)
	peer, err := node.OpenKeys(h.peer, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	before := h.handled(t)
	strangers := append(h.strangers(t, peer),
		stranger{"nobody", alertNone, "", h.config(t, tls.Certificate{})})
	strangers[len(strangers)-1].config.Certificates = nil
	for _, s := range strangers {
		h.keptOut(t, s)
	}
	if after := h.handled(t); after != before {
		t.Errorf("%v calls of strangers got to a handler", after-before)
	}
	h.tilesForAll(t)
	if after := h.handled(t); after != before+5 {
		t.Errorf("5 requests for the log were answered, %v counted", after-before)
	}
	h.whoHasCeased(t, peer)
	h.close()
}

// tilesForAll: the tiles of hashes and the checkpoint ask for no certificate; the
// entries do, and that of a node does not count.
func (h *hall) tilesForAll(t *testing.T) {
	t.Helper()
	h.gets(t, h.tileClient(t), "/checkpoint", http.StatusOK)
	h.gets(t, h.tileClient(t), "/tile/0/000.p/1", http.StatusOK)
	h.gets(t, h.tileClient(t), "/tile/entries/000.p/1", http.StatusForbidden)
	h.gets(t, h.tileClient(t, h.account(t, "CLERK")), "/tile/entries/000.p/1", http.StatusOK)
	peer, err := node.OpenKeys(h.peer, []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	h.gets(t, h.tileClient(t, peer.TLS()), "/tile/entries/000.p/1", http.StatusForbidden)
}

func (h *hall) gets(t testing.TB, client *http.Client, path string, want int) {
	t.Helper()
	resp, err := client.Get("https://" + h.node.tiles + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
		t.Errorf("%s: %s, %v, want %d", path, resp.Status, err, want)
	}
}

// whoHasCeased connects offices and a node, and then takes their standing away.
func (h *hall) whoHasCeased(t *testing.T, peer node.Keys) {
	t.Helper()
	governing := h.dial(t, "CIO")
	type connected struct {
		name, reason string
		code         codes.Code
		cert         tls.Certificate
		conn         *grpc.ClientConn
		tiles        *http.Client
	}
	all := []connected{
		{name: "an office that is suspended", reason: "SUSPENDED", code: codes.PermissionDenied, cert: h.account(t, "CAO")},
		{name: "a key that is suspended", reason: "SUSPENDED", code: codes.PermissionDenied, cert: h.account(t, "OPRA")},
		{name: "a key that is revoked", reason: "SUSPENDED", code: codes.PermissionDenied, cert: h.account(t, "ARCHIVIST")},
		{name: "a node that is removed", reason: "UNKNOWN_KEY", code: codes.Unauthenticated, cert: peer.TLS()},
	}
	for i := range all {
		c := &all[i]
		c.conn, c.tiles = h.dialWith(t, h.config(t, c.cert)), h.tileClient(t, c.cert)
		h.gets(t, c.tiles, "/checkpoint", http.StatusOK)
		if c.name == "a node that is removed" {
			continue
		}
		h.gets(t, c.tiles, "/tile/entries/000.p/1", http.StatusOK)
		if _, err := apiv1.NewAuditorsClient(c.conn).Checkpoint(ctx(t), &apiv1.CheckpointRequest{}); err != nil {
			t.Fatalf("%s, before: %v", c.name, err)
		}
	}
	machine := all[3].conn
	// It is a node, and not a custodian of the set: the set is in the message, so the
	// handler is the first who can tell.
	if err := compare(t, machine, "CITY"); reasonOf(err) != "DENIED" {
		t.Errorf("a node that is not in the set: %v", err)
	}
	for _, method := range oneOfEach[:3] {
		if err := call(t, machine, method); reasonOf(err) != "DENIED" {
			t.Errorf("a node calls %s: %v", method, err)
		}
	}
	stream, err := apiv1.NewDepartmentsClient(all[1].conn).SubmitStream(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	h.change(t, governing, "CIO", "COUNSEL", &record.Office{Code: "CAO", Roles: h.offices["CAO"].roles, Status: record.StatusSuspended})
	h.do(t, governing, "CIO", "OK", &record.SuspendKey{KeyID: record.KeyIDOf(h.offices["OPRA"].access.Public().(ed25519.PublicKey))})
	h.change(t, governing, "CIO", "COUNSEL", &record.Key{Office: "ARCHIVIST", Use: record.UseAccess,
		PublicKey: [32]byte(h.offices["ARCHIVIST"].access.Public().(ed25519.PublicKey)), Status: record.StatusSuspended})
	removed := peer.Fact(0)
	removed.Removed = true
	h.change(t, governing, "CIO", "COUNSEL", removed)

	before := h.handled(t)
	for _, c := range all {
		for _, method := range oneOfEach {
			if err := call(t, c.conn, method); reasonOf(err) != c.reason || grpcstatus.Code(err) != c.code {
				t.Errorf("%s calls %s: %v, want %v %s", c.name, method, err, c.code, c.reason)
			}
		}
		h.keptOut(t, stranger{c.name, alertBad, c.reason, h.config(t, c.cert)})
	}
	if err := stream.Send(&apiv1.SubmitStreamRequest{}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); reasonOf(err) != "SUSPENDED" {
		t.Errorf("a stream of a key that is suspended goes on: %v", err)
	}
	if after := h.handled(t); after != before {
		t.Errorf("%v calls of those who have ceased to belong there got to a handler", after-before)
	}
	for _, c := range all {
		h.gets(t, c.tiles, "/tile/entries/000.p/1", http.StatusForbidden)
	}
}

// reasonOf gives the stable reason of an error.
func reasonOf(err error) string {
	for _, d := range grpcstatus.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}

// compare asks the custodian what it has of a set.
func compare(t testing.TB, conn *grpc.ClientConn, set string) error {
	t.Helper()
	stream, err := apiv1.NewCustodiansClient(conn).Compare(ctx(t))
	if err != nil {
		return err
	}
	if err := stream.Send(&apiv1.CompareRequest{Set: set, All: make([]byte, 32)}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.Recv()
	return err
}
