package node

import (
	"maps"
	"net"
	"sync"
	"time"
)

// A connection that says nothing holds one of the engine's places for three
// seconds, until its handshake is given up. Each address may begin so many a
// second, so that it can hold a seventh of the places.
const (
	knocksPerSecond = 100
	knockers        = 10_000 // addresses that are told apart; the others count as one
)

// knocks keeps, by address, until when its share of connections is used up: a
// second ahead, and the next one is refused.
type knocks struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time // when the hosts were last forgotten that had their share back
}

// may says whether one more connection of a host goes on to the handshake.
func (k *knocks) may(host string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.until == nil {
		k.until = map[string]time.Time{}
	}
	if _, known := k.until[host]; !known && len(k.until) >= knockers {
		if now.Sub(k.swept) >= time.Second {
			k.swept = now
			maps.DeleteFunc(k.until, func(_ string, until time.Time) bool { return until.Before(now) })
		}
		if len(k.until) >= knockers {
			host = ""
		}
	}
	until := k.until[host]
	if until.Before(now) {
		until = now
	}
	if until.Sub(now) >= time.Second {
		return false
	}
	k.until[host] = until.Add(time.Second / knocksPerSecond)
	return true
}

// knock says whether a connection with an address goes on to the handshake: not
// where its host begins too many. Hosts of members are not counted, or one could
// keep another out that shares its address, and this node's own calls would count.
func (n *Node) knock(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (n.members.areAt(host) || n.knocks.may(host, n.now()))
}
