package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// fileResult is what commands print that wrote a file.
type fileResult struct {
	Index    uint64   `json:"index"`
	CID      string   `json:"cid"`
	File     string   `json:"file"`
	Bytes    int      `json:"bytes"`
	Segments uint32   `json:"segments,omitempty"` // of the record
	Hidden   []string `json:"hidden,omitempty"`   // segments that the file does not disclose
	Receipts int      `json:"receipts,omitempty"`
	Original string   `json:"derived_from,omitempty"` // CID of the record of which this one is a rendition
}

func (p *program) readCommand() *cobra.Command {
	var file, purpose, department string
	c := &cobra.Command{
		Use: "read RECORD", Short: "Read the original bytes of a record",
		Long: "The custodian opens the record and notes who read it and why. What is read cannot be verified without the\n" +
			"record's secrets: for proof use copy or evidence.",
		Example: "  muniment read 42 -o minutes.txt --purpose public-request",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVarP(&file, "out", "o", "", "file to write to (default: standard output)")
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, a, why, err := p.openRecord(c.Context(), args[0], department, purpose)
		if err != nil {
			return err
		}
		defer s.close()
		client, err := s.departments(c.Context())
		if err != nil {
			return err
		}
		content, err := download(c.Context(), func(ctx context.Context) (grpc.ServerStreamingClient[apiv1.ReadResponse], error) {
			return client.Read(ctx, &apiv1.ReadRequest{Record: a.ref(), Purpose: why})
		}, (*apiv1.ReadResponse).GetChunk)
		if err != nil {
			return err
		}
		if err := p.deliver(file, content); err != nil {
			return err
		}
		return p.showFile(fileResult{Index: a.index, CID: a.commitment().CID(), File: file, Bytes: len(content)}, "")
	}
	return c
}

// openRecord opens a session, finds a record and checks the purpose: what every
// command that reads content begins with.
func (p *program) openRecord(ctx context.Context, name, department, purpose string) (*session, anchored, apiv1.Purpose, error) {
	r, err := parseReference(name)
	if err != nil {
		return nil, anchored{}, 0, err
	}
	why, err := parsePurpose(purpose)
	if err != nil {
		return nil, anchored{}, 0, err
	}
	s, err := p.open(false)
	if err != nil {
		return nil, anchored{}, 0, err
	}
	a, err := s.resolve(ctx, r, department)
	if err != nil {
		s.close()
		return nil, anchored{}, 0, err
	}
	return s, a, why, nil
}

// showFile reports a file that was written. What went to standard output is not
// followed by a report.
func (p *program) showFile(r fileResult, next string) error {
	if r.File == "" || r.File == fromStdin {
		return nil
	}
	err := p.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "record\t%d\nCID\t%s\nfile\t%s, %d bytes\n", r.Index, r.CID, printable(r.File), r.Bytes)
		if r.Segments > 0 {
			fmt.Fprintf(w, "hidden\t%d of %d segments\n", hiddenCount(r.Hidden), r.Segments)
		}
		if r.Receipts > 0 {
			fmt.Fprintf(w, "receipts\t%d, verified\n", r.Receipts)
		}
		if r.Original != "" {
			fmt.Fprintf(w, "derived from\t%s\n", r.Original)
		}
	})
	if err == nil && next != "" {
		p.say("next: %s", next)
	}
	return err
}

func hiddenCount(ranges []string) int {
	n := 0
	for _, r := range ranges {
		var first, last int
		if count, _ := fmt.Sscanf(r, "%d-%d", &first, &last); count == 2 {
			n += last - first
		}
		n++
	}
	return n
}
