package custody

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// contents finds deposits of the same bytes. It is in memory alone: a fingerprint
// on disk is within the state of its record, and dies with it. An office's are read
// from its rings when they are first asked for.
type contents struct {
	mu      sync.Mutex
	offices map[record.Code]*contentIndex
}

// contentIndex finds rids by the first 8 bytes of fingerprints. What it has may be
// gone or another content: who finds it looks.
type contentIndex struct {
	first map[uint64]vault.RID
	more  map[uint64][]vault.RID // where several begin alike
}

func contentKey(fingerprint [32]byte) uint64 { return binary.BigEndian.Uint64(fingerprint[:]) }

// find lists what may have a fingerprint.
func (x *contentIndex) find(fingerprint [32]byte) []vault.RID {
	key := contentKey(fingerprint)
	rid, ok := x.first[key]
	if !ok {
		return nil
	}
	return append([]vault.RID{rid}, x.more[key]...)
}

func (x *contentIndex) add(rid vault.RID, fingerprint [32]byte) {
	if fingerprint == [32]byte{} {
		return
	}
	key := contentKey(fingerprint)
	if first, ok := x.first[key]; !ok {
		x.first[key] = rid
	} else if first != rid && !slices.Contains(x.more[key], rid) {
		x.more[key] = append(x.more[key], rid)
	}
}

// removeAt takes what gone names out of one key.
func (x *contentIndex) removeAt(key uint64, gone func(vault.RID) bool) {
	first, ok := x.first[key]
	if !ok {
		return
	}
	left := slices.DeleteFunc(append([]vault.RID{first}, x.more[key]...), gone)
	delete(x.first, key)
	delete(x.more, key)
	if len(left) > 0 {
		x.first[key] = left[0]
	}
	if len(left) > 1 {
		x.more[key] = left[1:]
	}
}

// add enters a deposit, after it is in its ring: whoever reads the rings sees it
// there, or it comes here after that.
func (c *contents) add(r vault.Record, fingerprint [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.offices[r.Office]; x != nil {
		x.add(r.RID, fingerprint)
	}
}

// remove drops a deposit whose fingerprint is known.
func (c *contents) remove(r vault.Record, fingerprint [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.offices[r.Office]; x != nil {
		x.removeAt(contentKey(fingerprint), func(rid vault.RID) bool { return rid == r.RID })
	}
}

// drop drops records of which nobody can tell the fingerprint any more, in one pass.
func (c *contents) drop(records []vault.Record) {
	if len(records) == 0 {
		return
	}
	gone := make(map[vault.RID]bool, len(records))
	for _, r := range records {
		gone[r.RID] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for office, x := range c.offices {
		if !slices.ContainsFunc(records, func(r vault.Record) bool { return r.Office == office }) {
			continue
		}
		for key, first := range x.first {
			if gone[first] || slices.ContainsFunc(x.more[key], func(rid vault.RID) bool { return gone[rid] }) {
				x.removeAt(key, func(rid vault.RID) bool { return gone[rid] })
			}
		}
	}
}

// findContent lists what may have a fingerprint, having read the office's rings.
func (c *Custody) findContent(office record.Code, fingerprint [32]byte) ([]vault.RID, error) {
	c.contents.mu.Lock()
	defer c.contents.mu.Unlock()
	x := c.contents.offices[office]
	if x == nil {
		var err error
		if x, err = c.readContents(office); err != nil {
			return nil, err
		}
		c.contents.offices[office] = x
	}
	return x.find(fingerprint), nil
}

// readContents opens every state of an office once.
func (c *Custody) readContents(office record.Code) (*contentIndex, error) {
	x := &contentIndex{first: map[uint64]vault.RID{}, more: map[uint64][]vault.RID{}}
	for _, id := range c.rings.Rings() {
		if id.Department != office {
			continue
		}
		rids, err := c.rings.RIDs(id)
		if err != nil {
			return nil, err
		}
		for _, rid := range rids {
			raw, ok, err := c.rings.State(id, rid)
			if errors.Is(err, keyring.ErrDestroyed) || err == nil && !ok {
				continue
			}
			if err == nil && (len(raw) < secretsHead || raw[0] != secretsVersion) {
				err = fmt.Errorf("secrets of %d bytes", len(raw))
			}
			if err != nil {
				return nil, damaged(err)
			}
			x.add(rid, [32]byte(raw[33:secretsHead]))
			clear(raw)
		}
	}
	return x, nil
}

// equals lists the other deposits of its office with the bytes of a record: those
// that were noted before a rotation, and those whose states say so.
func (c *Custody) equals(r vault.Record) (all []vault.Record, err error) {
	rids, err := c.vault.NotedEqual(r.RID)
	if err != nil {
		return nil, damaged(err)
	}
	seen := map[vault.RID]bool{r.RID: true}
	for _, rid := range rids {
		if seen[rid] {
			continue
		}
		seen[rid] = true
		of, ok, err := c.vault.Record(rid)
		if err != nil {
			return nil, damaged(err)
		}
		if ok {
			all = append(all, of)
		}
	}
	s, ok, err := c.state(r)
	if reason, _ := ReasonOf(err); reason == Destroyed || err == nil && (!ok || s.fingerprint == [32]byte{}) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if rids, err = c.findContent(r.Office, s.fingerprint); err != nil {
		return nil, err
	}
	for _, rid := range rids {
		if seen[rid] {
			continue
		}
		of, ok, err := c.vault.Record(rid)
		if err != nil {
			return nil, damaged(err)
		}
		if !ok {
			continue
		}
		other, ok, err := c.state(of)
		if reason, _ := ReasonOf(err); reason == Destroyed {
			continue
		}
		if err != nil {
			return nil, err
		}
		if ok && other.fingerprint == s.fingerprint {
			all = append(all, of)
		}
	}
	return all, nil
}

// fingerprint is HMAC-SHA256 of the digest leaf's payload under the office's key:
// equal contents of one office have one, and nobody else can compute it.
func (c *Custody) fingerprint(office record.Code, l commitment.Layout) ([32]byte, error) {
	key, err := c.rings.OfficeKey(office)
	if err != nil {
		return [32]byte{}, err
	}
	mac := hmac.New(sha256.New, key[:])
	for _, s := range l.Segments {
		if s.Kind == commitment.Digest {
			mac.Write(s.Payload)
			break
		}
	}
	return [32]byte(mac.Sum(nil)), nil
}
