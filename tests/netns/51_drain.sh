#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: an upgrade with takeover costs clients of HTTP/1 nothing, whichever node's process goes: a kept
# connection ends behind an answer that says so, at 4 and at 50 requests a second, on the same node and across;
# quiet ones are closed in good order before the drain's end, not all at once.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
for pod in near server; do serve "$pod" http 8080; done

for node in n1 n2; do
	declare -A ins=()
	for pod in near server; do
		rm -f "$W/kept-$pod.in"
		mkfifo "$W/kept-$pod.in"
		in_ns p-client timeout 60 /usr/bin/python3 "$world_here/kept.py" "$(pod_ip $pod)" 8080 4 50 20 \
			<"$W/kept-$pod.in" >"$W/kept-$pod.json" &
		exec {ins[$pod]}>"$W/kept-$pod.in"
		until_ok 10 grep -q open "$W/kept-$pod.json" || die "$pod: no connections"
	done
	upgrade_proxy $node
	until_ok 15 not_alive "old-$node" || not_ok "$node: the old process" "has not ended"
	for pod in near server; do
		echo >&"${ins[$pod]}"
		asked() { grep -q asked "$W/kept-$pod.json"; }
		until_ok 5 asked || true
		got=$(tail -n 1 "$W/kept-$pod.json")
		[[ $node == n2 && $pod == near ]] && continue # not on its way
		same "$node goes, $pod: no request fails" "0 []" "$(jq -r '"\(.failed) \(.errors)"' <<<"$got")"
		holds "$node goes, $pod: both busy connections end behind an answer: $(jq .closed <<<"$got")" \
			jq -e '.closed >= 2 and .asked > 40' <<<"$got"
		same "$node goes, $pod: the quiet ones are closed in good order" '{"fin":20}' "$(jq -c .quiet <<<"$got")"
		holds "$node goes, $pod: not all at once: over $(jq .over_ms <<<"$got") ms" jq -e '.over_ms > 300' <<<"$got"
	done
done
