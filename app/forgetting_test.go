package app

import (
	"go/ast"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryPlaceHasItsTest looks for the tests that docs/forgetting.md names for the
// places that could remember a record: functions, and subtests of the search.
func TestEveryPlaceHasItsTest(t *testing.T) {
	repo, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	for _, p := range repo.packages {
		for _, s := range p.files {
			for _, d := range s.ast.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
					functions[p.dir+" "+f.Name.Name] = true
				}
			}
		}
	}
	search, err := os.ReadFile("../tests/e2e/forgetting_test.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/forgetting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Everything that remembers")
	name, named, rows := regexp.MustCompile("`([^`]+)`"), map[string]bool{}, 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || strings.Contains(line, "---") || strings.Contains(cells[3], " test ") {
			continue
		}
		rows++
		if strings.TrimSpace(cells[3]) == "-" {
			continue
		}
		tests := name.FindAllStringSubmatch(cells[3], -1)
		if len(tests) == 0 {
			t.Errorf("a place has no test: %s", line)
		}
		for _, m := range tests {
			named[m[1]] = true
			if !functions[m[1]] && !strings.Contains(string(search), "\""+m[1]+"\":") {
				t.Errorf("there is no test %q", m[1])
			}
		}
	}
	if rows < 25 {
		t.Errorf("the tables have %d rows: they were not found", rows)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t\t"([a-z ]+)": +(?:func|x\.)`).FindAllStringSubmatch(string(search), -1) {
		if !named[m[1]] && m[1] != "control" {
			t.Errorf("docs/forgetting.md does not name the search of %q", m[1])
		}
	}
}
