#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: the variant of iptables is chosen as iptables-wrappers does: where kubelet's chains are, else
# where kube-proxy's are, else nft; capture works on a legacy host; and when a host changes sides, the
# old rule set goes before the new one comes.
source "$(dirname "$0")/lib/rules.sh"

chosen() { rules 1 preflight | sed -n 's/^info backend: this host uses iptables-\(.*\)\.$/\1/p'; }

world_up
config 1
ok_equal "a bare host" nft "$(chosen)"
ok_equal "asking makes no legacy table" "" "$(in_ns n1 cat /proc/net/ip_tables_names)"
in_ns n1 iptables-legacy -t mangle -N KUBE-PROXY-CANARY
ok_equal "kube-proxy's chains in legacy" legacy "$(chosen)"
in_ns n1 iptables-nft -t mangle -N KUBE-PROXY-CANARY
ok_equal "kube-proxy's chains in both" nft "$(chosen)"
in_ns n1 ip6tables-legacy -t mangle -N KUBE-IPTABLES-HINT
ok_equal "kubelet's hint in legacy" legacy "$(chosen)"
in_ns n1 iptables-nft -t mangle -N KUBE-KUBELET-CANARY
ok_equal "kubelet's canary in nft, too" nft "$(chosen)"
config 1 'backend = legacy'
ok_equal "told" legacy "$(chosen)"
world_down

world_up
kube_proxy_iptables 1 legacy
server b
capture 1
ok_true "legacy: in place" rules 1 verify
ok_false "legacy: nothing of ours is in nft's tables" grep -q PORTCULLIS <(in_ns n1 iptables-nft-save 2>&1)
listener 1
ok_equal "legacy: ClusterIP" "${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
ok_equal "legacy: ClusterIP, IPv6" "${pod6[a]} dialled [${service6[remote]}]:80: hello" "$(ask a "${service6[remote]}" 80)"
in_ns n1 sysctl -qw net.ipv4.tcp_syncookies=2
ok_equal "legacy: ClusterIP, SYN cookies" "${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
ok_equal "legacy: NodePort" "$outside4 dialled ${node4[1]}:30080: hello" "$(ask lan "${node4[1]}" 30080)"

# kubelet was upgraded and uses nft from now on.
kube_proxy_iptables 1 nft
# shellcheck disable=SC2016 # the inner shell's
in_ns n1 sh -c 'for t in mangle nat filter; do for i in iptables-legacy ip6tables-legacy; do $i -t $t -S | grep -q KUBE && { $i -t $t -F; $i -t $t -X; }; done; done; :'
ok_false "changed sides: verify says so" rules 1 verify
ok_true "changed sides: apply" rules 1 apply --force
ok_false "changed sides: nothing is left in legacy" grep -q PORTCULLIS <(in_ns n1 iptables-legacy-save; in_ns n1 ip6tables-legacy-save)
ok_true "changed sides: in place" rules 1 verify
ok_equal "changed sides: capture works" "${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"
