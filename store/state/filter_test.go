package state

import (
	"encoding/binary"
	"sync"
	"testing"
)

func filterKey(i uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("xCLERK\x00"), i*0x9e3779b97f4a7c15)
}

func TestFilterNeverDenies(t *testing.T) {
	f := newFilter()
	const first = 1 << 15
	const n = 3*first + 10 // two full generations and a bit of a third
	f.grow(first)
	for i := range uint64(n) {
		f.add(filterKey(i))
	}
	if got := len(*f.generations.Load()); got != 3 {
		t.Fatalf("%d generations, want 3", got)
	}
	for i := range uint64(n) {
		if !f.has(filterKey(i)) {
			t.Fatalf("key %d was added and is denied", i)
		}
	}
	wrong := 0
	for i := range uint64(100_000) {
		if f.has(filterKey(n + i)) {
			wrong++
		}
	}
	// A full generation admits about 1 %; there are two.
	if wrong > 5_000 {
		t.Errorf("%d of 100,000 keys that were never added are admitted, want at most 5 %%", wrong)
	}
	if newFilter().has(filterKey(1)) {
		t.Error("an empty filter admits a key")
	}
}

func TestFilterReserves(t *testing.T) {
	f := newFilter()
	f.reserve(2 * firstGeneration)
	for i := range uint64(firstGeneration + 1000) {
		f.add(filterKey(i))
	}
	if got := len(*f.generations.Load()); got != 1 {
		t.Errorf("%d generations after reserving, want 1", got)
	}
}

// Readers ask while keys are added; run with -race.
func TestFilterIsReadWhileItGrows(t *testing.T) {
	f := newFilter()
	f.grow(100) // so that it grows during the test
	f.add(filterKey(0))
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if !f.has(filterKey(0)) {
						t.Error("the first key is denied")
						return
					}
				}
			}
		})
	}
	for i := range uint64(20_000) {
		f.add(filterKey(i))
	}
	close(stop)
	readers.Wait()
}
