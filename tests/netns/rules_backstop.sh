#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a pod that no range of the configuration knows is not reached past the proxy: whatever would
# be forwarded to a non-uplink interface, and was neither captured nor excluded, is dropped; so are a
# host port's DNAT and a load balancer address that nobody listed. What pods began themselves with the
# outside goes on, and with `backstop = off` nothing is dropped.
source "$(dirname "$0")/lib/rules.sh"

world_up
pod_up stranger 1 10.66.0.9 fd00:66::9
pod_up guest 1 10.66.0.10 fd00:66::10
ip -n "$prefix-lan" route add 10.66.0.0/24 via "${node4[1]}"
ip -n "$prefix-lan" -6 route add fd00:66::/64 via "${node6[1]}"
server stranger
server c
start web lan "${tcp_program[@]}" serve 443 web
in_ns n1 iptables-nft -t nat -A PREROUTING -p tcp --dport 8443 -j DNAT --to-destination "${pod4[c]}:8080"
in_ns n1 iptables-nft -t nat -A PREROUTING -p tcp -d 203.0.113.9 -j DNAT --to-destination "${pod4[c]}:8080"
ip -n "$prefix-lan" route add 203.0.113.9 via "${node4[1]}"
count_in_pod stranger

capture 1
listener 1
ok_equal "outside ▶ pod outside the ranges, IPv4" "timeout" "$(ask lan 10.66.0.9 8080 --timeout=0.3)"
ok_equal "outside ▶ pod outside the ranges, IPv6" "timeout" "$(ask lan fd00:66::9 8080 --timeout=0.3)"
ok_equal "pod ▶ pod outside the ranges" "timeout" "$(ask a 10.66.0.9 8080 --timeout=0.3)"
in_ns lan "${tcp_program[@]}" stray "$outside4" 40000 10.66.0.9 8080 PA 5
ok_equal "no TCP packet reached it" "0" "$(packets_in_pod stranger)"
ok_equal "host port" "timeout" "$(ask lan "${node4[1]}" 8443 --timeout=0.3)"
ok_equal "load balancer address that nobody listed" "timeout" "$(ask lan 203.0.113.9 443 --timeout=0.3)"
ok_equal "a pod in the ranges ▶ outside" "web sees ${pod4[a]}: hello" "$(ask a "$outside4" 443)"
ok_equal "a pod outside the ranges ▶ outside" "web sees 10.66.0.10: hello" "$(ask guest "$outside4" 443)"
ok_equal "the node ▶ a pod outside the ranges" "stranger sees ${node4[1]}: hello" "$(ask n1 10.66.0.9 8080)"
ok_like "preflight says so" "*10.66.0.9/32*outside capture_cidrs*" "$(rules 1 preflight)"

capture 1 'exclude = 10.66.0.0/24'
ok_equal "excluded: reached" "stranger sees $outside4: hello" "$(ask lan 10.66.0.9 8080)"
capture 1 'external_cidrs = 203.0.113.9/32' 'node_ports = 30000-32767 8443'
ok_equal "listed: captured" "$outside4 dialled 203.0.113.9:443: hello" "$(ask lan 203.0.113.9 443)"
ok_equal "host port listed: captured" "$outside4 dialled ${node4[1]}:8443: hello" "$(ask lan "${node4[1]}" 8443)"
config 1 'backstop = off'
ok_false "backstop off: preflight refuses while a pod would be open" rules 1 apply
rules 1 apply --force >"$work/forced.log" 2>&1
ok_equal "backstop off: reached" "stranger sees $outside4: hello" "$(ask lan 10.66.0.9 8080)"
