#!/usr/bin/env bash
# Puts each fault of tests/faults/*.patch into a copy of the state machine and
# runs the one check that its header names. The check has to pass without the
# fault, and to fail with it, as a test fails: bash scripts/faults.sh [NAME ...]
set -euo pipefail
cd "$(dirname "$0")/.."

patches=("${@/#/tests/faults/}")
patches=("${patches[@]/%/.patch}")
[ $# -gt 0 ] || patches=(tests/faults/*.patch)

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar -cf - go.mod go.sum app docs/spec proto tests/model | tar -xf - -C "$copy"

# header gives a line of the head of a patch.
header() { sed -n "s/^$2: //p" "$1"; }

# run builds and runs a check in the copy; its output is in $copy/out.
run() {
	local package=$1 test=$2
	shift 2
	(cd "$copy" && go test -trimpath -c -o "$copy/check.test" "$package") >"$copy/out" 2>&1 || return 2
	(cd "$copy/$package" && "$copy/check.test" -test.v -test.timeout=2m -test.run "^$test\$" "$@") >"$copy/out" 2>&1
}

# told tells whether the output says that a test passed or failed.
told() { grep -q "^--- $1: $2 " "$copy/out"; }

sort -u <(for patch in "${patches[@]}"; do header "$patch" Check; done) >"$copy/checks"
while read -r package test flags; do
	# shellcheck disable=SC2086 # flags are words
	if ! run "$package" "$test" $flags || ! told PASS "$test"; then
		cat "$copy/out"
		echo "$package $test $flags does not pass without faults"
		exit 1
	fi
done <"$copy/checks"

caught=0
for patch in "${patches[@]}"; do
	name=$(basename "$patch" .patch)
	read -r package test flags <<<"$(header "$patch" Check)"
	git -C "$copy" apply "$PWD/$patch"
	status=0
	# shellcheck disable=SC2086
	run "$package" "$test" $flags || status=$?
	git -C "$copy" apply -R "$PWD/$patch"
	if [ "$status" -eq 1 ] && told FAIL "$test"; then
		caught=$((caught + 1))
		printf 'caught  %-26s by %s\n' "$name" "$test${flags:+ $flags}"
	else
		printf 'MISSED  %-26s %s\n' "$name" "$(header "$patch" Fault)"
		[ "$status" -eq 0 ] || tail -n 20 "$copy/out"
	fi
done
echo "caught $caught of ${#patches[@]}"
[ "$caught" -eq "${#patches[@]}" ]
