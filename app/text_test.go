package app

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// machinePath is an absolute path of somebody's machine. What stands before it
// keeps out the paths of URLs and of relative names.
var machinePath = regexp.MustCompile(`(?:^|[^\w.$~{}/-])(/(?:home|Users|root|work)/[\w.-]+|[A-Z]:\\Users\\\w+)`)

// promise is a note to do something later. With the number of an issue, as in
// TODO(#12), somebody will find it again; bare, nobody will.
var promise = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b(\(#[0-9]+\))?`)

// sourceNames are the files in which a bare promise is a violation: extensions
// and full names.
var sourceNames = []string{
	".go", ".js", ".mjs", ".proto", ".py", ".sh", ".toml", ".ts", ".yaml", ".yml", "Makefile", "run",
}

// checkText judges the words in the files.
func checkText(t *tree) (violations []string) {
	for _, f := range t.texts {
		if path.Ext(f.path) == ".sum" || path.Base(f.path) == "package-lock.json" {
			continue // hashes: any letters may occur
		}
		isSource := slices.Contains(sourceNames, path.Ext(f.path)) || slices.Contains(sourceNames, path.Base(f.path))
		number := 0
		for line := range strings.Lines(f.data) {
			number++
			if found := machinePath.FindStringSubmatch(line); found != nil {
				violations = append(violations, fmt.Sprintf("%s:%d: names a path of one machine: %s", f.path, number, found[1]))
			}
			for _, found := range promise.FindAllStringSubmatch(line, -1) {
				if isSource && found[2] == "" {
					violations = append(violations, fmt.Sprintf("%s:%d: %s without the number of an issue", f.path, number, found[1]))
				}
			}
		}
	}
	return violations
}
