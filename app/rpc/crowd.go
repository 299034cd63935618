package rpc

import (
	"net"
	"slices"
	"sync"
)

// A crowd is a listener that lets nobody wait because others dawdle. It has so
// many places for strangers, which every connection is when it comes. Where none
// is left, the oldest stranger of the host that has most of them is cut off. So
// whoever goes on at once gets through, from another host as well as from the one
// that fills the places, and a host with few connections loses none to one with many.
type crowd struct {
	net.Listener
	places int

	mu        sync.Mutex
	strangers map[string][]*guest // by host, oldest first; no empty ones
	count     int
}

// guest is a connection that a crowd has let in.
type guest struct {
	net.Conn
	crowd *crowd
	host  string
	over  sync.Once
	left  func() // set by welcome, before anybody else has the connection
}

// Crowd bounds the connections of a listener whose callers nobody knows.
func Crowd(l net.Listener, places int) net.Listener {
	return &crowd{Listener: l, places: places, strangers: map[string][]*guest{}}
}

// Accept gives the next connection.
func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	g := &guest{Conn: conn, crowd: c}
	if g.host, _, err = net.SplitHostPort(conn.RemoteAddr().String()); err != nil {
		g.host = "" // of no network
	}
	if displaced := c.enter(g); displaced != nil {
		displaced.Conn.Close() // its owner closes the guest when it notices
	}
	return g, nil
}

// enter counts a stranger in, and gives the one that has to go for it.
func (c *crowd) enter(g *guest) (displaced *guest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count >= c.places {
		displaced = c.oldest()
		c.forget(displaced)
	}
	c.strangers[g.host] = append(c.strangers[g.host], g)
	c.count++
	return displaced
}

// oldest gives the oldest stranger of the host that has most of them.
func (c *crowd) oldest() *guest {
	var most []*guest
	for _, of := range c.strangers {
		if len(of) > len(most) {
			most = of
		}
	}
	return most[0]
}

// forget counts a stranger out, if it is one still.
func (c *crowd) forget(g *guest) {
	of := c.strangers[g.host]
	i := slices.Index(of, g)
	if i < 0 {
		return
	}
	c.count--
	if of = slices.Delete(of, i, i+1); len(of) == 0 {
		delete(c.strangers, g.host)
		return
	}
	c.strangers[g.host] = of
}

// welcome says that a guest has shown who it is: it needs no place among the
// strangers any more. left is called when it has gone.
func (g *guest) welcome(left func()) {
	g.crowd.mu.Lock()
	defer g.crowd.mu.Unlock()
	g.crowd.forget(g)
	g.left = left
}

// Close ends the connection.
func (g *guest) Close() error {
	g.over.Do(func() {
		g.crowd.mu.Lock()
		g.crowd.forget(g)
		left := g.left
		g.crowd.mu.Unlock()
		if left != nil {
			left()
		}
	})
	return g.Conn.Close()
}
