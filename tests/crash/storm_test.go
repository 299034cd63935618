package crash

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// The moments of a kill.
const (
	longestStart = 500 * time.Millisecond // after the start of the process
	longestWork  = 700 * time.Millisecond // after an answer
)

const (
	workers   = 8
	confirmed = 200 // batches that are asked for over the network; the store is read whole
)

// pause waits for a moment that chance has chosen, or the end of the process.
func pause(p *process, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ended:
	}
}

// weathered brings a city through the end of a storm: it starts once more,
// the recorder finishes, and nothing is lost.
func (c *city) weathered(t *testing.T, r *recorder, ends int) {
	t.Helper()
	p := c.start(t)
	client := c.dial(t)
	client.ready(t, p)
	r.grows(t, p)
	history := r.finish(t)
	count := map[string]int{}
	var retried int
	batches := batchesOf(t, c, history)
	for i, b := range batches {
		count[b.outcome]++
		if b.tries > 1 {
			retried++
		}
		switch {
		case b.outcome == outcomeUnknown:
			// Whatever became of it: handed in again, it is there, once.
			if a, err := client.submit(waiting(t), b.batch); err != nil || a.reason != "OK" {
				t.Errorf("%s had no answer; handed in again: %+v, %v", b.name, a, err)
			}
		case b.outcome == outcomeOK && (b.tries > 1 || i%(1+len(batches)/confirmed) == 0):
			client.confirm(t, c.network, b.kept)
		case b.outcome == outcomeFail:
			t.Errorf("%s was refused: %s", b.name, b.reason)
		}
		if t.Failed() {
			t.Fatalf("%s: see above", b.name)
		}
	}
	shown := client.tree(t)
	p.terminate(t)
	replayed := c.audit(t)
	for _, violation := range judge(history, replayed.places) {
		t.Error(violation)
	}
	replayed.prefixes(t, []tree{shown})
	if len(replayed.places) != len(history) {
		t.Errorf("the log has %d records, %d were submitted", len(replayed.places), len(history))
	}
	if count[outcomeOK] < ends {
		t.Errorf("%d ends of the process under too little load: %d batches", ends, count[outcomeOK])
	}
	if t.Failed() {
		return
	}
	t.Logf("%d ends of the process; batches: %d acknowledged (%d of them after a retry), %d without answer; records: %d in the log, none lost, none doubled; height %d",
		ends, count[outcomeOK], retried, count[outcomeUnknown], len(replayed.places), replayed.head.Height)
}

// An attempt is a batch and what the recorder knows of it.
type attempt struct {
	kept
	outcome string
	tries   int
}

// batchesOf gives the batches of a history, in its order.
func batchesOf(t *testing.T, c *city, history []operation) (all []attempt) {
	t.Helper()
	for _, o := range history {
		if o.Item > 0 {
			continue
		}
		b := c.batch(t, o.Batch)
		if record.Commitment(o.Commitment) != b.commitments[0] {
			t.Fatalf("the recorder anchored %x for %s", o.Commitment, o.ID)
		}
		all = append(all, attempt{kept{b, answer{o.Reason, o.Index, o.Height}}, o.Outcome, o.Tries})
	}
	return all
}

// TestKill9UnderLoad kills the process at random moments: some soon after its
// start, most while it answers.
func TestKill9UnderLoad(t *testing.T) {
	c := found(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(*seed, 2))
	r := c.record(t, workers)
	for range *kills {
		p := c.start(t)
		if random.IntN(4) == 0 {
			pause(p, time.Duration(random.Int64N(int64(longestStart))))
		} else {
			r.grows(t, p)
			pause(p, time.Duration(random.Int64N(int64(longestWork))))
		}
		p.kill(t)
	}
	c.weathered(t, r, *kills)
}

// TestTerminateUnderLoad asks the process to stop in the middle of its work.
func TestTerminateUnderLoad(t *testing.T) {
	c := found(t)
	t.Parallel()
	random := rand.New(rand.NewPCG(*seed, 3))
	r := c.record(t, workers)
	for range *terms {
		p := c.start(t)
		r.grows(t, p)
		pause(p, time.Duration(random.Int64N(int64(longestWork))))
		p.terminate(t)
	}
	c.weathered(t, r, *terms)
}
