package app

import (
	"fmt"
	"strings"
)

// floors gives each package its floor. An import goes to a lower floor, never
// to the same one. A package that is not here does not belong in the tree.
var floors = map[string]int{
	"app/commitment": 0,
	"app/retention":  0,
	"app/statetree":  0,
	"app/keyfile":    0,

	"app/record": 1,

	"app/ledger":    2,
	"app/receipt":   3,
	"app/identity":  2,
	"store/vault":   2,
	"store/keyring": 2,

	"store/state":   3,
	"store/cometdb": 3,
	"app/custody":   3,

	"app/abci": 4,
	"app/rpc":  4,

	"app/node": 5,

	"cmd/munimentd":       6,
	"cmd/muniment":        6,
	"cmd/muniment-verify": 6,
}

// floorOf gives the floor of a package folder. Generated messages are at the
// bottom; this page itself imports nothing; drivers (benchmarks, fault
// injection) stand beside the programs.
func floorOf(dir string) (floor int, ok bool) {
	switch {
	case dir == "app", under(dir, "proto/muniment"):
		return 0, true
	case under(dir, "scripts", "ops", "tests"):
		return 6, true
	}
	floor, ok = floors[dir]
	return floor, ok
}

// checkLayers is the import direction: downwards only. Tests may import what
// they need.
func checkLayers(t *tree) (violations []string) {
	for _, p := range t.packages {
		floor, ok := floorOf(p.dir)
		if !ok {
			violations = append(violations, fmt.Sprintf("%s: has no floor in app/layers_test.go", p.dir))
			continue
		}
		for _, imported := range p.imports() {
			dir, ours := strings.CutPrefix(imported, modulePath+"/")
			if !ours {
				continue
			}
			below, ok := floorOf(dir)
			generated := under(p.dir, "proto/muniment") && under(dir, "proto/muniment")
			switch {
			case !ok:
				violations = append(violations, fmt.Sprintf("%s: imports %s, which has no floor in app/layers_test.go", p.dir, dir))
			case below >= floor && !generated:
				violations = append(violations, fmt.Sprintf("%s (floor %d): imports %s (floor %d)", p.dir, floor, dir, below))
			}
		}
	}
	return violations
}

// outside lists what a package may know besides the standard library and the
// floors below it, as import path prefixes. An empty list is a decision: the
// package gets along without. A line that is not in the design's table gives
// its reason.
var outside = map[string][]string{
	"app":            {},
	"app/retention":  {},
	"app/statetree":  {},
	"app/keyfile":    {},
	"app/identity":   {},
	"app/custody":    {},
	"app/commitment": {"github.com/ipfs/go-cid", "github.com/multiformats/go-multihash", "github.com/fxamacker/cbor/v2"},
	"app/record": {
		"google.golang.org/protobuf/encoding/protowire",
		"github.com/fxamacker/cbor/v2",
		"golang.org/x/mod/sumdb/tlog",
	},
	"app/receipt": {
		"golang.org/x/mod/sumdb/note",
		"golang.org/x/mod/sumdb/tlog",
		"filippo.io/torchwood",
		"github.com/fxamacker/cbor/v2", // a receipt's extra line is CBOR
	},
	"app/ledger": {"golang.org/x/mod/sumdb/tlog"},
	"app/abci": {
		"github.com/cometbft/cometbft/abci",
		"github.com/cometbft/cometbft/proto/tendermint", // types that abci messages contain
		"github.com/cometbft/cometbft/types",            // stored blocks, which say what was decided
	},
	"app/rpc": {
		"google.golang.org/grpc",
		"google.golang.org/protobuf",
		"google.golang.org/genproto/googleapis/rpc", // error details
		"golang.org/x/mod/sumdb/tlog",               // the proofs that auditors ask for
		"filippo.io/torchwood",                      // paths and bundles of log tiles
		"golang.org/x/net/netutil",                  // bound on connections
	},
	"app/node": {
		"github.com/cometbft/cometbft",
		"github.com/prometheus/client_golang",
		"github.com/cockroachdb/pebble/v2", // opens the one database that state and engine share
		"github.com/pelletier/go-toml/v2",  // munimentd.toml
		"golang.org/x/sys/unix",            // exchange of two folders in one step
		"google.golang.org/grpc",           // errors of listeners
	},
	"store/state":   {"github.com/cockroachdb/pebble/v2", "golang.org/x/mod/sumdb/tlog"},
	"store/cometdb": {"github.com/cockroachdb/pebble/v2", "github.com/cometbft/cometbft-db", "github.com/cometbft/cometbft/config"},
	"store/vault":   {"github.com/cockroachdb/pebble/v2"},
	"store/keyring": {
		"github.com/cockroachdb/pebble/v2",
		"github.com/miekg/pkcs11", // the device that keeps and destroys keys
	},

	"cmd/munimentd": {
		"github.com/spf13/cobra",
		"github.com/adrg/xdg",
		"golang.org/x/term",
		"github.com/pelletier/go-toml/v2", // the founding file
		"google.golang.org/grpc",          // status asks the running node
		"google.golang.org/protobuf",
		"google.golang.org/genproto/googleapis/rpc", // reasons of its answers
	},
	"cmd/muniment": {
		"github.com/spf13/cobra",
		"github.com/adrg/xdg",
		"golang.org/x/term",
		"github.com/vbauerster/mpb/v8",
		"github.com/pelletier/go-toml/v2",
		"google.golang.org/grpc",
		"google.golang.org/protobuf",
		"google.golang.org/genproto/googleapis/rpc",
		"filippo.io/torchwood", // paths and bundles of log tiles
		"golang.org/x/mod/sumdb/tlog",
	},
	"cmd/muniment-verify": {
		"filippo.io/torchwood", // the mirror of a log is tiles
		"golang.org/x/mod/sumdb/tlog",
	},
}

// checkExternals is the right-hand column of the design's table. Generated code
// and drivers import what they need.
func checkExternals(t *tree) (violations []string) {
	for _, p := range t.packages {
		if under(p.dir, "proto/muniment", "scripts", "ops", "tests") {
			continue
		}
		for _, imported := range p.imports() {
			first, _, _ := strings.Cut(imported, "/")
			standard := !strings.Contains(first, ".")
			if standard || under(imported, modulePath) || under(imported, outside[p.dir]...) {
				continue
			}
			violations = append(violations, fmt.Sprintf("%s: may not import %s", p.dir, imported))
		}
	}
	return violations
}
