#!/usr/bin/env bash
# Puts each fault of tests/faults/*.patch into a copy of the state machine and
# runs the one check that its header names. The check has to pass without the
# fault, and to fail with it, as a test fails: bash scripts/faults.sh [NAME ...]
# As many at once as there are processors. TESTED=1 leaves out the runs without
# faults, for who has just seen all tests pass. PART=K/N takes one in N, from the
# K-th on: whoever counts K up sees all in N runs.
set -euo pipefail
cd "$(dirname "$0")/.."

patches=("${@/#/tests/faults/}")
patches=("${patches[@]/%/.patch}")
[ $# -gt 0 ] || patches=(tests/faults/*.patch)
if [ -n "${PART:-}" ]; then
	all=("${patches[@]}") patches=()
	for ((i = ${PART%/*} % ${PART#*/}; i < ${#all[@]}; i += ${PART#*/})); do patches+=("${all[i]}"); done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WORK=$work

# header gives a line of the head of a patch.
header() { sed -n "s/^$2: //p" "$1"; }

# try runs a check in a copy of its own, with a patch if one is given, and wants
# its test to end in PASS or FAIL.
try() {
	local want=$1 patch=$2 package=$3 test=$4 copy
	shift 4
	copy=$(mktemp -d "$WORK/copy.XXXXXX")
	tar -cf - --exclude=node_modules go.mod go.sum app store cmd docs ops proto scripts tests | tar -xf - -C "$copy"
	[ -z "$patch" ] || git -C "$copy" apply "$PWD/$patch"
	(cd "$copy" && go test -trimpath -c -o check.test "$package" &&
		cd "$package" && "$copy/check.test" -test.v -test.timeout=4m -test.run "^$test\$" "$@") >"$copy.out" 2>&1 || true
	rm -rf "$copy"
	if ! grep -q "^--- $want: $test " "$copy.out"; then
		tail -n 20 "$copy.out"
		return 1
	fi
}

check() {
	# shellcheck disable=SC2086 # the words of a check
	try PASS "" $1 || { echo "$1 does not pass without faults"; return 1; }
}

fault() {
	local name
	name=$(basename "$1" .patch)
	# shellcheck disable=SC2046
	if try FAIL "$1" $(header "$1" Check); then
		printf 'caught  %-26s by %s\n' "$name" "$(header "$1" Check)"
		echo "$name" >>"$WORK/caught"
	else
		printf 'MISSED  %-26s %s\n' "$name" "$(header "$1" Fault)"
	fi
}

export -f header try check fault
[ -n "${TESTED:-}" ] || sort -u <(for patch in "${patches[@]}"; do header "$patch" Check; done) | tr '\n' '\0' | xargs -0 -P "$(nproc)" -I{} bash -c 'check "$1"' - {}
touch "$WORK/caught"
printf '%s\0' "${patches[@]}" | xargs -0 -P "$(nproc)" -I{} bash -c 'fault "$1"' - {}
caught=$(wc -l <"$WORK/caught")
echo "caught $caught of ${#patches[@]}"
[ "$caught" -eq "${#patches[@]}" ]
