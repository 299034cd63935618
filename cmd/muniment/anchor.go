package main

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// anchorOptions are the flags of anchor, checked.
type anchorOptions struct {
	series   record.Code
	custody  record.Code // empty: the only custodian set
	title    string
	day      *record.Day // nil: the day of the file's last change, today for standard input
	undated  bool
	profile  string // empty: the one that suits
	again    bool
	receipts string // directory; empty: receipts are not written
	batch    bool   // the batch of this ledger day
	derived  string // record of which this one is a rendition, as it was named; empty: of none
	original string // its CID, once it was found
}

func (p *program) anchorCommand() *cobra.Command {
	var o anchorOptions
	var series, custody, date string
	c := &cobra.Command{
		Use: "anchor --series CODE FILE...", Short: "Deposit documents with the custodian and anchor them on the ledger",
		Long: "Anchors files, the files in folders (links are not followed), and - for standard input, each as a record of\n" +
			"its own. The content goes to the custodian; on the ledger stand a commitment, the series and a date. The same\n" +
			"command again ends what was cut off and never anchors the same content in the same series twice.\n\n" +
			"Some series take no records one by one, since their number and times would tell something about people. With\n" +
			"--batch one file, or none, is anchored as the batch of this ledger day: one a day, also for days without records.\n\n" +
			"With --derived-from the one file is a rendition of another record, such as a public version of a PDF with parts\n" +
			"blacked out; its metadata names the CID of the original. Nothing checks that it says the same.",
		Example: "  muniment anchor --series DEMO-MINUTES minutes/ --receipts receipts/\n" +
			"  muniment anchor --series DEMO-PERMITS permits.csv --title \"Permit register 2031\" --date 2031-01-31\n" +
			"  produce-report | muniment anchor --series DEMO-MAIL - --output json | jq '.records[].index'\n" +
			"  muniment anchor --batch --series DEMO-LOANS today.csv\n" +
			"  muniment anchor --series DEMO-MINUTES --derived-from 42 minutes-public.pdf",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 && !o.batch {
				return usage("nothing to anchor: name files or folders, or - for standard input")
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.StringVar(&series, "series", "", "code of the record series (required)")
	flags.StringVar(&custody, "custody", "", "code of the custodian set (default: the only one there is)")
	flags.StringVar(&o.title, "title", "", "title of the record; kept sealed with it")
	flags.StringVar(&date, "date", "", "date of the record, YYYY-MM-DD (default: day of the file's last change)")
	flags.BoolVar(&o.undated, "undated", false, "the record has no date")
	flags.StringVar(&o.profile, "profile", "", "how to cut the content, as raw/1, text/1, csv/1;d=, or cells (default: what suits it)")
	flags.BoolVar(&o.again, "again", false, "anchor anew what is anchored already")
	flags.StringVar(&o.receipts, "receipts", "", "directory to write the receipts into")
	flags.StringVar(&o.derived, "derived-from", "", "record of which the file is a rendition: its entry index or CID")
	flags.BoolVar(&o.batch, "batch", false, "anchor the batch of this ledger day: one file, or none for an empty batch")
	c.RunE = func(c *cobra.Command, args []string) error {
		o.series, o.custody = record.Code(series), record.Code(custody)
		if date != "" {
			day, err := parseDay(date)
			if err != nil {
				return err
			}
			o.day = &day
		}
		if err := o.check(); err != nil {
			return err
		}
		if o.batch {
			return p.anchorBatch(c.Context(), o, args)
		}
		return p.anchor(c.Context(), o, args)
	}
	return c
}

func (o anchorOptions) check() error {
	switch {
	case o.series == "":
		return usage("which record series? give --series CODE")
	case !o.series.Valid():
		return usage("series %q is not a code: 1 to 16 of A-Z, 0-9, point and hyphen, with a letter", string(o.series))
	case o.custody != "" && !o.custody.Valid():
		return usage("custodian set %q is not a code", string(o.custody))
	case o.derived != "" && o.batch:
		return usage("a batch is no rendition of a record")
	case o.undated && o.day != nil:
		return usage("--date and --undated exclude each other")
	case o.profile != "" && o.profile != cellsProfile && !commitment.Profile(o.profile).Valid():
		return usage("profile %q is not one: docs/spec/profiles.md lists them", o.profile)
	}
	return nil
}

func (p *program) anchor(ctx context.Context, o anchorOptions, args []string) error {
	sources, skipped, err := expand(args)
	if err != nil {
		return err
	}
	if o.title != "" && len(sources) > 1 {
		return usage("--title is for one record, here are %d", len(sources))
	}
	if o.derived != "" && len(sources) > 1 {
		return usage("--derived-from is for one record, here are %d", len(sources))
	}
	var original reference
	if o.derived != "" {
		if original, err = parseReference(o.derived); err != nil {
			return err
		}
	}
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	if o.derived != "" {
		a, err := s.resolve(ctx, original, "")
		if err != nil {
			return err
		}
		o.original = a.commitment().CID()
	}
	registry, err := s.registry(ctx)
	if err != nil {
		return err
	}
	intake, err := registry.intake(o.series, s.account.Office, s.ledgerDay())
	if err != nil {
		return err
	}
	if intake.batched {
		return refused("BATCHED_SERIES")
	}
	if o.custody, err = registry.custody(o.custody); err != nil {
		return err
	}
	j, err := openJournal(ctx, p.journalDir(s), s.network.ID, func() { p.say("another run is anchoring: waiting for it to end") })
	if err != nil {
		return err
	}
	defer j.close()
	if skipped > 0 {
		p.say("left out %d links, devices or pipes", skipped)
	}
	a := newAnchoring(s, j, o, intake.granularity, sources)
	err = a.run(ctx)
	return errors.Join(a.report(ctx), a.verdict(ctx, err))
}

// journalDir is where the journal of the acting office on this network is.
func (p *program) journalDir(s *session) string {
	id := s.network.ID
	return filepath.Join(p.places.state, hex.EncodeToString(id[:]), string(s.account.Office))
}
