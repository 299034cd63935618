package ledger_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the model may import besides the standard library, and what it must not
// use of it: it judges, counts days and looks for holds by itself.
var (
	modelImports = []string{"github.com/muniment/muniment/app/record", "github.com/muniment/muniment/app/retention"}
	modelShuns   = []string{
		"retention.Evaluate", "retention.Judge", "retention.NotShorter", "retention.Add", "retention.EndOfYear", "retention.DayOf",
		"record.PlacesHold", "record.Urgent", "record.ScheduleRoot",
	}
)

// TestModelIsIndependent wants that the model shares nothing with package ledger
// but the form of messages, facts and entries.
func TestModelIsIndependent(t *testing.T) {
	files, err := filepath.Glob("model*_test.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("files of the model = %v, %v, want at least ten", files, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if strings.Contains(imported, ".") && !slices.Contains(modelImports, imported) || spec.Name != nil {
				t.Errorf("%s imports %s", file, imported)
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if of, ok := s.X.(*ast.Ident); ok && slices.Contains(modelShuns, of.Name+"."+s.Sel.Name) {
				t.Errorf("%s uses %s.%s", file, of.Name, s.Sel.Name)
			}
			return true
		})
	}
}
