package keyring

import (
	"errors"
	"testing"
	"time"
)

// TestPaceActive: others are at work from the beginning of a write until a moment
// after its end, also of one that failed.
func TestPaceActive(t *testing.T) {
	var p pace
	if p.active(time.Now()) {
		t.Error("nobody has written yet")
	}
	wrong := errors.New("wrong")
	err := p.write(func() error {
		if !p.active(time.Now().Add(time.Hour)) {
			t.Error("a long write is not seen")
		}
		return wrong
	})
	if !errors.Is(err, wrong) {
		t.Errorf("write gives %v", err)
	}
	if !p.active(p.wrote.Load().Add(paceActive - 1)) {
		t.Error("a write that ended a moment ago is not seen")
	}
	if p.active(p.wrote.Load().Add(paceActive)) {
		t.Error("a write that ended long ago is seen")
	}
}
