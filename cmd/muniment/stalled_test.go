package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// spoken is standard error that tells when a word was said there.
type spoken struct {
	bytes.Buffer
	word string
	once sync.Once
	said chan struct{}
}

func (s *spoken) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.word) {
		s.once.Do(func() { close(s.said) })
	}
	return s.Buffer.Write(b)
}

// While too few validators are up a call ends without a block. That is said, once,
// while it still waits; the same command ends it later.
func TestNoBlockComes(t *testing.T) {
	t.Run("the log does not grow", func(t *testing.T) { noBlockComes(t, false) })
	t.Run("the node has no tree", func(t *testing.T) { noBlockComes(t, true) })
}

func noBlockComes(t *testing.T, silent bool) {
	d, c := newOffice(t)
	path := d.file("a.txt", "first")
	stderr := &spoken{word: "no block for ", said: make(chan struct{})}
	c.set(hooks{submit: func() error {
		<-stderr.said
		return refusal(codes.DeadlineExceeded, "OUTCOME_UNKNOWN", "the outcome is not known yet")
	}, tree: func(size int64) int64 {
		if silent {
			<-stderr.said
		}
		return size
	}})
	p := &program{stdin: strings.NewReader(""), stdout: new(bytes.Buffer), stderr: stderr, now: d.now, pause: time.Millisecond, slow: 200 * time.Millisecond, places: d.places}
	code := p.run(context.Background(), []string{"anchor", "--series", "DEMO-MINUTES", path, "--passphrase-file", d.path("passphrase")})
	const (
		waiting = "muniment: no block for 200ms: too few validators seem to be up. Nothing is lost, and this goes on waiting\n"
		last    = "muniment: anchor: no block came: too few validators seem to be up (OUTCOME_UNKNOWN)\nmuniment: nothing is lost: run the same command again when they are up\n"
	)
	if said := stderr.String(); code != exitUnavailable || strings.Count(said, waiting) != 1 || !strings.HasSuffix(said, last) {
		t.Errorf("exit code %d, stderr %q", code, said)
	}
	c.set(hooks{})
	d.must("anchor", "--series", "DEMO-MINUTES", path)
	if !slices.Equal(c.contents(), []string{"first"}) {
		t.Errorf("on the ledger %q", c.contents())
	}
}

// A call that takes long while blocks come says nothing.
func TestSlowBlocksAreNoStall(t *testing.T) {
	d, c := newOffice(t)
	p := &program{stdout: new(bytes.Buffer), stderr: &spoken{word: "no block for ", said: make(chan struct{})}, output: "text", now: d.now, slow: 200 * time.Millisecond, places: d.places}
	p.passphraseFile = d.path("passphrase")
	s := must(p.open(false))
	defer s.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := int64(0)
	c.set(hooks{tree: func(size int64) int64 {
		if asked++; asked == 4 {
			cancel()
		}
		return size + asked
	}})
	if s.watchBlocks(ctx); s.stalled || asked < 4 {
		t.Errorf("asked %d times; blocks came, and it said that none does: %v", asked, s.stalled)
	}
}
