#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job in a minute, on two nodes, from real requests: what is shown is what came back. Exit status 1
# if anything differs from what is claimed beside it.
set -euo pipefail
P=demo
W=${TMPDIR:-/tmp}/portcullis-demo
source "$(dirname "${BASH_SOURCE[0]}")/lib/world.sh"
source "$world_here/jwt.sh"
trap 'world_down 2>/dev/null || true' EXIT
trap 'exit 1' INT TERM

wrong=0
title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
say() { printf '  %s\n' "$*"; }
# shown WHAT EXPECTED GOT
shown() {
	if [[ $2 == "$3" ]]; then
		printf '  \033[32m✓\033[0m %-66s %s\n' "$1" "$3"
	else
		printf '  \033[31m✗\033[0m %-66s %s (expected %s)\n' "$1" "$3" "$2"
		wrong=1
	fi
}
client() { in_ns "p-$1" curl -s -m 5 "${@:2}"; }
status() { # POD CURL-ARGUMENTS: the status, or "reset"
	local code
	code=$(client "$1" -o /dev/null -w '%{http_code}' "${@:2}") || { [[ $? == 56 || $? == 35 ]] && code=reset; }
	echo "${code/000/reset}"
}
answers() { [[ $(status "$1" "$2") == 200 ]]; }
server() { spawn "server-$1" "p-$1" /usr/bin/python3 "$world_here/servers.py" "${@:2}"; }

title "Two nodes, five pods, no Kubernetes: namespaces, standard objects as YAML"
world_down 2>/dev/null || true
world_network
world_objects
pod_add frontend 1 10 frontend
pod_add batch 1 11 batch
pod_add backoffice 1 12 backoffice
pod_add cart 2 10 cart
pod_add orders 2 11 orders
service_add cart 10 cart 80:8080
service_add orders 11 orders 80:8080 90:9090
jwt_key "$W/key.pem"
jwt_key "$W/other.pem"
cp "$world_here/../policies/"*.yaml "$W/policy/"
sed -i "s|@JWKS@|$(jwks "$W/key.pem" demo)|" "$W/policy/orders-jwt.yaml"
findings=$("$BIN/policy-sync" check --strict "$W/policy") || die "the demo's own policies: $findings"
kube_proxy n1
kube_proxy n2
spawn capture n1 tcpdump -i eth0 --immediate-mode -U -w "$W/link.pcap" -s 0
world_start
server cart http 8080
server orders http 8080
spawn server-orders-raw p-orders /usr/bin/python3 "$world_here/servers.py" banner 9090
until_ok 10 in_ns n2 curl -s -o /dev/null "http://$(pod_ip cart):8080/" || die "cart does not answer"
until_ok 10 in_ns n2 curl -s -o /dev/null "http://$(pod_ip orders):8080/" || die "orders does not answer"
say "policy-sync compiled $(find "$W/policy" -name '*.yaml' | wc -l) files; both nodes are ready"

title "Who may call: service accounts (policies/cart-callers.yaml)"
shown "frontend (sa frontend) ▶ cart" 200 "$(status frontend http://10.97.0.10/items)"
shown "batch (sa batch) ▶ cart: nobody allows it" 403 "$(status batch http://10.97.0.10/items)"
shown "batch ▶ cart by pod IP, past the Service" 403 "$(status batch "http://$(pod_ip cart):8080/items")"

title "What they may do: path and method (policies/cart-admin.yaml)"
shown "frontend ▶ GET /admin" 403 "$(status frontend http://10.97.0.10/admin)"
shown "frontend ▶ GET /x/%2e%2e/%61dmin, the same in disguise" 403 "$(status frontend --path-as-is 'http://10.97.0.10/x/%2e%2e/%61dmin')"
shown "frontend ▶ DELETE /items" 403 "$(status frontend -X DELETE http://10.97.0.10/items)"

title "From where: the admin service's allowlist by CIDR (policies/cart-backoffice.yaml)"
shown "backoffice (10.245.1.12, allowed) ▶ /reports" 200 "$(status backoffice http://10.97.0.10/reports)"
shown "frontend (10.245.1.10, not allowed) ▶ /reports" 403 "$(status frontend http://10.97.0.10/reports)"
shown "backoffice by IPv6 (fd00:245:1::12, allowed) ▶ /reports" 200 "$(status backoffice 'http://[fd00:97::10]/reports')"
shown "frontend by IPv6 (fd00:245:1::10, not allowed) ▶ /reports" 403 "$(status frontend 'http://[fd00:97::10]/reports')"

