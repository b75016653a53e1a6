#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a node's own firewall has the say whether the tunnel's port is open, and once it let a tunnel in, needs no
# rule more: tunnels are untracked, which such firewalls (only NEW on an open port, ESTABLISHED, nothing that is
# INVALID) take for nobody's; with SYN cookies too. No tracking entry of a tunnel outlives its handshake.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
serve server http 8080
serve server http 9090
firewall() { # NODE PORTS: open to NEW
	local tool
	for tool in iptables-nft ip6tables-nft; do
		in_ns "$1" $tool -A INPUT -m conntrack --ctstate INVALID -j DROP
		in_ns "$1" $tool -A OUTPUT -m conntrack --ctstate INVALID -j DROP
		in_ns "$1" $tool -A INPUT -i lo -j ACCEPT
		[[ $tool == iptables-nft ]] || in_ns "$1" $tool -A INPUT -p ipv6-icmp -j ACCEPT
		in_ns "$1" $tool -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
		in_ns "$1" $tool -A INPUT -p tcp -m conntrack --ctstate NEW -m multiport --dports "$2" -j ACCEPT
		in_ns "$1" $tool -P INPUT DROP
	done
}
tracked() { # NODE: entries of tunnels, those of a SYN that had its answer untracked aside
	in_ns "$1" conntrack -L -p tcp 2>/dev/null | grep 'dport=14443' | grep -cv SYN_SENT || true
}
no_tunnel() { [[ $(metric n2 portcullis_tunnels_open) == 0 ]]; }

firewall n1 14443
firewall n2 9
same "a firewall that keeps the port shut keeps tunnels out" 000 "$(code "http://$(pod_ip server):9090/")"
holds "and none stands" no_tunnel
for tool in iptables-nft ip6tables-nft; do
	in_ns n2 $tool -A INPUT -p tcp -m conntrack --ctstate NEW --dport 14443 -j ACCEPT
done
answers() { [[ $(code "http://$(pod_ip server):9090/") == 200 ]]; }
holds "one that opens it lets them in" until_ok 20 answers
same "and the L7 rule holds" 403 "$(code "http://$(pod_ip server):8080/admin")"
for n in n1 n2; do
	same "$n: no tunnel is tracked" 0 "$(tracked $n)"
	in_ns $n sysctl -qw net.ipv4.tcp_syncookies=2
done
halt proxy-n2
start_proxy n2
holds "with SYN cookies: a new tunnel" until_ok 20 answers
for n in n1 n2; do same "$n: no tunnel is tracked, with SYN cookies" 0 "$(tracked $n)"; done
