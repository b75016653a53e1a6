#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: node-proxy is small, and stays so. Idle it has at most 12 MB; each idle captured connection costs
# either node at most 4 KB, and the next crowd finds the memory of the first; none is cut.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck disable=SC2154 # world.sh's
crowd=(/usr/bin/python3 "$world_here/crowd.py")
idle=4000
ulimit -n "$(ulimit -Hn)"
(($(ulimit -n) > idle + 500)) || { echo "needs $idle descriptors"; exit 77; }

at_most() { # NAME LIMIT GOT
	if (($3 <= $2)); then ok "$1: $3 (at most $2)"; else not_ok "$1" "$3 is more than $2"; fi
}

# gather VERB COUNT: holds them in the background until let_go.
gather() {
	converse p-client "${crowd[@]}" "$1" "$(pod_ip server)" 9090 "$2"
	local line=''
	read -rt 120 -u "$talk_out" line || true
	same "$2 connections, $1" "$2" "$(jq -r .open <<<"${line:-null}")"
}
let_go() { # how many of them had been cut is in $cut
	local line=''
	echo go >&"$talk_in"
	read -rt 30 -u "$talk_out" line || true
	cut=$(jq -r .cut <<<"${line:-null}")
	hang_up
}
open_exchanges() { [[ $(metric "$1" portcullis_exchanges_open) == "$2" ]]; }

usual_world
world_start
spawn crowd p-server "${crowd[@]}" serve 9090
until_ok 10 listens server 9090 || die "the crowd's server does not listen"
for n in n1 n2; do at_most "$n: idle, kB" 12288 "$(rss_kb $n)"; done

# What one connection brings with it (the tunnel) is not the connections' cost.
echo "# one connection, 2000 echoes: $(in_ns p-client "${crowd[@]}" ask "$(pod_ip server)" 9090 2000)"
declare -A before
for n in n1 n2; do before[$n]=$(rss_kb $n); done
gather idle $idle
for n in n1 n2; do
	holds "$n has all of them" until_ok 5 open_exchanges $n $idle
	at_most "$n: an idle connection, bytes" 4096 $((($(rss_kb $n) - before[$n]) * 1024 / idle))
done
let_go
same "none of them was cut" 0 "$cut"
for n in n1 n2; do holds "$n: all are gone" until_ok 10 open_exchanges $n 0; done
# The same crowd again finds the memory of the first.
for n in n1 n2; do before[$n]=$(rss_kb $n); done
gather idle $idle
for n in n1 n2; do at_most "$n: the second crowd, kB more" 1024 $(($(rss_kb $n) - before[$n])); done
let_go
same "none of them was cut" 0 "$cut"
for n in n1 n2; do holds "$n: all are gone again" until_ok 10 open_exchanges $n 0; done
