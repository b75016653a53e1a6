#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The rig: the scenarios' two-node world with nginx as the server, and in it one peer. Every peer is
# measured over the same namespaces, veths and bridge, so that `direct` is the same hop; and over fresh
# ones: a node forwards no packet that matches a TIME_WAIT socket which another peer left there.
#
#   rig.sh up PEER     network, pods, servers, and the peer: direct, or one of peers/; returns when a
#                      request came through it
#   rig.sh down
#
# State is in $W, so that each call is a process of its own. BIN, WORKERS and POLICIES are taken from the
# environment (peers/portcullis.sh), and the peers' programs (PEER_HAPROXY, ...: run.sh).
set -euo pipefail
bench_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/netns/lib/world.sh
source "$bench_here/../tests/netns/lib/world.sh"

capture_port=15001
# shellcheck disable=SC2034 # peers listen there
mesh_port=15008
server_port=8080
DRAIN=0
certs=$W/certs

# Loss-free links: what matters is that nothing paces and that ports come back soon. Machines that
# default to bbr refuse cubic to a namespace; without loss, reno is the same.
tune() { # NAMESPACE
	in_ns "$1" sysctl -qw net.ipv4.ip_local_port_range="1024 65000" net.ipv4.tcp_tw_reuse=1 \
		net.core.somaxconn=8192 net.ipv4.tcp_max_syn_backlog=8192
	in_ns "$1" sysctl -qw net.ipv4.tcp_congestion_control=cubic 2>/dev/null ||
		in_ns "$1" sysctl -qw net.ipv4.tcp_congestion_control=reno
}

start_server() { # POD
	local d=$W/nginx-$1
	mkdir -p "$d/www/api"
	[[ -s $d/www/api/bulk ]] || head -c 1048576 /dev/zero | tr '\0' x >"$d/www/api/bulk"
	sed -e "s|@DIR@|$d|g" -e "s|@PORT@|$server_port|" -e "s|@BODY@|$(printf 'x%.0s' {1..1024})|" \
		"$bench_here/peers/server.conf" >"$d/nginx.conf"
	spawn "server-$1" "p-$1" nginx -c "$d/nginx.conf"
	until_ok 10 in_ns "p-$1" curl -sf -o /dev/null "http://127.0.0.1:$server_port/api/item" ||
		die "nginx does not start: $(tail -n 3 "$W/log/server-$1")"
}

network() {
	local n
	world_network
	world_objects
	pod_add client 1 10 client
	pod_add other 1 11 other
	pod_add near 1 20 server
	pod_add server 2 20 server
	pod_add apart 2 21 server
	service_add server 20 server 80:8080
	service_add near 21 near 80:8080
	service_add apart 22 apart 80:8080
	for n in n1 n2 p-client p-other p-near p-server p-apart; do tune "$n"; done
	for n in server near apart; do start_server "$n"; done
	make_certs
}

# A CA and one certificate a node, for the peers; Portcullis makes its own.
make_certs() {
	local n ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
	mkdir -p "$certs"
	(
		cd "$certs"
		openssl req -x509 "${ec[@]}" -keyout ca.key -out ca.pem -days 2 -subj /CN=bench
		for n in n1 n2; do
			openssl req -new "${ec[@]}" -keyout "$n.key" -out "$n.csr" -subj "/CN=$n"
			printf 'subjectAltName=DNS:%s,URI:spiffe://bench/node/%s\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n' "$n" "$n" >"$n.ext"
			openssl x509 -req -in "$n.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out "$n.pem" -extfile "$n.ext"
			cat "$n.pem" "$n.key" >"$n.bundle"
		done
	) 2>/dev/null || die "openssl could not make the peers' certificates"
}

# A token in $W/token, and its key in the forms that the peers read.
make_token() {
	# shellcheck source=tests/netns/lib/jwt.sh
	source "$world_here/jwt.sh"
	jwt_key "$certs/jwt.key"
	openssl ec -in "$certs/jwt.key" -pubout -out "$certs/jwt.pub" 2>/dev/null
	jwks "$certs/jwt.key" bench >"$certs/jwks.json"
	jwt "$certs/jwt.key" bench "{\"iss\":\"https://issuer.example\",\"aud\":\"shop\",\"sub\":\"ann\",\"exp\":$(($(date +%s) + 86400))}" >"$W/token"
}

# ---- capture for the peers -----------------------------------------------------------------------

# Without a transparent listener nft's tproxy falls through; the drop makes that an error one sees.
capture_tproxy() {
	in_ns n1 nft -f - <<NFT
table ip bench {
chain pre {
	type filter hook prerouting priority mangle; policy accept;
	iifname "v-*" ip daddr 10.245.2.0/24 tcp dport $server_port tproxy to :$capture_port meta mark set 1 accept
	iifname "v-*" ip daddr 10.245.2.0/24 tcp dport $server_port drop
}
}
NFT
	ip -n "$P-n1" rule add fwmark 1 lookup 100 pref 100
	ip -n "$P-n1" route replace local 0.0.0.0/0 dev lo table 100
}
# For those who cannot listen transparently.
capture_redirect() {
	in_ns n1 nft -f - <<NFT
table ip bench {
chain pre {
	type nat hook prerouting priority dstnat; policy accept;
	iifname "v-*" ip daddr 10.245.2.0/24 tcp dport $server_port redirect to :$capture_port
}
}
NFT
}

# ---- peers ---------------------------------------------------------------------------------------

answers() {
	local header=()
	[[ ! -s $W/token ]] || header=(-H "Authorization: Bearer $(<"$W/token")")
	in_ns p-client curl -sf -m 1 -o /dev/null "${header[@]}" "http://$(pod_ip "${TARGET:-server}"):$server_port/api/item"
}

up() { # PEER
	local peer=$1
	world_down 2>/dev/null || true
	network
	case $peer in
	direct) ;;
	portcullis-*) source "$bench_here/peers/portcullis.sh" ;;
	haproxy*) source "$bench_here/peers/haproxy.sh" ;;
	nginx) source "$bench_here/peers/nginx.sh" ;;
	envoy*) source "$bench_here/peers/envoy.sh" ;;
	*) die "no such peer: $peer" ;;
	esac
	if [[ $peer != direct ]]; then peer_start "$peer"; fi # no ||: set -e would not hold in it
	until_ok 15 answers || die "$peer: no answer through it: $(tail -qn 3 "$W"/log/proxy-* 2>/dev/null)"
}

case ${1:-} in
up) up "${2:?PEER}" ;;
down) world_down 2>/dev/null || true ;;
*) die "usage: rig.sh up PEER | down" ;;
esac
