#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# wrk through the two-node rig, Portcullis beside its peers. Called by ./build.sh bench (see README.md) and by profile.sh.
#
#   BIN=DIR      other programs than build/bin        BIN_B=DIR   a second set: peer portcullis-l7-b
#   WORKERS=N    of each node-proxy (1)               BENCH_CPU=N the CPU of the pinned mode (the last)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

[[ $(id -u) == 0 ]] || { echo "bench: network namespaces need root" >&2 && exit 1; }
# Every world is a directory here, and its namespaces begin with the prefix and the directory's name.
export BENCH_PREFIX=pb$$ BENCH_DIR=${TMPDIR:-/tmp}/portcullis-pb$$
mkdir -p "$BENCH_DIR"
for name in BIN BIN_B; do
	[[ -z ${!name:-} ]] || export "$name=$(cd "${!name}" && pwd)"
done

# PEER_<NAME>: the program, or PEER_<NAME>_MISSING: why there is none.
while read -r name path reason; do
	if [[ $path == - ]]; then
		export "PEER_${name^^}=" "PEER_${name^^}_MISSING=$reason"
	else
		export "PEER_${name^^}=$path"
	fi
done < <("$here/../.ci/deps.sh" peers)

driver=
down() {
	local world
	trap - EXIT INT TERM
	[[ -z $driver ]] || { kill "$driver" 2>/dev/null && wait "$driver" 2>/dev/null; } || true
	for world in "$BENCH_DIR"/*/; do
		[[ ! -d $world ]] || P=$BENCH_PREFIX$(basename "$world") W=${world%/} "$here/rig.sh" down &
	done
	wait
	rm -rf "$BENCH_DIR"
}
trap down EXIT
trap 'exit 130' INT TERM

ulimit -n "$(ulimit -Hn)"
/usr/bin/python3 -B "$here/${BENCH_DRIVER:-bench.py}" "$@" &
driver=$!
status=0
wait "$driver" || status=$?
driver=
exit "$status"
