#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: every walk of the design that needs no Kubernetes. By ClusterIP, pod IP and NodePort, to a pod
# of the same and of the other node, IPv4 and IPv6, opaque and L7: the server sees the client pod's own
# address, and the L7 rule holds whatever address was dialled.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
for pod in near server; do
	serve "$pod" http 8080
	serve "$pod" http 9090
done

for pod in near server; do
	number=$([[ $pod == near ]] && echo 21 || echo 20)
	for host in "10.97.0.$number:80" "$(pod_ip $pod):8080" "10.97.0.$number:90" "$(pod_ip $pod):9090"; do
		same "$pod by $host" "peer=10.245.1.10 path=/x body=0" "$(get "http://$host/x")"
	done
	for host in "[fd00:97::$number]:80" "[$(pod_ip6 $pod)]:8080" "[$(pod_ip6 $pod)]:9090"; do
		same "$pod by $host" "peer=fd00:245:1::10 path=/x body=0" "$(get "http://$host/x")"
	done
	for host in "10.97.0.$number:80" "$(pod_ip $pod):8080" "[$(pod_ip6 $pod)]:8080"; do
		same "$pod by $host: /admin is denied" 403 "$(code "http://$host/admin/x")"
	done
	same "$pod: another port has no L7 rule" 200 "$(code "http://$(pod_ip $pod):9090/admin")"
done
same "NodePort of the own node" "peer=10.245.1.10 path=/n body=0" "$(get http://192.168.78.11:30080/n)"
same "NodePort of the other node" "peer=10.245.1.10 path=/n body=0" "$(get http://192.168.78.12:30080/n)"
same "NodePort: the rule holds" 403 "$(code http://192.168.78.12:30080/admin)"
same "a pod reaches itself through its Service, dialled from the node" "peer=192.168.78.12 path=/h body=0" \
	"$(in_ns p-server curl -s -m 5 http://10.97.0.20/h)"
same "kubelet's way, from the node itself, is not captured" 200 \
	"$(in_ns n2 curl -s -m 5 -o /dev/null -w '%{http_code}' "http://$(pod_ip server):8080/admin")"
same "a port without a listener is refused" refused \
	"$(get "http://$(pod_ip server):7777/" >/dev/null && echo answered || echo refused)"
last_end() { tail -n 1 "$W/n2/access.log" | jq -r .end; }
unreachable_logged() { [[ $(last_end) == unreachable ]]; }
holds "and the log says why" until_ok 5 unreachable_logged
