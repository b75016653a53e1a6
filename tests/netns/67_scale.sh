#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: with 3,000 pods, 300 Services and 1,000 policies more in the directory, a file each, an edited policy
# is still enforced on both nodes within 200 ms: only the file that changed is read again, and nodes get
# only the records that differ. Six edits; the median counts, and no edit takes longer than twice that, so
# that a machine which does something else for a moment does not decide.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck disable=SC2154 # world.sh's
clients=(/usr/bin/python3 "$world_here/clients.py")
limit_ms=200 most_ms=400
if awk -v cpus="$(nproc)" '{ exit !($1 > 1.5 * cpus) }' /proc/loadavg; then
	limit_ms=400 most_ms=800
	ok "the machine is busy (load $(cut -d' ' -f1 /proc/loadavg)): $limit_ms ms are allowed"
fi

usual_world
/usr/bin/python3 "$world_here/../../../bench/scale/world.py" "$W/policy/many" --pods 3000 --policies 1000 --per-file 1
edited_at=0
edit() { # Deny|Allow
	cat >"$W/policy/.edited" <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: edited, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}, {group: "", kind: Service, name: near, sectionName: p80}]
		  authorization:
		    defaultAction: Allow
		    rules: [{name: items, action: $1, operation: {paths: [{type: PathPrefix, value: /items}]}}]
	YAML
	edited_at=${EPOCHREALTIME/./}
	mv "$W/policy/.edited" "$W/policy/edited.yaml"
}
edit Allow
world_start
holds "the nodes hold all of it" test "$(in_ns n1 curl -s http://127.0.0.1:15020/debug/snapshot | jq .workloads)" -ge 3000
for pod in near server; do
	serve "$pod" http 8080
	mkfifo "$W/watch-$pod.in"
	in_ns p-client "${clients[@]}" watch "$(pod_ip $pod)" 8080 /items <"$W/watch-$pod.in" >"$W/watch-$pod.json" &
	watches+=($!)
	exec {stop}>"$W/watch-$pod.in"
	stops+=("$stop")
done
edits=()
for action in Deny Allow Deny Allow Deny Allow; do
	changed edit $action || not_ok "edit" "no newer generation on both nodes"
	edits+=("$edited_at")
	lines=$(grep -c . "$W/n2/access.log")
	more() { (($(grep -c . "$W/n2/access.log") > lines + 20)); }
	until_ok 5 more || not_ok "requests go on" "they do not"
done
for stop in "${stops[@]}"; do echo stop >&"$stop"; done
wait "${watches[@]}"

for pod in near server; do
	for kind in new kept; do
		times=$(jq -c --arg kind $kind '[.[] | select(.[2] == $kind)]' "$W/watch-$pod.json")
		same "$pod, $kind connections: every edit was seen" "[200,403,403,200,200,403,403,200,200,403,403,200]" "$(jq -c 'map(.[1])' <<<"$times")"
		late=()
		for i in 0 1 2 3 4 5; do
			late+=($((($(jq -r ".[$((2 * i))][0] // 0" <<<"$times") - edits[i]) / 1000)))
		done
		mapfile -t late < <(printf '%s\n' "${late[@]}" | sort -n)
		said="$pod, $kind connections: the old answer was asked for ${late[*]} ms after the edits, at the latest"
		if ((late[3] <= limit_ms && late[5] <= most_ms)); then ok "$said"; else not_ok "$said" "allowed are $limit_ms, and $most_ms once"; fi
	done
done
took=$(grep -o '"event":"configuration_read".*"took_ms":[0-9]*' "$W/log/sync" | grep -o '[0-9]*$' | tail -n 6 | tr '\n' ' ')
ok "policy-sync read and compiled in $took ms"
