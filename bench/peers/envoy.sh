# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # rig.sh's
# Envoy on both nodes, HTTP/1.1 inside TLS 1.3 with client certificates between them; sourced by rig.sh.
#
#   envoy        RBAC (certificate's identity, method, path) and a local rate limit, at the destination
#   envoy-plain  neither                     envoy-jwt    both, and ES256 verified on every request

type=type.googleapis.com/envoy.extensions

envoy_tls() { # NODE PEER up|down
	local kind=Downstream more="require_client_certificate: true"
	[[ $3 == down ]] || { kind=Upstream && more="sni: $2"; }
	# An upstream's highest version is 1.2 unless it is told.
	cat <<YAML
{name: envoy.transport_sockets.tls, typed_config: {"@type": $type.transport_sockets.tls.v3.${kind}TlsContext, $more, common_tls_context: {
  tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3, ecdh_curves: [X25519]},
  tls_certificates: [{certificate_chain: {filename: $certs/$1.pem}, private_key: {filename: $certs/$1.key}}],
  validation_context: {trusted_ca: {filename: $certs/ca.pem}, match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: $2}}]}}}}
YAML
}

envoy_filters() { # VARIANT
	[[ $1 == plain ]] || cat <<YAML
          - name: rbac
            typed_config:
              "@type": $type.filters.http.rbac.v3.RBAC
              rules:
                action: ALLOW
                policies:
                  callers:
                    principals: [{authenticated: {principal_name: {exact: "spiffe://bench/node/n1"}}}]
                    permissions:
                      - and_rules: {rules: [
                          {url_path: {path: {prefix: /api}}},
                          {not_rule: {url_path: {path: {prefix: /api/admin}}}},
                          {or_rules: {rules: [{header: {name: ":method", string_match: {exact: GET}}},
                            {header: {name: ":method", string_match: {exact: POST}}}]}}]}
          - name: limit
            typed_config:
              "@type": $type.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: {max_tokens: 4000000, tokens_per_fill: 4000000, fill_interval: 1s}
              filter_enabled: {default_value: {numerator: 100}}
              filter_enforced: {default_value: {numerator: 100}}
YAML
	[[ $1 != jwt ]] || cat <<YAML
          - name: jwt
            typed_config:
              "@type": $type.filters.http.jwt_authn.v3.JwtAuthentication
              providers: {issuer: {issuer: "https://issuer.example", audiences: [shop], forward: true, local_jwks: {filename: $certs/jwks.json}}}
              rules: [{match: {prefix: /}, requires: {provider_name: issuer}}]
YAML
}

# envoy_config LISTEN PORT TRANSPARENT LISTENER-TLS NEXT NEXT-PORT CLUSTER-TLS VARIANT
envoy_config() {
	cat <<YAML
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: $1, port_value: $2}}
    tcp_backlog_size: 8192
    transparent: $3
    filter_chains:
    - ${4:+transport_socket: $4}
      filters:
      - name: http
        typed_config:
          "@type": $type.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          codec_type: HTTP1
          generate_request_id: false
          stream_idle_timeout: 0s
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: next, timeout: 0s}}]}]}
          http_filters:
$(envoy_filters "$8")
          - name: router
            typed_config: {"@type": $type.filters.http.router.v3.Router, suppress_envoy_headers: true, dynamic_stats: false}
  clusters:
  - name: next
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000, max_retries: 1000}]}
    ${7:+transport_socket: $7}
    load_assignment: {cluster_name: next, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: $5, port_value: $6}}}}]}]}
YAML
}

peer_start() { # PEER
	local n variant=${1#envoy}
	variant=${variant#-}
	[[ $variant != jwt ]] || make_token
	envoy_config 0.0.0.0 $capture_port true "" 192.168.78.12 $mesh_port "$(envoy_tls n1 n2 up | tr '\n' ' ')" plain >"$W/n1/envoy.yaml"
	envoy_config 192.168.78.12 $mesh_port false "$(envoy_tls n2 n1 down | tr '\n' ' ')" "$(pod_ip server)" $server_port "" "$variant" >"$W/n2/envoy.yaml"
	for n in n2 n1; do
		spawn "proxy-$n" "$n" "$PEER_ENVOY" -c "$W/$n/envoy.yaml" --concurrency 1 --disable-hot-restart -l error
	done
	capture_tproxy
}
