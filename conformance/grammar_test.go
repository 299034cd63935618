package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/test/e2e/pkg/grammar/grammar-auto/lexer"
	"github.com/cometbft/cometbft/test/e2e/pkg/grammar/grammar-auto/parser"
	"github.com/cometbft/cometbft/test/e2e/pkg/grammar/grammar-auto/parser/symbols"
)

// logsVariable names the folder of the call logs to be checked.
const logsVariable = "MUNIMENT_CALL_LOGS"

// start is the word that a call log has for a start of the process.
const start = "start"

// pieceHeights is how many heights are parsed at once: the parser takes time
// with the square of what it reads, and the grammar repeats itself by height.
const pieceHeights = 250

// tally is what a call log holds.
type tally struct{ starts, heights int }

// check reads a call log and stops at the first violation.
func check(log string) (t tally, err error) {
	words := strings.Fields(log)
	if len(words) == 0 || words[0] != start {
		return tally{}, fmt.Errorf("the log does not begin with %q", start)
	}
	for len(words) > 0 {
		calls := words[1:]
		if next := slices.Index(calls, start); next >= 0 {
			calls = calls[:next]
		}
		words = words[1+len(calls):]
		t.starts++
		heights := completed(calls)
		if len(heights) == 0 {
			continue // the process died before the first commit
		}
		for from, piece := range slices.Collect(slices.Chunk(heights, pieceHeights)) {
			if err := parse(piece, t.starts == 1 && from == 0, from > 0); err != nil {
				return tally{}, fmt.Errorf("start %d, %d heights on: %w", t.starts, from*pieceHeights, err)
			}
		}
		t.heights += len(heights)
	}
	return t, nil
}

// completed gives the calls of every height that was committed, as one line each.
func completed(calls []string) (heights []string) {
	for from, i := 0, 0; i < len(calls); i++ {
		if calls[i] == "commit" {
			heights = append(heights, strings.Join(calls[from:i+1], " ")+"\n")
			from = i + 1
		}
	}
	return heights
}

// parse asks the published parser. A piece in the middle is one that a recovery
// could consist of, without what may only stand at its beginning.
func parse(heights []string, clean, middle bool) error {
	if middle && strings.HasPrefix(heights[0], "init_chain") {
		return fmt.Errorf("height 1: %q in the middle", "init_chain")
	}
	forest, faults := parser.Parse(lexer.New([]rune(strings.Join(heights, ""))))
	if len(faults) > 0 {
		fault := faults[0]
		return fmt.Errorf("height %d: %q where the grammar wants one of %q",
			fault.Line, fault.Token.LiteralString(), slices.Sorted(maps.Values(fault.Expected)))
	}
	want, name := symbols.NT_Recovery, "recovery"
	if clean {
		want, name = symbols.NT_CleanStart, "clean start"
	}
	for _, root := range forest.GetRoots() {
		if slices.Contains(root.Label.Slot().Symbols, symbols.Symbol(want)) {
			return nil
		}
	}
	return fmt.Errorf("the grammar does not take these calls for a %s", name)
}

// files gives the call logs in a folder.
func files(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.calls"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no call logs (*.calls) in %s: %v", folder, err)
	}
	return names
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCallLogs checks the call logs of a run, or the good ones of testdata.
func TestCallLogs(t *testing.T) {
	folder := os.Getenv(logsVariable)
	if folder == "" {
		folder = "testdata/good"
	}
	var all tally
	for _, name := range files(t, folder) {
		got, err := check(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
		all.starts, all.heights = all.starts+got.starts, all.heights+got.heights
	}
	if all.heights == 0 {
		t.Errorf("no height was committed in any call log of %s", folder)
	}
	t.Logf("%d starts, %d committed heights", all.starts, all.heights)
}

// TestViolationsAreFound wants every bad log refused, for the reason on its
// first line.
func TestViolationsAreFound(t *testing.T) {
	for _, name := range files(t, "testdata/bad") {
		reason, log, _ := strings.Cut(read(t, name), "\n")
		_, err := check(log)
		if want := strings.TrimPrefix(reason, "# "); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", filepath.Base(name), err, want)
		}
	}
}

// TestPieces: a violation is found where the log is cut for the parser, too.
func TestPieces(t *testing.T) {
	const height = "prepare_proposal process_proposal finalize_block commit\n"
	log := "start\ninit_chain " + strings.Repeat(height, pieceHeights) + "init_chain " + height
	if _, err := check(log); err == nil || !strings.Contains(err.Error(), "in the middle") {
		t.Errorf("got %v", err)
	}
}

// TestWhatDoesNotCount: calls after the last commit are those of the height in
// which the process died.
func TestWhatDoesNotCount(t *testing.T) {
	const height = "prepare_proposal process_proposal finalize_block commit\n"
	for _, c := range []struct {
		name, log string
		want      tally
	}{
		{"died in the second height", "start\ninit_chain " + height + "prepare_proposal commitment", tally{1, 1}},
		{"died before the first commit", "start\ninit_chain prepare_proposal\nstart\ninit_chain " + height, tally{2, 1}},
		{"many heights", "start\ninit_chain " + strings.Repeat(height, 2*pieceHeights+1), tally{1, 2*pieceHeights + 1}},
		{"died in a replay", "start\ninit_chain " + height + "start\nfinalize_block\nstart\nfinalize_block commit\n" + height, tally{3, 3}},
	} {
		got, err := check(c.log)
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
