package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestS4_7_Certificates: before the lock there is none, before the last report it
// is not complete, and then it is verified before it is written.
func TestS4_7_Certificates(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02", "2019-01-03")
	disposition := d.propose(r...)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "AUDIT", "certificate", numeral(r[0]), "-o", d.path("none"))
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	d.fails(exitIndeterminate, "NOT COMPLETE: pending at PERMITS", "--office", "AUDIT", "certificate", numeral(r[0]))
	d.fails(exitIndeterminate, "(REPORTS_DUE)", "--office", "AUDIT", "certificate", numeral(r[0]), "-o", d.path("early"))
	if exists(d.path("none")) || !strings.Contains(string(must(os.ReadFile(d.path("early")))), "\nNOT COMPLETE: NO CERTIFICATE OF DESTRUCTION\n") {
		t.Error("a certificate was written for nothing, or does not say that it is not complete")
	}
	shown := d.as("AUDIT", "record", "show", numeral(r[0]))
	if !strings.Contains(shown.stdout, "to be destroyed under disposition "+disposition) || !strings.Contains(shown.stdout, "of PERMITS is due") {
		t.Errorf("before the report:\n%s", shown.stdout)
	}
	d.fails(exitIndeterminate, "(REPORTS_DUE)", "--office", "AUDIT", "disposition", "certificates", disposition, "--out", d.path("half"))

	d.as("PERMITS", "disposition", "confirm", disposition)
	shown = d.as("AUDIT", "certificate", numeral(r[1]), "--disposition", disposition, "-o", d.path("certificate"))
	if !strings.Contains(shown.stdout, "DESTROYED: record "+numeral(r[1])) || !strings.Contains(shown.stderr, "next: muniment-verify") {
		t.Errorf("%q, %q", shown.stdout, shown.stderr)
	}
	if v := must(receipt.VerifyCertificate(d.hall.network, must(os.ReadFile(d.path("certificate"))))); v.Outcome != receipt.Passed || v.Certificate.Result != receipt.Destroyed {
		t.Errorf("what was written: %s %s", v.Outcome, v.Detail)
	}
	var got certificatesResult
	d.json("AUDIT", &got, "disposition", "certificates", disposition, "--out", d.path("all"))
	if got.Results["DESTROYED"] != 3 || len(got.Files) != 3 {
		t.Errorf("all: %+v", got)
	}
	for _, index := range r {
		if !exists(filepath.Join(d.path("all"), fmt.Sprintf("%d.certificate", index))) {
			t.Errorf("no certificate of record %d", index)
		}
	}
	d.fails(exitUsage, "--out DIR", "--office", "AUDIT", "disposition", "certificates", disposition)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "AUDIT", "disposition", "certificates", numeral(r[0]), "--out", d.path("all"))
}

// TestResidualRecord: what is left of a destroyed record says what became of it.
func TestResidualRecord(t *testing.T) {
	d := newHall(t)
	r := d.keep("DEMO-PERMITS", "2019-01-01", "2019-01-02")
	disposition := d.propose(r...)
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	d.as("PERMITS", "disposition", "confirm", disposition)
	shown := d.as("AUDIT", "record", "show", numeral(r[0]))
	for _, want := range []string{"destroyed under disposition " + disposition + ", locked on 2031-01-01, says the node", "of PERMITS: DONE, entry ", "no claim: Nothing is said about keys"} {
		if !strings.Contains(shown.stdout, want) {
			t.Errorf("no %q in\n%s", want, shown.stdout)
		}
	}
	if !strings.Contains(shown.stderr, "next: muniment certificate "+numeral(r[0])) {
		t.Errorf("next: %s", shown.stderr)
	}
	if why := d.as("AUDIT", "why", numeral(r[0])); !strings.Contains(why.stderr, "next: muniment record show "+numeral(r[0])) {
		t.Errorf("why: %s", why.stderr)
	}
	if hold := d.as("COUNSEL", "hold", "place", "--kind", "litigation", "--matter", "x", numeral(r[0])); !strings.Contains(hold.stderr, "it comes after the disposition of 1 record: muniment record show "+numeral(r[0])) {
		t.Errorf("a hold after the report: %s", hold.stderr)
	}
	var got recordResult
	raw := d.as("AUDIT", "record", "show", numeral(r[0]), "--output", "json")
	if err := json.Unmarshal([]byte(raw.stdout), &got); err != nil || got.Residual == nil || got.Residual.Action != "DESTROY" || got.Residual.Status != "COMPLETE" || len(got.Residual.Reports) != 1 {
		t.Errorf("as JSON: %v, %+v", err, got.Residual)
	}
}

