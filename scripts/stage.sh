# What the demonstrations share; source it. It makes a temporary directory, a
# passphrase and a place for keys there, and removes them at the end, together
# with the node that was started. PROGRAMS is where the programs are (bin).
work=$(mktemp -d)
export PATH=${PROGRAMS:-$PWD/bin}:$PATH XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state
home=$work/node
secret=$work/passphrase
pid=

stop() {
	if [ -n "$pid" ]; then
		kill "$pid" && wait "$pid"
		pid=
	fi
}
finish() {
	code=$?
	trap - EXIT
	stop || true
	rm -rf "$work"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM
head -c 18 /dev/urandom | base64 >"$secret"

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

# expect CODE COMMAND...: the command must end with that exit code.
expect() {
	local want=$1 got=0
	shift
	run "$@" || got=$?
	[ "$got" -eq "$want" ] || { echo "exit code $got, not $want: $*" >&2; exit 1; }
	echo "(exit code $got)"
}

free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

# office CODE ROLES: makes the keys of an office and prints its part of the founding document.
office() {
	muniment key new --office "$1" --passphrase-file "$secret" 2>/dev/null | awk -v office="$1" -v roles="$2" '
		$1 == "signing" && $2 == "key" && NF == 3 { signing = $3 }
		$1 == "access" && $2 == "key" && NF == 3 { access = $3 }
		END { printf "[[office]]\ncode = \"%s\"\nroles = [%s]\nsigning = [\"%s\"]\naccess = [\"%s\"]\n", office, roles, signing, access }'
}

# found: makes the network of $work/founding.toml.
found() {
	run munimentd init --home "$home" --founding "$work/founding.toml" --passphrase-file "$secret" >"$work/init"
	fingerprint=$(awk '$1 == "fingerprint" { print $2 }' "$work/init")
	echo "fingerprint $fingerprint"
}

# serve PORT: starts the node and waits until it serves.
serve() {
	munimentd start --home "$home" --passphrase-file "$secret" --set "grpc.listen=127.0.0.1:$1" \
		--set p2p.listen=127.0.0.1:0 --set tiles.listen=127.0.0.1:0 --set monitor.listen=127.0.0.1:0 >"$work/serving" 2>"$work/log" &
	pid=$!
	for _ in $(seq 300); do
		grep -q '^serving' "$work/serving" && break
		kill -0 "$pid" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
		sleep 0.1
	done
	cat "$work/serving"
}

as() { local office=$1; shift; run muniment --office "$office" --passphrase-file "$secret" "$@"; }

# refused WORD COMMAND...: the office's command must be refused with exit code 7 and that word.
refused() {
	local word=$1
	shift
	expect 7 as "$@" 2>&1 | tee "$work/refusal"
	[ "${PIPESTATUS[0]}" -eq 0 ] && grep -q -- "$word" "$work/refusal" || { echo "not refused with $word: $*" >&2; exit 1; }
}

# field NAME [COMMAND...]: the first value of a field in JSON on standard input.
field() { awk -F'[:,]' -v name="\"$1\"" '$1 ~ name { gsub(/[ "]/, "", $2); print $2; exit }'; }
