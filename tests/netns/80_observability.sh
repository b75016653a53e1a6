#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: what the nodes say of themselves is right, and harmless. readyz is false until a snapshot is live and until
# rules are verified. /metrics is what promtool passes, and its counters are what was sent. The access log
# has one line an exchange that parses, whatever bytes a client sends. No key, token or secret is in any of
# it. The admin port is on loopback only; clients that are silent, slow or garbled do no harm there, nor
# to policy-sync's port.
# build: release
# shellcheck disable=SC2016 # jq's own words
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
# shellcheck disable=SC2154 # world.sh's
keyscan() { /usr/bin/python3 "$world_here/keyscan.py" "$@"; }
admin() { in_ns "$1" curl -s -m 5 "http://127.0.0.1:15020$2"; }
admin_code() { in_ns "$1" curl -s -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:15020$2"; }

usual_world

# ---- ready, and why not --------------------------------------------------------------------------

start_sync # makes the trust file
halt sync
start_proxy n1
listens_admin() { [[ $(admin n1 /healthz) == ok ]]; }
holds "healthz answers as soon as the process runs" until_ok 10 listens_admin
same "not ready without a snapshot" "503 not ready: no snapshot is live yet" "$(admin_code n1 /readyz) $(admin n1 /readyz)"
start_sync
says() { [[ $(admin n1 /readyz) == "$1" ]]; }
holds "with a snapshot, not without rules" until_ok 20 says "not ready: portcullis-rules has not reported yet"
same "that is a 503" 503 "$(admin_code n1 /readyz)"
start_rules n1
holds "with both, ready" until_ok 20 ready n1
start_rules n2
start_proxy n2
wait_ready
serve server http 8080
serve server http 9090

# ---- metrics -------------------------------------------------------------------------------------

counters() { # what this scenario compares, of both nodes
	local n
	for n in n1 n2; do
		admin $n /metrics | awk -v n=$n '/^portcullis_(connections_accepted_total|requests_total|responses_total|exchanges_ended_total|exchanges_total)/ { print n, $1, $2 }'
	done
}
before=$(counters)
exchanges_before=$(log_lines n2 '.event == "exchange" and .reporter == "destination"' | wc -l)
one_line_each() { (($(log_lines n2 '.event == "exchange" and .reporter == "destination"' | wc -l) == exchanges_before + 52)); }
pod=$(pod_ip server)
for i in {1..40}; do [[ $(code "http://$pod:8080/good?$i") == 200 ]] || not_ok "a request" "$i"; done
for i in {1..7}; do [[ $(code "http://$pod:8080/admin?$i") == 403 ]] || not_ok "a denied request" "$i"; done
for i in {1..5}; do [[ $(code "http://$pod:9090/opaque?$i") == 200 ]] || not_ok "an opaque request" "$i"; done
grown() { # NODE SERIES: by how much since before
	local now was
	now=$(counters | awk -v n="$1" -v s="$2" '$1 == n && $2 == s { print $3 }')
	was=$(awk -v n="$1" -v s="$2" '$1 == n && $2 == s { print $3 }' <<<"$before")
	echo $((now - was))
}
all_ended() { (($(grown n2 portcullis_exchanges_total) >= 52)); }
holds "every exchange has ended" until_ok 10 all_ended
holds "as many exchanges, as many lines in the log" until_ok 10 one_line_each
same "n1 accepted what was dialled" 52 "$(grown n1 portcullis_connections_accepted_total)"
same "n2 parsed what is covered by an L7 rule" 47 "$(grown n2 portcullis_requests_total)"
same "and let through" 40 "$(grown n2 'portcullis_responses_total{class="2xx"}')"
same "and denied" 7 "$(grown n2 'portcullis_responses_total{class="4xx"}')"
same "denied is a reason of its own" 7 "$(grown n2 'portcullis_exchanges_ended_total{reason="denied"}')"
same "n1 parsed nothing" 0 "$(grown n1 portcullis_requests_total)"

spawn load p-client wrk -c 16 -d 8 -t 1 "http://$pod:8080/good"
for n in n1 n2; do
	admin $n /metrics >"$W/metrics-$n"
	same "$n: promtool has nothing to say under load" "0 " "$(promtool check metrics <"$W/metrics-$n" >"$W/promtool" 2>&1 && echo 0 || echo 1) $(<"$W/promtool")"
done
printf 'portcullis_x_total 1\n# TYPE portcullis_x_total gauge\n' >"$W/bad"
holds "promtool sees what is wrong (the check is no blind one)" bash -c "! promtool check metrics <'$W/bad'"
same "the type of the page" "text/plain; version=0.0.4; charset=utf-8" "$(in_ns n1 curl -s -o /dev/null -w '%{content_type}' http://127.0.0.1:15020/metrics)"

# ---- debug ---------------------------------------------------------------------------------------

for n in n1 n2; do
	same "$n: /debug/snapshot is JSON that names this node's pods" "$([[ $n == n1 ]] && echo 'client near' || echo server)" \
		"$(admin $n /debug/snapshot | jq -r '[.local[].name] | sort | join(" ")')"
	holds "$n: and the generation that metrics names" test "$(admin $n /debug/snapshot | jq .counter)" == "$(metric $n portcullis_snapshot_generation)"
done
admin n1 /debug/connections >"$W/connections"
holds "/debug/connections: a JSON object a line, under load more than ten" test "$(jq -r 'select(.client and .server and .stage) | 1' "$W/connections" | wc -l)" -gt 10
same "and nothing but such lines" "$(wc -l <"$W/connections")" "$(jq -c . "$W/connections" | wc -l)"
same "no page, no answer" "404 405" "$(admin_code n1 /debug/keys) $(in_ns n1 curl -s -o /dev/null -w '%{http_code}' -X POST http://127.0.0.1:15020/metrics)"

# ---- the access log ------------------------------------------------------------------------------

load_gone() { ! alive load; }
until_ok 20 load_gone || halt load
settled() { (($(log_lines n2 '.event == "exchange" and .["url.path"] == "/admin"' | wc -l) == 7)); }
holds "seven denials, seven lines" until_ok 10 settled
same "five opaque connections, five lines" 5 "$(log_lines n2 '.event == "exchange" and .protocol == "tcp" and .["server.port"] == 9090' | wc -l)"
same "a line says who, what and why" "spiffe://cluster.local/ns/shop/sa/client deny SecurityPolicy/shop/server no-admin 403" \
	"$(log_lines n2 '.["url.path"] == "/admin"' '"\(.["source.identity"]) \(.verdict) \(.policy) \(.rule) \(.["http.response.status_code"])"' | head -n 1)"
# Bytes that would break out of a line, if they could.
raw_in_pod() { in_ns p-client /usr/bin/python3 "$world_here/hostile.py" raw "$pod" 8080; }
lines_before=$(wc -l <"$W/n2/access.log")
printf 'GET /quote"%%0a{"event":"forged"} HTTP/1.1\r\nHost: a"b\\c\r\nConnection: close\r\n\r\n' | raw_in_pod >"$W/raw1"
printf 'GET /\xff\xfe\xc3( HTTP/1.1\r\nHost: \x80\xf0\r\nConnection: close\r\n\r\n' | raw_in_pod >"$W/raw2"
printf 'GET /tab HTTP/1.1\r\nHost: x\r\nX-Evil: \x01\x02\x7f"}\r\nConnection: close\r\n\r\n' | raw_in_pod >"$W/raw3"
printf '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n' | raw_in_pod >"$W/raw4"
printf 'GET /%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' "$(head -c 3000 /dev/zero | tr '\0' '"')" | raw_in_pod >"$W/raw5"
logged_all() { (($(wc -l <"$W/n2/access.log") >= lines_before + 5)); }
holds "each of five hostile requests is a line" until_ok 10 logged_all
for n in n1 n2; do
	same "$n: every line of the log is one JSON object" "$(wc -l <"$W/$n/access.log")" "$(jq -c 'select(type == "object")' "$W/$n/access.log" | wc -l)"
	same "$n: no line was forged" "" "$(jq -r 'select(.event == "forged") | 1' "$W/$n/access.log")"
	holds "$n: every line says when, who reports, and how it ended or what happened" \
		test -z "$(jq -r 'select((.time and .reporter and (.end or .event != "exchange")) | not) | 1' "$W/$n/access.log")"
done

# ---- nothing secret ------------------------------------------------------------------------------

token=$(printf 'top-secret-bearer-%s' "$RANDOM$RANDOM")
code "http://$pod:8080/secret" -H "Authorization: Bearer $token" -H "Cookie: session=$token" >/dev/null
code "http://$pod:8080/admin/secret" -H "Authorization: Bearer $token" >/dev/null
said() { log_has n2 '.["url.path"] == "/admin/secret"'; }
holds "the request with secrets is in the log" until_ok 10 said
outputs() { # everything that a node or policy-sync says or leaves, but the files that hold secrets by design
	local n
	for n in n1 n2; do
		for page in /metrics /debug/snapshot /debug/connections /readyz; do admin $n $page >"$W/page-$n${page//\//-}"; done
	done
	find "$W"/log "$W"/n1 "$W"/n2 "$W"/page-* -type f
	find "$W/state" -type f ! -path '*/ca/*'
}
mapfile -t said_files < <(outputs)
same "no client's token or cookie is anywhere" "" "$(grep -laF "$token" "${said_files[@]}" || true)"
for n in n1 n2; do
	same "$n: its own token is nowhere but in its file" "" "$(grep -laF "$(<"$W/tokens/$n")" "${said_files[@]}" || true)"
done
same "no private key in PEM" "" "$(grep -laE 'BEGIN [A-Z ]*PRIVATE KEY' "${said_files[@]}" || true)"

# The node's own key: taken from the memory of the process as root, looked for everywhere else.
for n in n1 n2; do
	in_ns ctl openssl s_client -connect "192.168.78.1${n#n}:14443" -tls1_3 -alpn portcullis/1 </dev/null 2>/dev/null |
		openssl x509 -pubkey -noout >"$W/public-$n" 2>/dev/null || true
	key=$(keyscan find "$(<"$W/pid/proxy-$n")" "$W/public-$n" || true)
	holds "$n: its private key can be found by root in its memory (the search is no blind one)" test "${#key}" == 64
	[[ ${#key} == 64 ]] || continue
	keyscan memory "$(<"$W/pid/proxy-$n")" "$key" >"$W/places"
	holds "$n: it lies on a page that is locked and in no dump" grep -qE '^anonymous .*\blo\b.*\bdd\b' "$W/places"
	same "$n: and beside it only on the heap" "" "$(grep -vE '^(anonymous|\[heap\]) ' "$W/places" || true)"
	same "$n: in no file, page or log" "" "$(keyscan files "$key" "${said_files[@]}" "$W/state/ca/"* /proc/"$(<"$W/pid/proxy-$n")"/{environ,cmdline})"
	for other in sync "proxy-n$((3 - ${n#n}))"; do
		same "$n: not in the memory of $other" "" "$(keyscan memory "$(<"$W/pid/$other")" "$key")"
	done
done

# ---- the admin port ------------------------------------------------------------------------------

for n in n1 n2; do
	same "$n: the admin port is on loopback only" "127.0.0.1:15020" "$(in_ns $n ss -Hltn 'sport = :15020' | awk '{ print $4 }')"
	same "$n: nobody else reaches it" "000 000" \
		"$(in_ns ctl curl -s -m 2 -o /dev/null -w '%{http_code}' "http://192.168.78.1${n#n}:15020/healthz" || true) $(in_ns p-client curl -s -m 2 -o /dev/null -w '%{http_code}' "http://192.168.78.1${n#n}:15020/healthz" || true)"
done
quick() { # NODE: a probe's answer within a second
	[[ $(in_ns "$1" curl -s -m 1 http://127.0.0.1:15020/healthz) == ok ]]
}
rss_before=$(rss_kb n1) fds_before=$(find "/proc/$(<"$W/pid/proxy-n1")/fd" | wc -l)
spawn crowd n1 /usr/bin/python3 "$world_here/hostile.py" crowd 127.0.0.1 15020 300 6
stands() { grep -q ready "$W/log/crowd"; }
holds "300 clients that mean no good" until_ok 10 stands
slow=0
while alive crowd; do quick n1 || slow=$((slow + 1)); done
same "every probe meanwhile was answered within a second" 0 "$slow"
holds "all of the crowd were closed" grep -q 'closed 300' "$W/log/crowd"
given_back() { (($(find "/proc/$(<"$W/pid/proxy-n1")/fd" | wc -l) <= fds_before + 2)); }
holds "their descriptors are given back" until_ok 15 given_back
if (($(rss_kb n1) < rss_before + 2048)); then ok "and the process has not grown"; else not_ok "growth" "$rss_before to $(rss_kb n1) KB"; fi
same "traffic flowed on" 200 "$(code "http://$pod:8080/after")"

# ---- policy-sync's port --------------------------------------------------------------------------

sync_fds() { find "/proc/$(<"$W/pid/sync")/fd" | wc -l; }
sync_rss() { awk '/^VmRSS/ { print $2 }' "/proc/$(<"$W/pid/sync")/status"; }
fds_before=$(sync_fds) rss_before=$(sync_rss)
spawn crowd2 ctl /usr/bin/python3 "$world_here/hostile.py" crowd 192.168.78.1 9443 300 15
stands2() { grep -q ready "$W/log/crowd2"; }
holds "300 of them at policy-sync" until_ok 10 stands2
edit() { sed 's/\/admin/\/other/' "$W/policy/server.yaml" | policy server.yaml; }
started=$SECONDS
holds "a live edit is published meanwhile" changed edit
((SECONDS - started <= 3)) && ok "without delay" || not_ok "delay" "$((SECONDS - started)) s"
same "both nodes stay connected" "1 1" "$(metric n1 portcullis_sync_connected) $(metric n2 portcullis_sync_connected)"
gone2() { ! alive crowd2; }
until_ok 30 gone2 || halt crowd2
sync_back() { (($(sync_fds) <= fds_before + 2)); }
holds "descriptors are given back" until_ok 30 sync_back
if (($(sync_rss) < rss_before + 20480)); then ok "bounded memory"; else not_ok "memory" "$rss_before to $(sync_rss) KB"; fi
