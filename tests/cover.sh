#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Line coverage of what runs in one process: unit tests, golden cases and (where it is) the simulator, on
# a build of its own. Prints each room and the sum; core and decide, the rooms that decide, have to
# reach the floor.
#
#   cover.sh            the table
#   cover.sh FILE...    and the lines of these files that nothing ran (names as in the tree, or a part)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

floor=95
floor_rooms=(core decide)
dir=build/cover
logs=$dir/logs
report=$dir/report.json

say() { printf '%s\n' "$*" >&2; }
die() {
	say "cover: $*"
	exit 1
}

compile() {
	./build.sh build-cover
	# Counts of an earlier run are not this run's.
	find "$dir" -name '*.gcda' -delete
	rm -rf "$logs"
	mkdir -p "$logs"
}

failed=()
run() { # NAME COMMAND...
	local name=$1 status=0
	shift
	timeout --kill-after=20 300 "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
	((status == 0 || status == 77)) || failed+=("$name")
}

run_all() {
	local test case count=0
	for test in "$dir"/tests/unit-*; do
		[[ -x $test && -f $test ]] || continue
		run "${test##*/}" "$test"
		count=$((count + 1))
	done
	if [[ -x $dir/tests/sim/sim ]]; then
		run sim "$dir/tests/sim/sim" --seeds 1-1000000 --seconds 30 --jobs "$(nproc)"
		count=$((count + 1))
	fi
	for case in tests/golden/*/run.sh; do
		run "golden-$(basename "$(dirname "$case")")" env BIN="$dir/bin" bash "$case"
		count=$((count + 1))
	done
	say "  $count programs run"
	((${#failed[@]} == 0)) || die "these fail, so their lines count for nothing (logs in $logs): ${failed[*]}"
}

collect() {
	gcovr --root . --object-directory "$dir" --json "$report" \
		--filter 'node-proxy/' --filter 'policy-sync/' --filter 'iptables/' \
		--exclude-unreachable-branches "$dir" >"$logs/gcovr.log" 2>&1 ||
		{ tail -n 5 "$logs/gcovr.log" >&2 && die "gcovr failed"; }
}

# room lines covered, one a line
rooms() {
	jq -r '.files[] | (.file | split("/") | if .[0] == "iptables" then .[0] elif length == 2 then .[0] + "/main"
			elif .[0] == "node-proxy" then .[1] else .[0] + "/" + .[1] end) as $room
		| [.lines[] | select(."gcovr/noncode" | not)] | [$room, length, (map(select(.count > 0)) | length)] | @tsv' "$report" |
		awk '{ lines[$1] += $2; hit[$1] += $3 } END { for (r in lines) print r, lines[r], hit[r] }' | sort
}

table() {
	rooms | awk '{ printf "  %-24s %6d of %6d lines  %5.1f %%\n", $1, $3, $2, 100 * $3 / $2; n += $2; h += $3 }
		END { printf "  %-24s %6d of %6d lines  %5.1f %%\n", "all", h, n, 100 * h / n }'
}

# FILE:LINES of what nothing ran, runs of lines joined.
missed() {
	local part
	for part in "$@"; do
		jq -r --arg part "$part" '.files[] | select(.file | contains($part)) | .file as $f
			| .lines[] | select((."gcovr/noncode" | not) and .count == 0) | "\($f) \(.line_number)"' "$report"
	done | awk '$1 != f || $2 > last + 1 { if (f) print f ":" first (last > first ? "-" last : ""); f = $1; first = $2 }
		{ last = $2 } END { if (f) print f ":" first (last > first ? "-" last : "") }'
}

check() {
	local room percent low=0
	for room in "${floor_rooms[@]}"; do
		percent=$(rooms | awk -v r="$room" '$1 == r { printf "%.1f", 100 * $3 / $2 }')
		[[ $percent ]] || die "nothing was counted in $room"
		awk -v p="$percent" -v f="$floor" 'BEGIN { exit !(p >= f) }' || {
			say "cover: $room is at $percent %, below $floor %; ./build.sh cover $room/ names the lines"
			low=1
		}
	done
	return $low
}

compile
run_all
collect
table
(($# == 0)) || missed "$@"
check
