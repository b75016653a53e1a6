#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: policy-sync may die and no request fails; an upgrade of a proxy under 500 requests a second with
# 20 long-lived connections fails none and cuts none before the drain ends; everything stopped and
# started comes back by itself; the same with the CA's root rotated under load.
DRAIN=12
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
serve server http 9090
serve server banner 9091
long_open() { [[ $(in_ns p-client ss -Htn state established '( dport = :9091 )' | wc -l) -ge $1 ]]; }
rate() { # SECONDS LONG: in the background, once the long-lived ones are open; its result is its last line
	spawn rate p-client /usr/bin/python3 "$world_here/servers.py" rate "$(pod_ip server):9090" "$1" 500 "$2"
	until_ok 5 long_open "$2" || die "the long-lived connections do not open: $(tail -n 3 "$W/log/rate")"
}
result() { tail -n 1 "$W/log/rate"; }
done_rate() { result | jq -e .done; }
ends() { # how many exchanges so far ended how, where not in good order
	cat "$W"/n?/access.log | jq -r 'select(.event == "exchange" and .end != "closed") | "# \(.reporter): \(.end) at port \(.["destination.port"])"' |
		sort | uniq -c
}
check() { # NAME
	until_ok 40 not_alive rate || true
	same "$1: no request failed" 0 "$(result | jq -r .failed)"
	same "$1: no long-lived connection was cut" 0 "$(result | jq -r .cut)"
	echo "# $1: $(result)"
	[[ $(result | jq -r .failed) == 0 ]] || ends
	: >"$W/log/rate"
}

rate 5 20
halt sync KILL
check "kill -9 of policy-sync"
start_sync
until_ok 20 ready n1 && until_ok 20 ready n2 && ok "nodes are connected again" || not_ok "nodes are connected again" "not ready"

for n in n1 n2; do
	rate 6 20
	upgrade_proxy "$n"
	holds "$n: the new process takes over" until_ok 20 grep -q took_over "$W/log/proxy-$n"
	check "upgrade of $n"
	holds "$n: the old process drains and goes" until_ok 30 not_alive "old-$n"
	: >"$W/log/proxy-$n"
done

rate 8 20
"$BIN/policy-sync" ca rotate --state-dir "$W/state" begin >"$W/rotate" 2>&1 && ok "root rotation A ▶ A+B ▶ B signs" || not_ok "rotate begin" "$(<"$W/rotate")"
"$BIN/policy-sync" ca rotate --state-dir "$W/state" finish >"$W/rotate" 2>&1 && ok "root A is gone" || not_ok "rotate finish" "$(<"$W/rotate")"
check "root rotation"

for n in n1 n2; do halt "proxy-$n" KILL; done
halt sync KILL
start_sync
start_proxy n1
start_proxy n2
wait_ready
same "everything stopped and started: traffic flows again" 200 "$(code "http://$(pod_ip server):9090/")"
