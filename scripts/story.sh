#!/usr/bin/env bash
# Retention, holds and disposition, on a ledger of one node in a temporary
# directory: a schedule of the state is adopted, a department opens a series with
# five sign-offs, forty invoices grow old, three are held, one is older than 1900,
# five offices dispose of the rest, and counsel stops one of them after it was
# approved. The steps are those of the acceptance story. Every refusal is
# expected by its reason. Leaves nothing behind and nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/stage.sh
records=$work/records
mkdir "$records"

say "1. ten offices found a network"
port=$(free_port)
{
	printf 'chain_id = "muniment-story-1"\norigin = "records.example.org/story"\naddress = "127.0.0.1:%s"\ncustody = "CITY"\n' "$port"
	office CLERK '"DEPARTMENT", "CLERK", "GOVERNOR"'
	office CIO '"IT", "GOVERNOR"'
	office COUNSEL '"COUNSEL", "GOVERNOR"'
	office CAO '"CHIEF_ADMIN"'
	office OPRA '"STATE_RECORDS"'
	office ARCHIVIST '"STATE_ARCHIVIST"'
	office AUDITOR '"AUDITOR"'
	office BUYER '"PROCUREMENT"'
	office FINANCE '"DEPARTMENT"'
	office DPW '"DEPARTMENT"'
	printf '[[governance]]\nsubject = "SECURITY"\noffices = ["CIO", "CLERK", "COUNSEL"]\nthreshold = 2\nrequired = ["CIO"]\n'
	printf '[[governance]]\nsubject = "RECORDS"\noffices = ["CIO", "CLERK", "COUNSEL"]\nthreshold = 2\nrequired = ["CLERK"]\n'
	printf '[[series]]\ncode = "DEMO-PAPERS"\ngranularity = "DAY"\n'
} >"$work/founding.toml"
found
serve "$port"
muniment network add "$home/network.mun" --fingerprint "$fingerprint" --office CLERK >/dev/null

say "2. the Clerk states a schedule of the state; the state and counsel adopt it (S0.7, S1.11)"
run muniment schedule check ops/demo/schedule.toml
as CLERK schedule propose ops/demo/schedule.toml | tee "$work/proposed"
schedule=$(awk '$1 == "proposal" { print $2 }' "$work/proposed")
as COUNSEL schedule approve "$schedule" --file ops/demo/schedule.toml
as CLERK schedule list
as OPRA schedule approve "$schedule" --file ops/demo/schedule.toml
as CLERK schedule list

say "3. a department opens a series: four sign-offs are too few (S0.8, S0.12, S0.21)"
printf 'Privacy impact assessment of invoices: a demonstration.\n' >"$records/assessment.txt"
printf 'Data map of invoices: a demonstration.\n' >"$records/data-map.txt"
papers=($(as FINANCE anchor --series DEMO-PAPERS "$records/assessment.txt" "$records/data-map.txt" | awk '/^[0-9]/ { print $1 }'))
printf 'Invoice of the year before.\n' >"$records/early.txt"
refused SERIES_INACTIVE FINANCE anchor --series DEMO-INVOICES "$records/early.txt"
yesterday=$(date -u -d '-3 days' +%F)
as FINANCE series activate DEMO-INVOICES --granularity day --assessment "${papers[0]}" --assessed "$yesterday" \
	--review "$(date -u -d '+1 year' +%F)" --data-map "${papers[1]}" | tee "$work/activation"
activation=$(awk '$1 == "proposal" { print $3 }' "$work/activation")
for office in CIO COUNSEL CLERK; do
	as "$office" series approve "$activation" >/dev/null
done
refused SERIES_INACTIVE FINANCE anchor --series DEMO-INVOICES "$records/early.txt"
as FINANCE series show DEMO-INVOICES
as BUYER series approve "$activation"

say "5. capture and anchor: equal files get different commitments, and no name is on the ledger"
cat >"$records/minutes.txt" <<'TEXT'
The Council met on 4 May and voted to open the reading room.
TEXT
as CLERK anchor --series DEMO-PAPERS --date 2026-05-04 "$records/minutes.txt"
as CLERK anchor --series DEMO-PAPERS --date 2026-05-04 --again "$records/minutes.txt"
for n in $(seq -w 40); do
	printf 'Invoice %s for gravel delivered to the depot, paid in full.\n' "$n" >"$records/invoice-$n.txt"
done
invoices() { awk '/^[0-9]/ { print $1 }'; }
old=$(as FINANCE anchor --series DEMO-INVOICES --date 1899-11-30 "$records/invoice-01.txt" | invoices)
mapfile -t bills < <(as FINANCE anchor --series DEMO-INVOICES --date 2019-08-15 "$records"/invoice-{02..40}.txt | invoices)
first=${bills[0]} last=${bills[38]}
refused UNKNOWN_SERIES FINANCE anchor --series DEMO-NOTHING "$records/early.txt"