title "With which token: JWT, ES256 (policies/orders-jwt.yaml)"
now=$(date +%s)
good=$(jwt "$W/key.pem" demo "{\"iss\":\"https://issuer.example\",\"aud\":\"orders\",\"sub\":\"ann\",\"exp\":$((now + 600))}")
expired=$(jwt "$W/key.pem" demo "{\"iss\":\"https://issuer.example\",\"aud\":\"orders\",\"exp\":$((now - 600))}")
forged=$(jwt "$W/other.pem" demo "{\"iss\":\"https://issuer.example\",\"aud\":\"orders\",\"exp\":$((now + 600))}")
shown "no token" 401 "$(status frontend http://10.97.0.11/)"
shown "a valid token" 200 "$(status frontend -H "Authorization: Bearer $good" http://10.97.0.11/)"
shown "an expired token" 401 "$(status frontend -H "Authorization: Bearer $expired" http://10.97.0.11/)"
shown "a token signed by another key" 401 "$(status frontend -H "Authorization: Bearer $forged" http://10.97.0.11/)"

title "How often: 5 requests a minute for a client address (policies/cart-limit.yaml)"
codes=''
for _ in 1 2 3 4 5 6; do codes+="$(status backoffice http://10.97.0.10/limited) "; done
shown "six requests" "200 200 200 200 200 429 " "$codes"
shown "Retry-After of the sixth, in seconds" yes \
	"$(client backoffice -D - -o /dev/null http://10.97.0.10/limited | tr -d '\r' | awk 'tolower($1) == "retry-after:" { print ($2 >= 1 && $2 <= 60) ? "yes" : $2 }')"

title "Whom the server sees: the client pod, not the proxy"
shown "cart's view of frontend" "peer=$(pod_ip frontend) path=/who body=0" "$(client frontend http://10.97.0.10/who)"
shown "a server-first protocol, opaque, same path" "220 hello $(pod_ip batch)" \
	"$(in_ns p-batch timeout 5 bash -c 'exec 3<>/dev/tcp/10.97.0.11/90; read -r line <&3; echo "${line%$'"'"'\r'"'"'}"')"

title "A policy edited live (policies/batch-allowed.yaml put in place)"
started=$(date +%s%N)
policy batch-allowed.yaml <"$world_here/../policies/later/batch-allowed.yaml"
until_ok 5 answers batch http://10.97.0.10/items
took=$((($(date +%s%N) - started) / 1000000))
shown "batch ▶ cart, $took ms after the edit (first request that saw it)" 200 "$(status batch http://10.97.0.10/items)"

title "Who denied me? The log and explain give one answer"
status frontend http://10.97.0.10/admin >/dev/null
logged() { grep '"url.path":"/admin"' "$W/n2/access.log" | tail -n 1 | jq -r '[.verdict, .reason, .policy, .rule, .["source.identity"], .["target.identity"]] | join(" ")'; }
explained=$("$BIN/policy-sync" explain --from-dir "$W/policy" --from shop/frontend --to cart.shop:80 --method GET --path /admin --json |
	jq -r '[.verdict, .reason, .policy, .rule, .["source.identity"], .["target.identity"]] | join(" ")') || true
"$BIN/policy-sync" explain --from-dir "$W/policy" --from shop/frontend --to cart.shop:80 --path /admin | sed 's/^/    /' || true
until_ok 5 test -n "$(logged)"
shown "the destination's log line says the same" "$explained" "$(logged)"

title "On the wire between the nodes"
halt capture INT
shown "key exchange" X25519MLKEM768 "$(grep tunnel_established "$W/n1/access.log" | tail -n 1 | jq -r '.["tls.group"]')"
shown "packets captured on the node link" yes "$( (($(tcpdump -r "$W/link.pcap" 2>/dev/null | wc -l) > 20)) && echo yes || echo no)"
plain=0
for word in /items /admin /reports /limited /who issuer.example 'HTTP/1.1' '220 hello' 'peer=10'; do
	grep -aqF "$word" "$W/link.pcap" && { say "found in the capture: $word" && plain=1; }
done
shown "plaintext of any request in them" none "$( ((plain)) && echo some || echo none)"

printf '\n'
if ((wrong)); then
	echo "Something differs from what is claimed above."
	exit 1
fi
echo "All of it came from real requests. Play with it: ./build.sh sandbox up"
