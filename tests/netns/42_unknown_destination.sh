#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a pod that nobody knows is not reached by what names its address: its own, or that of a Service without a
# selector. Such a connection is held; the pod's policy decides once it is known, else it is refused. The host's
# own addresses and the world outside are no pods: Services may name them. The routes decide which is which, as they
# are now.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
names() { # SERVICE NUMBER ADDRESS
	cat <<-YAML
		apiVersion: v1
		kind: Service
		metadata: {name: $1, namespace: shop}
		spec: {clusterIP: 10.97.0.$2, ports: [{name: web, port: 80, targetPort: 8080}]}
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		metadata: {name: $1-4, namespace: shop, labels: {kubernetes.io/service-name: $1}}
		addressType: IPv4
		ports: [{name: web, port: 8080}]
		endpoints: [{addresses: [$3]}]
	YAML
}
names young 50 10.245.1.50 | policy service-young.yaml
names other 51 10.245.1.50 | policy service-other.yaml
names host 52 192.168.78.11 | policy service-host.yaml
names outside 54 192.168.78.1 | policy service-outside.yaml
names moved 55 203.0.113.7 | policy service-moved.yaml
policy admin.yaml <<'YAML'
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: admin, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Namespace, name: shop}]
  authorization: {defaultAction: Allow, rules: [{name: admin, action: Deny, operation: {paths: [{type: Exact, value: /admin}]}}]}
YAML
in_ns n1 ip addr add 10.245.1.1/32 dev lo # as a bridge of pods has it: within what is captured
in_ns ctl ip route add 10.245.1.0/24 via 192.168.78.11 # nobody masquerades here
in_ns ctl ip addr add 203.0.113.7/32 dev lo
in_ns n1 ip route add 203.0.113.7/32 via 192.168.78.1
world_start
for ns in n1 ctl; do
	spawn "web-$ns" "$ns" /usr/bin/python3 "$world_here/servers.py" http 8080
done
web() { [[ -n $(in_ns "$1" ss -Hltn "sport = :8080") ]]; }
until_ok 10 web n1 && until_ok 10 web ctl || die "no server on a host"

same "a Service in front of the host's own address" 200 "$(code http://10.97.0.52/)"
same "the host's address among the pods itself" 200 "$(code http://10.245.1.1:8080/)"
same "a Service in front of an address outside" 200 "$(code http://10.97.0.54/)"
same "a Service in front of an address outside, by a route" 200 "$(code http://10.97.0.55/)"

# Asked at once, each in the background: all are held, and their answers are read later.
ask() { # NAME URL
	rm -f "$W/code-$1"
	(code "$2" >"$W/.code-$1" && mv "$W/.code-$1" "$W/code-$1") &
}
answer() { # NAME
	until_ok 10 test -s "$W/code-$1" && cat "$W/code-$1"
}
held_by_now() { metric n1 portcullis_held_destinations_total; }
held() { (($(held_by_now) >= $1)); } # COUNT

# The pod comes after its endpoint, and so does the route to it.
pod_attach young 1 50
serve young http 8080
ask first http://10.97.0.50/
ask second http://10.97.0.51/
ask address http://10.245.1.50:8080/
for name in first second address; do
	same "an unknown pod is not reached: $name" 000 "$(answer $name)"
done
holds "they were held" held 3
holds "the log says why" until_ok 5 grep -q '"end":"unknown_destination"' "$W/n1/access.log"

before=$(held_by_now)
ask root http://10.97.0.50/
ask admin http://10.97.0.50/admin
holds "both are held" until_ok 4 held $((before + 2))
pod_yaml young shop young n1 10.245.1.50 fd00:245:1::50 | policy pod-young.yaml
same "once the pod is known its policy decides: let in" 200 "$(answer root)"
same "once the pod is known its policy decides: refused" 403 "$(answer admin)"

# A route of the world outside turns to a pod's interface, and back.
before=$(held_by_now)
in_ns n1 ip route replace 203.0.113.7/32 dev v-near
turned() {
	ask moved http://10.97.0.55/
	until_ok 2 held $((before + 1))
}
holds "an address that is a pod's now is held" turned
in_ns n1 ip route replace 203.0.113.7/32 via 192.168.78.1
same "and goes on when it is outside again" 200 "$(answer moved)"
