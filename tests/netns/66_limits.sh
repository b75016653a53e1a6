#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: every limit of MeshConfig holds at its smallest and at its largest, on the same node and across: heads
# of requests and of answers of exactly so many bytes pass and one more does not, trailers pass, timeouts
# of 10 ms end what is slow, those of a day end nothing.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
# shellcheck disable=SC2154 # world.sh's
heads=(/usr/bin/python3 "$world_here/heads.py")

usual_world
mesh() { # LIMITS TIMEOUTS
	policy mesh.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: MeshConfig
		metadata: {name: default}
		spec: {limits: {$1}, timeouts: {$2}}
	YAML
}
mesh "headerBytes: 32768" "hold: 5s"
world_start
for pod in near server; do
	spawn "heads-$pod" "p-$pod" "${heads[@]}" serve 8080
	until_ok 10 listens "$pod" 8080 || die "no listener on $pod"
done
# LIMITS | TIMEOUTS | what is asked | expected
table='
headerBytes: 1024 | hold: 5s | request=1024 | 200
headerBytes: 1024 | hold: 5s | request=1025 | 431
headerBytes: 1024 | hold: 5s | response=1024 | 200
headerBytes: 1024 | hold: 5s | response=1025 | 502
headerBytes: 65536 | hold: 5s | request=33000 | 200
headerBytes: 65536 | hold: 5s | request=65536 | 200
headerBytes: 65536 | hold: 5s | request=65536 kept=10 | 200 200
headerBytes: 65536 | hold: 5s | request=20000 kept=10 | 200 200
headerBytes: 65536 | hold: 5s | request=65537 | 431
headerBytes: 65536 | hold: 5s | response=65536 | 200
headerBytes: 65536 | hold: 5s | response=65536 request=65536 kept=10 | 200 200
headerBytes: 65536 | hold: 5s | response=65537 | 502
headerBytes: 65536 | hold: 5s | trailer=15000 request=60000 | 200
connectionsPerPod: 1000000 | requestHeader: 10ms | torn=0 | 200
connectionsPerPod: 1000000 | requestHeader: 10ms | torn=500 | 408
connectionsPerPod: 1000000 | httpIdle: 10ms | kept=500 | 200 closed
connectionsPerPod: 1000000 | requestHeader: 24h, httpIdle: 24h, connect: 24h, hold: 24h | torn=300 kept=300 | 200 200
'
before=
while IFS='|' read -r limits timeouts asked expected; do
	[[ $limits ]] || continue
	read -ra words <<<"$asked"
	if [[ $limits$timeouts != "$before" ]]; then
		changed mesh "$limits" "$timeouts" || not_ok "$limits" "no newer generation on both nodes"
		before=$limits$timeouts
	fi
	for pod in near server; do
		same "$pod, $limits, $timeouts: ${words[*]}" "${expected# }" \
			"$(in_ns p-client timeout 20 "${heads[@]}" ask "$(pod_ip $pod)" 8080 "${words[@]}" 2>&1 | tail -n 1)"
	done
done <<<"$table"
