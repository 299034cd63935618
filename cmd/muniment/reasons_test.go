package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// An interrupt while a document is on its way is said with its reason, and the
// same command goes on afterwards.
func TestInterruptNamesItsReason(t *testing.T) {
	d, c := newOffice(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.set(hooks{deposit: func(*apiv1.DepositHeader) error {
		cancel()
		return refusal(codes.Unavailable, "STOPPING", "the node stops")
	}})
	args := []string{"anchor", "--series", "DEMO-MINUTES", d.file("a.txt", "first"), "--passphrase-file", d.path("passphrase")}
	var stdout, stderr bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now, pause: time.Millisecond, places: d.places}
	if code := p.run(ctx, args); code != exitInterrupted || !strings.Contains(stderr.String(), "interrupted (INTERRUPTED)") || stdout.Len() != 0 {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
	if n := len(c.contents()); n != 0 {
		t.Errorf("%d records on the ledger", n)
	}
	c.set(hooks{})
	d.must(args[:4]...)
}

// A link is anchored neither by its own name nor within a folder.
func TestLinksAreNotAnchored(t *testing.T) {
	d, c := newOffice(t)
	d.file("in/a.txt", "first")
	link := d.path("in/link")
	if err := os.Symlink("a.txt", link); err != nil {
		t.Fatal(err)
	}
	d.fails(exitUsage, "(NOT_A_FILE)", "anchor", "--series", "DEMO-MINUTES", link)
	if c.deposits != 0 {
		t.Errorf("%d deposits", c.deposits)
	}
	d.must("anchor", "--series", "DEMO-MINUTES", d.path("in"))
	if got := c.contents(); len(got) != 1 || got[0] != "first" {
		t.Errorf("on the ledger %q", got)
	}
}

// A bundle whose only receipt holds, but is of another record, is not written.
func TestBundleWithoutTheReceipt(t *testing.T) {
	d, c, index := anchoredTable(t)
	second := d.anchorJSON(exitDone, d.file("other.txt", "other")).Records[0].Index
	var calls atomic.Int32
	c.set(hooks{record: func(asked uint64) uint64 {
		if calls.Add(1) == 1 { // the receipt by which the record is found
			return asked
		}
		return second
	}})
	d.fails(exitContradicted, "(NO_RECEIPT)", "evidence", index, "-o", d.path("out"))
	if exists(d.path("out")) || calls.Load() != 2 {
		t.Errorf("written: %v; %d receipts given", exists(d.path("out")), calls.Load())
	}
	c.set(hooks{})
	d.must("evidence", index, "-o", d.path("out"))
}

// A network's only custodian set need not be named; of several, one must be.
func TestWhichCustody(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	d.fails(exitRefused, "custodian set TOWN is not registered (UNKNOWN_CUSTODY)", "anchor", "--series", "DEMO-MINUTES", "--custody", "TOWN", path)
	if c.deposits != 0 {
		t.Errorf("%d deposits", c.deposits)
	}
	one := registry{facts: []record.Fact{&record.CustodianSet{Code: "CITY"}}}
	two := registry{facts: append(one.facts, &record.Office{Code: "CLERK"}, &record.CustodianSet{Code: "TOWN"})}
	for _, test := range []struct {
		registry     registry
		wanted, want record.Code
		reason, next string
		code         int
	}{
		{registry{}, "", "", "UNKNOWN_CUSTODY", "ask a governing office", exitRefused},
		{registry{}, "CITY", "", "UNKNOWN_CUSTODY", "registered are: []", exitRefused},
		{one, "", "CITY", "", "", exitDone},
		{two, "TOWN", "TOWN", "", "", exitDone},
		{two, "PORT", "", "UNKNOWN_CUSTODY", "registered are: [CITY TOWN]", exitRefused},
		{two, "", "", "WHICH_CUSTODY", "give --custody with one of [CITY TOWN]", exitUsage},
	} {
		got, err := test.registry.custody(test.wanted)
		if got != test.want || reasonOf(err) != test.reason || nextOf(err) != test.next || codeOf(err) != test.code {
			t.Errorf("%q of %d facts: %q, %v, next %q; want %q and %q", test.wanted, len(test.registry.facts), got, err, nextOf(err), test.want, test.reason)
		}
	}
}

// Days have years of four digits. File systems may keep others.
func TestYearOfNoDay(t *testing.T) {
	for year, want := range map[int]string{0: "BAD_DAY", 1: "", 9999: "", 10000: "BAD_DAY"} {
		doc := document{modified: time.Date(year, 6, 1, 12, 0, 0, 0, time.UTC)}
		item, err := (&anchoring{granularity: record.GranularityDay}).itemOf(doc)
		if reasonOf(err) != want || want != "" && (codeOf(err) != exitRefused || item != record.AnchorItem{}) {
			t.Errorf("year %d: %v, want %q", year, err, want)
		}
		day := must(parseDay("2031-02-14"))
		for name, options := range map[string]anchorOptions{"--date": {day: &day}, "--undated": {undated: true}} {
			if _, err := (&anchoring{granularity: record.GranularityDay, options: options}).itemOf(doc); err != nil {
				t.Errorf("year %d with %s: %v", year, name, err)
			}
		}
	}
}

// otherCommitment is a custodian that answers every deposit with one commitment.
type otherCommitment struct {
	apiv1.UnimplementedDepartmentsServer
	answer []byte
}

func (o otherCommitment) Deposit(stream grpc.ClientStreamingServer[apiv1.DepositRequest, apiv1.DepositResponse]) error {
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return stream.SendAndClose(&apiv1.DepositResponse{Commitment: o.answer, Segments: 1})
		} else if err != nil {
			return err
		}
	}
}

