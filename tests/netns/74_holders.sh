#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: beside a pod with twenty thousand idle connections, with three thousand unfinished heads, or a stolen
# node with as many streams as it gets, other pods' connections have no failure, of the same node and to the
# same pod; the log and a metric say who had his share, and his quiet ones make room
# for his own; and connectionsPerPod holds.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
pod_add crowd 1 11 crowd
world_start
serve server http 8080
crowd=(/usr/bin/python3 "$world_here/crowd.py")
spawn far p-server "${crowd[@]}" serve 9090
spawn other p-server "${crowd[@]}" serve 9091
spawn close p-near "${crowd[@]}" serve 9090
until_ok 10 listens server 9091 && until_ok 10 listens near 9090 || die "nobody listens"

# besides NAME: requests of another pod, each on a connection of its own: how many fail.
head9k=$(printf 'x%.0s' {1..9000})
besides() {
	local n failures=0
	for n in {1..25}; do
		[[ $(code -H "X-Long: $head9k" "http://10.97.0.20/$n") == 200 ]] || failures=$((failures + 1))
		in_ns p-client "${crowd[@]}" ask "$(pod_ip near)" 9090 1 >/dev/null 2>&1 || failures=$((failures + 1))
	done
	same "$1: failures of 50 others" 0 "$failures"
}
refusals() { # NODE RESOURCE HOLDER
	in_ns "$1" curl -s -m 2 http://127.0.0.1:15020/metrics | sed -n "s/^portcullis_share_refusals_total{resource=\"$2\",holder=\"$3\"} //p"
}
standing() { # FILE COUNT
	[[ $(sed -n 's/^open //p' "$1" 2>/dev/null | tail -n 1) -ge $2 ]]
}

# --- idle connections ---
for i in 1 2; do
	spawn idle-$i p-crowd "${crowd[@]}" hold "$(pod_ip server)" 9090 10000 echo
done
until_ok 60 standing "$W/log/idle-1" 9990 && until_ok 60 standing "$W/log/idle-2" 9990 || die "no crowd: $(tail -n 1 "$W"/log/idle-*)"
besides "20,000 idle connections"
(($(refusals n1 descriptors source) + $(refusals n1 exchanges source) > 0)) &&
	ok "the crowd had its share" || not_ok "the crowd had its share" "nothing was refused"
grep -q '"client.address":"10.245.1.11".*"end":"overloaded".*the source has its share of' "$W/n1/access.log" &&
	ok "the log says who" || not_ok "the log says who" "$(grep -m 1 overloaded "$W/n1/access.log")"
own() { [[ $(in_ns p-crowd curl -s -m 2 -o /dev/null -w '%{http_code}' http://10.97.0.20/) == 200 ]]; }
holds "a new one of the crowd itself takes the place of one that is quiet" until_ok 10 own
halt idle-1
halt idle-2
gone() { (($(metric n1 portcullis_exchanges_open) < 100)); }
until_ok 20 gone || not_ok "the crowd leaves" "$(metric n1 portcullis_exchanges_open)"

# --- unfinished heads ---
spawn heads p-crowd "${crowd[@]}" hold 10.97.0.20 80 3000 head
until_ok 30 standing "$W/log/heads" 2990 || die "no heads"
besides "3,000 unfinished heads"
(($(refusals n2 heads_160k source) > 0)) && ok "the heads had their share" || not_ok "the heads had their share" "nothing was refused"
halt heads

# --- a stolen node ---
same "node n1's own token" certified "$(in_ns n1 python3 "$world_here/impostor.py" certify 192.168.78.1:9443 n1 "$W/tokens/n1" "$W/trust.pem" "$W/stolen")"
spawn stolen n1 python3 "$world_here/impostor.py" occupy 192.168.78.12:14443 "$W/stolen" 60000 uid-crowd crowd "$(pod_ip crowd)" uid-server "$(pod_ip server)" 9091
until_ok 60 standing "$W/log/stolen" 60000 || die "the stolen node does not get through: $(tail -n 2 "$W/log/stolen")"
besides "a stolen node's 60,000 streams"
halt stolen

# --- connectionsPerPod ---
limit() { policy mesh.yaml <<<'{apiVersion: policy.portcullis.dev/v1alpha1, kind: MeshConfig, metadata: {name: default}, spec: {limits: {connectionsPerPod: 30}}}'; }
changed limit || die "the limit does not come"
until_ok 10 gone
spawn few p-crowd "${crowd[@]}" hold "$(pod_ip server)" 9090 50 echo
until_ok 10 standing "$W/log/few" 50 || die "no fifty"
established() { in_ns p-crowd ss -Htn state established "dport = :9090" | wc -l; }
thirty() { (($(established) == 30)); }
until_ok 5 thirty && ok "of 50 connections of a pod 30 stand" || not_ok "of 50 connections of a pod 30 stand" "$(established)"
same "another pod's" 200 "$(code http://10.97.0.20/)"
