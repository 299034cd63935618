#!/usr/bin/env bash
# The main job, on a ledger of one node in a temporary directory: anchor demo
# records, get receipts, make evidence, verify it with the node stopped, show
# that a changed byte is refused, and search every file of the ledger for what
# was anchored. Leaves nothing behind and nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
records=$PWD/ops/demo
source scripts/stage.sh

say "three offices make their keys, and the city founds a network"
port=$(free_port)
{
	printf 'chain_id = "muniment-demo-1"\norigin = "records.example.org/demo"\naddress = "127.0.0.1:%s"\ncustody = "CITY"\n' "$port"
	office CLERK '"DEPARTMENT", "CLERK", "GOVERNOR"'
	office DPW '"DEPARTMENT"'
	office CIO '"IT", "GOVERNOR"'
	printf '[[governance]]\nsubject = "SECURITY"\noffices = ["CIO", "CLERK"]\nrequired = ["CIO"]\n'
	printf '[[governance]]\nsubject = "RECORDS"\noffices = ["CIO", "CLERK"]\nrequired = ["CLERK"]\n'
	for series in DEMO-MINUTES:DAY DEMO-PERMITS:MONTH DEMO-MAIL:DAY DEMO-LICENCES:DAY DEMO-PLANS:YEAR; do
		printf '[[series]]\ncode = "%s"\ngranularity = "%s"\n' "${series%:*}" "${series#*:}"
	done
} >"$work/founding.toml"
found

say "the node starts"
serve "$port"
run muniment network add "$home/network.mun" --fingerprint "$fingerprint" --office CLERK

say "departments anchor records (a demonstration, not a records schedule)"
as CLERK anchor --series DEMO-MINUTES --title "Council minutes, regular meeting" "$records/council-minutes.txt"
as DPW anchor --series DEMO-PERMITS --title "Permit register" "$records/permit-register.csv"
as CLERK anchor --series DEMO-MAIL "$records/detour-signs.eml"
as CLERK anchor --series DEMO-LICENCES "$records/food-licence.json"
as DPW anchor --series DEMO-PLANS --title "Water main, Mill Square" "$records/water-main-plan.pdf"

say "the same command again makes no second record"
as CLERK anchor --series DEMO-MINUTES --title "Council minutes, regular meeting" "$records/council-minutes.txt"

say "a department finds its records again, and nobody else's"
as CLERK search minutes
minutes=$(muniment --office CLERK --passphrase-file "$secret" --output json search minutes | awk -F'[:,]' '/"index"/ { gsub(/ /, "", $2); print $2; exit }')
permits=$(muniment --office DPW --passphrase-file "$secret" --output json search permit | awk -F'[:,]' '/"index"/ { gsub(/ /, "", $2); print $2; exit }')

say "evidence, a copy with withheld rows, and a receipt"
as CLERK evidence "$minutes" -o "$work/minutes.mun.car"
as DPW evidence "$permits" --hide "rows 2-9" -o "$work/permits.mun.car"
as CLERK receipt "$minutes" -o "$work/minutes.receipt"

say "the node stops; an auditor verifies without it"
stop
expect 0 muniment-verify --network "$home/network.mun" --fingerprint "$fingerprint" --extract "$work/extracted" "$work/minutes.mun.car"
cmp "$work"/extracted/* "$records/council-minutes.txt" && echo "the extracted content is the original, byte for byte"
expect 0 muniment-verify --network "$home/network.mun" "$work/permits.mun.car" "$work/minutes.receipt"

say "one byte changed: refused"
cp "$work/minutes.mun.car" "$work/changed.mun.car"
at=$(grep -abo 'Foundry Street' "$work/changed.mun.car" | head -n 1 | cut -d: -f1)
printf 'f' | dd of="$work/changed.mun.car" bs=1 seek="$at" conv=notrunc status=none
expect 3 muniment-verify --network "$home/network.mun" "$work/changed.mun.car"

say "every file of the ledger, searched for what was anchored"
# search DIR: counts the files that hold a phrase of a record, or its name.
search() {
	grep -raolF -e 'Foundry Street' -e 'Granary Lane' -e 'hand-washing station' -e 'MILL SQUARE' \
		-e council-minutes.txt -e permit-register.csv -e detour-signs.eml -e food-licence.json -e water-main-plan.pdf \
		-e 'Council minutes' -e 'Permit register' "$1" | wc -l || true
}
files=$(find "$home" -type f | wc -l)
hits=$(search "$home")
echo "$files files of the node searched: $hits hold a phrase, a title or a file name of a record"
[ "$hits" -eq 0 ]
cp -r "$home" "$work/planted"
printf 'Granary Lane' >>"$(find "$work/planted/vault" -name '*.log' | head -n 1)"
hits=$(search "$work/planted")
echo "the same search in a copy with one phrase planted: $hits"
[ "$hits" -eq 1 ]

say "done: everything above was in $work, which is removed now"
