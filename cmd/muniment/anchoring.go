package main

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const (
	depositsAtOnce = 4
	batchItems     = 500 // records in one signed transaction
)

// anchoring is one run of anchor: documents are read and deposited by a few
// workers; what is deposited is collected into batches, which are signed and
// submitted one after the other.
type anchoring struct {
	session     *session
	options     anchorOptions
	granularity record.Granularity
	sources     []source
	printer     *anchorPrinter

	mu       sync.Mutex // guards all below
	journal  *journal
	finished map[slot]bool  // resumed at the start of this run
	blocked  map[slot]error // signed earlier, outcome still open
	claims   map[slot]*claim
	fatal    error // what ended the run early
}

// claim is what this run does about one content.
type claim struct {
	source  int   // that came first
	others  []int // with the same content
	outcome *outcome
}

// deposited is a document that the custodian has and the ledger not yet.
type deposited struct {
	source   int
	slot     slot
	item     record.AnchorItem
	notAfter record.Day
}

func newAnchoring(s *session, j *journal, o anchorOptions, g record.Granularity, sources []source) *anchoring {
	return &anchoring{
		session: s, journal: j, options: o, granularity: g, sources: sources,
		printer:  newAnchorPrinter(s.program, sources),
		finished: map[slot]bool{}, blocked: map[slot]error{}, claims: map[slot]*claim{},
	}
}

// run anchors all sources and returns what ended it early, if anything did.
// What happened to each source is with the printer.
func (a *anchoring) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer a.printer.close()
	if err := a.resume(ctx); err != nil {
		return err
	}
	next := make(chan int)
	ready := make(chan deposited, batchItems)
	var workers, collector sync.WaitGroup
	for range depositsAtOnce {
		workers.Go(func() {
			for i := range next {
				if err := a.take(ctx, i, ready); err != nil {
					a.end(err)
					cancel()
				}
			}
		})
	}
	collector.Go(func() {
		if err := a.collect(ctx, ready); err != nil {
			a.end(err)
			cancel()
			for range ready { // let the workers go
			}
		}
	})
	for i := range a.sources {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	close(ready)
	collector.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fatal
}

// end notes the first thing that ends the run.
func (a *anchoring) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fatal == nil {
		a.fatal = err
	}
}

// ends tells whether an error ends the run: the next document would meet it too.
func ends(err error) bool {
	switch codeOf(err) {
	case exitDenied, exitUnavailable, exitContradicted, exitIndeterminate, exitInterrupted:
		return true
	}
	return false
}

// take deals with one source until it is deposited, known already, or failed.
// An error ends the run.
func (a *anchoring) take(ctx context.Context, i int, ready chan<- deposited) error {
	if ctx.Err() != nil {
		return nil
	}
	err := a.prepare(ctx, i, ready)
	a.printer.step()
	if err == nil || ctx.Err() != nil {
		return nil
	}
	if ends(err) {
		return err
	}
	a.settle(i, outcome{err: err})
	return nil
}

func (a *anchoring) prepare(ctx context.Context, i int, ready chan<- deposited) error {
	doc, err := a.session.program.readSource(a.sources[i])
	if err != nil {
		return err
	}
	s := slot{a.options.series, a.journal.contentOf(doc.content)}
	known, mine, err := a.claim(s, i)
	if err != nil || !mine {
		return err
	}
	if known != nil {
		return a.known(ctx, i, *known)
	}
	d := deposited{source: i, slot: s, notAfter: a.session.ledgerDay() + notAfterDays}
	if d.item, err = a.itemOf(doc); err != nil {
		return err
	}
	if d.item.Commitment, err = a.deposit(ctx, i, doc, d.notAfter); err != nil {
		return err
	}
	select {
	case ready <- d:
	case <-ctx.Done():
	}
	return nil
}

