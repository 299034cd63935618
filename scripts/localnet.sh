#!/usr/bin/env bash
# Four nodes of one network on this machine, and how they are doing, until
# Ctrl-C: localnet.sh [DIR]. DIR (default localnet) keeps network and passphrase;
# the same DIR again starts the same network. BIN (default bin) has the programs.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=${BIN:-$PWD/bin}:$PATH
dir=${1:-localnet}
net=$dir/net
secret=$dir/passphrase
pids=()

stop() {
	trap - EXIT
	trap '' INT TERM HUP
	set +e # the terminal may be gone
	printf '\nstopping\n'
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	wait
	echo "stopped; the network is in $dir"
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

umask 077
mkdir -p "$dir"
[ -s "$secret" ] || head -c 18 /dev/urandom | base64 >"$secret"
[ -d "$net" ] || munimentd testnet "$net" --validators 4 --passphrase-file "$secret" >/dev/null
for home in "$net"/node-*/; do
	home=${home%/}
	munimentd start --home "$home" --passphrase-file "$secret" >>"$home.log" 2>&1 &
	pids+=($!)
done
printf '\nas an office of it:\n  export XDG_CONFIG_HOME=%s/offices XDG_STATE_HOME=%s/offices/state\n  bin/muniment series list --office CLERK --passphrase-file %s\nlogs: %s/node-*.log\n\n' \
	"$(realpath "$net")" "$(realpath "$net")" "$(realpath "$secret")" "$net"
munimentd testnet status "$net" --watch
