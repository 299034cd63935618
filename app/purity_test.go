package app

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
)

// pure are the packages that are told everything: bytes in, bytes out.
var pure = []string{
	"app/commitment", "app/keyfile", "app/ledger", "app/receipt",
	"app/record", "app/retention", "app/statetree",
}

// impure are packages of the standard library that bring a clock, chance, disk,
// network, or state that outlives a call.
var impure = []string{
	"expvar", "io/ioutil", "log", "math/rand", "net", "os", "runtime", "sync", "syscall",
}

// harmless are packages below an impure one that only read and write text.
var harmless = []string{"net/netip", "net/url"}

// chance lists the pure packages that may import crypto/rand, with the reason.
// Elsewhere randomness is an argument.
var chance = map[string]string{}

// clocks are the names of package time that read or wait for a clock, or read
// the machine's time zone. The rest of it is arithmetic.
var clocks = []string{
	"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Local", "LoadLocation",
}

// checkPurity judges the files of the pure packages, tests left out, and that
// nobody writes to their variables from outside.
func checkPurity(t *tree) (violations []string) {
	for _, p := range t.packages {
		r := purityReport{tree: t, pkg: p, isPure: slices.Contains(pure, p.dir)}
		r.resolve()
		for _, s := range p.product() {
			if r.isPure {
				r.imports(s)
				r.walks(s)
				ast.Inspect(s.ast, r.syntax)
			}
			ast.Inspect(s.ast, r.writes)
		}
		if r.isPure {
			r.unneeded()
		}
		violations = append(violations, r.violations...)
	}
	return violations
}

type purityReport struct {
	tree       *tree
	pkg        *pkg
	isPure     bool
	scope      *types.Scope // of the package
	info       *types.Info
	walked     []string // functions that range over a map
	violations []string
}

// add notes a violation with its file and line.
func (r *purityReport) add(pos token.Pos, format string, args ...any) {
	at := r.tree.fset.Position(pos)
	r.violations = append(r.violations, fmt.Sprintf("%s:%d: ", at.Filename, at.Line)+fmt.Sprintf(format, args...))
}

// resolve finds out what each name in the package stands for. What other
// packages export need not be known for that: they are stubs, and errors about
// them are ignored.
func (r *purityReport) resolve() {
	var files []*ast.File
	for _, s := range r.pkg.product() {
		files = append(files, s.ast)
	}
	r.info = &types.Info{
		Uses:       map[*ast.Ident]types.Object{},
		Types:      map[ast.Expr]types.TypeAndValue{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	config := types.Config{Importer: stubs{}, Error: func(error) {}}
	checked, _ := config.Check(modulePath+"/"+r.pkg.dir, r.tree.fset, files, r.info)
	r.scope = checked.Scope()
}

// imports judges a file's imports.
func (r *purityReport) imports(s *source) {
	_, allowed := chance[r.pkg.dir]
	for _, spec := range s.ast.Imports {
		imported := strings.Trim(spec.Path.Value, "\"`")
		switch {
		case under(imported, impure...) && !slices.Contains(harmless, imported):
			r.add(spec.Pos(), "a pure package imports %s", imported)
		case imported == "crypto/rand" && !allowed:
			r.add(spec.Pos(), "a pure package imports crypto/rand without a reason in app/purity_test.go")
		}
	}
}

// walks finds ranges over maps, whose order is chance.
func (r *purityReport) walks(s *source) {
	for _, decl := range s.ast.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := functionName(r.pkg, f)
		ast.Inspect(f, func(n ast.Node) bool {
			if n, ok := n.(*ast.RangeStmt); ok && isMap(r.info.TypeOf(n.X)) {
				r.walked = append(r.walked, name)
				if r.tree.budget.walks[name] == "" {
					r.add(n.Pos(), "a pure package ranges over a map in %s: range over its sorted keys", name)
				}
			}
			return true
		})
	}
}

// unneeded finds exceptions for functions of the package that walk no map.
func (r *purityReport) unneeded() {
	for _, name := range slices.Sorted(maps.Keys(r.tree.budget.walks)) {
		if strings.HasPrefix(name, r.pkg.dir+".") && !slices.Contains(r.walked, name) {
			r.violations = append(r.violations, fmt.Sprintf("app/budget_test.go: %s needs no exception", name))
		}
	}
}

// syntax finds goroutines, clocks and init functions.
func (r *purityReport) syntax(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		r.add(n.Pos(), "a pure package starts a goroutine")
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			r.add(n.Pos(), "a pure package has an init function")
		}
	case *ast.SelectorExpr:
		if id, ok := n.X.(*ast.Ident); ok && r.importPath(id) == "time" && slices.Contains(clocks, n.Sel.Name) {
			r.add(n.Pos(), "a pure package uses time.%s", n.Sel.Name)
		}
	}
	return true
}

// importPath gives the path of the package that a name stands for, or "".
func (r *purityReport) importPath(id *ast.Ident) string {
	if name, ok := r.info.Uses[id].(*types.PkgName); ok {
		return name.Imported().Path()
	}
	return ""
}

// writes finds writes to package-level variables: to a pure package's own, and
// from anywhere to those that a pure package exports.
func (r *purityReport) writes(n ast.Node) bool {
	for _, x := range r.written(n) {
		id, ok := root(x)
		if !ok {
			continue
		}
		v, isVar := r.info.Uses[id].(*types.Var)
		dir, ours := strings.CutPrefix(r.importPath(id), modulePath+"/")
		switch {
		case r.isPure && isVar && v.Parent() == r.scope:
			r.add(x.Pos(), "a pure package writes to its variable %s", id.Name)
		case ours && slices.Contains(pure, dir):
			r.add(x.Pos(), "writes to a variable of the pure package %s", dir)
		}
	}
	return true
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// written lists the expressions that a node writes to or gives away for
// writing.
func (r *purityReport) written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			return []ast.Expr{n.Key, n.Value}
		}
	case *ast.CallExpr:
		builtin, ok := n.Fun.(*ast.Ident)
		if ok && len(n.Args) > 0 && slices.Contains([]string{"clear", "copy", "delete"}, builtin.Name) {
			return n.Args[:1]
		}
	case *ast.SelectorExpr:
		s, ok := r.info.Selections[n]
		if !ok || s.Kind() != types.MethodVal {
			return nil
		}
		_, byPointer := s.Obj().(*types.Func).Signature().Recv().Type().(*types.Pointer)
		if _, isPointer := s.Recv().(*types.Pointer); byPointer && !isPointer {
			return []ast.Expr{n.X}
		}
	}
	return nil
}

// root gives the identifier that an expression starts from: x in x.f[3].
func root(x ast.Expr) (*ast.Ident, bool) {
	for {
		switch e := x.(type) {
		case *ast.Ident:
			return e, true
		case *ast.ParenExpr:
			x = e.X
		case *ast.SelectorExpr:
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.SliceExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		default:
			return nil, false
		}
	}
}

// stubs gives an empty package for each import.
type stubs struct{}

func (stubs) Import(importPath string) (*types.Package, error) {
	if importPath == "unsafe" {
		return types.Unsafe, nil
	}
	p := types.NewPackage(importPath, path.Base(importPath))
	p.MarkComplete()
	return p, nil
}