// claim makes this source the one that settles its content, unless another one
// of this run does already. Known is where the content stands on the ledger.
func (a *anchoring) claim(s slot, i int) (known *kept, mine bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.claims[s]; ok {
		if c.outcome != nil {
			a.printer.settle(i, c.outcome.again())
		} else {
			c.others = append(c.others, i)
		}
		return nil, false, nil
	}
	a.claims[s] = &claim{source: i}
	if err := a.blocked[s]; err != nil {
		return nil, true, err
	}
	if k, ok := a.journal.done[s]; ok && (!a.options.again || a.finished[s]) {
		return &k, true, nil
	}
	return nil, true, nil
}

// settle reports what became of a source, and of those with the same content.
func (a *anchoring) settle(i int, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.printer.settle(i, o)
	for _, c := range a.claims {
		if c.source != i {
			continue
		}
		c.outcome = &o
		for _, other := range c.others {
			a.printer.settle(other, o.again())
		}
	}
}

// known reports a record that is anchored already, with its receipt if wanted.
func (a *anchoring) known(ctx context.Context, i int, k kept) error {
	o := outcome{index: k.index, commitment: k.commitment, already: true}
	if a.options.receipts != "" {
		var err error
		if o.receipt, err = a.fetchReceipt(ctx, k.index, k.commitment); err != nil {
			return err
		}
	}
	a.settle(i, o)
	return nil
}

// itemOf gives the date facts of a record.
func (a *anchoring) itemOf(doc document) (record.AnchorItem, error) {
	if a.options.undated {
		return record.AnchorItem{Flags: record.FlagUndated}, nil
	}
	when := doc.modified
	if when.IsZero() {
		when = a.session.program.now()
	}
	day := dayOf(when)
	if a.options.day != nil {
		day = *a.options.day
	} else if when.Year() < 1 || when.Year() > 9999 {
		return record.AnchorItem{}, failed(exitRefused, "BAD_DAY", "give --date YYYY-MM-DD or --undated", "the file's last change is in the year %d", when.Year())
	}
	return record.AnchorItem{Day: roundUp(day, a.granularity)}, nil
}

// deposit hands a document to the custodian. While the node is busy it is tried
// again, each time with a fresh record key.
func (a *anchoring) deposit(ctx context.Context, i int, doc document, notAfter record.Day) (c record.Commitment, err error) {
	name := a.sources[i].name()
	profile, err := chooseProfile(a.options.profile, name, doc.content)
	if err != nil {
		return record.Commitment{}, err
	}
	for attempt := 1; ; attempt++ {
		header := &apiv1.DepositHeader{Series: string(a.options.series), Custody: string(a.options.custody),
			NotAfterDay: uint32(notAfter), Profile: string(profile)}
		c, err = a.session.deposit(ctx, header, doc.content, fieldsOf(name, a.options.title, a.options.original, commitment.Profile(profile)), commitment.Arrange)
		if codeOf(err) != exitUnavailable || attempt == submitAttempts {
			return c, err
		}
		if err := sleep(ctx, a.session.program.pause); err != nil {
			return record.Commitment{}, err
		}
	}
}

// collect makes batches of what is deposited: of batchItems records, and of
// what there is when no deposit is pending any more.
func (a *anchoring) collect(ctx context.Context, ready <-chan deposited) error {
	var batch []deposited
	for d := range ready {
		if len(batch) > 0 && batch[0].notAfter != d.notAfter {
			if err := a.flush(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
		if batch = append(batch, d); len(batch) == batchItems {
			if err := a.flush(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return a.flush(ctx, batch)
}

// flush signs a batch, notes it in the journal, and submits it.
func (a *anchoring) flush(ctx context.Context, batch []deposited) error {
	if len(batch) == 0 {
		return nil
	}
	slices.SortFunc(batch, func(x, y deposited) int { return cmp.Compare(x.source, y.source) })
	m := &record.AnchorRecords{Series: a.options.series, Custody: a.options.custody}
	var contents []fingerprint32
	for _, d := range batch {
		m.Items = append(m.Items, d.item)
		contents = append(contents, d.slot.content)
	}
	raw, err := a.session.sign(m, batch[0].notAfter)
	if err != nil {
		return err
	}
	a.mu.Lock()
	b, err := a.journal.signed(raw, contents)
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.conclude(ctx, b, true, func(i int, o outcome) { a.settle(batch[i].source, o) })
}
