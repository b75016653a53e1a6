# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Two nodes without Kubernetes: network namespaces joined by a bridge, pods behind routed veths, the
# objects of a cluster as YAML, policy-sync and on each node rules and proxy. Sourced by sandbox.sh,
# demo.sh and the scenarios; state in $W, names begin with $P, so that several worlds stand side by side.
#
#   ctl  192.168.78.1   bridge, policy-sync          pods 10.245.<node>.0/24, fd00:245:<node>::/64
#   n1   192.168.78.11  n2  192.168.78.12            services 10.97.0.0/16, fd00:97::/112

world_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
world_root=$(cd "$world_here/../../.." && pwd)
: "${P:=pc$$}"
: "${W:=${TMPDIR:-/tmp}/portcullis-$P}"
: "${BIN:=$world_root/build/bin}"
: "${WORKERS:=1}"
: "${MARK:=0x00500000}"

die() {
	echo "error: $*" >&2
	exit 1
}
in_ns() { ip netns exec "$P-$1" "${@:2}"; }

# until_ok SECONDS COMMAND...: tries again until it succeeds; bounded.
until_ok() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		read -rt 0.02 <> <(:) || true
	done
}

# spawn NAME NAMESPACE COMMAND...: in the background, its pid in $W/pid/NAME, its output in $W/log/NAME.
spawn() {
	local name=$1 ns=$2
	shift 2
	mkdir -p "$W/pid" "$W/log"
	(
		cd /
		ulimit -n "$(ulimit -H -n)"
		exec setsid ip netns exec "$P-$ns" "$@" >>"$W/log/$name" 2>&1 </dev/null
	) &
	echo $! >"$W/pid/$name"
}
alive() { [[ -s $W/pid/$1 ]] && kill -0 "$(<"$W/pid/$1")" 2>/dev/null; }
not_alive() { ! alive "$1"; }
halt() { # NAME [SIGNAL]
	[[ -s $W/pid/$1 ]] || return 0
	kill "-${2:-TERM}" "$(<"$W/pid/$1")" 2>/dev/null || true
	until_ok 20 not_alive "$1" || kill -KILL "$(<"$W/pid/$1")" 2>/dev/null || true
	rm -f "$W/pid/$1"
}

# ---- the network ---------------------------------------------------------------------------------