say "7. nothing is due before the audit; one statement of the auditor changes that for all"
as FINANCE disposition dry-run --series DEMO-INVOICES | tail -n 8
as FINANCE why "$first"
as AUDITOR event audited --department FINANCE --through 2025-06-30
as FINANCE why "$first"

say "8. counsel holds three invoices: litigation is anticipated, with two issues (S1.13, S4.11)"
as COUNSEL hold place --kind anticipated --issues 2 --matter "gravel contract" "$first" "$((first + 1))" "$((first + 2))" | tee "$work/hold"
hold=$(awk '$1 == "hold" { print $NF; exit }' "$work/hold")
as FINANCE hold list

say "9. the dry run of forty: 36 due, 3 held, 1 older than 1900"
as FINANCE disposition dry-run --series DEMO-INVOICES | tee "$work/dry-run" | tail -n 12
grep -q '40 records: 36 due, 0 not yet, 3 held, 1 blocked' "$work/dry-run"

say "10. the head of the department proposes; every missing signature blocks (RC-075 pattern)"
refused HELD FINANCE disposition propose --series DEMO-INVOICES --action destroy "$first-$last"
as FINANCE disposition propose --series DEMO-INVOICES --action destroy --due | tee "$work/proposal"
disposition=$(awk '$1 == "disposition" { print $2; exit }' "$work/proposal")
for office in CLERK CAO OPRA; do
	refused MISSING_APPROVAL CIO disposition lock "$disposition"
	as "$office" disposition approve "$disposition" >/dev/null
done
refused SAME_OFFICE FINANCE disposition approve "$disposition"
refused MISSING_APPROVAL CIO disposition lock "$disposition"
as ARCHIVIST disposition approve "$disposition" >/dev/null
as CLERK disposition show "$disposition"

say "11. after all have approved, counsel extends the hold: that disposition is refused, and the refusal recorded (S4.9)"
as COUNSEL hold extend "$hold" "$last"
refused HELD CIO disposition lock "$disposition" | tee "$work/held"
refusal=$(grep -o 'recorded as entry [0-9]*' "$work/held" | awk '{ print $4; exit }')
as CIO receipt "$refusal" -o "$work/refusal.receipt"
as CLERK hold prove "$last" -o "$work/held.proof"

say "19. the release needs the action closed and every issue resolved, and another office (S4.10)"
as COUNSEL hold resolve "$hold" --action-closed
as COUNSEL hold resolve "$hold" --issue 1
refused SAME_OFFICE COUNSEL hold release "$hold"
refused OPEN_ISSUES AUDITOR hold release "$hold"
as COUNSEL hold resolve "$hold" --issue 2
as AUDITOR hold release "$hold"
as FINANCE why "$first"
as FINANCE disposition dry-run --series DEMO-INVOICES | tail -n 1

say "the disposition is locked: final, and provable"
as CIO disposition lock "$disposition"
as CLERK disposition show "$disposition" | head -n 20
refused DISPOSITION_CLOSED CIO disposition lock "$disposition"
as AUDITOR legality "$last" -o "$work/last.legality"
as CLERK hold prove "$first" -o "$work/not-held.proof"
as AUDITOR disposition report --format csv
as AUDITOR log mirror "$work/mirror" --tiles "$(awk '{ print $NF }' "$work/serving")"

say "the node stops; an auditor verifies without it"
stop
expect 0 muniment-verify --network "$home/network.mun" --fingerprint "$fingerprint" "$work/last.legality" | tee "$work/lawful"
grep -q 'no hold stood on the record at the lock' "$work/lawful"
expect 0 muniment-verify --network "$home/network.mun" "$work/refusal.receipt" "$work/held.proof" "$work/not-held.proof"
sed 's/^\(.\{40\}\)./\1!/' "$work/last.legality" >"$work/changed.legality"
expect 3 muniment-verify --network "$home/network.mun" "$work/changed.legality"

say "and replays the whole log: every signature, every rule, every refusal"
expect 0 muniment-verify replay --network "$home/network.mun" "$work/mirror"

say "no word of any record is on the ledger or in a log"
for place in ledger wal genesis.json network.mun; do
	if grep -raqE 'gravel|Invoice|reading room' "$home/$place" "$work/log"; then
		echo "found in $place" >&2
		exit 1
	fi
done
echo "searched: ledger, engine, network file, log of the node"

say "done: everything above was in $work, which is removed now"
