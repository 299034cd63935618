package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// segmentInfo is one line of segments.
type segmentInfo struct {
	Leaf   uint32 `json:"leaf"`
	Kind   string `json:"kind"`
	Label  string `json:"label"`
	Size   uint64 `json:"size"`
	Oracle bool   `json:"oracle"`
}

func (p *program) segmentsCommand() *cobra.Command {
	var purpose, department string
	c := &cobra.Command{
		Use: "segments RECORD", Short: "List what a copy of a record can hide",
		Long: "Lists the segments by the labels that copy --hide understands. An oracle is hidden whenever content is\n" +
			"hidden, since it would let a reader test guesses.",
		Args: exactly(1, "one record"),
	}
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		s, a, why, err := p.openRecord(c.Context(), args[0], department, purpose)
		if err != nil {
			return err
		}
		defer s.close()
		list, err := s.segments(c.Context(), a, why)
		if err != nil {
			return err
		}
		result := struct {
			Index    uint64        `json:"index"`
			CID      string        `json:"cid"`
			Segments []segmentInfo `json:"segments"`
		}{a.index, a.commitment().CID(), list}
		return p.show(result, func(w io.Writer) {
			for _, one := range list {
				note := ""
				if one.Oracle {
					note = "\tgoes with any content that is hidden"
				}
				fmt.Fprintf(w, "%d\t%s\t%s\t%d bytes%s\n", one.Leaf, printable(one.Kind), printable(one.Label), one.Size, note)
			}
		})
	}
	return c
}

func (s *session) segments(ctx context.Context, a anchored, why apiv1.Purpose) ([]segmentInfo, error) {
	const most = 1 << 24 // leaves of a record
	client, err := s.departments(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := client.Segments(ctx, &apiv1.SegmentsRequest{Record: a.ref(), Purpose: why})
	if err != nil {
		return nil, remote(err)
	}
	list := []segmentInfo{}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, remote(err)
		}
		for _, one := range response.Segments {
			list = append(list, segmentInfo{one.Leaf, one.Kind, one.Label, one.Size, one.Oracle})
		}
		if len(list) > most {
			return nil, failed(exitError, "TOO_LARGE", "", "the node lists more segments than a record can have")
		}
	}
}
