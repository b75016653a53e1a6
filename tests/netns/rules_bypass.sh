#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: two pods that conspire cannot make connection tracking take them for an old connection. Each
# sends the other segments without a handshake; tracking picks such a flow up in mid-air and calls it
# ESTABLISHED as soon as it has seen both directions. What went to the proxy once (our connmark) never
# counts as old. And the proxy's mark, set by a pod, is no way round either.
source "$(dirname "$0")/lib/rules.sh"

world_up
kube_proxy 1 iptables
capture 1
listener 1
# The kernel answers a segment that belongs to no connection with a reset; those may arrive.
count_in_pod a "tcp flags & rst == 0"
count_in_pod c "tcp flags & rst == 0"

stray() { in_ns "$1" "${tcp_program[@]}" stray "${@:2}"; }
for _ in 1 2 3; do
	stray a "${pod4[a]}" 41000 "${pod4[c]}" 42000 PA
	stray c "${pod4[c]}" 42000 "${pod4[a]}" 41000 PA
	stray a "${pod6[a]}" 41000 "${pod6[c]}" 42000 PA
	stray c "${pod6[c]}" 42000 "${pod6[a]}" 41000 PA
done
ok_equal "a's segments that reached c" "0" "$(packets_in_pod c)"
ok_equal "c's segments that reached a" "0" "$(packets_in_pod a)"
server c
ok_equal "a mark of the pod's own making" "${pod4[a]} dialled ${pod4[c]}:8080: hello" \
	"$(ask a "${pod4[c]}" 8080 --mark=0x500000)"
