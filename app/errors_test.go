package app

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
)

// A badInput is one row of docs/errors.md.
type badInput struct {
	line                    int
	what, where, reason, do string
	exit                    int
	tests                   []string
}

// badInputs reads the table of docs/errors.md.
func badInputs(t *testing.T) (rows []badInput) {
	t.Helper()
	page, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	for line := range strings.Lines(string(page)) {
		number++
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| bad input |") {
			continue
		}
		for i := range cells {
			if cells[i] = strings.TrimSpace(cells[i]); cells[i] == "" {
				t.Fatalf("errors.md:%d: an empty cell", number)
			}
		}
		if len(cells) != 6 {
			t.Fatalf("errors.md:%d: %d cells, want 6", number, len(cells))
		}
		exit, err := strconv.Atoi(cells[3])
		if err != nil {
			t.Fatalf("errors.md:%d: exit code: %v", number, err)
		}
		r := badInput{line: number, what: cells[0], where: cells[1], reason: strings.Trim(cells[2], "`"), exit: exit, do: cells[4]}
		for _, test := range strings.Split(cells[5], ", ") {
			r.tests = append(r.tests, strings.Trim(test, "`"))
		}
		rows = append(rows, r)
	}
	if len(rows) < 100 {
		t.Fatalf("errors.md has %d rows", len(rows))
	}
	return rows
}

// parsed reads a Go file below the repository's root.
func parsed(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../"+file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants gives the constants of a file that have a literal as value.
func constants(f *ast.File) map[string]string {
	all := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		for i := 0; ok && i < len(spec.Names) && i < len(spec.Values); i++ {
			if lit, ok := spec.Values[i].(*ast.BasicLit); ok {
				all[spec.Names[i].Name] = unquoted(lit)
			}
		}
		return true
	})
	return all
}

func unquoted(lit *ast.BasicLit) string {
	if s, err := strconv.Unquote(lit.Value); err == nil {
		return s
	}
	return lit.Value
}

// exits gives the exit codes of a program by the names of their constants.
func exits(t *testing.T, file string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for name, value := range constants(parsed(t, file)) {
		if n, err := strconv.Atoi(value); err == nil && strings.HasPrefix(name, "exit") {
			all[name] = n
		}
	}
	return all
}

// pairs calls fn with the keys and values of the map literal of a variable.
func pairs(t *testing.T, f *ast.File, variable string, fn func(key, value ast.Expr)) {
	t.Helper()
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != variable {
			return true
		}
		for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
			kv := element.(*ast.KeyValueExpr)
			fn(kv.Key, kv.Value)
			found = true
		}
		return false
	})
	if !found {
		t.Fatalf("there is no map %s", variable)
	}
}

// selected gives X of p.X.
func selected(x ast.Expr) string {
	if s, ok := x.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

// remoteExits gives the exit code of muniment for each reason of a node: from
// the reason to the gRPC code in app/rpc, from that to the exit code in the program.
func remoteExits(t *testing.T) map[string]int {
	t.Helper()
	program := exits(t, "cmd/muniment/exit.go")
	ofCode := map[string]int{}
	pairs(t, parsed(t, "cmd/muniment/remote.go"), "remoteCodes", func(key, value ast.Expr) {
		ofCode[selected(key)] = program[value.(*ast.CompositeLit).Elts[0].(*ast.Ident).Name]
	})
	errors := parsed(t, "app/rpc/errors.go")
	own, custodys := constants(errors), constants(parsed(t, "app/custody/reason.go"))
	all := map[string]int{}
	pairs(t, errors, "grpcCodes", func(key, value ast.Expr) {
		reason := ""
		switch k := key.(type) {
		case *ast.Ident:
			reason = own[k.Name]
		case *ast.CallExpr: // string(custody.X)
			reason = custodys[selected(k.Args[0])]
		}
		exit, ok := ofCode[selected(value)]
		if reason == "" || !ok && selected(value) != "Internal" && selected(value) != "DataLoss" {
			t.Errorf("%q is %s, which has no exit code", reason, selected(value))
		}
		if !ok {
			exit = program["exitError"]
		}
		all[reason] = exit
	})
	all["TOO_LARGE"] = program["exitRefused"] // the one reason that remote treats by itself
	return all
}

// programExits gives the exit codes with which muniment itself gives a reason.
func programExits(t *testing.T) map[string][]int {
	t.Helper()
	codes, all := exits(t, "cmd/muniment/exit.go"), map[string][]int{}
	pairs(t, parsed(t, "cmd/muniment/remote.go"), "remoteCodes", func(_, value ast.Expr) { // where a node gives no reason
		exit, reason := value.(*ast.CompositeLit).Elts[0].(*ast.Ident), value.(*ast.CompositeLit).Elts[1].(*ast.BasicLit)
		all[unquoted(reason)] = append(all[unquoted(reason)], codes[exit.Name])
	})
	files, err := os.ReadDir("../cmd/muniment")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		ast.Inspect(parsed(t, "cmd/muniment/"+file.Name()), func(n ast.Node) bool {
			if code, reason := givenReason(n); reason != "" {
				all[reason] = append(all[reason], codes[code])
			}
			return true
		})
	}
	return all
}

// givenReason reads failed(code, "REASON", ...) and refused("REASON"). It gives
// the name of the code; no reason where the node is something else.
func givenReason(n ast.Node) (code, reason string) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return "", ""
	}
	name, ok := call.Fun.(*ast.Ident)
	if !ok {
		return "", ""
	}
	at := map[string]int{"failed": 1, "refused": 0}
	i, ok := at[name.Name]
	if !ok || i >= len(call.Args) {
		return "", ""
	}
	lit, ok := call.Args[i].(*ast.BasicLit)
	if !ok {
		return "", ""
	}
	code = "exitRefused"
	if id, ok := call.Args[0].(*ast.Ident); ok {
		code = id.Name
	}
	return code, unquoted(lit)
}

