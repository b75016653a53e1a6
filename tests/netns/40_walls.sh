#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: there is no way round. With SYN cookies forced, after kill -9 of a proxy, in the first second of a
# new pod, from a reused address, through a second Service and by pod IP: nothing reaches a protected
# pod unpoliced, and nothing leaves a node in plaintext.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
service_add server2 22 server 80:8080
policy callers.yaml <<'YAML'
apiVersion: policy.portcullis.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: callers, namespace: shop}
spec:
  targetRefs: [{group: "", kind: Service, name: server, sectionName: p90}]
  authorization:
    defaultAction: Deny
    rules:
      - {name: client, action: Allow, principal: {sources: [{type: ServiceAccount, serviceAccount: {namespace: shop, name: client}}]}}
YAML
in_ns n1 sysctl -qw net.ipv4.tcp_syncookies=2
in_ns n2 sysctl -qw net.ipv4.tcp_syncookies=2
spawn capture n1 tcpdump -i eth0 --immediate-mode -U -B 16384 -w "$W/link.pcap" -s 0 tcp
world_start
serve server http 8080
serve server http 9090
ask() { # POD URL
	in_ns "p-$1" curl -s -m "${3:-4}" -o /dev/null -w '%{http_code}' -H 'X-Secret: plain-as-day' "$2" || true
}

same "SYN cookies: allowed" 200 "$(ask client "http://$(pod_ip server):9090/plain-as-day")"
same "SYN cookies: the L7 rule holds" 403 "$(ask client "http://$(pod_ip server):8080/admin")"
same "through a second Service of the same pod the rule holds" 403 "$(ask client http://10.97.0.22/admin)"
same "by pod IP a caller that nobody allows is reset" 000 "$(ask near "http://$(pod_ip server):9090/")"
denied() { grep -c '"end":"denied"' "$W/n2/access.log"; }
holds "and the denial is in the log" until_ok 5 denied

# The first second of a new pod: captured at once, held until its identity is known, then allowed or not.
pod_attach young 1 40
started=$SECONDS
(ask young "http://$(pod_ip server):9090/" 8 >"$W/young.code") &
asking=$!
held() { [[ $(metric n1 portcullis_held_sources_total) -gt 0 ]]; }
holds "a pod that nobody knows yet is held" until_ok 4 held
pod_yaml young shop client n1 10.245.1.40 fd00:245:1::40 | policy pod-young.yaml
wait "$asking" || true
same "once it is known it gets what its service account may" 200 "$(<"$W/young.code")"
((SECONDS - started < 8)) && ok "within the hold" || not_ok "within the hold" "$((SECONDS - started)) s"

# The address is reused by another pod before the API has caught up: it is not who it was.
in_ns p-young true
ip netns del "$P-p-young"
gone() { ! ip -n "$P-n1" link show v-young; }
until_ok 5 gone || true
pod_attach young 1 40
same "a reused address does not lend its identity" 000 "$(ask young "http://$(pod_ip server):9090/" 8)"
holds "the log says unknown source" until_ok 8 grep -q '"end":"unknown_source"' "$W/n1/access.log"
pod_yaml young shop stranger n1 10.245.1.40 fd00:245:1::40 uid-young-2 | changed policy pod-young.yaml
same "the new pod is the new service account: denied" 000 "$(ask young "http://$(pod_ip server):9090/")"

# kill -9 fails closed: on either side, nothing passes and nothing is forwarded past the proxy.
spawn inside p-server tcpdump -i eth0 --immediate-mode -U -B 16384 -w "$W/inside.pcap" -s 0 "tcp port 9090"
for n in n2 n1; do
	halt "proxy-$n" KILL
	same "kill -9 of $n's proxy: no answer" 000 "$(ask client "http://$(pod_ip server):9090/dead")"
	start_proxy "$n"
	until_ok 20 ready "$n" || not_ok "$n comes back" "not ready"
done
same "both are back" 200 "$(ask client "http://$(pod_ip server):9090/alive" 10)"
halt inside INT
halt capture INT
# A capture that missed packets would prove nothing.
for name in inside capture; do
	same "the capture $name missed nothing" 0 "$(awk '/dropped by kernel/ { print $1 }' "$W/log/$name")"
done
tcpdump -A -r "$W/inside.pcap" 2>/dev/null >"$W/inside.txt"
same "nothing reached the pod while a proxy was dead" no "$(grep -q 'GET /dead' "$W/inside.txt" && echo yes || echo no)"
same "what was sent after is there (the capture is no blind one)" yes "$(grep -q 'GET /alive' "$W/inside.txt" && echo yes || echo no)"
same "no plaintext left the node" no "$(grep -aq plain-as-day "$W/link.pcap" && echo yes || echo no)"
