package main

import (
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// searchHit is one line of search: what the catalogue of the custodian says.
type searchHit struct {
	Index    uint64 `json:"index"`
	Anchored bool   `json:"anchored"`
	CID      string `json:"cid"`
	Series   string `json:"series"`
	Title    string `json:"title"`
	FileName string `json:"file_name"`
}

func (p *program) searchCommand() *cobra.Command {
	limit := 0
	c := &cobra.Command{
		Use: "search TEXT", Short: "Find records of the office by title or file name",
		Args: exactly(1, "one text"), Example: "  muniment search \"council minutes\"",
	}
	c.Flags().IntVar(&limit, "limit", 100, "at most this many records")
	c.RunE = func(c *cobra.Command, args []string) error {
		if utf8.RuneCountInString(args[0]) < 2 || limit < 1 {
			return usage("give a text of at least 2 characters, and a limit of at least 1")
		}
		s, err := p.open(false)
		if err != nil {
			return err
		}
		defer s.close()
		const page = 1000
		result := struct {
			Hits []searchHit `json:"hits"`
			More bool        `json:"more"`
		}{Hits: []searchHit{}}
		for token := ""; ; {
			request := &apiv1.SearchRequest{Text: args[0], PageSize: uint32(min(limit-len(result.Hits), page)), PageToken: token}
			response, err := departmentsCall(c.Context(), s, apiv1.DepartmentsClient.Search, request)
			if err != nil {
				return err
			}
			for _, hit := range response.Hits {
				result.Hits = append(result.Hits, searchHit{hit.Index, hit.Anchored, commitment.Commitment(padded(hit.Commitment)).CID(), hit.Series, hit.Title, hit.FileName})
			}
			token = response.NextPageToken
			if result.More = token != ""; !result.More || len(result.Hits) >= limit || len(response.Hits) == 0 {
				break
			}
		}
		if err := p.show(result, func(w io.Writer) { printHits(w, result.Hits) }); err != nil {
			return err
		}
		if len(result.Hits) == 0 {
			p.say("no title and no file name of this office has %q", printable(args[0]))
		}
		if result.More {
			p.say("there are more: give a higher --limit or a longer text")
		}
		return nil
	}
	return c
}

func printHits(w io.Writer, hits []searchHit) {
	for _, hit := range hits {
		index := fmt.Sprint(hit.Index)
		if !hit.Anchored {
			index = "not anchored"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", index, printable(hit.Series), printable(hit.FileName), printable(hit.Title))
	}
}
