#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what only watches changes no answer, on the same node and across. On a port where Audit policies and limits
# in shadow mode alone read requests a server that speaks first is heard at once, requests and everything else pass
# byte for byte, and the log says what would be refused, and by which rule.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
raw() { in_ns p-client timeout 20 /usr/bin/python3 "$world_here/clients.py" raw "$(pod_ip "$1")" 9090; }

usual_world
targets='{group: "", kind: Service, name: server, sectionName: p90}, {group: "", kind: Service, name: near, sectionName: p90}'
policy audit.yaml <<YAML
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: watch, namespace: shop}
spec:
  mode: Audit
  targetRefs: [$targets]
  authorization:
    defaultAction: Allow
    rules:
      - {name: no-admin, action: Deny, operation: {paths: [{type: PathPrefix, value: /admin}]}}
      - {name: no-put, action: Deny, operation: {methods: [PUT]}}
---
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: who, namespace: shop}
spec:
  mode: Audit
  targetRefs: [$targets]
  authorization: {defaultAction: Allow, rules: [{name: nobody, action: Allow, principal: {jwt: {provider: nobody}}}]}
YAML
world_start
declare -A node=([near]=n1 [server]=n2)
for pod in near server; do serve "$pod" banner 9090; done

# passes POD NAME BYTES: what comes back is the greeting and the same bytes.
passes() {
	same "$1: $2" "$(printf '220 hello 10.245.1.10\r\n%b' "$3" | sha256sum)" "$(printf '%b' "$3" | raw "$1" | sha256sum)"
}
# says POD NAME CONDITION: beside the line of its own that a connection has.
says() { logged "$1: $2" "${node[$1]}" ".[\"target.pod\"] == \"shop/$1\" and .would_deny and .[\"audit.policy\"] == \"SecurityPolicy/shop/watch\" and ($3)"; }

odd='X-Odd:  a\tb \r\nConnection: X-Odd, keep-alive\r\nUpgrade: h2c\r\n'
for pod in near server; do
	same "$pod: a server that speaks first is heard" "220 hello 10.245.1.10" \
		"$(in_ns p-client timeout 5 bash -c "exec 3<>/dev/tcp/$(pod_ip $pod)/9090; head -n 1 <&3" | tr -d '\r')"
	passes $pod "requests" "GET //fine/./x?y HTTP/1.1\r\nHost: a\r\n$odd\r\nPOST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	same "$pod: of which none would be refused" "" "$(log_lines "${node[$pod]}" '.would_deny')"
	passes $pod "requests that would be refused" 'GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /admin/1 HTTP/1.1\r\nHost: a\r\n\r\nPUT /y HTTP/1.1\r\nHost: a\r\n\r\n'
	says $pod "one by its path" '.event == "would_deny" and .["audit.rule"] == "no-admin" and .["url.path"] == "/admin/1" and .["http.request.method"] == "GET"'
	says $pod "the other by its method" '.event == "would_deny" and .["audit.rule"] == "no-put" and .["url.path"] == "/y" and .["source.identity"] == "spiffe://cluster.local/ns/shop/sa/client"'
	says $pod "and the connection's line" '.event == "exchange" and .protocol == "tcp" and .verdict == "allow" and .end == "closed"'
	passes $pod "what is no HTTP" 'EHLO a\r\n\x80\x81\xfe\r\n'
	says $pod "which cannot be read" '.event == "would_deny" and .protocol == "tcp" and .detail == "no request that can be read"'
	passes $pod "a head without an end" "GET /$(head -c 100000 /dev/zero | tr '\0' a)"
done
same "each that would be refused is counted" "4 4" "$(metric n1 portcullis_audit_denials_total) $(metric n2 portcullis_audit_denials_total)"

# A real server, and limits that only count.
for pod in near server; do
	halt "banner-9090-$pod"
	serve "$pod" http 9090
done
limit() {
	policy limit.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: RateLimitPolicy
		metadata: {name: watch, namespace: shop}
		spec: {targetRefs: [$targets], scope: Node, rules: [{name: two, shadowMode: true, limit: {requests: 2, unit: Hour}}]}
	YAML
}
changed limit
for pod in near server; do
	same "$pod: HTTP is answered, and what an enforced rule refuses on another port is" "200 200 200 200 403" \
		"$(for path in a admin b c; do code "http://$(pod_ip $pod):9090/$path"; echo -n ' '; done)$(code "http://$(pod_ip $pod):8080/admin")"
	logged "$pod: the third is one more than the limit" "${node[$pod]}" \
		'.event == "would_deny" and .["audit.policy"] == "RateLimitPolicy/shop/watch" and .["audit.rule"] == "two"'
done
explain_l4() { "$BIN/policy-sync" explain --from-dir "$W/policy" --from shop/client --to shop/server:9090 "$@" 2>&1; }
explain() { explain_l4 --method GET "$@"; }
same "explain says what happens, and what would" "allow SecurityPolicy/shop/watch no-admin" \
	"$(explain --path /admin --json | jq -r '"\(.verdict) \(.["audit.policy"]) \(.["audit.rule"])"')"
same "without a request, that one is needed" "allow give --path" \
	"$(explain_l4 | sed -n 's/^verdict *//p; s/.*\(give --path\).*/\1/p' | xargs)"
same "and of what nobody would refuse" "allow null" "$(explain --path /x --json | jq -r '"\(.verdict) \(.["audit.policy"])"')"
