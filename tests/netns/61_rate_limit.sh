#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: "N a minute for each client address" is N, however many workers share the count. All requests
# come at once, each on a connection of its own, to every worker of the node: N get 200, the rest 429
# with a Retry-After that tells the truth. Clients do not take from each other, addresses of both
# families count, refused requests never reach the pod, and what is not limited goes on.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
clients=(/usr/bin/python3 "$world_here/clients.py")

connections=48
# burst POD HOST PORT PATH: prints the statuses' numbers, and in how many workers of n2 they were.
burst() {
	local from=$1
	converse "p-$from" "${clients[@]}" burst "$2" "$3" "$4" "$connections"
	local answer
	read -r -u "$talk_out" answer
	workers=$(in_ns n2 curl -s -m 2 http://127.0.0.1:15020/debug/connections | jq -r .worker | sort -u | wc -l)
	echo go >&"$talk_in"
	read -r -u "$talk_out" answer
	hang_up
	statuses=$(jq -r '"\(.["200"] // 0) \(.["429"] // 0)"' <<<"$answer")
}

limits() {
	policy limit.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: RateLimitPolicy
		metadata: {name: limit, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}]
		  scope: Node
		  rules:
		    - name: ten-a-minute
		      clientSelectors: [{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}, path: {type: PathPrefix, value: /limited}}]
		      limit: {requests: 10, unit: Minute}
		    - name: seven-a-minute
		      clientSelectors: [{sourceCIDR: {type: Distinct, value: "fd00:245::/32"}, path: {type: PathPrefix, value: /limited}}]
		      limit: {requests: 7, unit: Minute}
		    - name: two-a-second
		      clientSelectors: [{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}, path: {type: PathPrefix, value: /brief}}]
		      limit: {requests: 2, unit: Second}
	YAML
}

reached() { # PATH: how many such requests the pod saw
	tcpdump -q -A -r "$W/inside.pcap" 2>/dev/null | grep -ac "GET $1" || true
}

for WORKERS in 1 2 4; do
	usual_world
	limits
	world_start
	serve server http 8080
	spawn inside p-server tcpdump -i eth0 --immediate-mode -U -s 2048 -B 8192 -w "$W/inside.pcap" "tcp port 8080"
	until_ok 10 test -s "$W/inside.pcap" || die "tcpdump does not start"
	server=$(pod_ip server)

	burst client 10.97.0.20 80 /limited
	same "$WORKERS workers: 10 of $connections pass" "10 $((connections - 10))" "$statuses"
	if ((WORKERS == 1 || workers > 1)); then
		ok "$WORKERS workers: $workers of them had the connections"
	else
		# A hash may send them all to one: that the count holds is what is proven then.
		ok "$WORKERS workers: all connections came to one this time"
	fi
	same "$WORKERS workers: by pod IP the count is the same" 429 "$(code "http://$server:8080/limited/too")"
	burst near 10.97.0.20 80 /limited
	same "$WORKERS workers: another client has its own 10" "10 $((connections - 10))" "$statuses"
	burst client "$(pod_ip6 server)" 8080 /limited
	same "$WORKERS workers: IPv6 has its own rule" "7 $((connections - 7))" "$statuses"
	burst client 10.97.0.20 80 /free
	same "$WORKERS workers: what is not limited goes on" "$connections 0" "$statuses"
	halt inside INT
	same "$WORKERS workers: the capture missed nothing" 0 "$(awk '/dropped by kernel/ { print $1 }' "$W/log/inside")"
	same "$WORKERS workers: no refused request reached the pod" 27 "$(reached /limited)"

	wait_s=$(get -D - -o /dev/null http://10.97.0.20/limited | tr -d '\r' | awk 'tolower($1) == "retry-after:" { print $2 }')
	# One of ten comes back every six seconds; some of the first six are gone already.
	if [[ $wait_s =~ ^[1-6]$ ]]; then
		ok "$WORKERS workers: 429 says when to come again ($wait_s s)"
	else
		not_ok "$WORKERS workers: Retry-After" "'$wait_s'"
	fi
	logged "$WORKERS workers: the log names policy and rule" n2 '.["http.response.status_code"] == 429 and
		.end == "rate_limited" and .policy == "RateLimitPolicy/shop/limit" and .rule == "ten-a-minute"'

	brief() { [[ $(code http://10.97.0.20/brief) == "$1" ]]; }
	holds "$WORKERS workers: a limit a second is reached" until_ok 5 brief 429
	holds "$WORKERS workers: and is over after it" until_ok 5 brief 200
	world_down
done
