#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a large flow moves to the tunnel's bulk connection, in both directions and byte for byte; small flows
# stay where they are. When the bulk connection dies, what had moved is reset, visibly, nothing else is
# touched, and later flows find a tunnel and a bulk connection again.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
megabytes=96
head -c $((megabytes << 20)) /dev/urandom >"$W/body"
sum=$(sha256sum <"$W/body" | cut -d' ' -f1)
ip=$(pod_ip server)
chmod 711 "$W"
# shellcheck disable=SC2016 # socat's shell
spawn download p-server socat TCP-LISTEN:9005,fork,reuseaddr "OPEN:$W/body,rdonly"
spawn upload p-server socat TCP-LISTEN:9006,fork,reuseaddr "SYSTEM:sha256sum"
serve server banner 9001
for port in 9005 9006; do until_ok 5 listens server $port || die "the servers do not listen"; done

tunnels() { in_ns n1 ss -Hnt state established '( dport = :14443 )'; }
bulk_port() { # the younger of the two: it carries more than all else did
	in_ns n1 ss -Hnti state established '( dport = :14443 )' | awk '
		/:14443/ { port = $3; sub(/.*:/, "", port) }
		/bytes_received/ { match($0, /bytes_received:[0-9]+/); n = substr($0, RSTART + 15, RLENGTH - 15) + 0
			if (n > most) { most = n; best = port } }
		END { print best }'
}
banner() { in_ns p-client timeout 5 bash -c "exec 3<>/dev/tcp/$ip/9001; read -r line <&3; echo \"\${line%\$'\r'}\""; }

same "a small flow takes one connection" "220 hello 10.245.1.10 1" "$(banner) $(tunnels | wc -l)"
same "a download, byte for byte" "$sum" "$(in_ns p-client timeout 60 socat -u "TCP:$ip:9005" - | sha256sum | cut -d' ' -f1)"
same "it had a connection of its own" 2 "$(tunnels | wc -l)"
same "an upload, byte for byte, and its answer" "$sum  -" \
	"$(in_ns p-client timeout 60 socat -t 60 - "TCP:$ip:9006" <"$W/body")"
# Several at once, both ways: frames of one overtake the other connection's, and stay in order.
flows=()
for i in 1 2 3 4; do
	in_ns p-client timeout 60 socat -u "TCP:$ip:9005" - </dev/null | sha256sum >"$W/down$i" &
	flows+=($!)
	in_ns p-client timeout 60 socat -t 60 - "TCP:$ip:9006" <"$W/body" >"$W/up$i" &
	flows+=($!)
done
wait "${flows[@]}" || true
same "four each way at once" "8 $sum" "$(cat "$W"/down? "$W"/up? | sort | uniq -c | awk '{ print $1, $2 }')"
same "still one bulk connection" 2 "$(tunnels | wc -l)"

# A reader that stops half way holds a moved flow open; then the bulk connection dies.
converse p-client /usr/bin/python3 -c "
import socket, sys
s = socket.create_connection(('$ip', 9005))
got = 0
while got < 8 << 20:
    got += len(s.recv(65536))
print('moved', flush=True)
sys.stdin.readline()
try:
    while s.recv(65536):
        pass
    print('closed')
except ConnectionResetError:
    print('reset')"
read -rt 20 -u "$talk_out" line || true
same "a flow has moved" moved "$line"
# Beside it, one that has not: its connection outlives the other's.
exec 7> >(in_ns p-client timeout 30 socat -t 5 - "TCP:$ip:9006" >"$W/small")
printf hello >&7
in_ns n1 ss -K dport = :14443 sport = ":$(bulk_port)" >/dev/null 2>&1 || true
echo go >&"$talk_in"
read -rt 20 -u "$talk_out" line || true
hang_up
same "it is reset, not cut short in silence" reset "$line"
same "others do not notice" "220 hello 10.245.1.10" "$(banner)"
exec 7>&-
until_ok 10 test -s "$W/small"
same "one that was open goes on to its end" "$(printf hello | sha256sum)" "$(<"$W/small")"
same "a later download" "$sum" "$(in_ns p-client timeout 60 socat -u "TCP:$ip:9005" - | sha256sum | cut -d' ' -f1)"
two_again() { [[ $(tunnels | wc -l) == 2 ]]; }
holds "has a bulk connection again" until_ok 10 two_again
