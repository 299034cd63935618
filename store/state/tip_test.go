package state

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func sampleTip() tip {
	c := newChain(70)
	first := c.next()
	return tip{head: first.Head, stateRoot: first.StateRoot, frontier: first.Frontier, anchors: 3}
}

func TestTipComesBack(t *testing.T) {
	want := sampleTip()
	block, head := blockValue(want.head.Height, want.head.Time), want.headValue()
	got, err := parseTip(block, head)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	for n := range head {
		if got, err := parseTip(block, head[:n]); !errors.Is(err, ErrDamaged) || !reflect.DeepEqual(got, tip{}) {
			t.Fatalf("head cut to %d bytes: got %+v, %v", n, got, err)
		}
	}
	if _, err := parseTip(block, append(bytes.Clone(head), 0)); !errors.Is(err, ErrDamaged) {
		t.Fatalf("a byte more: got %v, want %v", err, ErrDamaged)
	}
	many := want
	many.anchors = many.head.Size + 1
	if _, err := parseTip(block, many.headValue()); !errors.Is(err, ErrDamaged) {
		t.Fatalf("more anchors than entries: got %v, want %v", err, ErrDamaged)
	}
}

func FuzzParseTip(f *testing.F) {
	t := sampleTip()
	f.Add(blockValue(t.head.Height, t.head.Time), t.headValue())
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, block, head []byte) {
		got, err := parseTip(block, head)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || !reflect.DeepEqual(got, tip{}) {
				t.Fatalf("refused with %v and %+v", err, got)
			}
			return
		}
		if !bytes.Equal(blockValue(got.head.Height, got.head.Time), block) || !bytes.Equal(got.headValue(), head) {
			t.Fatalf("written again as %x %x, want %x %x", blockValue(got.head.Height, got.head.Time), got.headValue(), block, head)
		}
	})
}
