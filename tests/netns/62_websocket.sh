#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: WebSocket works through capture unmodified, on the same node and across nodes, where the traffic
# is opaque and where an L7 rule reads it: handshake, messages of every length form, ping, close. The
# rule decides about the handshake; another Upgrade, or CONNECT, is no way past it, and what
# follows a handshake that the server refuses is judged as a request. Other upgrades pass where MeshConfig
# names them, and are opaque then.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
clients=(/usr/bin/python3 "$world_here/clients.py")

usual_world
world_start
for pod in near server; do
	for port in 8080 9090; do
		spawn "websocket-$port-$pod" "p-$pod" /usr/bin/python3 "$world_here/websocket_server.py" "$port"
		until_ok 10 listens "$pod" "$port" || die "no listener on $pod:$port"
	done
done
websocket() { in_ns p-client timeout 30 "${clients[@]}" websocket "$@"; }

whole='{"status":101,"accepted":true,"echoed":[[0,true],[1,true],[125,true],[126,true],[65535,true],[65536,true],[1048576,true]],"pong":true,"closed":true}'
for pod in near server; do
	for host in "$(pod_ip $pod)" "$(pod_ip6 $pod)"; do
		same "$pod, opaque, $host" "$whole" "$(websocket "$host" 9090 /chat | jq -c .)"
		same "$pod, where a rule reads requests, $host" "$whole" "$(websocket "$host" 8080 /chat | jq -c .)"
		same "$pod: the rule decides about the handshake, $host" '{"status":403}' "$(websocket "$host" 8080 /admin/chat | jq -c .)"
	done
done

raw() { in_ns p-client timeout 20 "${clients[@]}" raw "$(pod_ip server)" "$1" | head -n 1 | tr -d '\r'; }
same "an offer of something else is none, and the request goes on" 426 \
	"$(printf 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n' | raw 8080 | awk '{ print $2 }')"
same "CONNECT is refused" 501 "$(printf 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n' | raw 8080 | awk '{ print $2 }')"
# What follows a handshake that the server did not answer with 101 is a request and is judged as one.
same "a handshake that the server refuses opens nothing" "HTTP/1.1 426 Upgrade Required
HTTP/1.1 403 Forbidden" \
	"$(printf 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n' |
		in_ns p-client timeout 20 "${clients[@]}" raw "$(pod_ip server)" 8080 | tr -d '\r' | grep -a ^HTTP)"

logged "one log line for the whole of it, with its bytes" n2 \
	'.["http.response.status_code"] == 101 and .["url.path"] == "/chat" and .["bytes.received"] > 1048576 and .["bytes.sent"] > 1048576'

# switches PROTOCOL METHOD [PATH]: what the pod is offered, and its answer; behind a 101 five bytes that are echoed.
for pod in near server; do
	halt "websocket-8080-$pod"
	spawn "switch-$pod" "p-$pod" /usr/bin/python3 "$world_here/servers.py" switch 8080
	until_ok 10 listens "$pod" 8080 || die "no listener on $pod:8080"
done
switches() {
	printf '%s %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\n\r\nhello' "$2" "${3:-/x}" "$1" |
		in_ns p-client timeout 20 "${clients[@]}" raw "$(pod_ip "$pod")" 8080 | tr -d '\r' | sed -n '1p; s/^X-Offered: //p; /hello/p' | xargs
}
for pod in near server; do
	same "$pod: SPDY/3.1 is no upgrade" "HTTP/1.1 200 OK none" "$(switches SPDY/3.1 POST)"
done
changed policy mesh.yaml <<'YAML'
apiVersion: policy.portcullis.dev/v1alpha1
kind: MeshConfig
metadata: {name: default}
spec: {http: {upgrades: [SPDY/3.1, tcp]}}
YAML
for pod in near server; do
	same "$pod: SPDY/3.1, by name" "HTTP/1.1 101 Switching SPDY/3.1 hello" "$(switches SPDY/3.1 POST)"
	same "$pod: in another case, among others" "HTTP/1.1 101 Switching TCP hello" "$(switches "h2c, TCP" GET)"
	same "$pod: another version is another one" "HTTP/1.1 200 OK none" "$(switches SPDY/3 POST)"
	same "$pod: an answer that was not offered" "HTTP/1.1 502 Bad Gateway" "$(switches tcp GET /lie)"
done
