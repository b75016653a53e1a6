#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: 10,000 clients that ask for bytes without end and read none cost bounded memory on both nodes and slow
# nobody: another client's echoes over the same tunnel stay quick, the tunnel stays, and when they have gone,
# so has what they held; a second crowd costs no more.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck disable=SC2154 # world.sh's
crowd=(/usr/bin/python3 "$world_here/crowd.py")
count=${STALLED:-10000}
rss_max_kb=$((200 * 1024)) # 128 MiB of queues is the published limit; the rest is what 10,000 connections are
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) > count + 500)) || { echo "needs $count descriptors"; exit 77; }

at_most() { # NAME LIMIT GOT
	if (($3 <= $2)); then ok "$1: $3 (at most $2)"; else not_ok "$1" "$3 is more than $2"; fi
}
echoes() { in_ns p-client "${crowd[@]}" ask "$(pod_ip server)" 9091 2000; }
open_exchanges() { [[ $(metric "$1" portcullis_exchanges_open) == "$2" ]]; }

stall() {
	converse p-client "${crowd[@]}" stalled "$(pod_ip server)" 9090 "$count"
	local line=''
	read -rt 120 -u "$talk_out" line || true
	same "$count readers that do not read" "$count" "$(jq -r .open <<<"${line:-null}")"
}
let_go() {
	local line=''
	echo go >&"$talk_in"
	read -rt 60 -u "$talk_out" line || true
	echo "# reset for what they held: $(jq -r .cut <<<"${line:-null}")"
	hang_up
}

# Nothing moves any more: what was to be filled is full.
received() { echo "$(metric n1 portcullis_received_bytes_total) $(metric n2 portcullis_received_bytes_total)"; }
settled() {
	local before
	before=$(received)
	read -rt 0.5 <> <(:) || true
	[[ $before == "$(received)" ]]
}

usual_world
world_start
spawn pour p-server "${crowd[@]}" serve 9090
spawn echo p-server "${crowd[@]}" serve 9091
for port in 9090 9091; do until_ok 10 listens server $port || die "the servers do not listen"; done
quiet=$(echoes)
tunnels=$(metric n1 portcullis_tunnels_dialled_total)
for round in first second; do
	stall
	holds "they are stalled" until_ok 30 settled
	loaded=$(echoes)
	echo "# echoes, us: quiet $quiet, beside the $round crowd $loaded"
	# Twice the quiet value, or what a busy machine's scheduler adds.
	allowed=$(($(jq .p99 <<<"$quiet") * 2))
	at_most "an echo beside them, p99 us" $((allowed > 20000 ? allowed : 20000)) "$(jq .p99 <<<"$loaded")"
	for n in n1 n2; do
		at_most "$n: memory, kB" $rss_max_kb "$(rss_kb $n)"
		echo "# $n: $(metric $n portcullis_queue_chunks_used) chunks, $(metric $n portcullis_memory_resets_total) reset"
	done
	let_go
	for n in n1 n2; do
		holds "$n: all are gone" until_ok 20 open_exchanges $n 0
		same "$n: and what they held" 0 "$(metric $n portcullis_queue_chunks_used)"
	done
done
at_most "tunnels dialled meanwhile (a bulk one)" $((tunnels + 1)) "$(metric n1 portcullis_tunnels_dialled_total)"
same "tunnels that failed" 0 "$(metric n1 portcullis_tunnels_failed_total)"
