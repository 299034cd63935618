package app

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

// modulePath is the path of the product's module; a package is named by its folder
// below it, as in "app/record".
const modulePath = "github.com/muniment/muniment"

// A tree is what the rules judge: the repository, or a fixture of a few files.
type tree struct {
	fset     *token.FileSet
	packages []*pkg              // sorted by folder
	texts    []text              // every text file, sorted by path
	goMod    []byte              // go.mod
	linked   map[string][]string // program of cmd to the packages it links, standard library left out
	budget   budget
	broken   []string // files that do not parse, programs that go list cannot follow
}

// A pkg is one folder of Go sources.
type pkg struct {
	dir   string // below the module, with slashes
	files []*source
}

// A source is one parsed Go file.
type source struct {
	path      string
	lines     int
	test      bool // name ends in _test.go
	generated bool
	ast       *ast.File
}

// A text is one file that holds no NUL byte.
type text struct {
	path string
	data string
}

// rules are all the checks; each answers with one sentence per violation.
var rules = map[string]func(*tree) []string{
	"layers":    checkLayers,
	"externals": checkExternals,
	"purity":    checkPurity,
	"budget":    checkBudget,
	"pins":      checkPins,
	"links":     checkLinks,
	"text":      checkText,
}

// repository loads the tree around this package, once.
var repository = sync.OnceValues(func() (*tree, error) {
	t, err := load(os.DirFS(".."))
	if err != nil {
		return nil, err
	}
	t.budget = productBudget
	linked, broken := listLinked("..")
	t.linked, t.broken = linked, append(t.broken, broken...)
	return t, nil
})

func TestRepository(t *testing.T) {
	repo, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range repo.broken {
		t.Error(violation)
	}
	if len(repo.packages) < 2 || len(repo.texts) < 2 {
		t.Fatalf("the tree has %d packages and %d text files: it was not read", len(repo.packages), len(repo.texts))
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			for _, violation := range rules[name](repo) {
				t.Error(violation)
			}
		})
	}
}

// TestRulesBite runs each rule on the fixtures named after it. A fixture is a
// txtar archive: a comment that states the case, the files of a tiny tree, and
// the file "want" with the exact violations, sorted.
func TestRulesBite(t *testing.T) {
	fixtures, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	bitten := map[string]bool{}
	for _, file := range fixtures {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		rule, _, _ := strings.Cut(name, "-")
		t.Run(name, func(t *testing.T) {
			check, ok := rules[rule]
			if !ok {
				t.Fatalf("no rule is named %q", rule)
			}
			fixture, want := loadFixture(t, file)
			got := check(fixture)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if len(want) > 0 {
				bitten[rule] = true
			}
		})
	}
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		if !bitten[rule] {
			t.Errorf("rule %s has no fixture that breaks it", rule)
		}
	}
}

// loadFixture reads a fixture's tree and the violations it wants.
func loadFixture(t *testing.T, file string) (*tree, []string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	files, linked, want := fstest.MapFS{}, map[string][]string{}, []string{}
	for _, f := range archive.Files {
		switch dir, base := path.Split(f.Name); {
		case f.Name == "want":
			want = nonEmptyLines(string(f.Data))
		case dir == "linked/":
			linked[base] = nonEmptyLines(string(f.Data))
		default:
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	fixture, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(fixture.broken) > 0 {
		t.Fatal(fixture.broken)
	}
	fixture.budget, fixture.linked = fixtureBudget, linked
	return fixture, want
}

func nonEmptyLines(s string) []string {
	lines := []string{}
	for line := range strings.Lines(s) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// load reads a tree. Fixtures of this package are no part of it, nor is what
// other tools put there.
func load(files fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	packages := map[string]*pkg{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed while we walk: another test's temporary file
		case err != nil:
			return err
		case entry.IsDir():
			if slices.Contains([]string{".git", "node_modules"}, entry.Name()) || name == "bin" || name == "app/testdata" {
				return fs.SkipDir
			}
			return nil
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		t.add(name, data, packages)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if !t.foreign(dir) {
			t.packages = append(t.packages, packages[dir])
		}
	}
	return t, nil
}

// add files one file of the tree.
func (t *tree) add(name string, data []byte, packages map[string]*pkg) {
	if !slices.Contains(data, 0) {
		t.texts = append(t.texts, text{name, string(data)})
	}
	if name == "go.mod" {
		t.goMod = data
	}
	dir := path.Dir(name)
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(dir, "/"), "testdata") {
		return
	}
	file, err := parser.ParseFile(t.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, fmt.Sprintf("%s does not parse: %v", name, err))
		return
	}
	if packages[dir] == nil {
		packages[dir] = &pkg{dir: dir}
	}
	packages[dir].files = append(packages[dir].files, &source{
		path:      name,
		lines:     strings.Count(string(data), "\n"),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(file),
		ast:       file,
	})
}

// foreign reports whether a folder belongs to a nested module.
func (t *tree) foreign(dir string) bool {
	return slices.ContainsFunc(t.texts, func(f text) bool {
		at := path.Dir(f.path)
		return path.Base(f.path) == "go.mod" && at != "." && (dir == at || strings.HasPrefix(dir, at+"/"))
	})
}

// product gives the files of a package that are compiled into it and written by
// hand.
func (p *pkg) product() []*source {
	return slices.DeleteFunc(slices.Clone(p.files), func(s *source) bool { return s.test || s.generated })
}

// imports lists what the files of a package import, tests left out, sorted,
// each once.
func (p *pkg) imports() []string {
	var all []string
	for _, s := range p.files {
		if !s.test {
			all = append(all, s.imports()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// imports lists the import paths of one file.
func (s *source) imports() []string {
	var all []string
	for _, spec := range s.ast.Imports {
		all = append(all, strings.Trim(spec.Path.Value, "\"`"))
	}
	return all
}

// under reports whether an import path is one of the prefixes or lies below it.
func under(importPath string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return importPath == prefix || strings.HasPrefix(importPath, prefix+"/")
	})
}
