#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# wrk through the two-node rig, Portcullis beside its peers. Called by ./build.sh bench; see README.md.
#
#   BIN=DIR      other programs than build/bin        BIN_B=DIR   a second set: peer portcullis-l7-b
#   WORKERS=N    of each node-proxy (1)               BENCH_CPU=N the CPU of the pinned mode (the last)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

[[ $(id -u) == 0 ]] || { echo "bench: network namespaces need root" >&2 && exit 1; }
export P=pb$$ W=${TMPDIR:-/tmp}/portcullis-pb$$
for name in BIN BIN_B; do
	[[ -z ${!name:-} ]] || export "$name=$(cd "${!name}" && pwd)"
done

driver=
down() {
	trap - EXIT INT TERM
	[[ -z $driver ]] || kill "$driver" 2>/dev/null || true
	"$here/rig.sh" down
}
trap down EXIT
trap 'exit 130' INT TERM

on_cpus=()
[[ " $* " == *" --cpus all "* || " $* " == *" --cpus=all "* ]] ||
	on_cpus=(taskset -c "${BENCH_CPU:-$(($(nproc --all) - 1))}")

"${on_cpus[@]}" /usr/bin/python3 -B "$here/bench.py" "$@" &
driver=$!
status=0
wait "$driver" || status=$?
driver=
exit "$status"
