#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what is open behind one request where an L7 rule reads requests (an upgraded connection, events
# without an end, a long download, an upload under way) follows policy, on the same node and across: it goes
# on under a rule that reads requests or is for others, and ends within moments where no request of its
# caller could pass any more: denied by its own service account, its address or by port, by the
# namespace's policy or a guardrail, a broken policy, another service account. So does what was passed through to a
# pod that was not in the mesh yet, here and across; it goes on where it would be let in, and ends where that would have
# to be read from a request.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
streams=(/usr/bin/python3 "$world_here/streams.py")

usual_world
rm "$W/policy/server.yaml"
rules() { # RULE...: for both Services, on every port
	policy base.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: base, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server}, {group: "", kind: Service, name: near}]
		  authorization: {defaultAction: Allow, rules: [{name: reads, action: Deny, operation: {paths: [{type: Exact, value: /admin}]}}${1:+, $1}]}
	YAML
}
of() { echo "{type: ServiceAccount, serviceAccount: {namespace: shop, name: $1}}"; }
rules
world_start
for pod in near server; do
	spawn "streams-$pod" "p-$pod" "${streams[@]}" serve 8080
	until_ok 10 listens "$pod" 8080 || die "no listener on $pod"
done

every='["chat","download","events","upload"]'
kinds=() # all four
declare -A ins asked
said() { sed -n "${asked[$1]}p" "$W/streams-$1.json" | jq -c .open | grep .; } # POD: its newest answer
open_streams() {						      # POD
	rm -f "$W/streams-$1."*
	mkfifo "$W/streams-$1.in"
	in_ns p-client timeout 60 "${streams[@]}" open "$(pod_ip "$1")" 8080 "${kinds[@]}" <"$W/streams-$1.in" >"$W/streams-$1.json" &
	exec {ins[$1]}>"$W/streams-$1.in"
	asked[$1]=1
	until_ok 10 said "$1" || true
	[[ $(said "$1") == "$every" ]] || die "$1: $(<"$W/streams-$1.json")"
}
still() { # POD: what is open
	asked[$1]=$((asked[$1] + 1))
	echo >&"${ins[$1]}"
	until_ok 10 said "$1" && said "$1"
}
cut() {
	still "$1" >"$W/still" && [[ $(<"$W/still") == "[]" ]]
}
round() { # NAME OPEN|CUT COMMAND...: streams that were open before the change
	local name=$1 wanted=$2 pod
	shift 2
	changed "$@" || not_ok "$name" "no newer generation on both nodes"
	for pod in near server; do
		if [[ $wanted == OPEN ]]; then
			still $pod >"$W/still" || true
			same "$pod, $name: all goes on" "$every" "$(<"$W/still")"
		else
			until_ok 5 cut $pod || true
			same "$pod, $name: all is cut" "[]" "$(<"$W/still")"
			exec {ins[$pod]}>&-
		fi
	done
}
again() { # COMMAND...: back to where all is open
	changed "$@" || not_ok "back" "no newer generation on both nodes"
	for pod in near server; do open_streams $pod; done
}
guardrail() {
	policy guardrail.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: ClusterSecurityPolicy
		metadata: {name: guardrail}
		spec:
		  namespaceSelector: {}
		  overrides: {authorization: {rules: [{name: rail, action: Deny, principal: {sources: [$(of client)]}}]}}
	YAML
}
namespace_policy() {
	policy namespace.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: namespace, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Namespace, name: shop}]
		  authorization: {rules: [{name: all, action: Deny, principal: {clientCIDRs: [$(pod_ip client)/32]}}]}
	YAML
}
account() {
	pod_yaml client shop "$1" n1 "$(pod_ip client)" "$(pod_ip6 client)" >"$W/policy/.pod"
	mv "$W/policy/.pod" "$W/policy/pod-client.yaml"
}

for pod in near server; do open_streams $pod; done
round "a Deny that reads requests" OPEN rules '{name: put, action: Deny, operation: {methods: [BREW]}}'
round "a Deny of others" OPEN rules "{name: others, action: Deny, principal: {sources: [$(of other)]}}"
round "a Deny of its service account" CUT rules "{name: own, action: Deny, principal: {sources: [$(of client)]}}"
logged "the log says which rule, across" n2 '.end == "policy_changed" and .rule == "own" and .["url.path"] == "/events"'
logged "the log says which rule, here" n1 '.end == "policy_changed" and .rule == "own" and .["http.response.status_code"] == 101'
again rules
round "a Deny of its port" CUT rules '{name: port, action: Deny, operation: {ports: [8080]}}'
again rules
round "a namespace's Deny of its address" CUT namespace_policy
again rm "$W/policy/namespace.yaml"
round "a guardrail" CUT guardrail
again rm "$W/policy/guardrail.yaml"
round "a policy that cannot be read" CUT rules '{name: nonsense, action: Perhaps}'
again rules "{name: others, action: Deny, principal: {sources: [$(of other)]}}"
round "another service account, which is denied" CUT account other

# What was passed through: the pods were left out of the mesh when it was opened.
enrolled() { # POD yes|no
	sed "s|labels: {app: $1.*}}|labels: {app: $1$([[ $2 == yes ]] || echo ', portcullis.dev/dataplane-mode: none')}}|" \
		"$W/policy/pod-$1.yaml" >"$W/policy/.pod"
	mv "$W/policy/.pod" "$W/policy/pod-$1.yaml"
}
both_enrolled() {
	for pod in near server; do enrolled $pod "$1"; done
}
changed account client || not_ok "back" "no newer generation on both nodes"
l4() { # RULE
	policy base.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: base, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server}, {group: "", kind: Service, name: near}]
		  authorization: {defaultAction: Allow, rules: [$1]}
	YAML
}
every='["raw"]'
kinds=(raw)
passed() { # NAME OPEN|CUT COMMAND...: enrolled after they were opened
	changed both_enrolled no || not_ok "$1" "no newer generation on both nodes"
	"${@:3}"
	until_ok 5 settled || true
	for pod in near server; do open_streams $pod; done
	round "$1, enrolled later" "$2" both_enrolled yes
	[[ $2 == CUT ]] || for pod in near server; do exec {ins[$pod]}>&-; done
}
settled() { [[ $(generation n1) == "$(generation n2)" ]]; }
passed "a Deny of others" OPEN l4 "{name: others, action: Deny, principal: {sources: [$(of other)]}}"
passed "a Deny of its service account" CUT l4 "{name: own, action: Deny, principal: {sources: [$(of client)]}}"
passed "a Deny that reads requests" CUT rules '{name: put, action: Deny, operation: {methods: [BREW]}}'