// staffFake answers with one certificate.
type staffFake struct {
	apiv1.UnimplementedRecordsStaffServer
	file  []byte
	calls int
}

func (s *staffFake) Certificate(context.Context, *apiv1.CertificateRequest) (*apiv1.CertificateResponse, error) {
	s.calls++
	return &apiv1.CertificateResponse{File: s.file}, nil
}

// serve gives a node that answers nothing else, until the test ends.
func (s *staffFake) serve(t *testing.T, now time.Time) receipt.Node {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := receipt.NodeID(key.Public().(ed25519.PublicKey))
	der := must(identity.ServerCertificate(rand.Reader, key, receipt.ServerName(id), now))
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	config := identity.ServerConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, func(*x509.Certificate) error { return nil })
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	apiv1.RegisterRecordsStaffServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return receipt.Node{ID: id, Address: l.Addr().String(), Certificate: der}
}

// TestTextsOfOtherNodes: the custodian's own node keeps the text of its report, and
// is asked for it.
func TestTextsOfOtherNodes(t *testing.T) {
	d := newHall(t)
	custodian := d.hall.key("custodian")
	id := record.KeyIDOf(custodian.Public().(ed25519.PublicKey))
	m := &record.AnchorRecords{Series: "DEMO-PERMITS", Custody: "CITY", Items: []record.AnchorItem{{Commitment: record.Commitment{1}, Day: day("2019-01-01")}}}
	index := uint64(d.act("PERMITS", m).Index)
	disposition := d.propose(index)
	d.approve(disposition)
	d.as("IT", "disposition", "lock", disposition)
	at := must(parseIndex(disposition))
	text := must(record.ErasureReport{Disposition: at, Custodian: id, Claim: record.ClaimFiles, Device: "key file", Followed: d.hall.View().Head().Size, Day: day("2031-01-01"),
		Records: []record.RecordErasure{{Record: record.Index(index), Outcome: record.RecordErased}}}.Marshal())
	report := &record.ReportErasure{Disposition: at, Outcome: record.OutcomeDone, Claim: record.ClaimFiles, Report: record.HashErasureReport(text)}
	body := must(record.NewBody(d.hall.network.ID, record.Nonce{1}, day("2031-01-02"), report))
	if results := must(d.hall.block(time.Second, must(record.Sign(custodian, body)))); results[0].Code != ledger.OK {
		t.Fatal(results[0].Code)
	}
	d.fails(exitIndeterminate, "(PART_MISSING)", "--office", "AUDIT", "certificate", numeral(index), "-o", d.path("half"))

	_, parts, _, err := receipt.ParseCertificate(must(os.ReadFile(d.path("half"))))
	if err != nil {
		t.Fatal(err)
	}
	parts.AddTexts(receipt.Parts{Reports: []receipt.ReportPart{{Text: text}}})
	other := &staffFake{file: must(receipt.NewCertificate(d.hall.network, parts))}
	p := &program{stdin: strings.NewReader(""), stderr: &strings.Builder{}, now: d.now, pause: time.Millisecond, places: d.places,
		office: "AUDIT", output: "text", passphraseFile: d.path("passphrase")}
	s := must(p.open(false))
	defer s.close()
	silent := receipt.Node{ID: strings.Repeat("f", 40), Address: "127.0.0.1:1", Certificate: s.node.Certificate}
	s.network.Nodes = append(slices.Clone(s.network.Nodes), silent, other.serve(t, d.hall.clock()), silent)
	c, ref := &certifier{session: s}, &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: index}}
	for range 2 {
		v, _, err := c.certificate(t.Context(), ref, index, 0)
		if err != nil || v.Outcome != receipt.Passed || !v.Certificate.Reports[0].HasText || v.Certificate.Result != receipt.Destroyed {
			t.Fatalf("%s %v %s, %v", v.Outcome, v.Reasons, v.Detail, err)
		}
	}
	if other.calls != 1 {
		t.Errorf("the other node was asked %d times", other.calls)
	}
}
