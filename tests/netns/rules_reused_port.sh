#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a client that dials again from the same port, while the proxy's side of its former connection
# is still in TIME_WAIT, is served by its first SYN.
# And the hairpin: a pod that reaches itself through a Service is dialled from the node's address,
# because from its own it would see a martian; the reply finds the proxy also there.
source "$(dirname "$0")/lib/rules.sh"

world_up
kube_proxy 1 nftables
capture 1
listener 1 "${service4[self]}:80=${pod4[a]}:8080@${node4[1]}" "[${service6[self]}]:80=[${pod6[a]}]:8080@${node6[1]}"
server a
for i in 1 2 3; do
	ok_equal "same source port, time $i" "${pod4[a]} dialled ${service4[local]}:80: bye" \
		"$(ask a "${service4[local]}" 80 --source-port=45000 --closes=peer --timeout=0.5)"
done
ok_equal "the proxy's side was in TIME_WAIT" "${service4[local]}:80" \
	"$(in_ns n1 ss -Htan state time-wait "sport = :80" | awk '{ print $3 }')"
ok_equal "no SYN had to be sent twice" "0" "$(in_ns a nstat -asz TcpRetransSegs | awk '/Retrans/ { print $2 }')"
ok_equal "hairpin, IPv4" "a sees ${node4[1]}: hello" "$(ask a "${service4[self]}" 80)"
ok_equal "hairpin, IPv6" "a sees ${node6[1]}: hello" "$(ask a "${service6[self]}" 80)"
