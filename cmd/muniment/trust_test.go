package main

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// anchoredTable is an office with one anchored table and its index.
func anchoredTable(t *testing.T) (*desk, *city, string) {
	d, c := newOffice(t)
	path := d.file("permits.csv", "no,street,owner\n1,Elm,Alder\n2,Oak,Birch\n3,Ash,Cedar\n")
	r := d.must("anchor", "--series", "DEMO-MINUTES", "--title", "Permits of spring", path)
	index, _, _ := strings.Cut(r.stdout, "\t")
	return d, c, index
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Whatever a node makes up, nothing is written and the exit code is 3.
func TestLyingNode(t *testing.T) {
	d, c, index := anchoredTable(t)
	second := d.anchorJSON(exitDone, d.file("other.txt", "other")).Records[0].Index
	out := d.path("out")
	other := func(uint64) uint64 { return second }
	for _, test := range []struct {
		name  string
		hooks hooks
		says  string
		args  []string
	}{
		{"receipt of another entry", hooks{record: other}, "RECEIPT_OF_ANOTHER", []string{"receipt", index, "-o", out}},
		{"evidence with another receipt", hooks{record: other}, "RECEIPT_OF_ANOTHER", []string{"evidence", index, "-o", out}},
		{"copy that hides nothing", hooks{copy: func(r *apiv1.CopyRequest) { r.Hide = nil }}, "DISCLOSES_HIDDEN", []string{"copy", index, "--hide", "rows 2-2", "-o", out}},
		{"copy that hides something else", hooks{copy: func(r *apiv1.CopyRequest) { r.Hide = []string{"rows 3-3"} }}, "DISCLOSES_HIDDEN", []string{"copy", index, "--hide", `text "Alder"`, "-o", out}},
		{"copy with the file name", hooks{copy: func(r *apiv1.CopyRequest) { r.WithName = true }}, "DISCLOSES_HIDDEN", []string{"copy", index, "--hide", "rows 2-2", "-o", out}},
		{"copy of another record", hooks{copy: func(r *apiv1.CopyRequest) {
			r.Hide, r.Record = nil, &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: second}}
		}}, "CONTENT_MISMATCH", []string{"copy", index, "-o", out}},
		{"anchor under another index", hooks{lie: func(r *apiv1.SubmitResponse) { r.FirstIndex = second }}, "RECEIPT_OF_ANOTHER", []string{"anchor", "--series", "DEMO-MINUTES", d.file("third.txt", "third")}},
		{"anchor with another count", hooks{lie: func(r *apiv1.SubmitResponse) { r.Count = 9 }}, "RECEIPT_OF_ANOTHER", []string{"anchor", "--series", "DEMO-MINUTES", d.file("fourth.txt", "fourth")}},
		{"act that is another", hooks{lie: func(r *apiv1.SubmitResponse) { r.FirstIndex = second }}, "RECEIPT_OF_ANOTHER", []string{"record", "supersede", index, numeral(second)}},
	} {
		c.set(test.hooks)
		r := d.fails(exitContradicted, "("+test.says+")", test.args...)
		if exists(out) || r.stdout != "" {
			t.Errorf("%s: wrote a file or printed %q", test.name, r.stdout)
		}
	}
	c.set(hooks{})
	d.must("receipt", index, "-o", out)
	d.fails(exitNotFound, "there is no folder "+d.path("none")+" (NO_SUCH_FOLDER)", "receipt", index, "-o", d.path("none/out"))
}

// A validator that the network file does not know signs nothing that counts.
func TestReceiptOfAnotherNetwork(t *testing.T) {
	d, c, index := anchoredTable(t)
	era := &c.network.Eras[0]
	era.Validators = []receipt.Validator{{NodeID: era.Validators[0].NodeID, Cosigner: publicOf(c.key("stranger"))}}
	c.file = c.network.Marshal()
	d.pin(c)
	r := d.fails(exitIndeterminate, "the receipt is INDETERMINATE", "receipt", index, "-o", d.path("out"))
	if exists(d.path("out")) || r.stdout != "" {
		t.Errorf("wrote a receipt that does not hold, printed %q", r.stdout)
	}
}

func TestOtherServerIsNotCalled(t *testing.T) {
	d, c := newOffice(t)
	stranger := newCity(t, nil)
	c.network.Nodes[0].Address = stranger.network.Nodes[0].Address
	other := identityOf(t, "another node")
	c.network.Nodes[0].ID, c.network.Nodes[0].Certificate = other.id, other.certificate
	c.network.Eras[0].Validators[0].NodeID = other.id
	c.file = c.network.Marshal()
	d.pin(c)
	d.fails(exitContradicted, "(OTHER_SERVER)", "office", "show")
}

func TestUnregisteredAccessKeyIsDenied(t *testing.T) {
	d := newDesk(t)
	d.must("key", "new", "--office", "PERMITS")
	d.pin(newCity(t, nil))
	d.fails(exitDenied, "(UNAUTHENTICATED)", "office", "show")
	d.fails(exitDenied, "(UNAUTHENTICATED)", "anchor", "--series", "DEMO-MINUTES", d.file("a.txt", "first"))
}

func TestNobodyAnswers(t *testing.T) {
	d, c := newOffice(t)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	c.network.Nodes[0].Address = listener.Addr().String()
	listener.Close()
	c.file = c.network.Marshal()
	d.pin(c)
	d.fails(exitUnavailable, "see whether the node runs", "office", "show")
	d.fails(exitUnavailable, "show: no node answers at "+listener.Addr().String()+" (connection refused): is munimentd running there? (UNAVAILABLE)", "office", "show")
}