# What a pod is, one line each in $W/pods: name namespace account node ip4 ip6.
world_network() {
	local i ns
	[[ $(id -u) == 0 ]] || die "network namespaces need root"
	mkdir -p "$W"/{policy,tokens,n1,n2,pid,log}
	chmod 700 "$W"
	: >"$W/pods"
	: >"$W/services"
	for ns in ctl n1 n2; do
		ip netns add "$P-$ns"
		ip -n "$P-$ns" link set lo up
	done
	ip -n "$P-ctl" link add br0 type bridge
	ip -n "$P-ctl" link set br0 up
	ip -n "$P-ctl" addr add 192.168.78.1/24 dev br0
	ip -n "$P-ctl" addr add fd00:78::1/64 dev br0 nodad
	for i in 1 2; do
		ip -n "$P-ctl" link add "n$i" type veth peer name eth0 netns "$P-n$i"
		ip -n "$P-ctl" link set "n$i" master br0 up
		ip -n "$P-n$i" addr add "192.168.78.1$i/24" dev eth0
		ip -n "$P-n$i" addr add "fd00:78::1$i/64" dev eth0 nodad
		ip -n "$P-n$i" link set eth0 up
		in_ns "n$i" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
			net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
		head -c 24 /dev/urandom | base64 >"$W/tokens/n$i"
	done
	chmod 600 "$W"/tokens/*
	ip -n "$P-n1" route add 10.245.2.0/24 via 192.168.78.12
	ip -n "$P-n2" route add 10.245.1.0/24 via 192.168.78.11
	ip -n "$P-n1" route add fd00:245:2::/64 via fd00:78::12
	ip -n "$P-n2" route add fd00:245:1::/64 via fd00:78::11
}

# pod_attach NAME NODE NUMBER: namespace, routed veth, addresses.
pod_attach() {
	local name=$1 node=$2 ip4=10.245.$2.$3 ip6=fd00:245:$2::$3
	ip netns add "$P-p-$name"
	ip -n "$P-p-$name" link set lo up
	ip -n "$P-n$node" link add "v-$name" type veth peer name eth0 netns "$P-p-$name"
	in_ns "n$node" sysctl -qw "net.ipv4.conf.v-$name.rp_filter=0"
	ip -n "$P-n$node" addr add 169.254.1.1/32 dev "v-$name"
	ip -n "$P-n$node" addr add fe80::1/64 dev "v-$name" nodad
	ip -n "$P-n$node" link set "v-$name" up
	ip -n "$P-p-$name" link set eth0 up
	ip -n "$P-p-$name" addr add "$ip4/32" dev eth0
	ip -n "$P-p-$name" addr add "$ip6/128" dev eth0 nodad
	ip -n "$P-p-$name" route add 169.254.1.1 dev eth0
	ip -n "$P-p-$name" route add default via 169.254.1.1
	ip -n "$P-p-$name" -6 route add default via fe80::1 dev eth0
	ip -n "$P-n$node" route add "$ip4/32" dev "v-$name"
	ip -n "$P-n$node" -6 route add "$ip6/128" dev "v-$name"
}

# pod_add NAME NODE NUMBER [ACCOUNT] [NAMESPACE]: attached, and a Pod object.
pod_add() {
	local name=$1 node=$2 number=$3 account=${4:-$1} namespace=${5:-shop}
	pod_attach "$name" "$node" "$number"
	echo "$name $namespace $account n$node 10.245.$node.$number fd00:245:$node::$number" >>"$W/pods"
	pod_yaml "$name" "$namespace" "$account" "n$node" "10.245.$node.$number" \
		"fd00:245:$node::$number" >"$W/policy/.pod-$name"
	mv "$W/policy/.pod-$name" "$W/policy/pod-$name.yaml"
}
pod_yaml() { # NAME NAMESPACE ACCOUNT NODE IP4 IP6 [UID]
	cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: $2, uid: ${7:-uid-$1}, labels: {app: $1}}
spec: {nodeName: $4, serviceAccountName: $3, containers: [{name: main, ports: [{name: http, containerPort: 8080}]}]}
status: {phase: Running, hostIP: 192.168.78.1${4#n}, podIP: $5, podIPs: [{ip: $5}, {ip: "$6"}]}
YAML
}
pod_ip() { awk -v n="$1" '$1 == n { print $5 }' "$W/pods"; }
pod_ip6() { awk -v n="$1" '$1 == n { print $6 }' "$W/pods"; }
pod_remove() {
	ip netns pids "$P-p-$1" | xargs -r kill -9
	ip netns del "$P-p-$1"
	sed -i "/^$1 /d" "$W/pods"
}

# service_add NAME NUMBER POD PORT:TARGET[:NODEPORT]...: a Service in front of one pod, IPv4 and IPv6.
service_add() {
	local name=$1 number=$2 pod=$3 ports='' slice='' spec port target node_port
	shift 3
	for spec in "$@"; do
		IFS=: read -r port target node_port <<<"$spec"
		ports+="${ports:+, }{name: p$port, port: $port, targetPort: $target${node_port:+, nodePort: $node_port}}"
		slice+="${slice:+, }{name: p$port, port: $target}"
		echo "$name 10.97.0.$number $port fd00:97::$number ${node_port:-0} $pod $target" >>"$W/services"
	done
	local namespace node
	namespace=$(awk -v n="$pod" '$1 == n { print $2 }' "$W/pods")
	node=$(awk -v n="$pod" '$1 == n { print $4 }' "$W/pods")
	cat >"$W/policy/service-$name.yaml" <<YAML
apiVersion: v1
kind: Service
metadata: {name: $name, namespace: $namespace}
spec: {clusterIP: 10.97.0.$number, clusterIPs: [10.97.0.$number, "fd00:97::$number"], selector: {app: $pod}, ports: [$ports]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $name-4, namespace: $namespace, labels: {kubernetes.io/service-name: $name}}
addressType: IPv4
ports: [$slice]
endpoints: [{addresses: [$(pod_ip "$pod")], nodeName: $node, targetRef: {kind: Pod, name: $pod, namespace: $namespace, uid: uid-$pod}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $name-6, namespace: $namespace, labels: {kubernetes.io/service-name: $name}}
addressType: IPv6
ports: [$slice]
endpoints: [{addresses: ["$(pod_ip6 "$pod")"], nodeName: $node, targetRef: {kind: Pod, name: $pod, namespace: $namespace, uid: uid-$pod}}]
YAML
}

world_objects() {
	local i
	for i in 1 2; do
		cat <<YAML
apiVersion: v1
kind: Node
metadata: {name: n$i}
status: {addresses: [{type: InternalIP, address: 192.168.78.1$i}, {type: InternalIP, address: "fd00:78::1$i"}]}
---
YAML
	done >"$W/policy/cluster.yaml"
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n' >>"$W/policy/cluster.yaml"
}

# policy FILE < YAML: put in place at once, as an editor would.
policy() {
	cat >"$W/policy/.new"
	mv "$W/policy/.new" "$W/policy/$1"
}

# A kube-proxy look-alike on a node: DNAT for ClusterIPs, by iptables. It is what breaks textbook rules.
kube_proxy() {
	local name ip port rest ip6 target pod
	while read -r name ip port ip6 rest pod target; do
		in_ns "$1" iptables -t nat -A PREROUTING -d "$ip" -p tcp --dport "$port" -j DNAT --to "$(pod_ip "$pod"):$target"
		in_ns "$1" ip6tables -t nat -A PREROUTING -d "$ip6" -p tcp --dport "$port" -j DNAT --to "[$(pod_ip6 "$pod")]:$target"
	done <"$W/services"
}

# ---- the programs --------------------------------------------------------------------------------

start_sync() {
	spawn sync ctl "$BIN/policy-sync" serve --from-dir "$W/policy" --state-dir "$W/state" \
		--listen 192.168.78.1:9443 --token-dir "$W/tokens" --trust-file "$W/trust.pem" "$@"
	until_ok 10 test -s "$W/trust.pem" || die "policy-sync does not start: $(tail -n 3 "$W/log/sync")"
}

start_rules() { # NODE
	cat >"$W/$1/rules.conf" <<CONF
capture_port = 15001
mark = $MARK
mark_mask = 0x00f00000
uplinks = eth0
capture_cidrs = 10.245.0.0/16, 10.97.0.0/16, fd00:245::/32, fd00:97::/112
node_cidrs = 192.168.78.0/24, fd00:78::/64
run_dir = $W/$1
CONF
	spawn "rules-$1" "$1" "$BIN/portcullis-rules" run --config "$W/$1/rules.conf"
}

proxy_command() { # NODE
	echo "$BIN/node-proxy run --node $1 --run-dir $W/$1 --sync 192.168.78.1:9443 --token-file $W/tokens/$1 --trust-file $W/trust.pem --uplink eth0 --mark $MARK --workers $WORKERS --access-log $W/$1/access.log --drain-s ${DRAIN:-5}"
}

start_proxy() { # NODE
	local command
	read -ra command <<<"$(proxy_command "$1")"
	spawn "proxy-$1" "$1" "${command[@]}"
}

ready() { [[ $(in_ns "$1" curl -sf -m 2 http://127.0.0.1:15020/readyz) == ready ]]; }

wait_ready() {
	local n
	for n in n1 n2; do
		until_ok 30 ready "$n" || die "$n is not ready: $(in_ns "$n" curl -s -m 2 http://127.0.0.1:15020/readyz) $(tail -n 3 "$W/log/proxy-$n" "$W/log/rules-$n")"
	done
}

world_start() {
	local n
	start_sync
	for n in n1 n2; do
		start_rules "$n"
		start_proxy "$n"
	done
	wait_ready
}

# Upgrade: the new process takes the listeners over, the old one drains and goes.
upgrade_proxy() { # NODE
	local command
	mv "$W/pid/proxy-$1" "$W/pid/old-$1"
	read -ra command <<<"$(proxy_command "$1") --takeover"
	spawn "proxy-$1" "$1" "${command[@]}"
}

# Live: does a change in the directory hold on a node? The generation that a node goes by.
generation() { in_ns "$1" curl -s -m 2 http://127.0.0.1:15020/metrics | awk '/^portcullis_snapshot_generation/ { print $2 }'; }
generation_after() { [[ $(generation "$1") -gt $2 ]]; }
# changed COMMAND...: run it and wait until both nodes go by a newer generation.
changed() {
	local g1 g2
	g1=$(generation n1) g2=$(generation n2)
	"$@"
	until_ok 10 generation_after n1 "$g1" && until_ok 10 generation_after n2 "$g2"
}

world_down() {
	local file ns
	for file in "$W"/pid/*; do
		[[ -s $file ]] && kill "$(<"$file")" 2>/dev/null || true
	done
	for file in "$W"/pid/*; do
		[[ -s $file ]] || continue
		until_ok 10 not_alive "$(basename "$file")" || kill -KILL "$(<"$file")" 2>/dev/null || true
	done
	for ns in $(ip netns list | awk '{ print $1 }' | grep "^$P-" || true); do
		ip netns pids "$ns" | xargs -r kill -9 2>/dev/null || true
		ip netns del "$ns"
	done
	rm -rf "${W:?}"
}

# What a sanitizer said, in any program of this world: nothing, one hopes.
sanitizer_reports() { grep -lE 'Sanitizer|runtime error:' "$W"/log/* 2>/dev/null || true; }
