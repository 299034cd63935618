#!/usr/bin/env bash
# Runs every test and counts those that were skipped. Shows the output of
# packages that failed and one line for each that passed, as `go test` does.
# With CI set, a skipped test is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
go test -v -timeout 10m "$@" ./... 2>&1 | awk -v ci="${CI:-}" '
	# go test prints one package after the other; its last line tells the outcome.
	/^ok  \t/        { print; held = ""; next }
	/^\?   \t/       { print; next }
	/^\t.*coverage:/ { next }
	/^FAIL\t/        { printf "%s%s\n", held, $0; held = ""; next }
	/^ *--- SKIP: /  { skipped++; sub(/^ */, ""); names = names $0 "\n" }
	                 { held = held $0 "\n" }
	END {
		printf "%s%s", held, names
		printf "skipped tests: %d\n", skipped
		if (ci != "" && skipped > 0) { print "a skipped test is a failure here"; exit 1 }
	}' || status=$?
exit "$status"
