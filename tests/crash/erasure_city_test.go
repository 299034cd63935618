package crash

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// archiveFacts is the small city with all that a disposition needs.
func archiveFacts(custodian record.KeyID) []record.Fact {
	var all []record.Fact
	for _, f := range facts(custodian) {
		if o, ok := f.(*record.Office); ok && o.Code == "CLERK" {
			o.Roles = []record.Role{record.RoleClerk, record.RoleGovernor}
		}
		if o, ok := f.(*record.Office); ok && o.Code == "IT" {
			o.Roles = []record.Role{record.RoleIT, record.RoleGovernor}
		}
		if g, ok := f.(*record.Governance); ok {
			g.Offices = []record.Code{"CLERK", "COUNSEL", "IT"}
		}
		all = append(all, f)
	}
	return append(all,
		keyFact("CLERK", record.UseAccess, "access"), keyFact("IT", record.UseAccess, "access"),
		&record.Office{Code: "COUNSEL", Roles: []record.Role{record.RoleCounsel, record.RoleGovernor}, Status: record.StatusActive},
		keyFact("COUNSEL", record.UseSigning, "signing"), keyFact("COUNSEL", record.UseAccess, "access"),
		&record.Series{Code: otherSeries, Granularity: record.GranularityDay, Status: record.StatusActive},
	)
}

const otherSeries = record.Code("DEMO-PERMITS")

// A fate is what is to become of a document.
type fate int

const (
	lives fate = iota
	destroyed
	preserved // locked, and held before a key was destroyed
	redacted  // its second paragraph is erased
)

// A document is a record with content.
type document struct {
	name    string
	series  record.Code
	content string
	erased  string // the part that a redaction erases
	id      record.Commitment
	index   record.Index
	fate    fate
	rid     [16]byte
	sealed  []byte // its state, as it was in the ring at first
}

// An archive is a custodian with locked dispositions that nobody has carried out
// yet, as it is on disk.
type archive struct {
	*city
	documents    []*document
	attempt      *document // a deposit of the first one's bytes that was never anchored
	dispositions map[record.Index][]*document
	redaction    [32]byte
	held         *document // preserved; its hold comes late
}

// newArchive keeps 60 documents in two rings. Three dispositions destroy 14 of them,
// one erases a part of another; counsel holds one of the 14 after the lock.
func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{city: foundWith(t, archiveFacts), dispositions: map[record.Index][]*document{}}
	p := a.start(t, "MUNIMENT_CUSTODY_ERASE_EVERY=24h")
	c := a.dial(t)
	c.ready(t, p)
	a.adopt(t, c)
	for i := range 60 {
		d := &document{name: fmt.Sprint("document ", i), series: series, erased: rand.Text()}
		if i >= 30 {
			d.series = otherSeries
		}
		d.content = fmt.Sprintf("Permit %d of %s.\n\nThe applicant is %s.\n\nGranted on %s.\n", i, rand.Text(), d.erased, rand.Text())
		a.deposit(t, c, d)
		a.documents = append(a.documents, d)
	}
	for _, s := range []record.Code{series, otherSeries} {
		m := &record.AnchorRecords{Series: s, Custody: "CITY"}
		var of []*document
		for _, d := range a.documents {
			if d.series == s {
				of = append(of, d)
				m.Items = append(m.Items, record.AnchorItem{Commitment: d.id, Day: today - 1000})
			}
		}
		first, _ := a.do(t, c, department, m)
		for i, d := range of {
			d.index = first + record.Index(i)
		}
	}
	a.attempt = &document{name: "attempt", series: otherSeries, content: a.documents[0].content, fate: destroyed}
	a.deposit(t, c, a.attempt)
	a.locate(t, p, c)
	return a
}

// locate notes where the documents lie, and locks the dispositions.
func (a *archive) locate(t *testing.T, p *process, c *client) {
	t.Helper()
	part := a.documents[40]
	part.fate, a.redaction = redacted, a.file(t, c, part)
	a.propose(t, c, a.documents[0:6], record.ActionDestroy, [32]byte{})
	a.propose(t, c, a.documents[6:9], record.ActionDestroy, [32]byte{})
	a.propose(t, c, a.documents[30:35], record.ActionDestroy, [32]byte{})
	a.propose(t, c, []*document{part}, record.ActionRedact, a.redaction)
	a.held = a.documents[3]
	a.held.fate = preserved
	a.hold(t, c, a.held)
	p.terminate(t)
	a.rids(t)
	for d, documents := range a.dispositions {
		if d == 0 || slices.Contains(documents, nil) {
			t.Fatal("a disposition is not as it was meant")
		}
	}
}

// adopt has the offices adopt a schedule under which all documents are due.
func (a *archive) adopt(t *testing.T, c *client) {
	t.Helper()
	var raw [][]byte
	for _, s := range []record.Code{series, otherSeries} {
		rule := &record.ScheduleRule{
			Schedule: "DEMO", Version: 1, Series: s, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
			Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
		}
		a.do(t, c, "CLERK", &record.ProposeChange{Fact: rule})
		fact, err := record.MarshalFact(rule)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, fact)
	}
	root, err := record.ScheduleRoot(raw)
	if err != nil {
		t.Fatal(err)
	}
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: today, Count: 2, Root: root}
	proposal, _ := a.do(t, c, "CLERK", &record.ProposeChange{Fact: schedule})
	hash, err := record.FactHash(schedule)
	if err != nil {
		t.Fatal(err)
	}
	a.do(t, c, "COUNSEL", &record.ApproveChange{Proposal: proposal, FactHash: hash})
}