// reasonsByPlace gives the reasons of the code with the exit codes that they may
// lead to, for each place of the table whose reasons must all have a row.
func reasonsByPlace(t *testing.T) map[string]map[string][]int {
	t.Helper()
	all := map[string]map[string][]int{"ledger": {}, "custodian": {}, "node": {}, "verifier": {}, "muniment-verify": {}}
	remote, verify := remoteExits(t), exits(t, "cmd/muniment-verify/main.go")
	for _, code := range ledger.Codes() {
		switch code {
		case ledger.OK:
		case ledger.CodeInternal:
			all["ledger"][code.String()] = []int{remote["INTERNAL"]}
		default:
			all["ledger"][code.String()] = []int{exits(t, "cmd/muniment/exit.go")["exitRefused"]}
		}
	}
	for _, reason := range custody.Reasons() {
		all["custodian"][string(reason)] = []int{remote[string(reason)]}
	}
	for name, reason := range constants(parsed(t, "app/rpc/errors.go")) {
		if strings.HasPrefix(name, "reason") {
			all["node"][reason] = []int{remote[reason]}
		}
	}
	exitOf := map[receipt.Outcome]int{receipt.Failed: verify["exitContradicted"], receipt.Indeterminate: verify["exitIndeterminate"]}
	outcomes := map[string]bool{string(receipt.Passed): true, string(receipt.Indeterminate): true, string(receipt.Failed): true}
	for _, reason := range constants(parsed(t, "app/receipt/reason.go")) {
		if !outcomes[reason] {
			all["verifier"][reason] = []int{exitOf[receipt.Reason(reason).Outcome()]}
		}
	}
	for _, reason := range constants(parsed(t, "cmd/muniment-verify/inspect.go")) {
		all["muniment-verify"][reason] = slices.Collect(maps.Values(exitOf))
	}
	all["muniment-verify"][string(receipt.Malformed)] = []int{verify["exitContradicted"]}
	return all
}

// TestEveryReasonHasARow compares the table with the reasons of the code, both ways.
func TestEveryReasonHasARow(t *testing.T) {
	places := reasonsByPlace(t)
	places["muniment"] = programExits(t)
	for place, least := range map[string]int{"ledger": 30, "custodian": 15, "node": 12, "verifier": 15, "muniment-verify": 3, "muniment": 40} {
		if len(places[place]) < least {
			t.Fatalf("%s has %d reasons: they were not found", place, len(places[place]))
		}
	}
	rows := badInputs(t)
	for _, place := range slices.Sorted(maps.Keys(places)) {
		for _, reason := range slices.Sorted(maps.Keys(places[place])) {
			if !slices.ContainsFunc(rows, func(r badInput) bool { return r.where == place && r.reason == reason }) {
				t.Errorf("%s of the %s has no row in docs/errors.md", reason, place)
			}
		}
	}
	own := map[string]map[string]int{"muniment-verify": exits(t, "cmd/muniment-verify/main.go"), "munimentd": exits(t, "cmd/munimentd/main.go")}
	for _, r := range rows {
		if r.reason == "-" {
			if !slices.Contains(slices.Collect(maps.Values(own[r.where])), r.exit) {
				t.Errorf("errors.md:%d: %s has no exit code %d", r.line, r.where, r.exit)
			}
			continue
		}
		may, ok := places[r.where][r.reason]
		if !ok {
			t.Errorf("errors.md:%d: %s is no reason of %s", r.line, r.reason, r.where)
		} else if !slices.Contains(may, r.exit) {
			t.Errorf("errors.md:%d: %s leads to exit code %v, not %d", r.line, r.reason, may, r.exit)
		}
	}
}

// TestEveryRowHasItsTest looks for the tests that the table names. A script must
// mention the reason, and one of a program the exit code, that it is named for.
func TestEveryRowHasItsTest(t *testing.T) {
	repo, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	functions, scripts := map[string]bool{}, map[string]string{}
	for _, p := range repo.packages {
		for _, s := range p.files {
			for _, d := range s.ast.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
					functions[p.dir+" "+f.Name.Name] = true
				}
			}
		}
	}
	for _, f := range repo.texts {
		scripts[f.path] = f.data
	}
	seen := map[string]int{}
	for _, r := range badInputs(t) {
		if first, twice := seen[r.where+": "+r.what]; twice {
			t.Errorf("errors.md:%d: the same as line %d", r.line, first)
		}
		seen[r.where+": "+r.what] = r.line
		for _, test := range r.tests {
			if err := findTest(functions, scripts, test, r); err != nil {
				t.Errorf("errors.md:%d: %v", r.line, err)
			}
		}
	}
}

func findTest(functions map[string]bool, scripts map[string]string, test string, r badInput) error {
	if !strings.Contains(test, "/testdata/") {
		if !functions[test] {
			return fmt.Errorf("there is no test %s", test)
		}
		return nil
	}
	text, ok := scripts[test]
	if !ok {
		return fmt.Errorf("there is no %s", test)
	}
	if r.reason != "-" && !strings.Contains(text, r.reason) {
		return fmt.Errorf("%s says nothing of %s", path.Base(test), r.reason)
	}
	if want := fmt.Sprintf("exits %d ", r.exit); strings.HasPrefix(test, "cmd/") && !strings.Contains(text, want) {
		return fmt.Errorf("%s never %s", path.Base(test), want)
	}
	return nil
}