// The commitment is computed here: a custodian can only agree.
func TestCustodianThatAnswersAnotherCommitment(t *testing.T) {
	for _, answer := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33)} {
		listener := must(net.Listen("tcp", "127.0.0.1:0"))
		server := grpc.NewServer()
		apiv1.RegisterDepartmentsServer(server, otherCommitment{answer: answer})
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		s := &session{program: &program{now: time.Now}, until: time.Now().Add(time.Hour),
			conn: must(grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))}
		got, err := s.deposit(t.Context(), &apiv1.DepositHeader{Profile: "raw/1"}, []byte("first"), nil, commitment.Arrange)
		if codeOf(err) != exitContradicted || reasonOf(err) != "COMMITMENT_MISMATCH" || got != (record.Commitment{}) {
			t.Errorf("%d bytes: %x, %v", len(answer), got, err)
		}
		s.close()
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// What gRPC or something between says without a reason of the project gets one by its code.
func TestCodesWithoutAReason(t *testing.T) {
	for code, want := range map[codes.Code]struct {
		exit   int
		reason string
	}{
		codes.Canceled:           {exitInterrupted, "CANCELED"},
		codes.InvalidArgument:    {exitUsage, "MALFORMED"},
		codes.DeadlineExceeded:   {exitUnavailable, "DEADLINE"},
		codes.NotFound:           {exitNotFound, "NOT_FOUND"},
		codes.AlreadyExists:      {exitRefused, "ALREADY_EXISTS"},
		codes.PermissionDenied:   {exitDenied, "DENIED"},
		codes.ResourceExhausted:  {exitUnavailable, "BUSY"},
		codes.FailedPrecondition: {exitRefused, "FAILED_PRECONDITION"},
		codes.Aborted:            {exitRefused, "ABORTED"},
		codes.OutOfRange:         {exitRefused, "OUT_OF_RANGE"},
		codes.Unimplemented:      {exitError, "UNIMPLEMENTED"},
		codes.Unavailable:        {exitUnavailable, "UNAVAILABLE"},
		codes.Unauthenticated:    {exitDenied, "UNAUTHENTICATED"},
	} {
		if err := remote(status.Error(code, "a sentence")); codeOf(err) != want.exit || reasonOf(err) != want.reason {
			t.Errorf("%v: exit code %d, %v; want %d and %s", code, codeOf(err), err, want.exit, want.reason)
		}
	}
}
