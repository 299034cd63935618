package custody

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// title is by what a record is found.
type title struct{ Title, FileName string }

// isTitle tells whether a leaf belongs into the catalogue.
func isTitle(s commitment.Segment) bool {
	if s.Kind != commitment.Metadata || s.Payload == nil {
		return false
	}
	f, err := commitment.ParseField(s.Payload)
	return err == nil && (f.Key == commitment.FieldTitle || f.Key == commitment.FieldFileName)
}

func titlesOf(l commitment.Layout) (t title) {
	for _, s := range l.Segments {
		if isTitle(s) {
			t.read(s.Payload)
		}
	}
	return t
}

// read takes over a metadata leaf.
func (t *title) read(payload []byte) {
	switch f, _ := commitment.ParseField(payload); f.Key {
	case commitment.FieldTitle:
		t.Title = f.Value
	case commitment.FieldFileName:
		t.FileName = f.Value
	}
}

// entry is a record in a catalogue.
type entry struct {
	title
	folded     string // both, in lower case
	commitment record.Commitment
	series     record.Code
	index      record.Index // unanchored: the ledger does not have it yet
}

// unanchored sorts after every index.
const unanchored record.Index = math.MaxInt64

func entryOf(r vault.Record, t title) entry {
	e := entry{title: t, folded: strings.ToLower(t.Title + "\n" + t.FileName), commitment: r.Commitment, series: r.Series, index: unanchored}
	if r.Anchored {
		e.index = r.Index
	}
	return e
}

// catalogue is the titles of the departments that have searched, in memory only.
type catalogue struct {
	mu      sync.RWMutex
	offices map[record.Code]map[vault.RID]entry // absent: not read yet
}

func (c *catalogue) add(r vault.Record, t title) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entries := c.offices[r.Office]; entries != nil {
		entries[r.RID] = entryOf(r, t)
	}
}

func (c *catalogue) remove(r vault.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.offices[r.Office], r.RID)
}

// drop forgets the titles of an office until it searches again.
func (c *catalogue) drop(office record.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.offices, office)
}

func (c *catalogue) anchored(office record.Code, rid vault.RID, index record.Index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.offices[office][rid]; ok {
		e.index = index
		c.offices[office][rid] = e
	}
}

// Query is a search for a text in titles and file names.
type Query struct {
	Text  string            // at least 2 characters, matched without regard to case
	Limit int               // hits at most, 1 to 1,000
	After record.Commitment // the last hit of the page before; zero: from the start
}

// Hit is a record that was found.
type Hit struct {
	Commitment record.Commitment
	Series     record.Code
	Title      string
	FileName   string
	Anchored   bool
	Index      record.Index // of its entry, if Anchored
}

const maxHits = 1000

// Search looks through the catalogue of the caller's own department, and of no
// other. Hits come in the order of the ledger, those without anchor last. More is
// true when there are hits after these.
func (c *Custody) Search(ctx context.Context, caller Caller, q Query) (hits []Hit, more bool, err error) {
	if len([]rune(q.Text)) < 2 || q.Limit < 1 || q.Limit > maxHits {
		return nil, false, refuse(Malformed, "a search needs at least 2 characters and a page of 1 to %d hits", maxHits)
	}
	if err := c.audit(caller, actionSearch, vault.RID{}, noPurpose, outcomeAllowed); err != nil {
		return nil, false, err
	}
	if err := c.current(); err != nil {
		return nil, false, err
	}
	if err := errors.Join(c.loadTitles(caller.Office), ctx.Err()); err != nil {
		return nil, false, err
	}
	text := strings.ToLower(q.Text)
	c.titles.mu.RLock()
	var found []entry
	for _, e := range c.titles.offices[caller.Office] {
		if strings.Contains(e.folded, text) {
			found = append(found, e)
		}
	}
	c.titles.mu.RUnlock()
	// The catalogue learns of an anchor when the log is followed; the ledger
	// knows at once.
	view := c.config.View()
	for i, e := range found {
		if e.index != unanchored {
			continue
		}
		at, ok, err := view.AnchorIndex(caller.Office, e.commitment)
		if err != nil {
			return nil, false, err
		}
		if ok {
			found[i].index = at
		}
	}
	slices.SortFunc(found, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.index, b.index), bytes.Compare(a.commitment[:], b.commitment[:]))
	})
	if q.After != (record.Commitment{}) {
		at := slices.IndexFunc(found, func(e entry) bool { return e.commitment == q.After })
		if at < 0 {
			return nil, false, refuse(Malformed, "the page goes on from a record that is not found any more: search again")
		}
		found = found[at+1:]
	}
	for _, e := range found {
		if shut, err := c.shut(caller.Office, e.commitment); err != nil || shut {
			if err != nil {
				return nil, false, err
			}
			continue
		}
		if len(hits) == q.Limit {
			return hits, true, nil
		}
		hit := Hit{Commitment: e.commitment, Series: e.series, Title: e.Title, FileName: e.FileName}
		if e.index != unanchored {
			hit.Anchored, hit.Index = true, e.index
		}
		hits = append(hits, hit)
	}
	return hits, false, nil
}

// shut tells whether nothing of a record may be given out, its title neither.
func (c *Custody) shut(office record.Code, commitment record.Commitment) (bool, error) {
	r, ok, err := c.vault.Find(office, commitment)
	if err != nil || !ok {
		return !ok, damaged(err)
	}
	err = c.barred(r)
	switch reason, _ := ReasonOf(err); reason {
	case Locked, Destroyed, Quarantined:
		return true, nil
	}
	return false, err
}

// loadTitles opens the catalogue of an office when it is first searched. Leaves
// that are destroyed stay closed.
func (c *Custody) loadTitles(office record.Code) error {
	c.titles.mu.Lock()
	defer c.titles.mu.Unlock()
	if c.titles.offices[office] != nil {
		return nil
	}
	entries := map[vault.RID]entry{}
	err := c.vault.EachCatalogued(office, func(rid vault.RID, leaves []vault.CatalogueLeaf) error {
		r, ok, err := c.vault.Record(rid)
		if err != nil || !ok {
			return err
		}
		s, ok, err := c.state(r)
		if reason, _ := ReasonOf(err); reason == Destroyed || err == nil && !ok {
			return nil
		}
		if err != nil {
			return err
		}
		var t title
		for _, leaf := range leaves {
			enc, _, live := s.state.Secret(leaf.Leaf)
			if !live {
				continue
			}
			payload, err := commitment.Open(enc, rid, leaf.Leaf, commitment.Metadata, leaf.Sealed)
			if err != nil {
				return damaged(err)
			}
			t.read(payload)
		}
		entries[rid] = entryOf(r, t)
		return nil
	})
	if err != nil {
		return err
	}
	c.titles.offices[office] = entries
	return nil
}
