package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// A trace is what a life of records has left, and the words that were in them.
type trace struct {
	*hall
	words   map[string][]byte // canaries and secrets
	outputs []string          // files that the staff asked for, below the desk
	errors  []byte            // what nodes answered to wrong requests, with all details
	metrics []byte
	limits  []byte // of the custodian's process
}

// word makes a canary.
func (x *trace) word(name string) string {
	w := canary()
	x.words[name] = []byte(w)
	return w
}

// newTrace lets records live and die: they are anchored, read, copied, proven,
// searched, asked for in wrong ways, withheld, erased in part and destroyed.
func newTrace(t *testing.T) *trace {
	t.Helper()
	x := &trace{hall: newHall(t), words: map[string][]byte{}}
	x.open(t)
	conn, works := x.dial(t, "CLERK"), x.dial(t, "DPW")
	x.adopt(t, conn, rule("DEMO-MINUTES", record.RoleClerk), rule("DEMO-LINKS", record.RoleClerk))

	minutes := x.anchor(t, x.word("file name")+".txt", fmt.Appendf(nil, "The council met.\n\nIt spoke of %s.\n\nIt rose.\n", x.word("paragraph")),
		"--title", "Minutes "+x.word("title"))
	mail := x.anchor(t, "mail.eml", fmt.Appendf(nil, "From: clerk@example.org\r\nTo: works@example.org\r\nSubject: %s\r\nDate: Mon, 4 May 2026 10:00:00 +0000\r\n\r\nBody with %s in it.\r\n",
		x.word("mail header"), x.word("mail body")))
	table := x.anchor(t, "table.csv", fmt.Appendf(nil, "name,place,sum\nalder,depot,1\nbirch,%s,2\n", x.word("cell")), "--profile", "cells")
	id, key := x.deposit(t, works, "DEMO-MINUTES", []byte(x.word("document with a known key")), []commitment.Field{{Key: commitment.FieldTitle, Value: x.word("second title")}})
	x.words["record key"] = key[:]
	known, _ := x.do(t, works, "DPW", "OK", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: id, Day: today - 1000}}})
	x.use(t, minutes, mail, table, fmt.Sprint(known))
	x.mistakes(t, conn, minutes)
	x.operator(t, 0, "", "backup", filepath.Join(string(x.tmp), "..", "backup-before"))
	x.operator(t, 0, "", "backup", "--keyring", filepath.Join(string(x.tmp), "..", "keyring-before"))
	x.decide(t, minutes, mail, known)
	x.metrics = fetch(t, "http://"+x.monitor(t)+"/metrics")
	x.limits = read(t, fmt.Sprintf("/proc/%d/limits", x.node.cmd.Process.Pid))
	x.as(t, 0, "CLERK", "log", "mirror", filepath.Join(x.desk, "mirror"), "--tiles", x.node.tiles)
	x.operator(t, 0, "", "backup", filepath.Join(string(x.tmp), "..", "backup-after"))
	x.meet(t)
	x.close()
	return x
}

// use reads, copies, proves and finds records.
func (x *trace) use(t *testing.T, minutes, mail, table, known string) {
	t.Helper()
	output := func(name string) string {
		x.outputs = append(x.outputs, filepath.Join("out", name))
		return x.out(name)
	}
	for i, r := range []string{minutes, mail, table} {
		x.as(t, 0, "DPW", "read", r, "-o", output(fmt.Sprint("read-", i)))
		x.as(t, 0, "DPW", "evidence", r, "--purpose", "legal", "-o", output(fmt.Sprint("evidence-", i)))
	}
	x.as(t, 0, "DPW", "read", known, "-o", output("read-known"))
	x.as(t, 0, "DPW", "copy", table, "--hide", "columns 2", "-o", output("copy"))
	if found := x.as(t, 0, "DPW", "search", string(x.words["title"])).stdout; !strings.Contains(found, minutes) {
		t.Fatalf("search finds %s", found)
	}
	x.as(t, 0, "DPW", "segments", mail)
	for _, name := range []string{"read-0", "read-1", "read-2", "read-known", "evidence-1"} {
		if data := read(t, x.out(name)); !slices.ContainsFunc(x.all(), func(w []byte) bool { return bytes.Contains(data, w) }) {
			t.Fatalf("%s holds no canary: nothing would be proven", name)
		}
	}
}

