#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The demo's two-node world left standing, to play with and to point any client at.
#
#   sandbox.sh up | info [--json] | exec POD COMMAND... | down
#
# `info --json` names everything: nodes, pods, Services, the directory whose YAML is in force, commands
# to stop, start and upgrade each part, and an empty client and two empty server pods ("acceptance").
set -euo pipefail
P=pc
W=${PORTCULLIS_SANDBOX:-/run/portcullis-sandbox}
DRAIN=30
source "$(dirname "${BASH_SOURCE[0]}")/lib/world.sh"
self=$world_here/../sandbox.sh

up() {
	if [[ -s $W/ready ]]; then
		echo "the sandbox is up; ./build.sh sandbox info" >&2
		return
	fi
	world_down 2>/dev/null || true # a half-made one
	world_network
	world_objects
	pod_add client 1 10 client
	pod_add near 1 20 server
	pod_add server 2 20 server
	pod_add web 2 30 web
	service_add acceptance 20 server 80:8080
	service_add web 30 web 80:8080:30080
	policy acceptance.yaml <<-'YAML'
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: acceptance, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: acceptance}]
		  authorization:
		    defaultAction: Allow
		    rules:
		      - {name: no-admin, action: Deny, operation: {paths: [{type: PathPrefix, value: /admin}]}}
	YAML
	kube_proxy n1
	kube_proxy n2
	world_start
	date >"$W/ready"
	echo "two nodes are up; ./build.sh sandbox info" >&2
}

each() { # VERB [NODE]: on one node, or on both
	local verb=$1 n
	shift
	for n in "${@:-n1 n2}"; do
		for n in $n; do
			case $verb in
			kill_proxy) halt "proxy-$n" KILL ;;
			start_proxy) alive "proxy-$n" || start_proxy "$n" ;;
			upgrade_proxy) upgrade_proxy "$n" ;;
			esac
		done
	done
}

json_nodes() {
	local n
	for n in 1 2; do
		jq -n --arg name "n$n" --arg netns "$P-n$n" --arg ip "192.168.78.1$n" \
			--argjson pid "$(cat "$W/pid/proxy-n$n" 2>/dev/null || echo null)" \
			'{name: $name, netns: $netns, ip: $ip, link_if: "eth0", proxy_pid: $pid, admin: "http://127.0.0.1:15020"}'
	done | jq -s .
}
json_pods() {
	awk '{ printf "{\"name\":\"%s\",\"namespace\":\"%s\",\"service_account\":\"%s\",\"node\":\"%s\",\"netns\":\"'"$P"'-p-%s\",\"ip\":\"%s\",\"ip6\":\"%s\"}\n", $1, $2, $3, $4, $1, $5, $6 }' "$W/pods" | jq -s .
}
json_services() { awk '{ printf "{\"name\":\"%s\",\"cluster_ip\":\"%s\",\"port\":%s}\n", $1, $2, $3 }' "$W/services" | jq -s .; }

info_json() {
	jq -n --argjson nodes "$(json_nodes)" --argjson pods "$(json_pods)" --argjson services "$(json_services)" \
		--arg policy_dir "$W/policy" --arg self "$self" --arg ns "$P" --arg server "$(pod_ip server)" \
		--arg client "$(pod_ip client)" --arg near "$(pod_ip near)" \
		'{nodes: $nodes, pods: $pods, services: $services, policy_dir: $policy_dir,
		commands: ({kill_sync: "kill_sync", start_sync: "start_sync", kill_proxy: "kill_proxy",
			start_proxy: "start_proxy", upgrade_proxy: "upgrade_proxy"} | map_values($self + " " + .)),
		acceptance: {client_netns: ($ns + "-p-client"), client_ip: $client,
			server_netns: ($ns + "-p-server"), server_ip: $server,
			same_node_server_netns: ($ns + "-p-near"), same_node_server_ip: $near,
			l7_target: ($server + ":8080"), service: "10.97.0.20:80"}}'
}

info() {
	[[ -s $W/ready ]] || die "the sandbox is down; ./build.sh sandbox up"
	if [[ ${1:-} == --json ]]; then
		info_json
		return
	fi
	echo "nodes     n1 192.168.78.11, n2 192.168.78.12 (namespaces $P-n1, $P-n2)"
	echo "pods      name namespace account node ip"
	sed 's/^/          /' "$W/pods"
	echo "services"
	awk '{ print "          " $1 " " $2 ":" $3 " -> " $6 ":" $7 }' "$W/services"
	echo "policies  $W/policy (edit: a change is in force at once)"
	echo "logs      $W/n1/access.log $W/n2/access.log $W/log/"
	echo "try       ./build.sh sandbox exec client curl -s http://10.97.0.20/"
}

case ${1:-} in
up) up ;;
info) info "${2:-}" ;;
exec)
	[[ $# -ge 3 ]] || die "usage: sandbox.sh exec POD COMMAND..."
	exec ip netns exec "$P-p-$2" "${@:3}"
	;;
down) world_down ;;
kill_sync) halt sync KILL ;;
start_sync) alive sync || start_sync ;;
kill_proxy | start_proxy | upgrade_proxy) each "$@" ;;
*) die "usage: sandbox.sh up | info [--json] | exec POD COMMAND... | down" ;;
esac
