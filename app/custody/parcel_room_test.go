package custody

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// stalls gives what is there, says so, and then nothing until its end.
type stalls struct {
	r    io.Reader
	more chan struct{} // closed when more is asked for
	end  chan struct{}
}

func (s *stalls) Read(p []byte) (int, error) {
	if n, err := s.r.Read(p); !errors.Is(err, io.EOF) {
		return n, err
	}
	close(s.more)
	<-s.end
	return 0, errors.New("the peer is gone")
}

// TestStalledParcelsKeepNoDepositWaiting: a parcel that claims as much as a parcel
// can, and then stands still.
func TestStalledParcelsKeepNoDepositWaiting(t *testing.T) {
	s := newShared(t, 2)
	a, b := s.houses[0], s.houses[1]
	k := a.keep(t, "DEMO-MINUTES", minutes, "title")
	parcel := a.parcel(t, b, k.Ref)
	head := len(parcelTitle) + 5
	binary.BigEndian.PutUint64(parcel[head+20:], 5<<20)                               // of leaves
	binary.BigEndian.PutUint64(parcel[head+28:], maxParcelRedactions*uint64(512<<10)) // of redactions
	size := binary.BigEndian.Uint32(parcel[head-4:])
	peer := &stalls{r: bytes.NewReader(parcel[:head+int(size)]), more: make(chan struct{}), end: make(chan struct{})}
	kept := make(chan error, 1)
	go func() { kept <- b.KeepParcel(context.Background(), keyID(a.name), "CITY", peer) }()
	select {
	case <-peer.more:
	case err := <-kept:
		t.Fatalf("the parcel does not stand still: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	header, content := offer(minutes+"beside it\n", "title")
	if _, err := b.Deposit(ctx, works, header, bytes.NewReader(content)); err != nil {
		t.Errorf("deposit: %v", err)
	}
	close(peer.end)
	if err := <-kept; err == nil {
		t.Error("half a parcel was kept")
	}
}
