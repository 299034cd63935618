package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// memoryChain is a store and the chain that fills it.
func memoryChain(t *testing.T, seed uint64) (*State, *chain) {
	t.Helper()
	db := openDB(t, testOptions(vfs.NewMem()))
	t.Cleanup(func() { closeDB(t, db) })
	c := newChain(seed)
	s := openState(t, db)
	commit(t, s, c.block(c.randomContent(0, 1, 0)))
	return s, c
}

// set commits a block that sets state values.
func (c *chain) set(t *testing.T, s *State, values map[string][]byte) {
	t.Helper()
	k := c.randomContent(0, 1, 0)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		k.values = append(k.values, ledger.Value{Key: []byte(key), Value: values[key]})
	}
	commit(t, s, c.block(k))
}

// behind changes a value in Pebble without a commit, to tell what is read from there.
func behind(t *testing.T, s *State, key, value string) {
	t.Helper()
	if err := s.db.Set(stateKey([]byte(key)), []byte(value), pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, v ledger.View, key, want string) {
	t.Helper()
	got, ok, err := v.Value([]byte(key))
	if err != nil || ok != (want != "") || string(got) != want {
		t.Errorf("height %d: value of %q: %q %t, %v, want %q", v.Head().Height, key, got, ok, err, want)
	}
}

func TestValuesAreReadOnce(t *testing.T) {
	s, c := memoryChain(t, 70)
	passing := []string{
		string(ledger.StateKeyNonce(record.KeyID{1}, record.Nonce{2})), string(ledger.StateKeyLifecycle(5)), string(ledger.StateKeyProposal(6)),
	}
	lasting := []string{
		string(ledger.StateKeyParameters()), string(ledger.StateKeyOffice("DPW")), string(ledger.StateKeySigning("DPW")), string(ledger.StateKeyKey(record.KeyID{1})),
		string(ledger.StateKeyGovernance(record.SubjectRecords)), string(ledger.StateKeyCustodianSet("CITY")), string(ledger.StateKeySeries("MINUTES")),
		string(ledger.StateKeyNode(record.KeyID{1})), string(ledger.StateKeyNodes()),
	}
	set := map[string][]byte{}
	for _, key := range slices.Concat(passing, lasting) {
		set[key] = []byte("1")
	}
	c.set(t, s, set)
	first := s.View()
	for key := range set {
		wantValue(t, first, key, "1")
		behind(t, s, key, "2")
	}
	for range 2 {
		for _, key := range lasting {
			wantValue(t, s.View(), key, "1")
		}
		for _, key := range passing {
			wantValue(t, s.View(), key, "2")
		}
		c.set(t, s, map[string][]byte{"another": []byte("3")})
	}
	for _, key := range lasting {
		set[key] = []byte("4")
	}
	c.set(t, s, set)
	for _, key := range lasting {
		wantValue(t, s.View(), key, "4")
		behind(t, s, key, "5")
		wantValue(t, s.View(), key, "4")
	}
}

func TestAbsenceIsReadOnce(t *testing.T) {
	s, c := memoryChain(t, 75)
	rules := string(ledger.StateKeyRules("DEMO-MINUTES"))
	first := s.View()
	for range 2 {
		wantValue(t, first, rules, "")
		behind(t, s, rules, "1")
	}
	c.set(t, s, map[string][]byte{"another": []byte("2")})
	wantValue(t, s.View(), rules, "")
	c.set(t, s, map[string][]byte{rules: []byte("3")})
	wantValue(t, s.View(), rules, "3")
	c.set(t, s, map[string][]byte{rules: nil})
	wantValue(t, s.View(), rules, "")
	behind(t, s, rules, "4")
	wantValue(t, s.View(), rules, "")
}

// A value that was absent is not absent for ever, and a reader who was slow does not bring back what a commit has overwritten.
func TestMemoryTakesNothingStale(t *testing.T) {
	s, c := memoryChain(t, 71)
	empty := s.View().(*view)
	wantValue(t, empty, "office/A", "")
	c.set(t, s, map[string][]byte{"office/A": []byte("1"), "office/B": []byte("1")})
	wantValue(t, empty, "office/A", "")
	old := s.View().(*view)
	wantValue(t, old, "office/A", "1")
	read, _, err := s.get(stateKey([]byte("office/B"))) // and the commit comes before the reader gets to add it
	if err != nil {
		t.Fatal(err)
	}
	c.set(t, s, map[string][]byte{"office/A": []byte("2"), "office/B": []byte("2")})
	s.memory.add(old, stateKey([]byte("office/B")), read)
	for _, key := range []string{"office/A", "office/B"} {
		if value, known := s.memory.find(stateKey([]byte(key))); known {
			t.Errorf("%s is remembered as %q, though a commit has overwritten it", key, value)
		}
		for range 2 {
			wantValue(t, s.View(), key, "2")
			wantValue(t, old, key, "1")
			wantValue(t, empty, key, "")
		}
	}
	c.set(t, s, map[string][]byte{"office/A": nil})
	wantValue(t, s.View(), "office/A", "")
	wantValue(t, old, "office/A", "1")
}

// Were it forgotten first, a slow reader could still add it before it is hung on the chain.
func TestWhatIsOverwrittenIsHungUpBeforeItIsForgotten(t *testing.T) {
	s, c := memoryChain(t, 74)
	c.set(t, s, map[string][]byte{"office/A": []byte("1")})
	old := s.current.Load()
	k := c.randomContent(0, 1, 0)
	k.values = []ledger.Value{{Key: []byte("office/A"), Value: []byte("2")}}
	changes := c.block(k)
	done := make(chan error)
	s.memory.mu.Lock() // Commit can forget nothing
	go func() { done <- s.Commit(changes) }()
	for deadline := time.Now().Add(10 * time.Second); old.later.Load() == nil && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	hung := old.later.Load() != nil
	s.memory.mu.Unlock()
	if err := <-done; err != nil || !hung {
		t.Errorf("hung up before it is forgotten: %t, %v", hung, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	v := &view{}
	m := memory{limit: memoryBytes}
	hot := stateKey([]byte("parameters"))
	m.add(v, hot, []byte("hot"))
	const valueBytes = 1000
	for i := range 10_000 {
		m.add(v, fmt.Appendf(nil, "skey/%d", i), make([]byte, valueBytes))
		if value, _ := m.find(hot); string(value) != "hot" {
			t.Fatalf("what is used all the time is forgotten after %d others", i)
		}
		if m.bytes > memoryBytes+2*valueBytes {
			t.Fatalf("%d bytes after %d values, limit %d", m.bytes, i, memoryBytes)
		}
	}
	sum := 0
	for key, value := range m.recent {
		sum += memoryLineBytes + len(key) + len(value)
	}
	if sum != m.bytes {
		t.Errorf("%d bytes are remembered, %d counted", sum, m.bytes)
	}
	if got := len(m.recent) + len(m.before); got < memoryBytes/2/valueBytes || got > 2*(memoryBytes/valueBytes+2) {
		t.Errorf("%d values are remembered", got)
	}
	for i := range 10_000 {
		m.forget(map[string][]byte{fmt.Sprintf("skey/%d", i): nil, string(hot): nil})
	}
	if len(m.recent)+len(m.before) != 0 || m.bytes != 0 {
		t.Errorf("%d and %d values with %d bytes are left when all were forgotten", len(m.recent), len(m.before), m.bytes)
	}
}

// models are the state values after each block, known before the block is committed.
type models struct {
	mu sync.Mutex
	at map[int64]map[string][]byte
}

func (m *models) after(height int64) map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[height]
}

func (m *models) put(height int64, values map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at[height] = maps.Clone(values)
}

// Readers with new and with old views read values, some of them absent, while commits set and delete them. The memory is so
// small that it forgets all the time. Run with -race.
func TestValuesDuringCommitsAgainstModel(t *testing.T) {
	s, c := memoryChain(t, 72)
	s.memory.limit = 2000
	const keys = 40
	name := func(i int) string { return fmt.Sprintf("office/%d", i) }
	var all [][]byte
	for i := range keys {
		all = append(all, []byte(name(i)))
	}
	slices.SortFunc(all, bytes.Compare)
	m := &models{at: map[int64]map[string][]byte{c.head.Height: {}}}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for reader := range 4 {
		random := rand.New(rand.NewPCG(73, uint64(reader)))
		readers.Go(func() {
			held := []ledger.View{s.View()}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if held = append(held, s.View()); len(held) > 8 {
					held = slices.Delete(held, 0, 1+random.IntN(4))
				}
				v := held[len(held)-1]
				if random.IntN(3) == 0 {
					v = held[random.IntN(len(held))]
				}
				values := m.after(v.Head().Height)
				for range 20 {
					key := name(random.IntN(keys))
					want, wanted := values[key]
					got, ok, err := v.Value([]byte(key))
					if err != nil || ok != wanted || !bytes.Equal(got, want) {
						t.Errorf("height %d: value of %s: %x %t, %v, want %x %t", v.Head().Height, key, got, ok, err, want, wanted)
						return
					}
				}
				got, err := v.Values(all)
				for i, key := range all {
					if err != nil || !bytes.Equal(got[i], values[string(key)]) {
						t.Errorf("height %d: value of %s in a list: %x, %v, want %x", v.Head().Height, key, got, err, values[string(key)])
						return
					}
				}
			}
		})
	}
	values := map[string][]byte{}
	for range 1500 {
		set := map[string][]byte{}
		for range c.random.IntN(6) {
			key := name(c.random.IntN(keys))
			if _, there := values[key]; there && c.random.IntN(4) == 0 {
				set[key] = nil
			} else {
				set[key] = c.bytes(1 + c.random.IntN(100))
			}
		}
		for key, value := range set {
			if values[key] = value; value == nil {
				delete(values, key)
			}
		}
		m.put(c.head.Height+1, values)
		c.set(t, s, set)
	}
	close(stop)
	readers.Wait()
}
