#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: where an L7 rule reads requests, every request is read: each of a keep-alive connection, each of a
# pipeline, cut at every byte, after bodies of either framing. What two readers could read in two ways
# gets 400 and a closed connection, and nothing of it, or behind it, reaches the pod. Every spelling of a
# denied path is denied. What is odd but plain passes.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck disable=SC2154 # world.sh's
clients=(/usr/bin/python3 "$world_here/clients.py")

usual_world
world_start
serve server http 8080
spawn inside p-server tcpdump -i eth0 --immediate-mode -U -s 2048 -B 8192 -w "$W/inside.pcap" "tcp port 8080"
until_ok 10 test -s "$W/inside.pcap" || die "tcpdump does not start"

# raw BYTES: sends them (printf's escapes) as they are, prints the statuses that came back in a line.
raw() {
	printf '%b' "$1" | in_ns p-client timeout 20 "${clients[@]}" raw "$(pod_ip server)" 8080 |
		tr -d '\r' | grep -aoE '(^|[^0-9])HTTP/1\.1 [0-9]{3}' | grep -oE '[0-9]{3}$' | paste -sd ' '
}
host='Host: shop\r\n'
next="GET /next HTTP/1.1\r\n$host\r\n"
smuggled="GET /smuggled HTTP/1.1\r\n$host\r\n"

same "one connection, request after request, is judged request by request" "200 403 200" \
	"$(get -o /dev/null -o /dev/null -o /dev/null -w '%{http_code} ' "http://$(pod_ip server):8080/a" \
		"http://$(pod_ip server):8080/admin" "http://$(pod_ip server):8080/b" | xargs)"
same "a pipeline too: what is denied does not end it" "200 403 200" \
	"$(raw "GET /1 HTTP/1.1\r\n$host\r\nGET /admin/2 HTTP/1.1\r\n$host\r\n$next")"
same "after a body with a length" "200 403" \
	"$(raw "POST /l HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhelloGET /admin HTTP/1.1\r\n$host\r\n")"
same "a request that is only a body's bytes is no request" "200 200" \
	"$(raw "POST /l HTTP/1.1\r\n${host}Content-Length: 29\r\n\r\nGET /inside HTTP/1.1\r\nHost: x$next")"

# The same two requests, in two pieces, at every place.
pair="GET /1 HTTP/1.1\r\n${host}X-Pad: y\r\n\r\nGET /admin HTTP/1.1\r\n$host\r\n"
same "cut at every byte: 200, then 403" all "$(in_ns p-client timeout 120 /usr/bin/python3 -c "
import socket, time
text = b'$pair'
for cut in range(1, len(text)):
    c = socket.create_connection(('$(pod_ip server)', 8080), 10)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    c.sendall(text[:cut])
    # On the wire by itself: the kernel says when it is acknowledged.
    while int.from_bytes(__import__('fcntl').ioctl(c, 0x5411, bytes(4)), 'little'):
        time.sleep(0.0002)
    c.sendall(text[cut:])
    c.shutdown(socket.SHUT_WR)
    got = b''
    while part := c.recv(65536):
        got += part
    statuses = [p[:3] for p in got.split(b'HTTP/1.1 ')[1:]]
    if statuses != [b'200', b'403']:
        print(cut, got)
        break
else:
    print('all')
")"

refused() { # NAME BYTES: 400, once, and nothing behind it
	same "400: $1" 400 "$(raw "$2$smuggled")"
}
refused "Content-Length and Transfer-Encoding" "POST /x HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
refused "the same in the other order" "POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
refused "two lengths that differ" "POST /x HTTP/1.1\r\n${host}Content-Length: 0\r\nContent-Length: 44\r\n\r\n"
refused "a list of lengths" "POST /x HTTP/1.1\r\n${host}Content-Length: 0, 44\r\n\r\n"
refused "a length with a sign" "POST /x HTTP/1.1\r\n${host}Content-Length: +0\r\n\r\n"
refused "a length in hexadecimal" "POST /x HTTP/1.1\r\n${host}Content-Length: 0x0\r\n\r\n"
refused "an encoding that is not chunked at the end" "POST /x HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
refused "chunked with a tab's disguise" "POST /x HTTP/1.1\r\n${host}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"
refused "a space before the colon" "POST /x HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
refused "a folded field" "GET /x HTTP/1.1\r\n${host}X-A: b\r\n c\r\n\r\n"
refused "a bare carriage return" "GET /x HTTP/1.1\r\n${host}X-A: b\rX-B: c\r\n\r\n"
refused "a NUL in a field" "GET /x HTTP/1.1\r\n${host}X-A: b\0000c\r\n\r\n"
refused "two Hosts" "GET /x HTTP/1.1\r\n${host}Host: other\r\n\r\n"
refused "no Host" "GET /x HTTP/1.1\r\n\r\n"

# The head is with the pod by then: the connection ends, and nothing goes on behind the error.
for chunk in zz ffffffffffffffff1 "1\r\nab" -1 "0x0"; do
	same "no good answer: a chunk of size ${chunk%%\\*}" "" \
		"$(raw "POST /c HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n$chunk\r\n\r\n$smuggled" | grep -v '^400$' || true)"
done

# The framing is plain, the path is not: what no server may be asked, what some server takes for a denied path,
# what none does.
for path in /x%00 /x%zz /x%2 /x%c0%af; do
	same "400: $path" 400 "$(raw "GET $path HTTP/1.1\r\n$host\r\n")"
done
for path in /admin /admin/ /admin/x //admin /./admin /x/../admin /%61dmin /%61%64min/x /x/%2e%2e/admin /admin\?x /a/./../admin \
	/Admin /admin%20 /admin%3Fx '/admin;x' /%2Fadmin /x/..%5Cadmin /%2561dmin; do
	same "403: $path" 403 "$(raw "GET $path HTTP/1.1\r\n$host\r\n")"
done
same "403: the absolute form" 403 "$(raw "GET http://shop/admin HTTP/1.1\r\n$host\r\n")"
for path in /administrator /x/admin /x%2Fadmin /x%5cadmin '/x\\\\admin' /x?/admin; do
	same "200: $path is another path" 200 "$(raw "GET $path HTTP/1.1\r\n$host\r\n")"
done
same "200: fields in odd letters, a field without a value" 200 "$(raw "GET /odd HTTP/1.1\r\nhOST: shop\r\nX-Empty:\r\n\r\n")"

# No HTTP at all where a rule has to read it.
same "what is no HTTP gets no further" "" "$(raw 'SSH-2.0-OpenSSH_9.2\r\n' | grep -v '^400$' || true)"
same "TLS neither" "" "$(raw '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' | grep -v '^400$' || true)"

halt inside INT
same "the capture missed nothing" 0 "$(awk '/dropped by kernel/ { print $1 }' "$W/log/inside")"
tcpdump -q -A -r "$W/inside.pcap" 2>/dev/null >"$W/inside.txt"
same "nothing smuggled and nothing denied reached the pod" "" \
	"$(grep -aoE '(GET|POST) /(smuggled|admin([/?][^ ]*)?) ' "$W/inside.txt" | sort -u || true)"
same "nothing ambiguous did" "" "$(grep -aE '(GET|POST) /x( |%(00|zz|2 |c0))|SSH-2.0' "$W/inside.txt" || true)"
same "what was allowed did (the capture is no blind one)" yes "$(grep -aq 'GET /next' "$W/inside.txt" && echo yes || echo no)"