func (x *trace) all() (words [][]byte) {
	for _, w := range x.words {
		words = append(words, w)
	}
	return words
}

// mistakes asks in wrong ways, with words of records in what is asked, and keeps
// what the node answers.
func (x *trace) mistakes(t *testing.T, conn *grpc.ClientConn, minutes string) {
	t.Helper()
	d := apiv1.NewDepartmentsClient(x.dial(t, "DPW"))
	var index uint64
	if _, err := fmt.Sscan(minutes, &index); err != nil {
		t.Fatal(err)
	}
	ref := &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: index}}
	title, paragraph := string(x.words["title"]), string(x.words["paragraph"])
	drain := func(stream interface{ RecvMsg(any) error }, err error, m any) error {
		for err == nil {
			err = stream.RecvMsg(m)
		}
		return err
	}
	var wrong []error
	_, err := d.Search(ctx(t), &apiv1.SearchRequest{Text: title, PageToken: title})
	wrong = append(wrong, err)
	read, err := d.Read(ctx(t), &apiv1.ReadRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: []byte(title)}}, Purpose: apiv1.Purpose_PURPOSE_LEGAL})
	wrong = append(wrong, drain(read, err, &apiv1.ReadResponse{}))
	read, err = apiv1.NewDepartmentsClient(conn).Read(ctx(t), &apiv1.ReadRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_LEGAL})
	wrong = append(wrong, drain(read, err, &apiv1.ReadResponse{})) // another office's
	part, err := d.Copy(ctx(t), &apiv1.CopyRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_LEGAL, Hide: []string{"paragraphs 99"}})
	wrong = append(wrong, drain(part, err, &apiv1.CopyResponse{}))
	part, err = d.Copy(ctx(t), &apiv1.CopyRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_LEGAL, Hide: []string{"rows 1"}, Redactions: [][]byte{[]byte(paragraph)}})
	wrong = append(wrong, drain(part, err, &apiv1.CopyResponse{}))
	_, err = d.FileRedaction(ctx(t), &apiv1.FileRedactionRequest{Record: ref, Redaction: []byte("muniment redaction v1\n" + paragraph)})
	wrong = append(wrong, err)
	wrong = append(wrong, tryHeader(t, d, &apiv1.DepositHeader{
		Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today + 5), Profile: "raw/1", Size: 3,
		Fields: []*apiv1.MetadataField{{Key: "title", Value: title}, {Key: "title", Value: paragraph}},
	}, []byte("abc")))
	wrong = append(wrong, tryHeader(t, d, &apiv1.DepositHeader{
		Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today + 5), Profile: "raw/1", Size: uint64(len(title)), ExpectedCommitment: make([]byte, 32),
	}, []byte(title)))
	wrong = append(wrong, tryHeader(t, d, &apiv1.DepositHeader{
		Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today + 5), Profile: "json/1", Size: uint64(len(title)),
	}, []byte(title)))
	for i, err := range wrong {
		if err == nil || err == io.EOF {
			t.Fatalf("wrong request %d was not refused", i)
		}
		x.errors = fmt.Appendf(x.errors, "%v\n%v\n", err, status.Convert(err).Proto())
	}
}

