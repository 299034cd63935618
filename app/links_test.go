package app

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A linkRule says what a program may link. The verifier is read by people who
// trust nobody; the client is installed on every desk.
type linkRule struct {
	external int // packages from outside the standard library and the module; 0: any number
	never    []string
}

var linkRules = map[string]linkRule{
	"muniment-verify": {80, []string{
		"github.com/cometbft", "github.com/cockroachdb/pebble", "google.golang.org/grpc", "github.com/miekg/pkcs11",
	}},
	"muniment": {0, []string{
		"github.com/cometbft", "github.com/cockroachdb/pebble", "github.com/miekg/pkcs11",
	}},
}

// checkLinks judges the programs that exist.
func checkLinks(t *tree) (violations []string) {
	for _, program := range slices.Sorted(maps.Keys(t.linked)) {
		rule := linkRules[program]
		external := slices.DeleteFunc(slices.Clone(t.linked[program]), func(p string) bool {
			return under(p, modulePath)
		})
		if rule.external > 0 && len(external) > rule.external {
			violations = append(violations, fmt.Sprintf("cmd/%s: links %d packages from outside, at most %d",
				program, len(external), rule.external))
		}
		for _, p := range external {
			if under(p, rule.never...) {
				violations = append(violations, fmt.Sprintf("cmd/%s: links %s", program, p))
			}
		}
	}
	return violations
}

// listLinked asks go list what each program with a rule links when built
// without cgo. A program that is not in the tree is left out; one that go list
// cannot follow is named in broken.
func listLinked(root string) (linked map[string][]string, broken []string) {
	linked = map[string][]string{}
	for _, program := range slices.Sorted(maps.Keys(linkRules)) {
		sources, _ := filepath.Glob(filepath.Join(root, "cmd", program, "*.go")) // the pattern is well formed
		if len(sources) == 0 {
			continue
		}
		list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/"+program)
		list.Dir = root
		list.Env = append(os.Environ(), "CGO_ENABLED=0")
		var stderr strings.Builder
		list.Stderr = &stderr
		out, err := list.Output()
		if err != nil {
			broken = append(broken, fmt.Sprintf("list what cmd/%s links: %v: %s", program, err, stderr.String()))
			continue
		}
		linked[program] = strings.Fields(string(out))
	}
	return linked, broken
}
