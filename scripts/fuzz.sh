#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (default 60s), one
# after the other. Targets are found by listing, so a new one needs no entry.
set -euo pipefail
cd "$(dirname "$0")/.."
time="${1:-60s}"

ran=0
packages=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
for package in $packages; do
	dir=$(go list -f '{{.Dir}}' "$package")
	grep -qs '^func Fuzz' "$dir"/*_test.go || continue # saves building a test binary to list nothing
	targets=$(go test -list '^Fuzz' "$package") # of its own, so that a package that does not build ends the run
	for target in $(grep '^Fuzz' <<<"$targets"); do
		echo "fuzz $package $target $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
		ran=$((ran + 1))
	done
done
echo "fuzz targets run: $ran"
