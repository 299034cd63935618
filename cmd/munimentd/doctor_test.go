package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestCheckRunning: what doctor says about a node that answers.
func TestCheckRunning(t *testing.T) {
	now := time.Unix(1_893_456_000, 0)
	at := func(d time.Duration) int64 { return now.Add(d).UnixNano() }
	for _, c := range []struct {
		name, state, found string
		status             *apiv1.StatusResponse
		err                error
	}{
		{"well", "ok", "height 9, the last block is 5s old", &apiv1.StatusResponse{Height: 9, BlockTime: at(-5 * time.Second), LogSize: 3, CosignedSize: 3}, nil},
		{"catching up", "warning", "catching up at height 9", &apiv1.StatusResponse{Height: 9, BlockTime: at(-time.Hour), CatchingUp: true}, nil},
		{"clock is fast, or no blocks come", "bad", "the last block is 3m1s old, height 9", &apiv1.StatusResponse{Height: 9, BlockTime: at(-181 * time.Second)}, nil},
		{"clock is slow", "bad", "the last block is -1m1s old, height 9", &apiv1.StatusResponse{Height: 9, BlockTime: at(61 * time.Second)}, nil},
		{"cosigning lags", "warning", "2 of 3 entries are cosigned", &apiv1.StatusResponse{Height: 9, BlockTime: at(0), LogSize: 3, CosignedSize: 2}, nil},
		{"no node", "warning", "nobody there", nil, errors.New("nobody there")},
	} {
		if got := checkRunning(c.status, c.err, now); got.State != c.state || got.Found != c.found {
			t.Errorf("%s: got %s %q, want %s %q", c.name, got.State, got.Found, c.state, c.found)
		}
	}
}

// TestCheckErasures: what doctor says of erasures of a node that answers.
func TestCheckErasures(t *testing.T) {
	for _, c := range []struct {
		name, state, found string
		status             *apiv1.StatusResponse
	}{
		{"well", "ok", "nothing is pending", &apiv1.StatusResponse{Claim: "C1"}},
		{"pending", "ok", "2 pending, carried out every so often; munimentd erase says what they wait for", &apiv1.StatusResponse{Claim: "C1", ErasuresPending: 2}},
		{"restored", "bad", "older than the ledger's erasures, and shut: ring CLERK_A", &apiv1.StatusResponse{Claim: "C1", ErasuresPending: 1, Quarantined: []string{"ring CLERK_A"}}},
	} {
		if got := (options{}).checkErasures(c.status); got.State != c.state || got.Found != c.found {
			t.Errorf("%s: got %s %q, want %s %q", c.name, got.State, got.Found, c.state, c.found)
		}
	}
	for want, s := range map[string]*apiv1.StatusResponse{
		"this node keeps no content":                       {},
		"level C3, 0 pending":                              {Claim: "C3"},
		"level C1, 1 pending, in quarantine: ring CLERK_A": {Claim: "C1", ErasuresPending: 1, Quarantined: []string{"ring CLERK_A"}},
	} {
		if got := erasures(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestCheckKeyring: a node that keeps records and has no ring opens nothing.
func TestCheckKeyring(t *testing.T) {
	o := options{home: t.TempDir()}
	for _, c := range []struct{ state, found string }{{"bad", "3 records are kept here, and no ring that opens them"}, {"ok", "1 ring"}} {
		if got := o.checkKeyring(&apiv1.StatusResponse{RecordsHere: 3}); got.State != c.state || got.Found != c.found {
			t.Errorf("got %s %q, want %s %q", got.State, got.Found, c.state, c.found)
		}
		if err := os.MkdirAll(o.node().Rings(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(o.node().Rings(), "ring-A_B.epoch"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := (options{home: t.TempDir()}).checkKeyring(nil); got.State != "ok" {
		t.Errorf("a home whose node is stopped: %v", got)
	}
}

// FuzzParseFounding: whatever is written there, it is facts or one sentence.
func FuzzParseFounding(f *testing.F) {
	f.Add(string(exampleFounding))
	f.Add(string(foundingText()))
	f.Add("custodian = 1\n[nothing]\n")
	f.Add("[[series]]\ncode = \"A\"\ngranularity = \"WEEK\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFounding([]byte(text))
		if err == nil {
			_, err = parsed.facts([32]byte{1})
		}
		if err != nil && strings.ContainsAny(advise(err), "\n\r") {
			t.Errorf("more than one line: %q", advise(err))
		}
	})
}