// TestNoAnswer: whatever gRPC wraps around it, one sentence.
func TestNoAnswer(t *testing.T) {
	for text, want := range map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:17450: connect: connection refused"`: "no node answers at 127.0.0.1:17450 (connection refused): is munimentd running there?",
		"dial tcp [::1]:80: i/o timeout":                     "no node answers at [::1]:80 (i/o timeout): is munimentd running there?",
		"dial tcp: lookup nowhere.example.org: no such host": "the address of the node is not known (lookup nowhere.example.org: no such host)",
		"error reading from server: EOF":                     "the connection to the node broke: error reading from server: EOF",
		"dial tcp":                                           "the connection to the node broke: dial tcp",
	} {
		if got := noAnswer(text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestWordsOfTheNodeAreMadeHarmless(t *testing.T) {
	d, c := newOffice(t)
	c.set(hooks{deposit: func(*apiv1.DepositHeader) error {
		return refusal(codes.FailedPrecondition, "VAULT_FULL", "the vault\x1b[2J is\nfull "+strings.Repeat("x", 2000))
	}})
	r := d.fails(exitRefused, "(VAULT_FULL)", "anchor", "--series", "DEMO-MINUTES", d.file("a.txt", "first"))
	if strings.Contains(r.stderr, "\x1b") || strings.Contains(r.stderr, "is\nfull") || len(r.stderr) > 1000 {
		t.Errorf("stderr %q", r.stderr)
	}
}

func TestReasonsOfNodesAndTheirExitCodes(t *testing.T) {
	for _, test := range []struct {
		code   codes.Code
		reason string
		want   int
	}{
		{codes.Unauthenticated, "CERTIFICATE_EXPIRED", exitDenied},
		{codes.Unauthenticated, "UNKNOWN_KEY", exitDenied},
		{codes.PermissionDenied, "SUSPENDED", exitDenied},
		{codes.PermissionDenied, "DENIED", exitDenied},
		{codes.InvalidArgument, "MALFORMED", exitUsage},
		{codes.ResourceExhausted, "TOO_LARGE", exitRefused},
		{codes.ResourceExhausted, "BUSY", exitUnavailable},
		{codes.NotFound, "NOT_FOUND", exitNotFound},
		{codes.FailedPrecondition, "COMMITMENT_MISMATCH", exitRefused},
		{codes.Unavailable, "STOPPING", exitUnavailable},
		{codes.DeadlineExceeded, "OUTCOME_UNKNOWN", exitUnavailable},
		{codes.Canceled, "CANCELED", exitInterrupted},
		{codes.Internal, "INTERNAL", exitError},
		{codes.Unknown, "ODD", exitError},
	} {
		err := remote(refusal(test.code, test.reason, "a sentence"))
		if got := codeOf(err); got != test.want || reasonOf(err) != test.reason || err.Error() != "a sentence ("+test.reason+")" {
			t.Errorf("%v %s: exit code %d, error %q; want %d", test.code, test.reason, got, err, test.want)
		}
	}
	if err := remote(refusal(codes.NotFound, "not\x1bstable", "a sentence")); reasonOf(err) != "NOT_FOUND" {
		t.Errorf("a reason without the promised form: %v", err)
	}
}

func TestRefusalsOfTheRegistry(t *testing.T) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	d.fails(exitRefused, "(UNKNOWN_SERIES)", "anchor", "--series", "NONE", path)
	d.fails(exitRefused, "(SERIES_INACTIVE)", "anchor", "--series", "DEMO-OLD", path)
	d.fails(exitRefused, "registered are: [CITY]", "anchor", "--series", "DEMO-MINUTES", "--custody", "TOWN", path)
	if c.deposits != 0 {
		t.Errorf("%d deposits", c.deposits)
	}
	d.must("anchor", "--series", "DEMO-MINUTES", "--custody", "CITY", path)
}

func TestSeriesOfAnotherOffice(t *testing.T) {
	d := newDesk(t)
	d.must("key", "new", "--office", "POLICE")
	c := newCity(t, must(d.places.loadConfig()).Keys)
	d.pin(c)
	d.fails(exitRefused, "(WRONG_OFFICE)", "anchor", "--series", "DEMO-PERMITS", d.file("a.txt", "first"))
	if c.deposits != 0 {
		t.Errorf("%d deposits", c.deposits)
	}
}

func TestSuspendedSigningKey(t *testing.T) {
	d, c := newOffice(t)
	id := must(must(d.places.loadConfig()).Keys["PERMITS"].infos("PERMITS"))[0].ID
	var key record.KeyID
	if err := unhex(key[:], id); err != nil {
		t.Fatal(err)
	}
	c.block(c.sign("CLERK", &record.SuspendKey{KeyID: key}))
	r := d.fails(exitRefused, "the signing key is suspended (KEY_SUSPENDED)", "anchor", "--series", "DEMO-MINUTES", d.file("a.txt", "first"))
	if !strings.Contains(r.stderr, "make new keys") {
		t.Errorf("stderr %q does not say what to do", r.stderr)
	}
}

func TestNewCertificateBeforeTheOldOneEnds(t *testing.T) {
	d, c := newOffice(t)
	now := time.Now()
	c.clock = func() time.Time { return now }
	p := &program{now: func() time.Time { return now }, places: d.places, passphraseFile: d.path("passphrase")}
	s := must(p.open(false))
	defer s.close()
	first := must(s.connection(t.Context()))
	now = now.Add(renewAfter - time.Minute)
	if must(s.connection(t.Context())) != first {
		t.Error("a new connection although the certificate has time left")
	}
	now = now.Add(2 * time.Minute)
	if must(s.connection(t.Context())) == first {
		t.Error("no new connection although the certificate is about to end")
	}
	if renewAfter+streamTimeout > certificateLifetime-clockTolerance {
		t.Error("a stream may outlive its certificate")
	}
}
