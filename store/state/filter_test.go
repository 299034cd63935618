package state

import (
	"encoding/binary"
	"sync"
	"testing"
)

func filterKey(i uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("xCLERK\x00"), i*0x9e3779b97f4a7c15)
}

// The filter grows here as it does in a ledger, with a smallest generation that is 40 times smaller.
func TestFilterGrows(t *testing.T) {
	const least = leastGeneration / 40
	const million = 1_000_000 / 40
	f := newFilter(least)
	if f.has(filterKey(1)) {
		t.Error("an empty filter admits a key")
	}
	added := uint64(0)
	for _, stage := range []struct {
		keys        uint64
		generations int
		bits        int // of memory for each key, at most
		wrong       int // admitted of a million keys that were never added, at most
	}{
		{4 * million, 1, 20, 500},
		{10 * million, 3, 24, 1000},
		{40 * million, 6, 30, 2000}, // 4, 4, 4, 6, 9 and 13.5 million
	} {
		for ; added < stage.keys; added++ {
			f.add(filterKey(added))
		}
		all := *f.generations.Load()
		words := 0
		for _, g := range all {
			words += len(g.blocks) * len(block{})
		}
		if bits := 64 * words / int(added); len(all) != stage.generations || bits > stage.bits {
			t.Errorf("%d keys: %d generations with %d bits a key, want %d with at most %d", added, len(all), bits, stage.generations, stage.bits)
		}
		for i := range added {
			if !f.has(filterKey(i)) {
				t.Fatalf("key %d of %d was added and is denied", i, added)
			}
		}
		wrong := 0
		for i := range uint64(1_000_000) {
			if f.has(filterKey(1<<40 + i)) {
				wrong++
			}
		}
		if wrong > stage.wrong {
			t.Errorf("%d keys: %d of a million that were never added are admitted, want at most %d", added, wrong, stage.wrong)
		}
		t.Logf("%d keys: %d of a million others admitted", added, wrong)
	}
}

func TestFilterReserves(t *testing.T) {
	const least = 1000
	for n, room := range map[int64]int64{0: least, 500: least, 1000: 1200, 10_000: 12_000} {
		f := newFilter(least)
		f.reserve(n)
		for i := range uint64(room) {
			f.add(filterKey(i))
		}
		if got := len(*f.generations.Load()); got != 1 {
			t.Errorf("%d reserved, %d added: %d generations, want 1", n, room, got)
		}
		f.add(filterKey(1 << 40))
		if all := *f.generations.Load(); len(all) != 2 || all[1].capacity != max(least, room/2) {
			t.Errorf("%d reserved, %d added: %d generations, want a second one", n, room+1, len(all))
		}
	}
}

// Readers ask while keys are added; run with -race.
func TestFilterIsReadWhileItGrows(t *testing.T) {
	f := newFilter(100) // so that it grows during the test
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
