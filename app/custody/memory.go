package custody

import "context"

// memory bounds how many bytes of content are held at once. Requests are served
// in turn, so a large one is not passed over for ever.
type memory struct {
	turn  chan struct{} // holds one token: who takes it may collect units
	units chan struct{} // holds a token for each unit that is free
}

const memoryUnit = 1 << 20

func newMemory(bytes int64) *memory {
	m := &memory{turn: make(chan struct{}, 1), units: make(chan struct{}, max(1, bytes/memoryUnit))}
	m.turn <- struct{}{}
	m.give(cap(m.units))
	return m
}

// size gives how many bytes there are in all.
func (m *memory) size() int64 { return int64(cap(m.units)) * memoryUnit }

// take waits for room for a number of bytes, or for all there is if that is less,
// and returns what gives it back.
func (m *memory) take(ctx context.Context, bytes int64) (release func(), err error) {
	need := int(min(int64(cap(m.units)), bytes/memoryUnit+1))
	select {
	case <-m.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	for got := range need {
		select {
		case <-m.units:
		case <-ctx.Done():
			m.give(got)
			return nil, ctx.Err()
		}
	}
	return func() { m.give(need) }, nil
}

func (m *memory) give(n int) {
	for range n {
		m.units <- struct{}{}
	}
}
