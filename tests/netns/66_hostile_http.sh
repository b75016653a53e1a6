#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: where an L7 rule reads requests, some 500 hostile byte streams from a client, and hostile answers from
# a pod, do what RFC 9110 and 9112 and the policy say, on the same node and across nodes. The pod
# records every byte: nothing ambiguous, denied or hidden arrives there; what is odd but plain arrives as it
# was sent; every refusal has its status, a closed connection and one line in the log that says why; no
# answer is delivered to another request than its own.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
policy mesh.yaml <<'YAML'
apiVersion: policy.portcullis.dev/v1alpha1
kind: MeshConfig
metadata: {name: default}
spec: {timeouts: {requestHeader: 2s}}
YAML
policy server.yaml <<'YAML'
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: server, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}, {group: "", kind: Service, name: near, sectionName: p80}]
  authorization:
    defaultAction: Allow
    rules:
      - {name: no-admin, action: Deny, operation: {paths: [{type: PathPrefix, value: /admin}]}}
      - {name: no-role, action: Deny, principal: {headers: [{name: X-Role, value: admin}]}}
YAML
world_start

hostile() { # requests|responses POD NODE
	local status=0
	timeout 200 /usr/bin/python3 "$world_here/hostile_http.py" "$1" "$P-p-client" "$P-p-$2" "$(pod_ip "$2")" 8080 \
		"$W/$3/access.log" >"$W/hostile-$1-$2" || status=$?
	sed "s/^\(ok\|not ok\) /&$2, /" "$W/hostile-$1-$2"
	((status == 0)) || not_ok "$1 to $2" "exit status $status"
}
for kind in requests responses; do
	hostile $kind server n2
	hostile $kind near n1
done
for n in n1 n2; do
	kb=$(rss_kb $n)
	((kb < 120000)) && ok "$n is still small ($kb kB)" || not_ok "$n memory" "$kb kB"
done
