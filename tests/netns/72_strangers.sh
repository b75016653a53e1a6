#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: no pod gets to a node's tunnel or to policy-sync, not by masquerade either; nine thousand half-open
# connections to a node's tunnel port keep no tunnel away for longer than a second after its restart, nor cost
# a line each; and OPENs that wait for a newer snapshot are bounded.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
ip -n "$P-ctl" addr add 192.168.78.2/24 dev br0
for n in 1 2; do
	in_ns n$n iptables -t nat -A POSTROUTING -s 10.245.$n.0/24 -o eth0 -j MASQUERADE
	in_ns n$n ip6tables -t nat -A POSTROUTING -s fd00:245:$n::/64 -o eth0 -j MASQUERADE
done
world_start
serve server http 8080
tunnel=192.168.78.12

# --- pods ---
reaches() { # FROM ADDRESS PORT
	in_ns "$1" timeout 1 bash -c "exec 3<>/dev/tcp/$2/$3" 2>/dev/null && echo yes || echo no
}
same "somebody on the link reaches a node's tunnel and policy-sync" "yes yes" "$(reaches ctl $tunnel 14443) $(reaches n1 192.168.78.1 9443)"
for to in 192.168.78.11:14443 192.168.78.12:14443 192.168.78.1:9443 fd00:78::11:14443 fd00:78::12:14443; do
	same "a pod does not reach ${to%:*} port ${to##*:}" no "$(reaches p-client "${to%:*}" "${to##*:}")"
done
same "and reaches what else is there" yes "$(reaches p-client "$(pod_ip server)" 8080)"

# --- a crowd of strangers, and a restart ---
crowd=(/usr/bin/python3 "$world_here/crowd.py")
lines() { wc -l <"$W/n2/access.log"; }
besiege() { # from an address of its own each
	spawn "siege-$1" ctl bash -c "exec ${crowd[*]} besiege $tunnel 14443 4500 $2 < <(sleep 50)"
}
before=$(lines)
besiege 1 192.168.78.1
besiege 2 192.168.78.2
begun() { grep -q besieged "$W/log/siege-1" && grep -q besieged "$W/log/siege-2"; }
until_ok 20 begun || die "the siege does not begin"
same "a request in the midst of it" 200 "$(code http://10.97.0.20/)"
answers() { [[ $(get -m 1 -o /dev/null -w '%{http_code}' http://10.97.0.20/) == 200 ]]; }
stands() { (($(in_ns n2 ss -Htn state established "sport = :14443" | wc -l) > 700)); }
until_ok 10 stands || die "nobody besieges"
# Either node comes back: the one that dials, the one that is besieged.
for n in n1 n2 n1; do
	halt proxy-$n KILL
	start_proxy $n
	until_ok 30 ready $n || die "$n is not ready"
	since=${EPOCHREALTIME/./}
	until_ok 30 answers || not_ok "restart of $n" "no answer"
	took_ms=$(((${EPOCHREALTIME/./} - since) / 1000))
	if ((took_ms <= 1000)); then
		ok "restart of $n: the tunnel is back after $took_ms ms"
	else
		not_ok "restart of $n: the tunnel is back within a second" "it took $took_ms ms"
	fi
done
(($(in_ns n2 curl -s -m 2 http://127.0.0.1:15020/metrics | awk -F'[{} ]' '$2 == "resource=\"handshakes\"" && /resource_used/ { print $4 }') <= 1024)) &&
	ok "half-open connections are bounded" || not_ok "half-open connections are bounded" "$(in_ns n2 curl -s -m 2 http://127.0.0.1:15020/metrics | grep handshakes)"
new=$(($(lines) - before))
((new < 1000)) && ok "and cost few lines: $new" || not_ok "and cost few lines" "$new"
halt siege-1
halt siege-2

# --- OPENs that wait ---
impostor() { in_ns n1 python3 "$world_here/impostor.py" "$@"; }
same "node n1's own token" certified "$(impostor certify 192.168.78.1:9443 n1 "$W/tokens/n1" "$W/trust.pem" "$W/n1stolen")"
refused=$(impostor hoard "$tunnel:14443" "$W/n1stolen" 3000 uid-server "$(pod_ip server)" 9090)
((refused >= 3000 - 1024 && refused < 3000)) &&
	ok "of 3000 OPENs that are to wait $refused are refused at once" || not_ok "OPENs that are to wait are bounded" "of 3000 $refused were refused at once"
same "beside them a request" 200 "$(code http://10.97.0.20/)"
