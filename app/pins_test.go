package app

import (
	"fmt"
	"slices"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// pinned are the modules whose exact version is a decision: the engine and the
// store decide what is on disk and what nodes say to each other.
var pinned = []module.Version{
	{Path: "github.com/cometbft/cometbft", Version: "v0.40.0"},
	{Path: "github.com/cockroachdb/pebble/v2", Version: "v2.1.7"},
}

// excluded are versions that upstream retracted and that @latest would take.
var excluded = []module.Version{
	{Path: "github.com/cometbft/cometbft", Version: "v1.0.0"},
	{Path: "github.com/cometbft/cometbft", Version: "v1.0.1"},
}

// checkPins reads go.mod. A replacement would make a pin mean something else.
func checkPins(t *tree) (violations []string) {
	mod, err := modfile.Parse("go.mod", t.goMod, nil)
	if err != nil {
		return []string{err.Error()}
	}
	for _, want := range pinned {
		if !slices.ContainsFunc(mod.Require, func(r *modfile.Require) bool { return r.Mod == want }) {
			violations = append(violations, fmt.Sprintf("go.mod: does not require %s", want))
		}
	}
	for _, want := range excluded {
		if !slices.ContainsFunc(mod.Exclude, func(e *modfile.Exclude) bool { return e.Mod == want }) {
			violations = append(violations, fmt.Sprintf("go.mod: does not exclude %s", want))
		}
	}
	for _, r := range mod.Replace {
		violations = append(violations, fmt.Sprintf("go.mod: replaces %s", r.Old.Path))
	}
	return violations
}