// tryHeader is a deposit whose error matters.
func tryHeader(t *testing.T, d apiv1.DepartmentsClient, header *apiv1.DepositHeader, content []byte) error {
	t.Helper()
	stream, err := d.Deposit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if header.RecordKey == nil {
		header.RecordKey = make([]byte, 32)
		rand.Read(header.RecordKey)
	}
	for _, m := range []*apiv1.DepositRequest{{Part: &apiv1.DepositRequest_Header{Header: header}}, {Part: &apiv1.DepositRequest_Chunk{Chunk: content}}} {
		if err := stream.Send(m); err != nil {
			break // the answer tells
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// decide withholds a part of a mail, erases it, and destroys other records.
func (x *trace) decide(t *testing.T, minutes, mail string, known record.Index) {
	t.Helper()
	plan := x.out("plan")
	x.as(t, 0, "DPW", "redact", "plan", mail, "--hide", "header Subject", "--code", "CT-1-210-b-2", "-o", plan)
	hash := find(t, hexHash, x.as(t, 0, "DPW", "redact", "withhold", plan).stdout)
	x.as(t, 0, "DPW", "evidence", mail, "--redaction", hash, "-o", x.out("withheld"))
	for _, needle := range []string{"plan", "withheld"} {
		if bytes.Contains(read(t, x.out(needle)), x.words["mail header"]) {
			t.Errorf("%s holds what is withheld", needle)
		}
	}
	x.outputs = append(x.outputs, "out/withheld", "out/erased")
	x.carry(t, x.as(t, 0, "DPW", "redact", "propose", plan).stdout, "CLERK", "COUNSEL")
	x.as(t, 0, "DPW", "evidence", mail, "--redaction", hash, "-o", x.out("erased"))
	x.carry(t, x.as(t, 0, "DPW", "disposition", "propose", "--series", "DEMO-MINUTES", "--action", "destroy", minutes, fmt.Sprint(known)).stdout, "CLERK")
	for _, r := range []string{minutes, mail} {
		x.as(t, map[string]int{minutes: 6, mail: 7}[r], "DPW", "read", r, "-o", x.out("none"))
	}
	x.as(t, 0, "DPW", "certificate", minutes, "-o", x.out("certificate"))
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || len(body) == 0 {
		t.Fatalf("%s: %v", url, err)
	}
	return body
}

// none wants no word in some bytes.
func (x *trace) none(t *testing.T, where string, data []byte, words map[string][]byte) {
	t.Helper()
	if len(data) == 0 {
		t.Errorf("%s: there is nothing to search", where)
	}
	for name, w := range words {
		if contains(data, w) {
			t.Errorf("%s holds the %s", where, name)
		}
	}
}

// noneBelow wants no word in the files below a folder, of which there are some.
func (x *trace) noneBelow(t *testing.T, dir string, some bool) {
	t.Helper()
	if some && len(below(t, dir)) == 0 {
		t.Errorf("%s has no files to search", dir)
	}
	for _, hit := range found(t, dir, x.words) {
		t.Error(hit)
	}
}

// TestEverythingThatRemembers searches each place where something of a record could
// stay, for what the records said and were called, and for the key of one of them:
// every byte of every file, as it is, in hexadecimal and in base64. The rows are those
// of docs/forgetting.md.
func TestEverythingThatRemembers(t *testing.T) {
	x := newTrace(t)
	home := func(t *testing.T, dir string) { x.noneBelow(t, dir, true) }
	for name, check := range map[string]func(t *testing.T){
		"ledger and state":    func(t *testing.T) { home(t, x.home.Ledger()) },
		"consensus log":       func(t *testing.T) { home(t, x.home.WAL()) },
		"vault":               func(t *testing.T) { home(t, x.home.Vault()) },
		"rings":               func(t *testing.T) { home(t, x.home.Rings()) },
		"access log":          func(t *testing.T) { home(t, x.home.Accesses()) },
		"whole home":          func(t *testing.T) { home(t, string(x.home)) },
		"peers":               func(t *testing.T) { home(t, string(x.peer)) },
		"data backups":        func(t *testing.T) { home(t, x.tmp+"/../backup-before"); home(t, x.tmp+"/../backup-after") },
		"keyring backups":     func(t *testing.T) { x.none(t, "backup of the keyring", read(t, x.tmp+"/../keyring-before"), x.words) },
		"log mirrors":         func(t *testing.T) { home(t, filepath.Join(x.desk, "mirror")) },
		"client state":        func(t *testing.T) { home(t, filepath.Join(x.desk, "state")); home(t, filepath.Join(x.desk, "config")) },
		"metrics":             func(t *testing.T) { x.none(t, "the metrics", x.metrics, x.words) },
		"client output files": x.outputFiles,
		"certificates":        func(t *testing.T) { x.none(t, "the certificate", read(t, x.out("certificate")), x.words) },
		"program log": func(t *testing.T) {
			for _, n := range []*running{x.node, x.second} {
				if !bytes.Contains(n.stderr.Bytes(), []byte("level=DEBUG")) {
					t.Error("the log is not at debug level")
				}
				x.none(t, "the log", n.stderr.Bytes(), x.words)
			}
		},
		"errors": func(t *testing.T) { x.none(t, "an answer to a wrong request", x.errors, x.words) },
		"temporary files": func(t *testing.T) {
			for _, dir := range []string{x.tmp, filepath.Join(x.desk, "tmp")} {
				if left := below(t, dir); len(left) != 0 {
					t.Errorf("left in TMPDIR: %v", left)
				}
			}
		},
		"core dumps": func(t *testing.T) {
			for line := range strings.Lines(string(x.limits)) {
				if fields := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && fields[4] == "0" && fields[5] == "0" {
					return
				}
			}
			t.Errorf("the node may write core dumps:\n%s", x.limits)
		},
		"swap": func(t *testing.T) {
			out, err := exec.CommandContext(ctx(t), filepath.Join(programs, "munimentd"), "doctor", "--home", string(x.home)).Output()
			if !regexp.MustCompile(`(?m)^(ok|warning) +swap `).Match(out) {
				t.Errorf("doctor says nothing of swap: %v\n%s", err, out)
			}
		},
		"snapshots and bundles": func(t *testing.T) {
			want := []string{"access-log", "genesis.json", "keys", "ledger", "munimentd.toml", "network.mun", "rings", "signer", "vault", "wal"}
			entries, err := os.ReadDir(string(x.home))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !slices.Contains(want, e.Name()) {
					t.Errorf("a home has %s, of which docs/forgetting.md says nothing", e.Name())
				}
			}
		},
		"control": x.control,
	} {
		t.Run(name, check)
	}
}

// outputFiles: what was given to the staff is where they wanted it, and nowhere
// else on the desk but in their own records.
func (x *trace) outputFiles(t *testing.T) {
	hits := found(t, x.desk, x.words)
	for _, hit := range hits {
		_, path, _ := strings.Cut(hit, x.desk+"/")
		if !strings.HasPrefix(path, "records/") && !slices.Contains(x.outputs, path) {
			t.Error(hit)
		}
	}
	if len(hits) < len(x.outputs) {
		t.Errorf("found %v", hits)
	}
	if data := read(t, x.out("erased")); bytes.Contains(data, x.words["mail header"]) || !bytes.Contains(data, x.words["mail body"]) {
		t.Error("what was given out after the erasure is not the rest")
	}
}

// control plants a word in copies, in each of three forms: the search finds it.
func (x *trace) control(t *testing.T) {
	word := x.words["title"]
	for form, planted := range map[string]string{
		"raw": string(word), "hex": fmt.Sprintf("%x", word), "base64": base64.StdEncoding.EncodeToString(append([]byte("x"), word...)),
	} {
		dir := filepath.Join(t.TempDir(), "home")
		if err := os.CopyFS(dir, os.DirFS(string(x.home))); err != nil {
			t.Fatal(err)
		}
		for _, place := range []string{"ledger", "vault", "rings", "access-log", "wal"} {
			files := below(t, filepath.Join(dir, place))
			path := filepath.Join(dir, place, files[len(files)-1])
			if err := os.WriteFile(path, append(read(t, path), planted...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if hits := found(t, dir, x.words); len(hits) != 5 {
			t.Errorf("%s: the search finds %v", form, hits)
		}
	}
}
