#!/usr/bin/env bash
# Everything that can be said about the tree besides "the tests pass":
# format, vet, staticcheck, generated code, the rules in app/*_test.go, races.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '== %s\n' "$*"; }
tool() { go tool -modfile=scripts/tools.mod "$@"; }

step gofmt
unformatted=$(find . -name '*.go' -not -path '*/node_modules/*' -print0 | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not formatted:" $unformatted
	exit 1
fi

step go vet
go vet ./...

step go vet without cgo
CGO_ENABLED=0 go vet ./store/keyring ./cmd/...

step staticcheck
tool staticcheck ./...

step generated code is current
tool buf lint proto
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
(cd proto && go tool -modfile=../scripts/tools.mod buf generate -o "$fresh")
# Both ways: a file that differs, and one that no .proto makes any more.
for file in $(cd "$fresh" && find . -name '*.pb.go') $(cd proto && find . -name '*.pb.go'); do
	if ! diff -q "proto/$file" "$fresh/$file"; then
		echo "proto/$file is not what the .proto files give: run make proto"
		exit 1
	fi
done

# The other two twins are run by the tests of their packages.
step twin of receipts agrees with the vectors
node scripts/twin/receipt.mjs docs/spec/vectors/receipt.json

step the rules of the tree
go test -count=1 ./app

step race detector
# CometBFT's own goroutines are not ours to judge, and under the detector its
# packages take longer than all of the rest: those that link it are left out.
# So are the pure ones, where neither code nor tests start a goroutine.
linked=$(go list -test -f '{{.ImportPath}}{{range .Deps}} {{.}}{{end}}' ./... |
	awk '$1 ~ /\.test$/ && / github.com\/cometbft\/cometbft\// { sub(/\.test$/, "", $1); print $1 }')
tested=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...)
module=$(go list -m)
pure=$(sed -n '/^var pure = /,/^}/p' app/purity_test.go | grep -o '"[^"]*"' | tr -d '"' | sed "s|^|$module/|")
if [ -z "$pure" ] || grep -rlE --include='*.go' '^\s*go |\.Go\(|t\.Parallel' ${pure//$module\//}; then
	echo "the pure packages are not found, or start goroutines: run them under the race detector"
	exit 1
fi
free=$(comm -23 <(sort <<<"$tested") <(sort <<<"$linked"$'\n'"$pure"))
go test -race -timeout 10m $free

echo "check: all good"
