#!/usr/bin/env bash
# The long run of the crash tests, and the engine's calls of that run against
# the published grammar: bash scripts/crash-sweep.sh [FLAGS OF THE TESTS]
# Bounded to four minutes on two cores; a night may take more, as in
#   bash scripts/crash-sweep.sh -points=200 -kills=500 -terms=100 -timeout=6h
set -euo pipefail
cd "$(dirname "$0")/.."

go vet -tags crashtest ./app/abci ./app/custody ./app/node ./store/keyring ./store/state ./cmd/munimentd

calls=$(mktemp -d)
trap 'rm -rf "$calls"' EXIT
go test -count=1 -v -timeout=10m ./tests/crash \
	-points=66 -founded=12 -passages=3 -kills=40 -terms=10 -erasures=24 -rings=4 -calls="$calls" "$@" |
	grep -v -e '^=== ' -e '^ *--- PASS'
bash scripts/conformance.sh "$calls"
