package state

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// filter tells of a key whether it may have been added. It never denies one that was; of the others it admits about
// one in 4,000, and where it grew to 10 million keys about one in 2,000. It grows by generations, so nothing is hashed anew and
// readers never wait. One goroutine adds; any number may ask at the same time.
type filter struct {
	seed        maphash.Seed // fresh in each process: nobody can prepare keys that collide
	least       int64        // capacity of the smallest generation
	generations atomic.Pointer[[]*generation]
}

// A generation is a split block Bloom filter: a key sets one bit in each of the eight words of one block.
type generation struct {
	blocks   []block
	capacity int64
	count    int64 // owned by the goroutine that adds
}

// A block is one cache line.
type block [8]atomic.Uint64

// With 20 bits for each key of its capacity a full generation admits about one key in 4,000. The next one has half the
// capacity of those before, so that room which is not used yet stays small: at 10 million keys 24 bits a key in three
// generations, at a hundred million nine generations.
const (
	bitsPerKey      = 20
	bitsPerBlock    = 512
	leastGeneration = 4_000_000 // keys: 10 MB, which the system lends page by page
)

func newFilter(least int64) *filter {
	f := &filter{seed: maphash.MakeSeed(), least: least}
	f.generations.Store(&[]*generation{})
	return f
}

// reserve makes room for n keys and a fifth more at once, if nothing was added yet.
func (f *filter) reserve(n int64) { f.grow(max(f.least, n+n/5)) }

func (f *filter) grow(capacity int64) *generation {
	g := &generation{blocks: make([]block, capacity*bitsPerKey/bitsPerBlock+1), capacity: capacity}
	grown := append(append([]*generation{}, *f.generations.Load()...), g)
	f.generations.Store(&grown)
	return g
}

// newest returns the generation to which keys are added.
func (f *filter) newest() *generation {
	all := *f.generations.Load()
	var room int64
	for i, g := range all {
		if room += g.capacity; i == len(all)-1 && g.count < g.capacity {
			return g
		}
	}
	return f.grow(max(f.least, room/2))
}

func (f *filter) add(key []byte) {
	g := f.newest()
	g.count++
	h := maphash.Bytes(f.seed, key)
	b := g.block(h)
	for i := range b {
		b[i].Or(mask(h, i))
	}
}

func (f *filter) has(key []byte) bool {
	h := maphash.Bytes(f.seed, key)
next:
	for _, g := range *f.generations.Load() {
		b := g.block(h)
		for i := range b {
			if b[i].Load()&mask(h, i) == 0 {
				continue next
			}
		}
		return true
	}
	return false
}

// block picks a block by the upper bits of the hash, evenly for any number of blocks.
func (g *generation) block(h uint64) *block {
	hi, _ := bits.Mul64(h, uint64(len(g.blocks)))
	return &g.blocks[hi]
}

// mask picks the bit of word i: the upper six bits of the hash times an odd number of that word.
func mask(h uint64, i int) uint64 {
	return 1 << (h * salts[i] >> 58)
}

// salts are the first 512 bits of the fractional part of pi, made odd: numbers with nothing up their sleeve.
var salts = [8]uint64{
	0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1, 0x082efa98ec4e6c89,
	0x452821e638d01377, 0xbe5466cf34e90c6d, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917,
}
