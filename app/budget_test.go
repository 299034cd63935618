package app

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// A budget is what the tree may grow to. Numbers beyond it are a decision, not
// an accident: they change here, with a reason.
type budget struct {
	fileLines     int
	functionLines int
	interfaces    int // declared in product code
	packages      int // below app and store
	depth         int // longest chain of imports within the module
	// long lists the functions that may be longer, with the reason. A name
	// that is not in the tree, or no longer too long, is a violation too.
	long map[string]string
	// walks lists the functions of pure packages that may range over a map,
	// with the reason why its order does not matter.
	walks map[string]string
}

var productBudget = budget{
	fileLines:     600,
	functionLines: 100,
	interfaces:    12,
	packages:      16,
	depth:         6,
	long:          map[string]string{},
	walks:         map[string]string{},
}

// fixtureBudget keeps the fixtures small.
var fixtureBudget = budget{
	fileLines:     12,
	functionLines: 4,
	interfaces:    1,
	packages:      3,
	depth:         2,
	long: map[string]string{
		"app/record.Listed":     "a flat switch",
		"app/record.Type.Short": "was long once",
		"app/record.Gone":       "was there once",
	},
	walks: map[string]string{
		"app/retention.Sum":  "addition",
		"app/retention.Gone": "was there once",
	},
}

// checkBudget judges sizes. Generated files are left out; tests count as files
// and functions, since they are read as often.
func checkBudget(t *tree) []string {
	violations := packageBudget(t)
	interfaces, long := 0, map[string]bool{}
	for _, p := range t.packages {
		documented := false
		for _, s := range p.files {
			documented = documented || !s.test && s.ast.Doc != nil
			if s.generated {
				continue
			}
			if s.lines > t.budget.fileLines {
				violations = append(violations, fmt.Sprintf("%s: %d lines, at most %d", s.path, s.lines, t.budget.fileLines))
			}
			if !s.test {
				interfaces += countInterfaces(s.ast)
			}
			for name, lines := range functions(t, p, s) {
				if lines <= t.budget.functionLines {
					continue
				}
				long[name] = true
				if t.budget.long[name] == "" {
					violations = append(violations, fmt.Sprintf("%s: %s has %d lines, at most %d", s.path, name, lines, t.budget.functionLines))
				}
			}
		}
		if !documented && !under(p.dir, "proto/muniment") {
			violations = append(violations, fmt.Sprintf("%s: no package doc", p.dir))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.budget.long)) {
		if !long[name] {
			violations = append(violations, fmt.Sprintf("app/budget_test.go: %s needs no exception", name))
		}
	}
	if interfaces > t.budget.interfaces {
		violations = append(violations, fmt.Sprintf("the tree declares %d interfaces, at most %d", interfaces, t.budget.interfaces))
	}
	return violations
}

// packageBudget judges how many packages there are and how deep they stand.
func packageBudget(t *tree) (violations []string) {
	below := map[string][]string{}
	var product []string
	for _, p := range t.packages {
		if under(p.dir, "app", "store") && p.dir != "app" && len(p.product()) > 0 {
			product = append(product, p.dir)
		}
		for _, imported := range p.imports() {
			if dir, ours := strings.CutPrefix(imported, modulePath+"/"); ours {
				below[p.dir] = append(below[p.dir], dir)
			}
		}
	}
	if len(product) > t.budget.packages {
		violations = append(violations, fmt.Sprintf("the tree has %d product packages, at most %d: %s",
			len(product), t.budget.packages, strings.Join(product, " ")))
	}
	for _, p := range t.packages {
		if chain := longestChain(p.dir, below, nil); len(chain)-1 > t.budget.depth {
			violations = append(violations, fmt.Sprintf("imports %d deep, at most %d: %s",
				len(chain)-1, t.budget.depth, strings.Join(chain, " > ")))
		}
	}
	return violations
}

// longestChain gives the longest chain of imports from a package. Go refuses
// cycles; a tree that has one all the same ends the chain there.
func longestChain(dir string, below map[string][]string, above []string) []string {
	if slices.Contains(above, dir) {
		return nil
	}
	above = append(slices.Clone(above), dir)
	var longest []string
	for _, next := range below[dir] {
		if chain := longestChain(next, below, above); len(chain) > len(longest) {
			longest = chain
		}
	}
	return append([]string{dir}, longest...)
}

func countInterfaces(f *ast.File) (n int) {
	ast.Inspect(f, func(node ast.Node) bool {
		if spec, ok := node.(*ast.TypeSpec); ok {
			if _, ok := spec.Type.(*ast.InterfaceType); ok {
				n++
			}
		}
		return true
	})
	return n
}

// functions gives the functions and methods of a file by name, with their
// length from the line of func to that of the closing brace.
func functions(t *tree, p *pkg, s *source) map[string]int {
	all := map[string]int{}
	for _, decl := range s.ast.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		all[functionName(p, f)] = t.fset.Position(f.End()).Line - t.fset.Position(f.Pos()).Line + 1
	}
	return all
}

// functionName names a function as in "app/ledger.Machine.Apply".
func functionName(p *pkg, f *ast.FuncDecl) string {
	if f.Recv == nil {
		return p.dir + "." + f.Name.Name
	}
	return p.dir + "." + receiver(f.Recv.List[0].Type) + "." + f.Name.Name
}

// receiver gives the type name of a receiver: T of T, *T and T[P].
func receiver(x ast.Expr) string {
	if id, ok := root(x); ok {
		return id.Name
	}
	return "?"
}
