#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: nothing is lost where the two directions of a connection do not end together. Both sides send much at
# once; a client that has half-closed behind its request reads a large answer, slowly, on an opaque and on an
# L7 port; a server that answers and closes while it is still being sent to is heard. On the same node and
# across nodes, and each answer whole.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
source "$(dirname "$0")/lib/access_log.sh"
usual_world
world_start
client() { in_ns p-client timeout 60 /usr/bin/python3 "$world_here/both_ways.py" "$@"; }
listen() { # POD KIND PORT ARGUMENT...
	spawn "$2-$3-$1" "p-$1" /usr/bin/python3 "$world_here/both_ways.py" serve "${@:2}"
	until_ok 10 listens "$1" "$3" || die "$2 does not listen on $1:$3"
}
much=$((64 << 20)) answer=$((30 << 20))
for pod in near server; do
	listen $pod duplex 9001 $much
	listen $pod answer 9002 $answer
	listen $pod answer 8080 $answer
	listen $pod refuse 9004
done
for pod in near server; do
	ip=$(pod_ip $pod)
	same "$pod: 64 MiB each way at once" "0 of 6" "$(client duplex "$ip" 9001 $much 6)"
	same "$pod: half-closed and reading, opaque" "0 of 8" "$(client half "$ip" 9002 $answer 8)"
	same "$pod: half-closed and reading, L7" "0 of 8" "$(client half "$ip" 8080 $answer 8)"
	same "$pod: an answer before the upload's end, opaque" "0 of 80" "$(client upload "$ip" 9004 $((8 << 20)) 80)"
done
# The same answer by HTTP: the server of port 8080 is another one now.
for pod in near server; do
	halt "answer-8080-$pod"
	listen $pod refuse 8080
	# Less than what a linger throws away: more would be left where it is for two seconds, each time.
	same "$pod: an answer before the upload's end, L7" "0 of 80" \
		"$(client upload "$(pod_ip $pod)" 8080 900000 80)"
done
logged "the log says how the pod's connection failed" n1 '.end == "server_reset" and (.detail // "" | test("EPIPE|ECONNRESET"))'
