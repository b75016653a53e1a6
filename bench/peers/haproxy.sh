# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # rig.sh's
# haproxy on both nodes, TLS 1.3 with client certificates between them; sourced by rig.sh.
#
#   haproxy        http mode                  haproxy-l7   and ACLs on certificate, method, path, a rate
#   haproxy-tcp    tcp mode                   haproxy-jwt  l7, and ES256 verified on every request

haproxy_head() { # http|tcp
	cat <<CFG
global
	nbthread 1
	maxconn 4500
	ulimit-n 19900
	tune.ssl.cachesize 20000
	ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
	ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
defaults
	mode $1
	timeout connect 5s
	timeout client 600s
	timeout server 600s
	timeout http-keep-alive 600s
CFG
	[[ $1 == tcp ]] || printf '\thttp-reuse always\n'
}

# Upstream connections of http mode stay open for whoever comes next.
haproxy_pool() { [[ $1 == tcp ]] || echo "pool-max-conn -1 pool-purge-delay 600s"; }

haproxy_source() { # http|tcp
	haproxy_head "$1"
	cat <<CFG
frontend capture
	bind 0.0.0.0:$capture_port transparent backlog 8192
	default_backend mesh
backend mesh
	server n2 192.168.78.12:$mesh_port ssl crt $certs/n1.bundle ca-file $certs/ca.pem verify required verifyhost n2 sni str(n2) ssl-min-ver TLSv1.3 $haproxy_curves_up $(haproxy_pool "$1")
CFG
}

haproxy_destination() { # http|tcp VARIANT
	haproxy_head "$1"
	cat <<CFG
frontend mesh
	bind 192.168.78.12:$mesh_port backlog 8192 ssl crt $certs/n2.bundle ca-file $certs/ca.pem verify required ssl-min-ver TLSv1.3 curves X25519
CFG
	[[ $2 != l7 && $2 != jwt ]] || cat <<-'CFG'
		http-request deny deny_status 403 unless { ssl_c_s_dn(cn) -m str n1 } { method GET POST } { path -m beg /api }
		http-request deny deny_status 403 if { path -m beg /api/admin }
		stick-table type ip size 100k expire 60s store http_req_rate(1s)
		http-request track-sc0 src
		http-request deny deny_status 429 if { sc_http_req_rate(0) gt 10000000 }
	CFG
	[[ $2 != jwt ]] || cat <<-CFG
		http-request set-var(txn.bearer) http_auth_bearer
		http-request set-var(txn.alg) str(ES256)
		http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"$certs/jwt.pub") 1 }
		http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('\$.iss') -m str https://issuer.example }
	CFG
	cat <<CFG
	default_backend pod
backend pod
	server pod $(pod_ip server):$server_port $(haproxy_pool "$1")
CFG
}

peer_start() { # PEER
	local mode=http variant=${1#haproxy}
	variant=${variant#-}
	[[ $variant != tcp ]] || mode=tcp
	# A server line takes curves since 2.9 only; before it the group is OpenSSL's first, X25519 too.
	haproxy_curves_up=
	[[ $("$PEER_HAPROXY" -v) != *"version 2."[0-8]* ]] && haproxy_curves_up="curves X25519"
	[[ $variant != jwt ]] || make_token
	haproxy_source $mode >"$W/n1/haproxy.cfg"
	haproxy_destination $mode "$variant" >"$W/n2/haproxy.cfg"
	spawn proxy-n2 n2 "$PEER_HAPROXY" -db -q -f "$W/n2/haproxy.cfg"
	spawn proxy-n1 n1 "$PEER_HAPROXY" -db -q -f "$W/n1/haproxy.cfg"
	capture_tproxy
}
