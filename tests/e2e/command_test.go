package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// ended is a program that has ended.
type ended struct {
	code           int
	stdout, stderr string
}

// program runs one of the programs to its end and wants its exit code, and on
// stderr, where it failed, one sentence with the words, and no trace of a panic.
func program(t testing.TB, code int, words, name string, args ...string) ended {
	t.Helper()
	return finish(t, exec.CommandContext(ctx(t), filepath.Join(programs, name), args...), code, words)
}

func finish(t testing.TB, cmd *exec.Cmd, code int, words string) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	e := ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if name := filepath.Base(cmd.Path); name == "munimentd" {
		newSearch().said(t, strings.Join(append([]string{name}, cmd.Args[1:]...), " "), stdout.Bytes(), stderr.Bytes())
	}
	what := fmt.Sprintf("%s %s: %v\n%s%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), err, e.stdout, e.stderr)
	if e.code != code || strings.Contains(e.stderr, "goroutine ") || strings.Contains(e.stderr, "panic") {
		t.Fatalf("want exit code %d without a panic: %s", code, what)
	}
	if code == 0 {
		return e
	}
	// The log comes first, where there is one; the last line is the sentence.
	lines := strings.Split(strings.TrimSuffix(e.stderr, "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "munimentd: ") || !strings.Contains(last, words) {
		t.Fatalf("want a last sentence with %q: %s", words, what)
	}
	return e
}

// refused wants the node not to start, with exit code and words.
func (c *city) refused(t testing.TB, code int, words string, more ...string) ended {
	t.Helper()
	return program(t, code, words, "munimentd", append(c.startArgs(t), more...)...)
}

// anchorMany anchors so many records, one transaction and so one block each,
// and gives their indexes.
func (c *city) anchorMany(t testing.TB, conn *grpc.ClientConn, n int) (indexes []uint64) {
	t.Helper()
	for i := range n {
		var id record.Commitment = sha256.Sum256(fmt.Append(nil, t.Name(), i, len(indexes), newKey(t)))
		resp := submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", id), "OK")
		indexes = append(indexes, resp.FirstIndex)
	}
	return indexes
}

// receiptOf fetches the receipt of an entry.
func receiptOf(t testing.TB, conn *grpc.ClientConn, index uint64) []byte {
	t.Helper()
	resp, err := apiv1.NewDepartmentsClient(conn).Receipt(ctx(t), &apiv1.ReceiptRequest{Index: index})
	if err != nil {
		t.Fatal(err)
	}
	return resp.Receipt
}

// status asks the node's socket through the program.
func (c *city) status(t testing.TB) string {
	t.Helper()
	return program(t, 0, "", "munimentd", "status", "--home", string(c.home), "--output", "json").stdout
}

// evidence fetches the evidence of a record.
func evidence(t testing.TB, conn *grpc.ClientConn, index uint64) (car []byte) {
	t.Helper()
	stream, err := apiv1.NewDepartmentsClient(conn).Evidence(ctx(t), &apiv1.EvidenceRequest{
		Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: index}}, Purpose: apiv1.Purpose_PURPOSE_LEGAL,
	})
	if err != nil {
		t.Fatal(err)
	}
	for m, err := stream.Recv(); err == nil; m, err = stream.Recv() {
		car = append(car, m.Chunk...)
	}
	return car
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestS0_23_VerificationNamesOfficeKeyAndTime: evidence of a running node is
// verified with the node stopped, and the report names who signed, with which
// key, and between which times.
func TestS0_23_VerificationNamesOfficeKeyAndTime(t *testing.T) {
	c := newCity(t)
	n := c.start(t)
	conn := c.dial(t, "CLERK")
	id, _ := c.deposit(t, conn, "DEMO-MINUTES", []byte("The council met.\n"), []commitment.Field{{Key: commitment.FieldFileName, Value: "minutes.txt"}})
	anchored := submit(t, conn, c.transaction(t, "CLERK", "DEMO-MINUTES", id), "OK")
	car := evidence(t, conn, anchored.FirstIndex)
	n.stop()
	dir := t.TempDir()
	out := program(t, 0, "", "muniment-verify", "--network", c.home.Network(), "--extract", dir, write(t, filepath.Join(dir, "evidence"), car)).stdout
	signing := record.KeyIDOf(c.offices["CLERK"].signing.Public().(ed25519.PublicKey))
	for _, want := range []string{
		": PASSED\n", fmt.Sprintf("  signed by      CLERK, key %x\n", signing), "  not before     20", "  not after      20", "1 of 1 validators", "minutes.txt",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if got := read(t, filepath.Join(dir, "minutes.txt")); string(got) != "The council met.\n" {
		t.Errorf("extracted %q", got)
	}
	car[len(car)/3] ^= 1
	cmd := exec.CommandContext(ctx(t), filepath.Join(programs, "muniment-verify"), "--network", c.home.Network(), write(t, filepath.Join(dir, "changed"), car))
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 || strings.Contains(string(out), "PASSED") {
		t.Errorf("changed evidence: exit code %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}
