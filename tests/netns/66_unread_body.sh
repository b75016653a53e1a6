#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a body that a server does not read is not its next request. Python's http.server reads no body of a GET or
# a DELETE: where a rule reads requests, a denied request that lies in such a body is never served, its
# answer is never another's, and the client's connection goes on, however large the body is and whenever it
# comes, on the same node and across nodes.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck source=tests/netns/lib/access_log.sh
source "$(dirname "$0")/lib/access_log.sh"
usual_world
world_start
mkdir -p "$W/www/admin"
chmod 711 "$W"
echo public >"$W/www/public"
echo secret >"$W/www/admin/secret"
chmod -R a+rX "$W/www"
for pod in near server; do
	spawn "http-$pod" "p-$pod" /usr/bin/python3 -m http.server --protocol HTTP/1.1 --directory "$W/www" 8080
	until_ok 10 listens "$pod" 8080 || die "http.server does not listen on $pod"
done

# unread POD METHOD BODY-BYTES SECONDS: a request with the denied one in its body, SECONDS behind the head, then a
# second one, on one connection. Says status and body of each answer, and what else came.
unread() {
	in_ns p-client timeout 30 /usr/bin/python3 - "$(pod_ip "$1")" "${@:2}" <<'PYTHON'
import socket, sys, time
host, method, size, wait = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
s = socket.create_connection((host, 8080), 10)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
f = s.makefile("rb")
hidden = b"GET /admin/secret HTTP/1.1\r\nHost: a\r\n\r\n"
body = hidden + b"x" * (size - len(hidden))
size = len(body)
if wait == 0:
    s.sendall(f"{method} /public HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + body)
else:
    s.sendall(f"{method} /public HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
    time.sleep(wait)
    s.sendall(body)
def answer():
    status, length = f.readline().split(b" ")[1:2], 0
    while (line := f.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line.lower().startswith(b"connection:"):
            print(line.decode().strip(), end=" ")
    return b"".join(status).decode(), f.read(length).decode().strip().split("\n")[-1]
print(*answer()[:1], end=" ")
s.sendall(b"GET /public HTTP/1.1\r\nHost: a\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: a\r\n\r\nGET /public HTTP/1.1\r\nHost: a\r\n\r\n")
for _ in range(3):
    print(*answer(), end=" ")
s.shutdown(socket.SHUT_WR)
print(f.read())
PYTHON
}
rest="200 public 403 Access is denied by policy. 200 public b''"
for pod in near server; do
	for size in 0 10000; do
		same "$pod: GET with a body of $size" "200 $rest" "$(unread $pod GET $size 0)"
	done
	for size in 0 100000; do
		same "$pod: GET whose body of $size comes later" "200 $rest" "$(unread $pod GET $size 0.3)"
	done
	# http.server knows no DELETE, says so, and closes.
	same "$pod: DELETE with a body" "501 $rest" "$(unread $pod DELETE 0 0)"
	url=http://$(pod_ip $pod):8080/public
	said='%{http_code}:%{num_connects}\n'
	same "$pod: curl's DELETE with a body, and a GET, on one connection" "501:1 501:0 200:0" \
		"$(get -w "$said" -o /dev/null -o /dev/null -X DELETE -d '{"kind":"DeleteOptions"}' "$url" "$url" \
			--next -s -w "$said" -o /dev/null "$url" | xargs)"
done
for pod in near server; do
	same "$pod: nothing denied was served" 0 "$(grep -c /admin "$W/log/http-$pod" || true)"
done
