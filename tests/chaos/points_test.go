package chaos

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sweeps are the crash points that no test names, since it stops at every write of a
// file system instead, with the test that does.
var sweeps = map[string]string{
	"departure: rotated":        "TestEveryCrashOfALeave",
	"departure: forgotten":      "TestEveryCrashOfALeave",
	"parcel: redactions united": "TestEveryCrashOfANarrowerParcel",
	"parcel: narrowed":          "TestEveryCrashOfANarrowerParcel",
}

// built are the crash points whose name has a part that varies, and how tests write
// one of them.
var built = map[string]string{
	`filepath.Base(path) + ": before " + step`:          `"validator.state", "cosigner.state"`,
	`filepath.Base(path) + ": done"`:                    `"validator.state", "cosigner.state"`,
	`filepath.Base(path) + ": before " + beforeRemoval`: "TestKeyFoldersBreakAtEachStep",
	`"backup: " + step.name`:                            `"backup: hashing"`,
	`"restore: moved " + part`:                          `"restore: moved `,
	`"restore: copied " + part`:                         `"restore: copied `,
}

// TestEveryCrashPointIsVisited wants every crash point in the code to be one that a
// test stops a node at.
func TestEveryCrashPointIsVisited(t *testing.T) {
	var tests strings.Builder
	names := map[string]bool{}
	for _, dir := range []string{"../../app", "../../store", "../../tests"} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || filepath.Base(path) == "points_test.go" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if strings.HasSuffix(path, "_test.go") {
				tests.Write(text)
				return nil
			}
			for _, name := range crashpoints(t, path, text) {
				names[name] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	visited := tests.String()
	for name := range names {
		switch {
		case built[name] != "":
			if !strings.Contains(visited, built[name]) {
				t.Errorf("no test has %s, of crash point %s", built[name], name)
			}
		case sweeps[name] != "":
			if !strings.Contains(visited, "func "+sweeps[name]+"(") {
				t.Errorf("there is no test %s, of crash point %q", sweeps[name], name)
			}
		case !strings.Contains(visited, strconv.Quote(name)):
			t.Errorf("no test stops a node at crash point %q", name)
		}
	}
	for _, known := range []map[string]string{sweeps, built} {
		for name := range known {
			if !names[name] {
				t.Errorf("there is no crash point %q any more", name)
			}
		}
	}
	t.Logf("%d crash points, %d of them with a part that varies", len(names), len(built))
}

// crashpoints lists the crash points of a file: the name, or how it is built.
func crashpoints(t *testing.T, path string, text []byte) (names []string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "crashpoint" {
			return true
		}
		if name, ok := call.Args[0].(*ast.BasicLit); ok {
			unquoted, err := strconv.Unquote(name.Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, unquoted)
		} else {
			from, to := files.Position(call.Args[0].Pos()).Offset, files.Position(call.Args[0].End()).Offset
			names = append(names, string(text[from:to]))
		}
		return true
	})
	return slices.Clip(names)
}
