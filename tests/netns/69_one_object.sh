#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: one object holds up nobody, and nothing that goes opens a door. Objects that a node would refuse are left
# out, and a Deny written after them is enforced on both nodes; a policy's target Service that is deleted
# is still covered, also over a restart, until the policy goes; a file that is truncated, kept open or cannot
# be read at a start takes nothing away.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"

usual_world
world_start
for pod in near server; do serve "$pod" http 8080; done
ask() { code "http://$(pod_ip "$1"):8080/items"; }
asked() { [[ $(ask "$1") == "$2" ]]; }
write() { # FILE: of the directory, whole at once
	cat >"$W/policy/.new"
	mv "$W/policy/.new" "$W/policy/$1"
}
deny() { # NAME TARGET
	cat <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: $1, namespace: shop}
		spec: {targetRefs: [{group: "", $2}], authorization: {rules: [{name: r, action: Deny, operation: {paths: [{type: PathPrefix, value: /}]}}]}}
	YAML
}
same "before: open" "200 200" "$(ask near) $(ask server)"

# What no node would take, in a namespace of somebody else.
write odd.yaml <<-YAML
	apiVersion: v1
	kind: Service
	metadata: {name: odd, namespace: other}
	spec: {clusterIP: 10.97.9.1, selector: {app: x}, ports: [{port: 80, name: $(printf 'a%.0s' {1..64})}]}
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: twice, namespace: other, uid: u-twice}
	spec: {nodeName: n1}
	status: {podIPs: [{ip: 10.245.9.9}, {ip: "::ffff:10.245.9.9"}]}
	---
	apiVersion: v1
	kind: Pod
	metadata: {name: nobody, namespace: other, uid: u-nobody}
	spec: {nodeName: n1}
	status: {podIPs: [{ip: 224.0.0.1}]}
	---
	apiVersion: policy.portcullis.dev/v1alpha1
	kind: SecurityPolicy
	metadata: {name: odd, namespace: other}
	spec: {targetRefs: [{group: "", kind: Namespace, name: other}], authorization: {rules: [{name: r, action: Allow, principal: {jwt: {provider: "", claims: [{name: a, values: [b]}]}}}]}}
YAML
deny first "kind: Service, name: server" | write first.yaml
holds "a Deny that is written behind what nodes would refuse is enforced" until_ok 10 asked server 403
same "and nobody refused anything" "0 0" "$(for n in n1 n2; do in_ns $n curl -s http://127.0.0.1:15020/metrics | awk '/^portcullis_snapshots_refused_total/ { print $2 }'; done | xargs)"
holds "policy-sync's log says which object" grep -q 'Service other/odd is left out' "$W/log/sync"

# A target that goes.
write z.yaml <<-YAML
	apiVersion: v1
	kind: Service
	metadata: {name: z, namespace: shop}
	spec: {clusterIP: 10.97.9.2, selector: {app: near}, ports: [{name: web, port: 80, targetPort: 8080}]}
YAML
deny gone "kind: Service, name: z, sectionName: web" | write gone.yaml
holds "a policy of a Service covers its pod" until_ok 10 asked near 403
changed rm "$W/policy/z.yaml" || not_ok "removal" "no newer generation on both nodes"
same "the Service is deleted: its pod is still covered" 403 "$(ask near)"
halt sync
start_sync
changed touch "$W/policy/first.yaml" || true
wait_ready
same "and after a restart of policy-sync" 403 "$(ask near)"

# Files that say nothing any more.
sleep 60 >"$W/policy/first.yaml" & # truncated, and kept open
writer=$!
sleep 2.5 # longer than a writer is waited for
same "a file that is truncated and kept open takes nothing away" 403 "$(ask server)"
halt sync
start_sync
wait_ready
same "at a start neither" 403 "$(ask server)"
kill "$writer"
closed() { grep -q 'is empty: its objects stay' "$W/log/sync"; }
holds "empty and closed, it cannot be read: the log says so" until_ok 10 closed
holds "and its policy refuses" until_ok 10 asked server 500
rm "$W/policy/first.yaml" "$W/policy/gone.yaml"
holds "removed is removed" until_ok 10 asked server 200
holds "and the policy of the deleted Service with it" until_ok 10 asked near 200
