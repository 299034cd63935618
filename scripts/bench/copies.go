package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/muniment/muniment/app/commitment"
)

// runCopies: a table of 100,000 rows, of which a copy hides 100.
func runCopies(b *bench) ([]result, error) {
	rows := b.count(100_000, 5000)
	content := permits(rows)
	name := fmt.Sprintf("redacted copy of a CSV of %d rows, %d hidden", rows, rows/1000)
	made := result{name: name + ": made", unit: "s", target: atMost(1.5, "1.5 s")}
	verified := result{name: name + ": verified", unit: "s", target: atMost(0.6, "0.6 s")}
	overhead := result{name: name + ": overhead per row", unit: "bytes", target: atMost(3, "3 bytes")}
	committed := result{name: fmt.Sprintf("cut and committed, a CSV of %d rows", rows), unit: "s"}
	for range b.rounds {
		var key commitment.RecordKey
		_, _ = rand.Read(key[:])
		begin := time.Now()
		layout, err := commitment.Arrange("csv/1;d=,", content, nil)
		if err != nil {
			return nil, err
		}
		state := commitment.NewState(key, layout.N())
		manifest, leaves, err := commitment.Commit(state, layout)
		if err != nil {
			return nil, err
		}
		committed.ours = append(committed.ours, time.Since(begin).Seconds())

		begin = time.Now()
		c, err := commitment.NewCopy(manifest, leaves, state, layout.Segments, everyThousandth(uint32(rows)))
		if err != nil {
			return nil, err
		}
		car := c.Marshal()
		made.ours = append(made.ours, time.Since(begin).Seconds())

		begin = time.Now()
		if c, err = commitment.ParseCopy(car); err != nil {
			return nil, err
		}
		opened, err := c.Verify(manifest.Commitment())
		if err != nil {
			return nil, err
		}
		verified.ours = append(verified.ours, time.Since(begin).Seconds())
		disclosed := len(opened.Content())
		overhead.ours = append(overhead.ours, float64(len(car)-disclosed)/float64(rows))
		overhead.note = fmt.Sprintf("%d bytes of file, %d of content disclosed", len(car), disclosed)
	}
	return []result{made, verified, overhead, committed}, nil
}

// permits gives a made-up table.
func permits(rows int) []byte {
	content := []byte("permit,place,zone,fee,decision,day\n")
	for i := 1; i < rows; i++ {
		content = fmt.Appendf(content, "B-2031-%06d,%d Example Street,zone R-%d,fee %d.00,approved with the usual conditions,2031-02-%02d\n",
			i, i%999, i%7, 40+i%400, 1+i%28)
	}
	return content
}

func everyThousandth(n uint32) (hide []commitment.Range) {
	for i := uint32(500); i < n; i += 1000 {
		hide = append(hide, commitment.Range{First: i, Last: i})
	}
	return hide
}
