#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what a Service says of its own traffic holds, as with kube-proxy, from which capture takes it:
# externalTrafficPolicy Local for sources outside, internalTrafficPolicy Local for cluster IPs only,
# loadBalancerSourceRanges at load balancer addresses only, sessionAffinity for a client's every connection.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world

# both FIELDS NEAR_IS_READY: one Service in front of a pod of each node.
both() {
	policy service-both.yaml <<-YAML
		apiVersion: v1
		kind: Service
		metadata: {name: both, namespace: shop}
		spec:
		  type: LoadBalancer
		  clusterIP: 10.97.0.30
		  externalIPs: [10.97.0.31]
		  ports: [{name: web, port: 80, targetPort: 8081, nodePort: 30031}]
		  $1
		status: {loadBalancer: {ingress: [{ip: 10.97.0.32}]}}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: both-4, namespace: shop, labels: {kubernetes.io/service-name: both}}
		addressType: IPv4
		ports: [{name: web, port: 8081}]
		endpoints:
		- {addresses: [$(pod_ip near)], conditions: {ready: $2}, nodeName: n1, targetRef: {kind: Pod, name: near, namespace: shop, uid: uid-near}}
		- {addresses: [$(pod_ip server)], nodeName: n2, targetRef: {kind: Pod, name: server, namespace: shop, uid: uid-server}}
	YAML
}
both "" true
world_start
for pod in near server; do
	mkdir -p "$W/www-$pod"
	echo "$pod" >"$W/www-$pod/who"
	spawn "www-$pod" "p-$pod" /usr/bin/python3 -m http.server -d "$W/www-$pod" 8081
	until_ok 10 listens $pod 8081 || die "no server in $pod"
done
in_ns ctl ip route replace 10.97.0.31/32 via 192.168.78.11
in_ns ctl ip route replace 10.97.0.32/32 via 192.168.78.11

# who FROM ADDRESS: who answers 16 connections (the servers speak HTTP/1.0); "nobody" where one is not answered.
who() {
	local answers
	answers=$(in_ns "$1" curl -s -m 4 "http://$2/who?[1-16]" || true)
	(($(wc -w <<<"$answers") == 16)) || answers+=" nobody"
	xargs -n 1 <<<"$answers" | sort -u | paste -sd ' '
}
declare -A at=([cluster]=10.97.0.30 [external]=10.97.0.31 [balancer]=10.97.0.32 [n1]=192.168.78.11:30031 [n2]=192.168.78.12:30031)
# check WHAT FROM EXPECTED DOOR...
check() {
	for door in "${@:4}"; do
		same "$1: $2 by ${door}" "$3" "$(who "$2" "${at[$door]}")"
	done
}

check "nothing said" p-client "near server" cluster external balancer n1 n2
check "nothing said" ctl "near server" external balancer n1 n2

changed both "externalTrafficPolicy: Local" true
check "external Local" p-client "near server" cluster external balancer n1
check "external Local" ctl near external balancer n1
check "external Local" ctl server n2
changed both "externalTrafficPolicy: Local" false
check "external Local, no endpoint here" ctl nobody balancer n1
check "external Local, no endpoint here" ctl server n2
check "external Local, no endpoint here" p-client server cluster n1

changed both "internalTrafficPolicy: Local" true
check "internal Local" p-client near cluster
check "internal Local" p-client "near server" external balancer n1
check "internal Local" ctl "near server" balancer n1

changed both "loadBalancerSourceRanges: [192.168.78.1/32]" true
check "ranges" ctl "near server" external balancer n1
check "ranges" p-client nobody balancer
check "ranges" p-client "near server" cluster external n1
changed both "loadBalancerSourceRanges: [10.245.0.0/16]" true
check "other ranges" ctl nobody balancer
check "other ranges" ctl "near server" external n1
check "other ranges" p-client "near server" balancer
logged() { grep -q '"end":"source_range"' "$W/n1/access.log"; }
holds "and the log says why" until_ok 5 logged

changed both "sessionAffinity: ClientIP" false
check "affinity, one pod is ready" p-client server cluster
check "affinity, one pod is ready" ctl server n1
changed both "sessionAffinity: ClientIP" true
check "affinity: who has a pod keeps it" p-client server cluster external balancer n1
check "affinity: who has a pod keeps it" ctl server external balancer n1
