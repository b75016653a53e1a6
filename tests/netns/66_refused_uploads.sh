#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: every exchange has an end in time on both nodes, whoever goes on sending: uploads that are refused early
# by the pod or by policy while their client neither reads nor closes, and kept connections that nobody uses.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
policy mesh.yaml <<-YAML
	apiVersion: policy.portcullis.dev/v1alpha1
	kind: MeshConfig
	metadata: {name: default}
	spec: {timeouts: {httpIdle: 1s}}
YAML
world_start

cat >"$W/refuse.py" <<'PY'
import socket, threading
def answer(c):
    with c:
        head = c.recv(4096)
        if head.startswith(b"GET"):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            c.recv(1)
        else:
            c.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
s = socket.create_server(("::", 8080), family=socket.AF_INET6, backlog=200, dualstack_ipv6=True)
while True:
    threading.Thread(target=answer, args=(s.accept()[0],), daemon=True).start()
PY
cat >"$W/push.py" <<'PY'
import socket, sys, time
# Sends for as long as it can be sent to, and holds everything open until a line comes.
host, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
held = []
for i in range(count):
    c = socket.create_connection((host, 8080), 10)
    if path == "kept":
        c.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        c.recv(100)
    else:
        c.sendall(b"PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" % path.encode())
    c.setblocking(False)
    held.append(c)
for _ in range(20):
    for c in held if path != "kept" else ():
        try:
            while c.send(bytes(65536)):
                pass
        except OSError:
            pass
    time.sleep(0.05)
print("sent", flush=True)
sys.stdin.readline()
PY
open_on() { # NODE: exchanges
	metric "$1" portcullis_exchanges_open
}
none_open() { [[ $(open_on n1) == 0 && $(open_on n2) == 0 ]]; }
for pod in near server; do
	spawn "refuse-$pod" "p-$pod" /usr/bin/python3 "$W/refuse.py"
	until_ok 10 listens "$pod" 8080 || die "no listener on $pod"
	for path in /upload /admin kept; do
		converse p-client timeout 60 /usr/bin/python3 "$W/push.py" "$(pod_ip $pod)" 40 $path
		read -r -t 30 -u "$talk_out" line || line=nothing
		same "$pod, $path: all are open" sent "$line"
		until_ok 12 none_open || true
		same "$pod, $path: no exchange is left" "0 0" "$(open_on n1) $(open_on n2)"
		echo >&"$talk_in"
		hang_up
	done
done
