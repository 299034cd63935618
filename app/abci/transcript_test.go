package abci

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
)

// TestTranscript plays the engine from a script. Its commands are those of the
// engine, and "restart", which forgets all that is not on disk. A transaction
// is named: "a b" anchors the records a and b by DPW, "!a" is expired, "?" is
// junk.
func TestTranscript(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		c := newChain(t, nil)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			c.play(t, d, &out)
			for _, err := range c.fatal {
				fmt.Fprintf(&out, "the process ends: %v\n", err)
			}
			c.fatal = nil
			return strings.ReplaceAll(out.String(), " \n", "\n")
		})
	})
}

func (c *chain) play(t *testing.T, d *datadriven.TestData, out *strings.Builder) {
	ctx := context.Background()
	var txs [][]byte
	for line := range strings.Lines(d.Input) {
		txs = append(txs, named(t, strings.TrimSpace(line)))
	}
	switch d.Cmd {
	case "info":
		r, err := c.app.Info(ctx, &types.RequestInfo{})
		fmt.Fprintf(out, "height %d hash %s%s\n", r.GetLastBlockHeight(), short(r.GetLastBlockAppHash()), errText(err))
	case "init":
		r, err := c.app.InitChain(ctx, c.initRequest())
		fmt.Fprintf(out, "hash %s%s\n", short(r.GetAppHash()), errText(err))
	case "check":
		for _, tx := range txs {
			text := ledger.Code(c.check(tx)).String()
			if c.check(tx) == CodeKnown {
				text = "KNOWN"
			}
			fmt.Fprintln(out, text)
		}
	case "prepare":
		fmt.Fprintf(out, "%d of %d transactions\n", len(c.prepare(4<<20, txs...)), len(txs))
	case "process":
		fmt.Fprintf(out, "accepted %v\n", c.accepts(txs...))
	case "finalize":
		var height int64
		d.ScanArgs(t, "height", &height)
		r, err := c.app.FinalizeBlock(ctx, &types.RequestFinalizeBlock{Height: height, Time: start.Add(time.Duration(height-1) * time.Second), Txs: txs})
		for _, result := range r.GetTxResults() {
			fmt.Fprintln(out, ledger.Code(result.Code))
		}
		fmt.Fprintf(out, "hash %s%s\n", short(r.GetAppHash()), errText(err))
	case "commit":
		_, err := c.app.Commit(ctx, &types.RequestCommit{})
		fmt.Fprintf(out, "on disk: height %d, %d entries%s\n", c.disk.view.Head().Height, c.disk.view.Head().Size, errText(err))
	case "restart":
		c.restart()
	case "break-disk":
		c.disk.broken = fmt.Errorf("disk is broken")
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
}

func named(t *testing.T, name string) []byte {
	if name == "?" {
		return []byte("junk")
	}
	if late, ok := strings.CutPrefix(name, "!"); ok {
		return anchor(t, "DPW", today-1, late)
	}
	return anchor(t, "DPW", today+1, strings.Fields(name)...)
}

// short gives the first bytes of a hash: enough to compare.
func short(hash []byte) string { return hex.EncodeToString(hash[:min(4, len(hash))]) }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return " error: " + err.Error()
}
