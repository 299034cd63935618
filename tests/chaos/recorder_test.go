//go:build chaos

package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// recorderVariable holds the job of a recorder, as JSON.
const recorderVariable = "MUNIMENT_CHAOS_RECORDER"

// A job is what a recorder does until its standard input ends.
type job struct {
	Network  string     `json:"network"` // file
	Nodes    []string   `json:"nodes"`   // gRPC, by machine
	Output   string     `json:"output"`
	Receipts string     `json:"receipts"` // folder
	Name     string     `json:"name"`     // every operation's ID begins with it
	Day      record.Day `json:"day"`
	Seed     uint64     `json:"seed"`
	Began    time.Time  `json:"began"` // from which all times count
}

// recordLoad is the recorder process.
func recordLoad(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	network, err := os.ReadFile(j.Network)
	if err != nil {
		return err
	}
	r := &recording{job: j, stop: make(chan struct{})}
	if r.network, err = receipt.ParseNetwork(network); err != nil {
		return err
	}
	if r.file, err = os.OpenFile(j.Output, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	defer r.file.Close()
	if r.clients, err = dialAll(r.network, j.Nodes); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that matters
		close(r.stop)
	}()
	return r.load()
}

// recording is a recorder at work.
type recording struct {
	job
	network receipt.Network
	clients []*client
	stop    chan struct{}

	mu   sync.Mutex
	file *os.File

	knownMu sync.Mutex
	known   []known // records that were acknowledged
}

// A known record is one that was acknowledged.
type known struct {
	commitment record.Commitment
	index      record.Index
}

func (r *recording) stopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// write puts a line on disk before anything else happens to its operation.
func (r *recording) write(o operation) error {
	o.At = time.Since(r.Began)
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return r.file.Sync()
}

// A recorder is the process as the tests see it.
type recorder struct {
	job
	cmd   *exec.Cmd
	stdin io.Closer
	log   printed.Output
}

// record starts a recorder on the bridge. It ends with the test process at the
// latest, since its standard input does.
func (c *city) record(t *testing.T) *recorder {
	t.Helper()
	dir, err := os.MkdirTemp(work, "recorder")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{job: job{
		Network: c.nodes[0].home.Network(), Output: filepath.Join(dir, "history.ndjson"), Receipts: filepath.Join(dir, "receipts"),
		Name: t.Name(), Day: record.LedgerDay(time.Now().UnixNano()), Seed: *seed, Began: c.began,
	}}
	for _, m := range c.nodes {
		r.Nodes = append(r.Nodes, m.grpc())
	}
	if err := os.Mkdir(r.Receipts, 0o700); err != nil {
		t.Fatal(err)
	}
	c.receipts = append(c.receipts, r.Receipts)
	text, err := json.Marshal(r.job)
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = c.in(c.hub, os.Args[0])
	r.cmd.Env = append(os.Environ(), recorderVariable+"="+string(text))
	r.cmd.Stderr = &r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait() // the test has failed already
		}
	})
	return r
}

// finish lets the recorder end its work, and gives what it has seen.
func (r *recorder) finish(t *testing.T) []*attempt {
	t.Helper()
	if err := r.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("recorder: %v\n%s", err, &r.log)
	}
	history, err := readHistory(r.Output)
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// outcome says how the answer to a call is to be read.
func outcome(reason string, err error) (string, string) {
	switch {
	case err != nil:
		return outcomeUnknown, fmt.Sprintf("%.200s", err.Error())
	case reason != "OK":
		return outcomeFail, reason
	}
	return outcomeOK, reason
}
