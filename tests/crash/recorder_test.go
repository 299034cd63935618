package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// recorderVariable holds the job of a recorder, as JSON.
const recorderVariable = "MUNIMENT_CRASH_RECORDER"

// answerTime is how long the recorder waits for an answer, the start of a
// killed node included.
const answerTime = 20 * time.Second

// A job is what a recorder does: it submits batches from several workers until
// its standard input ends, and writes down each outcome, synced.
type job struct {
	Home    node.Home  `json:"home"`
	Address string     `json:"address"`
	Name    string     `json:"name"` // every batch's name begins with it
	Output  string     `json:"output"`
	Workers int        `json:"workers"`
	Day     record.Day `json:"day"`
}

// recordLoad is the recorder process.
func recordLoad(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	network, err := networkOf(j.Home)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(j.Output, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	r := &recording{job: j, network: network, file: file, began: time.Now(), stop: make(chan struct{})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that matters
		close(r.stop)
	}()
	failed := make(chan error, j.Workers)
	for w := range j.Workers {
		go func() { failed <- r.work(w) }()
	}
	for range j.Workers {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// recording is a recorder at work.
type recording struct {
	job
	network receipt.Network
	began   time.Time
	stop    chan struct{}

	mu   sync.Mutex
	file *os.File
}

func (r *recording) stopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// work submits one batch after the other. Where no answer comes, every second
// batch is handed in again until one does, and the others stay unknown.
func (r *recording) work(worker int) error {
	c, err := dial(r.Address, r.network)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	for n := 0; !r.stopped(); n++ {
		b, err := batchOf(r.network.ID, r.Day, fmt.Sprintf("%s-%d-%d", r.Name, worker, n))
		if err != nil {
			return err
		}
		o := operation{Batch: b.name, Called: time.Since(r.began), Outcome: outcomeUnknown}
		for o.Outcome == outcomeUnknown && (o.Tries == 0 || n%2 == 0 && !r.stopped()) {
			o.Tries++
			ctx, cancel := context.WithTimeout(context.Background(), answerTime)
			a, err := c.submit(ctx, b, grpc.WaitForReady(true))
			cancel()
			if err == nil {
				o.Outcome, o.Reason, o.Index, o.Height = outcomeOK, a.reason, a.first, a.height
				if a.reason != "OK" {
					o.Outcome = outcomeFail
				}
			} else {
				o.Reason = err.Error()
			}
		}
		o.Returned = time.Since(r.began)
		if err := r.write(o, b); err != nil {
			return err
		}
	}
	return nil
}

// write puts the outcome of a batch on disk, a line for each item.
func (r *recording) write(o operation, b batch) error {
	var lines []byte
	first := o.Index
	for i, commitment := range b.commitments {
		o.ID, o.Item, o.Commitment = fmt.Sprintf("%s/%d", b.name, i), i, hexBytes(commitment)
		if o.Outcome == outcomeOK {
			o.Index = first + record.Index(i)
		}
		line, err := json.Marshal(o)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(lines); err != nil {
		return err
	}
	return r.file.Sync()
}

// A recorder is the process as the tests see it.
type recorder struct {
	path  string
	cmd   *exec.Cmd
	stdin io.Closer
	log   printed.Output
}

// record starts a recorder. It ends with the test process at the latest, since
// its standard input does.
func (c *city) record(t *testing.T, workers int) *recorder {
	t.Helper()
	r := &recorder{path: filepath.Join(t.TempDir(), "history.ndjson")}
	text, err := json.Marshal(job{Home: c.home, Address: c.address, Name: t.Name(), Output: r.path, Workers: workers, Day: today})
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(os.Args[0])
	r.cmd.Env = append(os.Environ(), recorderVariable+"="+string(text))
	r.cmd.Stderr = &r.log
	endWithParent(r.cmd)
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

// size gives how much the recorder has written.
func (r *recorder) size() int64 {
	info, err := os.Stat(r.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// grows waits until the recorder has written something new.
func (r *recorder) grows(t *testing.T, p *process) {
	t.Helper()
	before := r.size()
	eventually(t, "answers to the recorder", func() bool {
		if p.hasEnded() {
			t.Fatalf("the node ended with code %d\n%s", p.code(t), tail(p.stderr.String()))
		}
		return r.size() > before
	})
}

// finish lets the recorder end its work, and gives what it has seen.
func (r *recorder) finish(t *testing.T) []operation {
	t.Helper()
	if err := r.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Fatalf("recorder: %v\n%s", err, &r.log)
	}
	history, err := readHistory(r.path)
	if err != nil {
		t.Fatal(err)
	}
	return history
}
