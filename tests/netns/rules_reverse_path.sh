#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: capture works with rp_filter=1 and src_valid_mark=1, which wg-quick sets: the reverse-path
# check asks the routing with the packet's mark, and our first policy rule takes that question past the
# table in which everything is local. Without that rule every captured packet is a martian.
source "$(dirname "$0")/lib/rules.sh"

world_up
kube_proxy 1 iptables
kube_proxy 2 iptables
for n in 1 2; do
	# shellcheck disable=SC2016 # the inner shell's
	in_ns n$n sh -c 'for f in /proc/sys/net/ipv4/conf/*/rp_filter /proc/sys/net/ipv4/conf/*/src_valid_mark; do echo 1 >$f; done'
	capture $n
done
listener 1 "${service4[local]}:80=${pod4[c]}:8080"
listener 2 "${pod4[b]}:8080=${pod4[b]}:8080"
server b
server c
ok_equal "ClusterIP" "c sees ${pod4[a]}: hello" "$(ask a "${service4[local]}" 80)"
ok_equal "pod on another node" "${pod4[a]} dialled ${pod4[b]}:8080: hello" "$(ask a "${pod4[b]}" 8080)"
ok_equal "inbound" "b sees $outside4: hello" "$(ask lan "${pod4[b]}" 8080)"
ok_equal "NodePort" "$outside4 dialled ${node4[1]}:30080: hello" "$(ask lan "${node4[1]}" 30080)"
ok_like "preflight tells what holds it" "*info rp_filter: *ip rule 50*" "$(rules 1 preflight)"
in_ns n1 ip rule del pref 50
ok_equal "the rule is what makes it work" "timeout" "$(ask a "${service4[local]}" 80 --timeout=0.3)"
ok_false "and verify misses it" rules 1 verify
