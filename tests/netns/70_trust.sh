#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: a stolen node token speaks for that node's pods and for nobody else's; another CA's certificate gets
# nothing; a removed node, or one whose keys are revoked, is cut off at once; strangers get no certificate. Each
# refusal is one log line that says why. The impostor (lib/impostor.py) shares no code with what it attacks.
# shellcheck source=lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
start_sync --certificate-lifetime-s 600
for n in n1 n2; do
	start_rules "$n"
	start_proxy "$n"
done
wait_ready
serve server http 8080
serve server http 9090

sync=192.168.78.1:9443 tunnel=192.168.78.12:14443
impostor() { in_ns n1 python3 "$world_here/impostor.py" "$@"; }
certify() { impostor certify "$sync" "$1" "$2" "$W/trust.pem" "$W/$3"; }
# claim DIR KIND UID NAMESPACE ACCOUNT CLIENT-IP [DESTINATION-UID DESTINATION-IP PORT]
claim() { impostor open "$tunnel" "$W/$1" "${@:2:5}" "${7:-uid-server}" "${8:-$(pod_ip server)}" "${9:-9090}"; }
since() { wc -l <"$1"; }
# logged NAME FILE LINES-BEFORE WORDS: exactly one new line says so.
logged() {
	local name=$1 file=$2 before=$3 words=$4
	said() { [[ $(tail -n +"$((before + 1))" "$file" | grep -cF -- "$words") == 1 ]]; }
	if until_ok 5 said; then
		ok "$name: one log line says why"
	else
		not_ok "$name: one log line says why" "looked for '$words' in: $(tail -n +"$((before + 1))" "$file" | tail -n 5)"
	fi
}

# --- who gets a certificate ---
stranger() { # NAME NODE TOKEN-FILE REASON
	local before
	before=$(since "$W/log/sync")
	same "$1" "no certificate: $4" "$(certify "$2" "$3" stranger)"
	logged "$1" "$W/log/sync" "$before" "\"reason\":\"$4\""
}
echo "a-token-that-nobody-has-0123456789" >"$W/wrong"
stranger "a wrong token" n1 "$W/wrong" "wrong token"
stranger "node n1's token for node n2" n2 "$W/tokens/n1" "wrong token"
stranger "a node without a token" n9 "$W/tokens/n1" "no token is known for this node"
cp "$W/wrong" "$W/tokens/n9"
stranger "a node that the cluster does not have" n9 "$W/wrong" "unknown node: the cluster has none of this name"

# --- what a stolen node can say ---
refused() { # NAME REASON CLAIM...
	local before name=$1 reason=$2
	shift 2
	before=$(since "$W/n2/access.log")
	same "$name" "refused" "$(claim "$@" | cut -d' ' -f1)"
	logged "$name" "$W/n2/access.log" "$before" "$reason"
}
same "node n1's own token" certified "$(certify n1 "$W/tokens/n1" n1stolen)"
same "a stolen n1 speaks for n1's pods" opened "$(claim n1stolen workload uid-client shop client "$(pod_ip client)")"
refused "for a pod of node n2" "claimed source pod runs on another node" n1stolen workload uid-server shop server "$(pod_ip server)"
refused "for a pod that is not there" "claimed source pod is unknown" n1stolen workload uid-none shop client "$(pod_ip client)"
refused "from another pod's address" "claimed address is not the claimed pod's" n1stolen workload uid-client shop client "$(pod_ip near)"
refused "from an address that is nobody's" "claimed address is not the claimed pod's" n1stolen workload uid-client shop client 10.245.1.99
refused "with another service account" "claimed service account is not the claimed pod's" n1stolen workload uid-client shop admin "$(pod_ip client)"
# Any node may bring in what comes from outside (NodePort), but outside has no identity and no inner address.
for inner in "$(pod_ip client)" "$(pod_ip server)" 192.168.78.12 10.97.0.20 127.0.0.1 169.254.1.1; do
	refused "from outside, with the inner address $inner" "claimed outside address is inside the cluster" n1stolen external "" "" "" "$inner"
done
refused "to a pod of another node" "destination is no enrolled pod of this node" n1stolen workload uid-client shop client "$(pod_ip client)" uid-near "$(pod_ip near)" 9090
refused "to an address that is not the pod's" "destination address is not the pod's" n1stolen workload uid-client shop client "$(pod_ip client)" uid-server 192.168.78.12 22

refused "as another node's own process" "claimed node address is not the sender's" n1stolen node "" "" "" 192.168.78.12

# --- another CA ---
before=$(since "$W/n2/access.log")
same "a CA of one's own" forged "$(impostor forge n1 "$W/trust.pem" "$W/forged")"
same "its certificate gets nothing" closed "$(claim forged workload uid-client shop client "$(pod_ip client)" | cut -d' ' -f1)"
logged "another CA's certificate" "$W/n2/access.log" "$before" "not signed by a trusted CA"

# --- a key that is taken away, and what is open over it ---
hold_open() { # NAME: a connection to the server; how it ended
	in_ns p-client timeout 40 python3 -c "
import socket
c = socket.create_connection(('$(pod_ip server)', 9090), 10)
c.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
c.recv(4096)
print('open', flush=True)
try:
    while c.recv(4096):
        pass
    print('closed', flush=True)
except ConnectionResetError:
    print('reset', flush=True)" >"$W/$1" &
	until_ok 10 grep -q open "$W/$1" || die "no connection stays open"
}
hold_open revoked
same "an order about a node that nobody knows" "error no key of a node n7 is known" "$("$BIN/policy-sync" node revoke --state-dir "$W/state" n7)"
holds "the keys of node n1 are revoked" "$BIN/policy-sync" node revoke --state-dir "$W/state" n1
ended() { (($(wc -l <"$W/$1") >= 2)); }
until_ok 3 ended revoked || true
same "what is open over its tunnel is cut" reset "$(tail -n 1 "$W/revoked")"
before=$(since "$W/n2/access.log")
same "a revoked key gets nothing, hours before its certificate's end" closed "$(claim n1stolen workload uid-client shop client "$(pod_ip client)" | cut -d' ' -f1)"
logged "a revoked key" "$W/n2/access.log" "$before" "key of node n1 is not the pinned one"
holds "the node's process gets no certificate for the key that it had" until_ok 5 grep -q '"event":"key_refused","node":"n1"' "$W/log/sync"
halt proxy-n1
start_proxy n1
holds "with another key it is ready" until_ok 20 ready n1
same "and speaks for its pods" 200 "$(code "http://$(pod_ip server):9090/")"
same "node n1's own token, once more" certified "$(certify n1 "$W/tokens/n1" n1stolen)"

# --- a node that is removed ---
hold_open removed
same "before: the stolen node still speaks" opened "$(claim n1stolen workload uid-client shop client "$(pod_ip client)")"
remove_n1() { policy cluster.yaml < <(sed '/^---$/,$!d; 1d' "$W/policy/cluster.yaml"); }
g2=$(generation n2)
remove_n1
holds "node n2 is told" until_ok 10 generation_after n2 "$g2"
before=$(since "$W/n2/access.log")
same "a removed node's certificate gets nothing, hours before its end" closed "$(claim n1stolen workload uid-client shop client "$(pod_ip client)" | cut -d' ' -f1)"
until_ok 3 ended removed || true
same "what is open over a removed node's tunnel is cut" reset "$(tail -n 1 "$W/removed")"
logged "a removed node" "$W/n2/access.log" "$before" "node n1 is not in the snapshot"
same "and it gets no other" "no certificate: unknown node: the cluster has none of this name" "$(certify n1 "$W/tokens/n1" again)"
