#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a policy file that is edited is enforced on both nodes within 200 ms, six edits in a row, towards
# deny and back: on new connections, on one that stays open between its requests, and on an opaque one
# that is open, which is cut with reason policy_changed. A file with an error opens no door: what it
# protects refuses until it is mended, and the log says where the error is.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
clients=(/usr/bin/python3 "$world_here/clients.py")
limit_ms=200

usual_world
edited_at=0
edit() { # Deny|Allow: /items on the HTTP ports, everything on the others
	cat >"$W/policy/.edited" <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: edited, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}, {group: "", kind: Service, name: near, sectionName: p80}]
		  authorization:
		    defaultAction: Allow
		    rules: [{name: items, action: $1, operation: {paths: [{type: PathPrefix, value: /items}]}}]
		---
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: edited-raw, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server, sectionName: p90}, {group: "", kind: Service, name: near, sectionName: p90}]
		  authorization: {defaultAction: $1}
	YAML
	edited_at=${EPOCHREALTIME/./}
	mv "$W/policy/.edited" "$W/policy/edited.yaml"
}
edit Allow
world_start
for pod in near server; do
	serve "$pod" http 8080
	serve "$pod" banner 9090
	mkfifo "$W/watch-$pod.in"
done

# Both pods are asked every few milliseconds while the file is edited.
for pod in near server; do
	in_ns p-client "${clients[@]}" watch "$(pod_ip $pod)" 8080 /items <"$W/watch-$pod.in" >"$W/watch-$pod.json" &
	watches+=($!)
	exec {stop}>"$W/watch-$pod.in"
	stops+=("$stop")
done
opened() { grep -qs open "$W/hold-$1.json"; }
edits=()
for action in Deny Allow Deny Allow Deny Allow; do
	if [[ $action == Deny ]]; then
		for pod in near server; do
			rm -f "$W/hold-$pod.json" # what the last one said would be taken for this one's word
			in_ns p-client timeout 60 "${clients[@]}" hold "$(pod_ip $pod)" 9090 >"$W/hold-$pod.json" &
			until_ok 10 opened $pod || die "no connection stays open"
		done
	fi
	changed edit $action || not_ok "edit" "no newer generation on both nodes"
	edits+=("$edited_at")
	if [[ $action == Deny ]]; then
		cut() { grep -q how "$W/hold-$1.json"; }
		for pod in near server; do
			until_ok 5 cut $pod || not_ok "$pod: the open connection" "was not cut"
			same "$pod: the open connection is reset" reset "$(tail -n 1 "$W/hold-$pod.json" | jq -r .how)"
			late=$((($(tail -n 1 "$W/hold-$pod.json" | jq -r .at_us) - edits[-1]) / 1000))
			holds "$pod: after $late ms" test "$late" -le $limit_ms
		done
	fi
	# What is asked for from now on has the new answer: the watch goes on a little to show it.
	lines=$(grep -c . "$W/n2/access.log")
	more() { (($(grep -c . "$W/n2/access.log") > lines + 20)); }
	until_ok 5 more || not_ok "requests go on" "they do not"
done
for stop in "${stops[@]}"; do echo stop >&"$stop"; done
wait "${watches[@]}"

# The last request that still got the old answer was asked this long after the edit.
for pod in near server; do
	for kind in new kept; do
		times=$(jq -c --arg kind $kind '[.[] | select(.[2] == $kind)]' "$W/watch-$pod.json")
		same "$pod, $kind connections: every edit was seen" "[200,403,403,200,200,403,403,200,200,403,403,200]" "$(jq -c 'map(.[1])' <<<"$times")"
		for i in 0 1 2 3 4 5; do
			late=$((($(jq -r ".[$((2 * i))][0] // 0" <<<"$times") - edits[i]) / 1000))
			if ((late <= limit_ms)); then
				ok "$pod, $kind connections, edit $((i + 1)): the old answer was asked for $late ms after it, at the latest"
			else
				not_ok "$pod, $kind connections, edit $((i + 1))" "$late ms"
			fi
		done
	done
done
logged "n2: the log says why the open connection ended" n2 '.end == "policy_changed" and .policy == "SecurityPolicy/shop/edited-raw"'
logged "n1: the log says why the open connection ended" n1 '.end == "policy_changed" and .policy == "SecurityPolicy/shop/edited-raw"'

# A slip of the pen opens no door.
sed 's/authorization:/authorization: [/' "$W/policy/edited.yaml" >"$W/policy/.slip"
changed mv "$W/policy/.slip" "$W/policy/edited.yaml" || not_ok "slip" "no newer generation on both nodes"
same "a policy that cannot be read refuses requests: 500" 500 "$(code "http://$(pod_ip server):8080/items")"
same "and connections: reset" reset "$(in_ns p-client timeout 10 /usr/bin/python3 -c "
import socket
s = socket.create_connection(('$(pod_ip server)', 9090))
try:
    print('data' if s.recv(1) else 'closed')
except ConnectionResetError:
    print('reset')")"
holds "policy-sync's log says which file, and where in it" \
	grep -qE '"event":"configuration_finding","file":"[^"]*edited.yaml","line":[1-9]' "$W/log/sync"
logged "the node's log says that the policy is invalid" n2 '.end == "policy_invalid" and .policy == "SecurityPolicy/shop/edited"'
changed edit Allow || not_ok "mended" "no newer generation on both nodes"
same "mended, it is enforced again" 200 "$(code "http://$(pod_ip server):8080/items")"
