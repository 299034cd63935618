package main

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// outcome is what became of a source.
type outcome struct {
	index      uint64
	commitment record.Commitment
	already    bool   // an earlier run, or an earlier source, anchored the content
	receipt    string // where it was written
	err        error
}

// again is the outcome for another source with the same content.
func (o outcome) again() outcome {
	o.already = true
	return o
}

func (o outcome) cid() string { return commitment.Commitment(o.commitment).CID() }

// anchorResult is what anchor prints as JSON.
type anchorResult struct {
	Records  []anchorRecord  `json:"records"`
	Failures []anchorFailure `json:"failures"`
	Anchored int             `json:"anchored"` // records that were anchored by this run
	Already  int             `json:"already"`  // sources whose content was anchored before
	Failed   int             `json:"failed"`
	NotTried int             `json:"not_tried"`
}

type anchorRecord struct {
	File    string `json:"file"`
	Index   uint64 `json:"index"`
	CID     string `json:"cid"`
	Already bool   `json:"already"`
	Receipt string `json:"receipt,omitempty"`
}

type anchorFailure struct {
	File   string `json:"file"`
	Error  string `json:"error"`
	Reason string `json:"reason"`
}

// anchorPrinter reports outcomes in the order of the sources, as soon as all
// before them are known, with a progress bar where people watch. Its caller
// makes sure that one goroutine at a time settles.
type anchorPrinter struct {
	program  *program
	sources  []source
	outcomes []*outcome
	printed  int
	lines    io.Writer    // standard output, or held while there is a bar
	held     bytes.Buffer // until the bar is gone
	progress *mpb.Progress
	bar      *mpb.Bar
}

func newAnchorPrinter(p *program, sources []source) *anchorPrinter {
	a := &anchorPrinter{program: p, sources: sources, outcomes: make([]*outcome, len(sources)), lines: p.stdout}
	if p.stderrTerminal && p.output == "text" {
		a.lines = &a.held
		a.progress = mpb.New(mpb.WithOutput(p.stderr), mpb.WithWidth(40))
		a.bar = a.progress.AddBar(int64(len(sources)),
			mpb.PrependDecorators(decor.Name("anchoring "), decor.CountersNoUnit("%d of %d ")),
			mpb.AppendDecorators(decor.AverageSpeed(0, "%.0f/s "), decor.AverageETA(decor.ET_STYLE_GO)))
	}
	return a
}

// step moves the bar by one document that was read and, unless it was known or
// failed, deposited: that is what takes the time.
func (a *anchorPrinter) step() {
	if a.bar != nil {
		a.bar.Increment()
	}
}

func (a *anchorPrinter) settle(i int, o outcome) {
	a.outcomes[i] = &o
	if a.program.output != "text" {
		return
	}
	for ; a.printed < len(a.outcomes) && a.outcomes[a.printed] != nil; a.printed++ {
		a.line(a.sources[a.printed].path, *a.outcomes[a.printed])
	}
}

// line prints one outcome: a record to standard output. Failures come last.
func (a *anchorPrinter) line(path string, o outcome) {
	if o.err != nil {
		return
	}
	note := ""
	if o.already {
		note = fmt.Sprintf("\talready anchored as record %d", o.index)
	}
	fmt.Fprintf(a.lines, "%d\t%s\t%s%s\n", o.index, o.cid(), printable(path), note)
}

// close ends the bar and prints what is left.
func (a *anchorPrinter) close() {
	if a.progress != nil {
		a.bar.Abort(false)
		a.progress.Wait()
		a.progress = nil
	}
	a.lines = a.program.stdout
	a.lines.Write(a.held.Bytes())
	for ; a.printed < len(a.outcomes) && a.program.output == "text"; a.printed++ {
		if o := a.outcomes[a.printed]; o != nil {
			a.line(a.sources[a.printed].path, *o)
		}
	}
}

func (a *anchorPrinter) result() anchorResult {
	r := anchorResult{Records: []anchorRecord{}, Failures: []anchorFailure{}}
	for i, o := range a.outcomes {
		path := a.sources[i].path
		switch {
		case o == nil:
			r.NotTried++
		case o.err != nil:
			r.Failed++
			r.Failures = append(r.Failures, anchorFailure{File: path, Error: o.err.Error(), Reason: reasonOf(o.err)})
		default:
			r.Records = append(r.Records, anchorRecord{File: path, Index: o.index, CID: o.cid(), Already: o.already, Receipt: o.receipt})
			if o.already {
				r.Already++
			} else {
				r.Anchored++
			}
		}
	}
	return r
}

// report prints the failures, the totals and what to do next.
func (a *anchoring) report(ctx context.Context) error {
	p, r := a.session.program, a.printer.result()
	if p.output == "json" {
		return p.show(r, nil)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(p.stderr, "muniment: anchor %s: %s\n", printable(f.File), printable(f.Error))
	}
	p.say("%d anchored, %d already anchored, %d failed, %d not reached", r.Anchored, r.Already, r.Failed, r.NotTried)
	for _, one := range r.Records {
		if one.Already && a.session.wasDestroyed(ctx, one.Index) {
			p.say("%s: already anchored as record %d, which was destroyed: --again anchors it as a new record", printable(one.File), one.Index)
			continue
		}
		p.say("next: muniment evidence %d -o %d.mun.car", one.Index, one.Index)
		break
	}
	return nil
}

// wasDestroyed tells whether the node says that a record was destroyed: what to
// do next depends on it, and nothing else. No answer: as if it were there.
func (s *session) wasDestroyed(ctx context.Context, index uint64) bool {
	said, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.Record, &apiv1.RecordRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: index}}})
	return err == nil && residualOf(said.Disposition).destroyed()
}

// verdict turns the outcomes into the error of the command: what ended the run;
// else the failure that all sources share; else that some failed.
func (a *anchoring) verdict(ctx context.Context, fatal error) error {
	if ctx.Err() != nil {
		return interrupted()
	}
	if fatal != nil {
		return fatal
	}
	failures, code, next := 0, 0, ""
	for _, o := range a.printer.outcomes {
		if o == nil || o.err == nil {
			continue
		}
		if one := codeOf(o.err); failures > 0 && one != code {
			code = exitSome
		} else {
			code = one
		}
		failures++
	}
	switch {
	case failures == 0:
		return nil
	case failures < len(a.sources):
		code = exitSome
	default:
		next = nextOf(a.printer.outcomes[0].err)
	}
	if next != "" {
		a.session.program.say("%s", next)
	}
	return &failure{code: code, said: true, err: fmt.Errorf("%d of %d documents failed", failures, len(a.sources))}
}
