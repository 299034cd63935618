#!/usr/bin/env bash
# Redaction and destruction, on a ledger of one node in a temporary directory:
# invoices that are due are destroyed, certificates say so, a backup from before
# does not bring them back; in a report a badge number, an address and a code are
# withheld from a copy, and the address is then erased for good. An auditor checks
# all of it without the node. The steps are those of the acceptance story. Leaves
# nothing behind and nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/stage.sh
records=$work/records
mkdir "$records"
# gone WORD COMMAND...: the office's command must say so and end with exit code 6.
gone() {
	local word=$1
	shift
	expect 6 as "$@" 2>&1 | tee "$work/refusal"
	grep -q -- "$word" "$work/refusal" || { echo "not $word: $*" >&2; exit 1; }
}
operator() { local command=$1; shift; run munimentd "$command" --home "$home" "$@"; }

say "nine offices found a network; a schedule is adopted"
port=$(free_port)
{
	printf 'chain_id = "muniment-forget-1"\norigin = "records.example.org/forget"\naddress = "127.0.0.1:%s"\ncustody = "CITY"\n' "$port"
	office CLERK '"DEPARTMENT", "CLERK", "GOVERNOR"'
	office CIO '"IT", "GOVERNOR"'
	office COUNSEL '"COUNSEL", "GOVERNOR"'
	office CAO '"CHIEF_ADMIN"'
	office OPRA '"STATE_RECORDS"'
	office ARCHIVIST '"STATE_ARCHIVIST"'
	office AUDITOR '"AUDITOR"'
	office FINANCE '"DEPARTMENT"'
	office DPW '"DEPARTMENT"'
	printf '[[governance]]\nsubject = "SECURITY"\noffices = ["CIO", "CLERK", "COUNSEL"]\nthreshold = 2\nrequired = ["CIO"]\n'
	printf '[[governance]]\nsubject = "RECORDS"\noffices = ["CIO", "CLERK", "COUNSEL"]\nthreshold = 2\nrequired = ["CLERK"]\n'
	for series in DEMO-INVOICES DEMO-COUNCIL; do
		printf '[[series]]\ncode = "%s"\ngranularity = "DAY"\n' "$series"
	done
} >"$work/founding.toml"
found
sed -n '/C1/,$p' "$work/init" | head -n 6
serve "$port"
muniment network add "$home/network.mun" --fingerprint "$fingerprint" --office CLERK >/dev/null
as CLERK schedule propose ops/demo/schedule.toml >"$work/proposed"
schedule=$(awk '$1 == "proposal" { print $2 }' "$work/proposed")
as COUNSEL schedule approve "$schedule" --file ops/demo/schedule.toml >/dev/null
as OPRA schedule approve "$schedule" --file ops/demo/schedule.toml >/dev/null

say "records are kept: ten invoices, and a report with names in it"
for n in $(seq -w 10); do
	printf 'Invoice %s for gravel delivered to the depot, account 4711-%s.\n' "$n" "$n" >"$records/invoice-$n.txt"
done
mapfile -t bills < <(as FINANCE anchor --series DEMO-INVOICES --date 2019-08-15 "$records"/invoice-*.txt | awk '/^[0-9]/ { print $1 }')
first=${bills[0]} last=${bills[9]}
cat >"$records/report.txt" <<'TEXT'
Report on the works at the depot, received on 4 May.

The gravel was weighed twice. The foreman of the second shift, badge 0815, signed for it.

A caller who lives at 12 Foundry Street complained about the noise.

The server room of the depot opens with code 2580.

No further action. Badge 0815 was told.
TEXT
report=$(as DPW anchor --series DEMO-COUNCIL --date 2026-05-04 "$records/report.txt" | awk '/^[0-9]/ { print $1; exit }')
as AUDITOR event audited --department FINANCE --through 2025-06-30 >/dev/null
as FINANCE evidence "$first" --purpose public-request -o "$work/given-out.mun.car" >/dev/null
echo "one invoice was given out: no software can take that back"

say "the operator backs up: data without keys, and the keyring apart from it"
operator backup "$work/backup"
operator backup --keyring "$work/keyring.backup"

# dispose DISPOSITION OFFICE...: these approve, the CIO locks.
dispose() {
	local d=$1
	shift
	for approver in "$@"; do
		as "$approver" disposition approve "$d" >/dev/null
	done
	as CIO disposition lock "$d" >/dev/null
}

