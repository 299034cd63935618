#!/usr/bin/env bash
# What takes long and is run by hand: crash points and kills by the hundred,
# random histories of the ledger from fresh seeds, fuzzing. MINUTES bounds each
# part (default 20).
set -euo pipefail
cd "$(dirname "$0")/.."
minutes="${MINUTES:-20}"

echo "== crash points, kills and terminations"
bash scripts/crash-sweep.sh -points=200 -kills=200 -terms=50 -timeout="$((minutes * 3))m"

echo "== random histories against the model, a fresh seed each"
end=$((SECONDS + minutes * 60))
runs=0
go test -c -o "$(pwd)/bin/ledger.test" ./app/ledger
while [ "$SECONDS" -lt "$end" ]; do
	(cd app/ledger && ../../bin/ledger.test -test.run '^TestModel$')
	runs=$((runs + 1))
done
rm bin/ledger.test
echo "histories: $runs runs"

echo "== fuzzing"
bash scripts/fuzz.sh "${minutes}s"
