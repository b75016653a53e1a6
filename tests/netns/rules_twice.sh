#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: applying twice is applying once, counters included; applying what a former run left half done
# completes it; a changed configuration replaces the old set without leaving any of it; changed marks
# and numbers take the old routing away.
source "$(dirname "$0")/lib/rules.sh"

world_up
kube_proxy_iptables 1
config 1
rules 1 apply >"$work/out" 2>&1
ok_like "the first apply puts in" "in place (iptables-nft), 12 pieces put in" "$(tail -1 "$work/out")"
listener 1
ask a "${service4[remote]}" 80 >"$work/out"
in_ns n1 iptables-nft-save -c -t mangle | sed '/^#/d' >"$work/counters"
snapshot 1 >"$work/once"
ok_equal "the second has nothing to do" "in place (iptables-nft), nothing to do" "$(rules 1 apply 2>/dev/null)"
snapshot 1 >"$work/twice"
ok_same_file "and changes nothing" "$work/once" "$work/twice"
in_ns n1 iptables-nft-save -c -t mangle | sed '/^#/d' >"$work/counters2"
ok_same_file "not even a counter" "$work/counters" "$work/counters2"

in_ns n1 iptables-nft -t raw -F
in_ns n1 ip -6 rule del pref 51
rules 1 apply >"$work/out" 2>&1
ok_like "half of it lost: only that is put in" "*, 2 pieces put in" "$(tail -1 "$work/out")"
snapshot 1 >"$work/again"
ok_same_file "and the whole is as before" "$work/once" "$work/again"

config 1 'exclude = 10.245.2.0/24' 'node_ports = 30000-31000'
rules 1 apply >"$work/out" 2>&1
ok_like "a changed configuration" "*pieces put in" "$(tail -1 "$work/out")"
ok_false "nothing of the old is left" grep -q 30000:32767 <(in_ns n1 iptables-nft-save)
config 1
rules 1 apply >"$work/out" 2>&1
snapshot 1 >"$work/again"
ok_same_file "back again" "$work/once" "$work/again"

config 1 'mark = 0x0a000000' 'mark_mask = 0x0f000000' 'rule_pref = 70' 'route_table = 777'
ok_false "changed marks: verify says so" rules 1 verify
ok_true "changed marks" rules 1 apply
ok_false "changed marks: nothing of the old is left" grep -q -e 0x500000 -e 15001 -e 'pref 50' \
	<(in_ns n1 iptables-nft-save | grep -v on-port; in_ns n1 ip rule; in_ns n1 nft list table ip portcullis)
ok_true "changed marks: in place" rules 1 verify
