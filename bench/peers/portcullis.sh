# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # rig.sh's
# Portcullis on both nodes; sourced by rig.sh. The name says what is in force at the destination:
#
#   portcullis-l4      the client's service account may connect; bytes pass opaque
#   portcullis-l7      HTTP parsed; service account, method and path decide; a limit that never fires
#   portcullis-jwt     l7, and a token (ES256) on every request; the token is in $W/token
#
# POLICIES names a directory whose YAML is put beside them.

peer_policy_l4() {
	policy bench.yaml <<-'YAML'
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: bench, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server}, {group: "", kind: Service, name: near}, {group: "", kind: Service, name: apart}]
		  authorization:
		    defaultAction: Deny
		    rules:
		      - name: callers
		        action: Allow
		        principal: {sources: [{type: ServiceAccount, serviceAccount: {namespace: shop, name: client}},
		          {type: ServiceAccount, serviceAccount: {namespace: shop, name: other}}]}
	YAML
}

peer_policy_l7() { # [JWT-YAML]
	policy bench.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: bench, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server}, {group: "", kind: Service, name: near}, {group: "", kind: Service, name: apart}]
		  ${1:-}
		  authorization:
		    defaultAction: Deny
		    rules:
		      - name: callers
		        action: Allow
		        principal: {sources: [{type: ServiceAccount, serviceAccount: {namespace: shop, name: client}},
		          {type: ServiceAccount, serviceAccount: {namespace: shop, name: other}}]}
		        operation: {methods: [GET, POST], paths: [{type: PathPrefix, value: /api}]}
		      - name: no-admin
		        action: Deny
		        operation: {paths: [{type: PathPrefix, value: /api/admin}]}
	YAML
	policy bench-limit.yaml <<-'YAML'
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: RateLimitPolicy
		metadata: {name: bench, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server}, {group: "", kind: Service, name: near}, {group: "", kind: Service, name: apart}]
		  scope: Node
		  rules:
		    - name: never-reached
		      clientSelectors: [{sourceCIDR: {type: Distinct, value: 0.0.0.0/0}}]
		      limit: {requests: 1000000000, unit: Minute}
	YAML
}

peer_policy_jwt() {
	make_token
	peer_policy_l7 "jwt: {providers: [{name: issuer, issuer: https://issuer.example, audiences: [shop], localJWKS: {type: Inline, inline: '$(<"$certs/jwks.json")'}}]}"
}

# No access log: the peers write none.
start_proxy() { # NODE
	local command
	read -ra command <<<"$(proxy_command "$1")"
	spawn "proxy-$1" "$1" "${command[@]}" --access-log off
}

peer_start() { # PEER
	local program
	case $1 in
	portcullis-l4*) peer_policy_l4 ;;
	portcullis-l7*) peer_policy_l7 ;;
	portcullis-jwt*) peer_policy_jwt ;;
	*) die "no such peer: $1" ;;
	esac
	[[ -z ${POLICIES:-} ]] || cp "$POLICIES"/more*.yaml "$W/policy/"
	world_start
	[[ -z ${BENCH_SIDE_CPU:-} ]] || for program in sync rules-n1 rules-n2; do
		taskset -apc "$BENCH_SIDE_CPU" "$(<"$W/pid/$program")" >/dev/null
	done
}
