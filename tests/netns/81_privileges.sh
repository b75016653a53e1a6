#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what somebody who took a data path process over would hold. Every thread of it (not only the first) has
# CAP_NET_RAW and nothing else, a seccomp filter, no way to gain privileges; nobody dumps its core; a successor
# is confined alike, and serving (traffic, live edits, upgrade) asks for no call that the filter refuses. policy-sync
# and its CA process gain nothing either.
# build: release
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
serve server http 8080

# of PID FIELD: the distinct values over all threads of a process
of() { awk -v f="$2:" '$1 == f { print $2 }' "/proc/$1"/task/*/status | sort -u | paste -sd ' '; }
threads() { find "/proc/$1/task" -mindepth 1 -maxdepth 1 | wc -l; }
pid_of() { # NAME: of the program, behind setsid and ip
	cat "$W/pid/$1"
}
confined() { # NAME PID
	same "$1: every thread has CAP_NET_RAW and nothing else in effect" 0000000000002000 "$(of "$2" CapEff)"
	same "$1: nor permitted" 0000000000002000 "$(of "$2" CapPrm)"
	same "$1: nor inheritable, nor ambient" "0000000000000000 0000000000000000" "$(of "$2" CapInh) $(of "$2" CapAmb)"
	same "$1: nor in the bounding set" 0000000000002000 "$(of "$2" CapBnd)"
	same "$1: every thread is filtered" 2 "$(of "$2" Seccomp)"
	same "$1: no new privileges" 1 "$(of "$2" NoNewPrivs)"
	same "$1: no core" 0 "$(awk '/^Max core file size/ { print $5 }' "/proc/$2/limits")"
}
holds "the process has threads, or this would show little" test "$(threads "$(pid_of proxy-n1)")" -ge 4
for n in n1 n2; do confined "$n" "$(pid_of "proxy-$n")"; done

# What is not dumpable has files in /proc that are nobody's but root's, though it runs as anybody; and another
# process of its own user without capabilities may not look into it.
look() { setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all head -c 1 "/proc/$(pid_of proxy-n1)/$1"; }
holds "a process of the same user without capabilities cannot read its memory map" bash -c "! $(declare -f look pid_of); W=$W; ! look maps"
holds "but it can read its own (the check is no blind one)" setpriv --bounding-set=-all --inh-caps=-all head -c 1 /proc/self/maps

# It serves: L4, L7, both ways, a live edit, IPv6.
code_of() { code "$@"; }
same "L7 is served" 200 "$(code_of http://10.97.0.20/)"
same "and denied" 403 "$(code_of http://10.97.0.20/admin)"
same "IPv6 is served" 200 "$(code_of "http://[fd00:97::20]/")"
edit() { sed 's/\/admin/\/other/' "$W/policy/server.yaml" | policy server.yaml; }
holds "a live edit is taken" changed edit
same "and holds" 403 "$(code_of http://10.97.0.20/other)"

# Upgrade: the successor is confined alike; descriptors of the old one still pass.
old=$(pid_of proxy-n2)
upgrade_proxy n2
gone() { ! kill -0 "$old" 2>/dev/null; }
holds "the old process goes" until_ok 20 gone
confined "successor of n2" "$(pid_of proxy-n2)"
same "the successor serves" 200 "$(code_of http://10.97.0.20/)"

# A certificate more, from a policy-sync that was away: connecting, reading and writing still work.
halt sync KILL
start_sync
reconnected() { [[ $(metric n1 portcullis_sync_connected) == 1 && $(metric n2 portcullis_sync_connected) == 1 ]]; }
holds "both nodes find policy-sync again" until_ok 60 reconnected
same "nothing that was needed was refused" "" "$(grep -h system_call_refused "$W"/log/proxy-* || true)"

# policy-sync serves the cluster, so it has more to lose; it needs no capability at all.
sync=$(pid_of sync)
ca=$(pgrep -P "$sync" | head -n 1)
for who in "policy-sync $sync" "CA $ca"; do
	read -r name pid <<<"$who"
	same "$name: no capability in effect, none permitted" "0000000000000000 0000000000000000" "$(of "$pid" CapEff) $(of "$pid" CapPrm)"
	same "$name: no new privileges" 1 "$(of "$pid" NoNewPrivs)"
	same "$name: no core" 0 "$(awk '/^Max core file size/ { print $5 }' "/proc/$pid/limits")"
done
same "CA: filtered" 2 "$(of "$ca" Seccomp)"