// do signs a message as an office, hands it in, and gives its first item's entry
// and the hash that approvals bind.
func (a *archive) do(t *testing.T, c *client, office record.Code, m record.Message) (record.Index, [32]byte) {
	t.Helper()
	var nonce record.Nonce
	rand.Read(nonce[:])
	body, err := record.NewBody(a.network.ID, nonce, today+5, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(keyOf(string(office), "signing"), body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.departments.Submit(waiting(t), &apiv1.SubmitRequest{Transaction: raw})
	if err != nil || r.Reason != "OK" {
		t.Fatalf("%T of %s: %v, %v", m, office, r, err)
	}
	return record.Index(r.TransactionIndex) + 1, sha256.Sum256(body)
}

// propose brings a disposition from its proposal to its lock.
func (a *archive) propose(t *testing.T, c *client, documents []*document, action record.Action, redaction [32]byte) {
	t.Helper()
	m := &record.ProposeDisposition{Series: documents[0].series, Action: action, Redaction: redaction}
	approvers := []record.Code{"CLERK"}
	for _, d := range documents {
		m.Records = append(m.Records, d.index)
		if action == record.ActionDestroy {
			d.fate = destroyed
		}
	}
	at, hash := a.do(t, c, department, m)
	if action == record.ActionRedact {
		approvers = append(approvers, "COUNSEL")
	}
	for _, office := range approvers {
		a.do(t, c, office, &record.ApproveDisposition{Disposition: at, Hash: hash})
	}
	a.do(t, c, "IT", &record.LockDisposition{Disposition: at, Hash: hash})
	a.dispositions[at] = documents
}

// hold has counsel hold a document.
func (a *archive) hold(t *testing.T, c *client, d *document) {
	t.Helper()

	a.do(t, c, "COUNSEL", &record.PlaceHold{Kind: record.HoldLitigation, Matter: sha256.Sum256([]byte(d.name)), Scope: record.Scope{Records: []record.Index{d.index}}})
}

// deposit keeps a document with the custodian.
func (a *archive) deposit(t *testing.T, c *client, d *document) {
	t.Helper()
	profile := commitment.Choose("permit.txt", []byte(d.content))
	fields := []commitment.Field{{Key: commitment.FieldTitle, Value: "Title of " + d.content[:30]}}
	layout, err := commitment.Arrange(profile, []byte(d.content), fields)
	if err != nil {
		t.Fatal(err)
	}
	var key commitment.RecordKey
	rand.Read(key[:])
	manifest, _, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Commitment()
	stream, err := c.departments.Deposit(waiting(t))
	if err != nil {
		t.Fatal(err)
	}
	header := &apiv1.DepositHeader{
		Series: string(d.series), Custody: "CITY", NotAfterDay: uint32(today + 5), Profile: string(profile),
		RecordKey: key[:], ExpectedCommitment: want[:], Size: uint64(len(d.content)),
		Fields: []*apiv1.MetadataField{{Key: fields[0].Key, Value: fields[0].Value}},
	}
	for _, m := range []*apiv1.DepositRequest{
		{Part: &apiv1.DepositRequest_Header{Header: header}}, {Part: &apiv1.DepositRequest_Chunk{Chunk: []byte(d.content)}},
	} {
		if err := stream.Send(m); err != nil {
			break // the answer says why
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatalf("deposit %s: %v", d.name, err)
	}
	d.id = record.Commitment(want)
}

// file files a redaction of the second paragraph of a document.
func (a *archive) file(t *testing.T, c *client, d *document) [32]byte {
	t.Helper()
	ref := &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(d.index)}}
	stream, err := c.departments.PlanRedaction(waiting(t), &apiv1.PlanRedactionRequest{
		Record: ref, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK, Asks: []*apiv1.RedactionAsk{{Selector: "paragraphs 2", Code: "CT-1-210-b-2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := commitment.Redaction{Authority: "CT-FOI", Dated: "2026-11-01"}
	rand.Read(r.Salt[:])
	for m, err := stream.Recv(); err == nil; m, err = stream.Recv() {
		for _, p := range m.Marks {
			r.Marks = append(r.Marks, commitment.Mark{Range: commitment.Range{First: p.First, Last: p.Last}, Code: p.Code})
		}
	}
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	filed, err := c.departments.FileRedaction(waiting(t), &apiv1.FileRedactionRequest{Record: ref, Redaction: text})
	if err != nil {
		t.Fatal(err)
	}
	return [32]byte(filed.Hash)
}

// again gives a copy of the archive in a home of its own.
func (a *archive) again(t *testing.T) *archive {
	t.Helper()
	c := *a.city
	c.home, c.started = node.Home(filepath.Join(t.TempDir(), "home")), nil
	copyTree(t, string(a.home), string(c.home))
	b := *a
	b.city = &c
	return &b
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
