#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: preflight finds what stands against capture on a host, each thing by itself, says it in one
# sentence with what to do, changes nothing, and exits with 1 exactly where there is an error; apply
# then refuses, and obeys --force.
source "$(dirname "$0")/lib/rules.sh"

# finds NAME STATUS PATTERN: preflight exits with STATUS and has a line like PATTERN.
finds() {
	local output status=0
	output=$(rules 1 preflight) || status=$?
	ok_equal "$1: exit status" "$2" "$status"
	ok_like "$1: is told" "*$3*" "$output"
}

# In the node, with the mounts that SETUP makes for this one process.
finds_with() { # NAME STATUS PATTERN SETUP
	local output status=0
	output=$(in_ns n1 sh -c "$4; exec \"\$@\"" - "$rules_program" preflight --config "$work/n1.conf") ||
		status=$?
	ok_equal "$1: exit status" "$2" "$status"
	ok_like "$1: is told" "*$3*" "$output"
}

in_node() { in_ns n1 "$@"; }

world_up
config 1 "cni_dir = $work/cni"
finds "a host that is fit" 0 "info backend: this host uses iptables-nft."
ok_false "a host that is fit: nothing else is told" grep -Eq '^(error|warning)' <(rules 1 preflight)

# Kernel, io_uring, iptables' extensions: as this one process sees them.
finds_with "old kernel" 1 "error kernel: Linux 2.6.*older than 6.1" \
	'set -- setarch x86_64 --uname-2.6 "$@"'
echo 2 >"$work/two"
finds_with "io_uring forbidden" 1 "error io_uring: kernel.io_uring_disabled=2" \
	"mount --bind $work/two /proc/sys/kernel/io_uring_disabled"
echo 1 >"$work/one"
finds_with "io_uring for a group only" 0 "warning io_uring: kernel.io_uring_disabled=1*io_uring_group" \
	"mount --bind $work/one /proc/sys/kernel/io_uring_disabled"
socket_extension=$(find /usr/lib /lib -name libxt_socket.so -print -quit 2>/dev/null)
finds_with "an extension is missing" 1 "error extensions: ipv4: iptables-nft does not take*xt_socket" \
	"mount --bind /dev/null $socket_extension"

# Interfaces and routes.
in_node ip link add cni0 type bridge
in_node ip link set veth-a master cni0
in_node sysctl -qw net.bridge.bridge-nf-call-iptables=1
finds "pods on a bridge, with br_netfilter" 1 "error br_netfilter: 1 pods hang on bridge cni0*"
in_node sysctl -qw net.bridge.bridge-nf-call-iptables=0
finds "pods on a bridge" 1 "error bridge: 1 pods hang on bridge cni0*"
in_node ip link del cni0
in_node ip link add kube-ipvs0 type bridge
finds "IPVS" 1 "error kube_proxy: kube-proxy runs in IPVS mode*set mode: nftables"
in_node ip link del kube-ipvs0
in_node ip link add cilium_host type bridge
finds "Cilium" 0 "warning cilium: *bpf.hostLegacyRouting=true"
in_node ip link del cilium_host
in_node ip link add docker0 type bridge
finds "an interface that is neither" 0 "warning uplinks: interface docker0 (bridge) is not in uplinks"
in_node ip link del docker0
in_node ip route add 10.99.0.7/32 dev veth-a
finds "a pod outside the ranges" 0 "warning capture_cidrs: 10.99.0.7/32 is routed to veth-a*"
in_node ip route del 10.99.0.7/32
sed -i 's/^uplinks.*/uplinks = veth-c wlan0/' "$work/n1.conf"
finds "the default route is no uplink" 1 "error uplinks: the default route leads through eth0*"
finds "an uplink that is not there" 1 "warning uplinks: no interface is called wlan0"
config 1 "cni_dir = $work/cni"

# Numbers that somebody else uses.
in_node ip rule add pref 51 lookup main
finds "policy rule taken" 1 "error routing: ipv4: ip rule 51 belongs to somebody else*rule_pref"
ok_false "policy rule taken: apply refuses" rules 1 apply
in_node ip rule del pref 51
in_node ip -6 route add 2001:db8::/64 dev eth0 table 15001
finds "table taken" 1 "error routing: ipv6: route table 15001 holds somebody else's routes"
in_node ip -6 route flush table 15001
in_node iptables-nft -t mangle -A FORWARD -m mark --mark 0x100000/0x100000 -j ACCEPT
finds "mark bits taken by a rule" 0 "warning marks: ipv4: other programs' rules use mark bits 0x100000"
in_node ip6tables-nft -t mangle -A OUTPUT -j MARK --set-xmark 0x200000/0x300000
finds "mark bits taken by a target" 0 "warning marks: ipv6: other programs' rules use mark bits 0x300000"
in_node nft flush ruleset
in_node ip rule add pref 2000 fwmark 0x800000/0x800000 lookup main
finds "mark bits taken by routing" 0 "warning marks: ipv4: *0x800000"
in_node ip rule del pref 2000

# Neighbours.
kube_proxy_iptables 1
finds "kube-proxy, iptables mode" 0 "info kube_proxy: kube-proxy runs in iptables mode (iptables-nft)"
in_node nft flush ruleset
kube_proxy_nftables 1
finds "kube-proxy, nftables mode" 0 "info kube_proxy: kube-proxy runs in nftables mode"
in_node nft flush ruleset
in_node nft 'add table inet firewalld'
finds "firewalld" 0 "warning firewall: firewalld is active*trusted"
in_node nft flush ruleset
in_node nft 'add table inet site; add chain inet site in { type filter hook input priority 0; policy drop; }'
finds "a firewall that drops by default" 0 "warning firewall: nftables chain site in drops by default*0x500000"
in_node nft flush ruleset
in_node iptables-nft -N cali-INPUT
finds "Calico's order" 0 "warning calico: *chainInsertMode: Append"
in_node iptables-nft -t nat -N ISTIO_PREROUTING
finds "another mesh" 1 "error mesh: Istio has chains*"
in_node nft flush ruleset
mkdir "$work/cni"
echo '{"plugins":[{"type":"calico"},{"type":"linkerd-cni"}]}' >"$work/cni/10-calico.conflist"
finds "another mesh's CNI plugin" 0 "warning mesh: linkerd-cni's CNI plugin is configured"
rm -r "$work/cni"

# Errors stop apply and run; --force does not.
in_node iptables-nft -t nat -N ISTIO_OUTPUT
snapshot 1 >"$work/before"
ok_false "an error: apply refuses" rules 1 apply
ok_false "an error: run refuses" rules 1 run
snapshot 1 >"$work/after"
ok_same_file "an error: nothing was changed" "$work/before" "$work/after"
ok_true "an error: --force applies" rules 1 apply --force
ok_true "and it is in place" rules 1 verify
