#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a host on the node link that takes a pod's address (it answers ARP for it) does not pass a rule by
# address, once the pod's node has acknowledged capture: that address comes by its node's tunnel or not at
# all. Neither silence nor a restart of policy-sync ends this; taking the rules away, or the node's label, does.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
policy server.yaml <<-'YAML'
	apiVersion: policy.portcullis.dev/v1alpha1
	kind: SecurityPolicy
	metadata: {name: server, namespace: shop}
	spec:
	  targetRefs: [{group: "", kind: Service, name: server}]
	  authorization:
	    defaultAction: Deny
	    rules: [{name: node-1, action: Allow, principal: {clientCIDRs: [10.245.1.0/24, "fd00:245:1::/64"]}}]
YAML
world_start
serve server http 8080

recorded() { grep -qx n1 "$W/state/meshed"; }
forgotten() { ! recorded; }
knows() { # that GENERATION or a newer one holds on n2
	until_ok 10 generation_after n2 "$(($1 - 1))"
}
newest() { tail -n 200 "$W/log/sync" | grep -o '"event":"generation_published","epoch":[0-9]*,"counter":[0-9]*' | tail -n 1 | sed 's/.*://'; }
holds "node n1 has acknowledged capture" until_ok 10 recorded
knows "$(newest)"

# The thief: an address of a pod of n1, on the link; n2 finds it there.
ip -n "$P-ctl" addr add "$(pod_ip client)/32" dev br0
ip -n "$P-ctl" addr add "$(pod_ip6 client)/128" dev br0 nodad
ip -n "$P-ctl" route add "$(pod_ip server)/32" via 192.168.78.12
ip -n "$P-ctl" route add "$(pod_ip6 server)/128" via fd00:78::12
ip -n "$P-n2" route add "$(pod_ip client)/32" dev eth0
ip -n "$P-n2" route add "$(pod_ip6 client)/128" dev eth0
stolen() { in_ns ctl curl -s -g -m 5 -o /dev/null -w '%{http_code}' --interface "$1" "http://$2:8080/" || true; }
same "the pod itself" 200 "$(code "http://$(pod_ip server):8080/")"
same "whoever wears its address" 000 "$(stolen "$(pod_ip client)" "$(pod_ip server)")"
same "and by IPv6" 000 "$(stolen "$(pod_ip6 client)" "[$(pod_ip6 server)]")"
said() { grep -q '"end":"unknown_source".*by tunnel: not from here' "$W/n2/access.log"; }
holds "the log says why" until_ok 5 said
ip -n "$P-ctl" addr add 10.245.1.99/32 dev br0
ip -n "$P-n2" route add 10.245.1.99/32 dev eth0
same "an address that is no pod's is one of the rule's" 200 "$(stolen 10.245.1.99 "$(pod_ip server)")"

# --- silence ---
halt proxy-n1 KILL
halt sync
start_sync
gone() { [[ $(metric n2 portcullis_sync_connected) == 1 ]]; }
until_ok 20 gone || die "n2 does not find policy-sync again"
same "while its node is away and policy-sync has begun anew" 000 "$(stolen "$(pod_ip client)" "$(pod_ip server)")"
start_proxy n1
until_ok 30 ready n1 || die "n1 is not ready"

# --- a declared end ---
halt rules-n1
in_ns n1 "$BIN/portcullis-rules" remove --config "$W/n1/rules.conf" || die "the rules are not removed"
holds "removed rules end it" until_ok 10 forgotten
opened() { [[ $(stolen "$(pod_ip client)" "$(pod_ip server)") == 200 ]]; }
holds "then its pods come in plaintext again" until_ok 5 opened
start_rules n1
holds "rules that are back begin it" until_ok 10 recorded
closed() { [[ $(stolen "$(pod_ip client)" "$(pod_ip server)") == 000 ]]; }
holds "and the worn address is refused" until_ok 5 closed
label() { policy cluster.yaml < <(sed 's/metadata: {name: n1}/metadata: {name: n1, labels: {portcullis.dev\/capture: none}}/' "$W/policy/cluster.yaml"); }
label
holds "so does the node's label end it" until_ok 5 opened
