package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const hideHelp = "what to hide, as \"rows 3-5\", \"header Subject\" or 'text \"some words\"' (muniment segments; docs/spec/profiles.md); repeatable"

func (p *program) copyCommand() *cobra.Command {
	var file, purpose, department string
	var log wantedLog
	var hide, redactions []string
	withName := false
	c := &cobra.Command{
		Use: "copy RECORD (--hide SELECTOR | --redaction HASH)... -o FILE.mun.car", Short: "Make a copy that hides parts: withheld, not destroyed",
		Long: "Makes a copy whose disclosed parts are proven against the record's commitment. It shows that something is\n" +
			"hidden and where, never what. The file name is hidden too unless --with-name is given. With --redaction it hides\n" +
			"what a filed redaction says; evidence makes a bundle that says under which decision.",
		Example: "  muniment copy 42 --hide \"rows 3-5\" --hide 'text \"account number\"' -o 42.mun.car",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringArrayVar(&hide, "hide", nil, hideHelp)
	redactionFlag(c, &redactions)
	logFlags(c, &log)
	c.Flags().BoolVar(&withName, "with-name", false, "disclose the file name")
	c.Flags().StringVarP(&file, "out", "o", "", "file to write the copy to (required)")
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if file == "" {
			return usage("where to? give -o FILE.mun.car")
		}
		hashes, err := parseHashes(redactions)
		if err != nil {
			return err
		}
		if err := log.read(p); err != nil {
			return err
		}
		s, a, why, err := p.openRecord(c.Context(), args[0], department, purpose)
		if err != nil {
			return err
		}
		defer s.close()
		client, err := s.departments(c.Context())
		if err != nil {
			return err
		}
		car, err := download(c.Context(), func(ctx context.Context) (grpc.ServerStreamingClient[apiv1.CopyResponse], error) {
			return client.Copy(ctx, &apiv1.CopyRequest{Record: a.ref(), Purpose: why, Hide: hide, WithName: withName, Redactions: hashes})
		}, (*apiv1.CopyResponse).GetChunk)
		if err != nil {
			return err
		}
		copied, err := commitment.ParseCopy(car)
		if err != nil {
			return badCopy(err)
		}
		opened, err := checkCopy(copied, a.commitment(), hide, withName)
		if err == nil && len(hashes) > 0 {
			err = s.checkRedactions(c.Context(), a, opened, hashes)
		}
		if err != nil {
			return err
		}
		if err := p.deliver(file, car); err != nil {
			return err
		}
		if log.file != "" {
			verdicts, told, err := s.decidedParts(c.Context(), a, hashes)
			if err == nil {
				err = p.writeLog(log, a, opened, verdicts, told, nil)
			}
			if err != nil {
				return err
			}
		}
		return p.showFile(fileOf(a, file, car, opened, 0), fmt.Sprintf("muniment evidence %d%s -o %d.mun.car", a.index, flagged(" --redaction ", redactions), a.index))
	}
	return c
}

// flagged writes values as flags of a command line.
func flagged(flag string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	return flag + strings.Join(values, flag)
}

func badCopy(err error) error {
	return failed(exitContradicted, "CONTENT_MISMATCH", "do not rely on this node: tell whoever runs it", "the copy does not hold: %w", err)
}

// checkCopy verifies a copy against the commitment of the verified anchor, and
// that it hides what was asked for, as far as a reader of the copy can see.
func checkCopy(c commitment.Copy, want commitment.Commitment, hide []string, withName bool) (commitment.Opened, error) {
	opened, err := c.Verify(want)
	if err != nil {
		return commitment.Opened{}, badCopy(err)
	}
	fields, err := opened.Fields()
	if err != nil {
		return commitment.Opened{}, badCopy(err)
	}
	for _, f := range fields {
		if !withName && f.Key == commitment.FieldFileName {
			return commitment.Opened{}, shows("the file name")
		}
	}
	for _, selector := range hide {
		if opened.Complete() || disclosesText(opened, selector) {
			return commitment.Opened{}, shows("what " + strconv.Quote(selector) + " hides")
		}
	}
	return opened, nil
}

// shows is the failure of a copy that discloses what it was to hide.
func shows(what string) error {
	return failed(exitContradicted, "DISCLOSES_HIDDEN", "do not rely on this node: tell whoever runs it", "the copy discloses %s: nothing was written", what)
}

// checkRedactions fetches redactions and wants all that they mark to be hidden.
func (s *session) checkRedactions(ctx context.Context, a anchored, o commitment.Opened, hashes [][]byte) error {
	for _, hash := range hashes {
		f, err := s.redaction(ctx, a, [32]byte(hash))
		if err != nil {
			return err
		}
		if !hidesAll(o, f.redaction) {
			return shows("what redaction " + f.Hash + " hides")
		}
	}
	return nil
}

// hidesAll tells whether every leaf that a redaction marks is hidden.
func hidesAll(o commitment.Opened, r commitment.Redaction) bool {
	for _, m := range r.Marks {
		if !slices.ContainsFunc(o.Hidden, func(h commitment.Range) bool { return h.First <= m.First && m.Last <= h.Last }) {
			return false
		}
	}
	return true
}

// disclosesText tells whether words that a selector hides can still be read:
// whether they occur in a run of segments without a gap.
func disclosesText(o commitment.Opened, selector string) bool {
	quoted, ok := strings.CutPrefix(selector, "text ")
	words, err := strconv.Unquote(strings.TrimSpace(quoted))
	if !ok || err != nil || words == "" {
		return false
	}
	var run []byte
	last := int64(-1)
	for _, leaf := range o.Leaves {
		if leaf.Kind != commitment.Content {
			continue
		}
		if int64(leaf.Index) != last+1 {
			run = run[:0]
		}
		last = int64(leaf.Index)
		run = append(run, leaf.Payload...)
		if bytes.Contains(run, []byte(words)) {
			return true
		}
		run = run[max(0, len(run)-len(words)):]
	}
	return false
}

// fileOf describes a copy or bundle that was written.
func fileOf(a anchored, file string, car []byte, o commitment.Opened, receipts int) fileResult {
	r := fileResult{Index: a.index, CID: a.commitment().CID(), File: file, Bytes: len(car), Segments: o.N, Receipts: receipts}
	for _, h := range o.Hidden {
		text := fmt.Sprint(h.First)
		if h.Last != h.First {
			text = fmt.Sprintf("%d-%d", h.First, h.Last)
		}
		r.Hidden = append(r.Hidden, text)
	}
	if fields, err := o.Fields(); err == nil { // checkCopy has read them
		for _, f := range fields {
			if f.Key == commitment.FieldDerivedFrom {
				r.Original = printable(f.Value)
			}
		}
	}
	return r
}
