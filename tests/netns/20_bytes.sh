#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: bytes are passed on as they are: half-close, resets, servers that speak first, large bodies, each
# byte of them (by their digest), in bounded memory with backpressure from either end, on the same node and
# across nodes.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
for pod in near server; do
	serve "$pod" banner 9001
	serve "$pod" half 9002
	serve "$pod" reset 9003
	serve "$pod" source 9005 1073741824
	serve "$pod" digest 9006
done
digest() { sha256sum | cut -d ' ' -f 1; }
# A block that repeats itself at no power of two: bytes that are lost, doubled or swapped show.
stream() { /usr/bin/python3 "$world_here/servers.py" stream "$1"; }
wanted=$(stream 1073741824 | digest)

for pod in near server; do
	ip=$(pod_ip $pod)
	same "$pod: the server speaks first" "220 hello 10.245.1.10" \
		"$(in_ns p-client timeout 5 bash -c "exec 3<>/dev/tcp/$ip/9001; read -r line <&3; echo \"\${line%\$'\r'}\"")"
	same "$pod: half-close reaches the server, its answer the client" "got 100000" \
		"$(head -c 100000 /dev/zero | in_ns p-client timeout 10 socat -t 10 - "TCP:$ip:9002")"
	same "$pod: a reset is a reset" "reset" "$(in_ns p-client timeout 10 /usr/bin/python3 -c "
import socket
s = socket.create_connection(('$ip', 9003))
s.sendall(b'x')
try:
    print('data' if s.recv(1) else 'closed')
except ConnectionResetError:
    print('reset')")"
	same "$pod: 1 GiB download, every byte" "$wanted" "$(in_ns p-client timeout 60 socat -u "TCP:$ip:9005" - | digest)"
	same "$pod: 1 GiB upload, every byte" "1073741824 $wanted" \
		"$(stream 1073741824 | in_ns p-client timeout 60 socat -t 30 - "TCP:$ip:9006")"
	# A reader that reads nothing: the source is stopped, memory stays bounded.
	spawn "stalled-$pod" p-client socat -u "TCP:$ip:9005" "EXEC:sleep 60,nofork"
done
stalled() { [[ -n $(in_ns p-client ss -Htn state established '( dport = :9005 )') ]]; }
holds "stalled readers are connected" until_ok 5 stalled
for n in n1 n2; do
	kb=$(rss_kb $n)
	((kb < 60000)) && ok "$n stays small with 1 GiB bodies and stalled readers ($kb kB)" || not_ok "$n memory" "$kb kB"
done
same "others go on meanwhile" "220 hello 10.245.1.10" \
	"$(in_ns p-client timeout 5 bash -c "exec 3<>/dev/tcp/$(pod_ip server)/9001; read -r line <&3; echo \"\${line%\$'\r'}\"")"
