#!/usr/bin/env bash
# Checks call logs against the ABCI grammar that CometBFT publishes, with the
# parser that its own tests use: bash scripts/conformance.sh [FOLDER]
# FOLDER holds the call logs of a run (*.calls); without it, the examples in
# conformance/testdata are checked. The module conformance is not the product's:
# it needs another version of the engine.
set -euo pipefail
folder=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")/../conformance"
go vet ./...
MUNIMENT_CALL_LOGS="$folder" go test -count=1 -v ./... | grep -v '^=== RUN'