say "12. the invoices are due: six offices dispose of nine of them, and counsel holds one after the lock"
as FINANCE disposition propose --series DEMO-INVOICES --action destroy "$first-$last" | tee "$work/proposal"
destruction=$(awk '$1 == "disposition" { print $2; exit }' "$work/proposal")
dispose "$destruction" CLERK CAO OPRA ARCHIVIST
refused LOCKED FINANCE read "$first" -o "$work/none"
as COUNSEL hold place --kind litigation --matter "gravel contract" "$last" >/dev/null
echo "the hold came too late for the lock, and in time for the record:"
operator erase
gone DESTROYED FINANCE read "$first" -o "$work/none"
as FINANCE read "$last" -o "$work/preserved.txt"
cmp "$work/preserved.txt" "$records/invoice-10.txt" && echo "what is held is as it was"
as FINANCE record show "$first"
as FINANCE certificate "$first" -o "$work/first.certificate"
as FINANCE disposition certificates "$destruction" --out "$work/certificates" >/dev/null
ls "$work/certificates" | wc -l

say "14. a request for the report: a badge number, an address and a code are withheld, each for a reason (FOI exemption codes)"
as DPW redact plan "$report" --hide 'text "0815"' --code CT-1-210-b-2 --hide 'paragraphs 3' --code CT-1-210-b-2 \
	--hide 'text "2580"' --code CT-1-210-b-20 -o "$work/report.plan"
sed -n '/^\[\[/,$p' "$work/report.plan" | head -n 40
as DPW redact withhold "$work/report.plan" | tee "$work/withheld"
redaction=$(grep -o '[0-9a-f]\{64\}' "$work/withheld" | head -n 1)
as COUNSEL redact decide "$report" --redaction "$redaction" --department DPW
as DPW evidence "$report" --redaction "$redaction" --purpose public-request --log "$work/report-log.txt" -o "$work/withheld.mun.car"
cat "$work/report-log.txt"

say "the caller's address must not be kept: it is erased, under six signatures, before its schedule allows (CGS 7-109)"
as DPW redact plan "$report" --hide 'paragraphs 3' --code CT-1-210-b-2 -o "$work/erase.plan"
as DPW redact propose "$work/erase.plan" | tee "$work/erasure"
erasure=$(awk '$1 == "entry" { print $2 + 0; exit }' "$work/erasure")
for office in CLERK CAO COUNSEL; do
	as "$office" disposition approve "$erasure" >/dev/null
done
refused MISSING_APPROVAL CIO disposition lock "$erasure"
as OPRA disposition approve "$erasure" >/dev/null
as CIO disposition lock "$erasure" >/dev/null
operator erase
refused PARTLY_DESTROYED DPW read "$report" -o "$work/none"
as DPW evidence "$report" --redaction "$redaction" --log "$work/erased-log.csv" -o "$work/erased.mun.car"
cat "$work/erased-log.csv"
as DPW certificate "$report" -o "$work/report.certificate"

say "the node stops; an auditor verifies without it (20)"
stop
expect 0 muniment-verify --network "$home/network.mun" --fingerprint "$fingerprint" "$work/first.certificate"
expect 0 muniment-verify --network "$home/network.mun" "$work/withheld.mun.car"
expect 0 muniment-verify --network "$home/network.mun" "$work/erased.mun.car" "$work/report.certificate" >"$work/verified"
grep -i 'erased' "$work/verified"
sed 's/gravel\|destroyed/kept/' "$work/first.certificate" >"$work/changed.certificate"
expect 3 muniment-verify --network "$home/network.mun" "$work/changed.certificate"
cp "$work/withheld.mun.car" "$work/changed.mun.car"
at=$(grep -abo 'received on' "$work/changed.mun.car" | head -n 1 | cut -d: -f1)
printf 'R' | dd of="$work/changed.mun.car" bs=1 seek="$at" conv=notrunc status=none
expect 3 muniment-verify --network "$home/network.mun" "$work/changed.mun.car"

say "somebody restores the keyring from before: nothing comes back"
mv "$home/rings" "$work/rings-of-now"
operator restore --keyring "$work/keyring.backup" --passphrase-file "$secret"
serve "$port"
gone DESTROYED FINANCE read "$first" -o "$work/none"
operator erase
gone DESTROYED FINANCE read "$first" -o "$work/none"
as FINANCE read "$last" -o "$work/preserved-again.txt"
cmp "$work/preserved-again.txt" "$records/invoice-10.txt"
refused PARTLY_DESTROYED DPW read "$report" -o "$work/none"
stop

say "what nobody can take back: the copy that was given out still opens"
expect 0 muniment-verify --network "$home/network.mun" --extract "$work/extracted" "$work/given-out.mun.car" >/dev/null
cmp "$work"/extracted/* "$records/invoice-01.txt" && echo "the certificate of destruction names it:"
sed -n '/^6\. Copies/,/^7\./p' "$work/first.certificate"

say "done: everything above was in $work, which is removed now"
