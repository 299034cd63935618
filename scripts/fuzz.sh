#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given (default 60s), as many
# at once as there are processors. Targets are found by listing, so a new one
# needs no entry; an input that fails is left in the package's testdata/fuzz.
# PART=K/N takes one target in N, from the K-th on, as with seeded faults.
set -euo pipefail
cd "$(dirname "$0")/.."
export FUZZ_TIME="${1:-60s}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FUZZ_CACHE=$work/cache

list=$work/targets
: >"$list"
while IFS=' ' read -r package dir; do
	grep -qs '^func Fuzz' "$dir"/*_test.go || continue
	binary=$work/$(tr / _ <<<"$package").test
	go test -c -fuzz=Fuzz -o "$binary" "$package"
	# Of its own, so that a binary that does not run ends the script.
	targets=$(cd "$dir" && "$binary" -test.list '^Fuzz')
	for target in $targets; do
		printf '%s %s %s\n' "$binary" "$dir" "$target" >>"$list"
	done
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' ./... | grep .)
if [ -n "${PART:-}" ]; then
	awk -v n="${PART#*/}" -v k="${PART%/*}" 'NR % n == k % n' "$list" >"$list.part"
	mv "$list.part" "$list"
fi

# one runs a target. Go's fuzzer now and then calls the end of its time a
# failure, without a failing input: then the target runs again.
one() {
	local binary=$1 dir=$2 target=$3 out
	cd "$dir"
	for _ in 1 2 3; do
		if out=$("$binary" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$FUZZ_TIME" -test.fuzzminimizetime 20x -test.parallel 1 -test.fuzzcachedir "$FUZZ_CACHE/$target" 2>&1); then
			printf 'fuzz %s %s: %s\n' "${dir##*/}" "$target" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -n 1)"
			return
		fi
		[[ $out == *"context deadline exceeded"* && $out != *"Failing input"* ]] || break
	done
	printf 'fuzz %s %s FAILED\n%s\n' "${dir##*/}" "$target" "$out"
	return 1
}
export -f one
xargs -P "$(nproc)" -L 1 bash -c 'one "$@"' one <"$list"
echo "fuzz targets run: $(wc -l <"$list")"
