# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# A cluster without Kubernetes: two nodes and their pods as network namespaces, pods behind routed
# veths as Calico or kindnet attach them, IPv4 and IPv6. Nothing leaves the namespaces.
#
#   ctl   192.168.78.1    policy-sync, and the outside ─┬─ n1 192.168.78.11 ── pods 10.245.1.x
#         fd00:78::1                                    └─ n2 192.168.78.12 ── pods 10.245.2.x
#
# All names begin with $prefix and all files lie in $world, so worlds stand side by side. What there is
# is kept in $world/facts: another shell says world_load and goes on.
# Objects for policy-sync: kubernetes.sh. Look-alikes of kube-proxy: kube_proxy.sh. The programs under
# test: mesh.sh. A scenario sources scenario.sh, which sources all of them.

prefix=${PREFIX:-pc}
world=${PORTCULLIS_RUN:-/run/portcullis}/$prefix
# shellcheck disable=SC2034 # the other files use them
{
	lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
	BIN=$(realpath -m "${BIN:-$lib/../../../build/bin}")
	policy_dir=$world/policy # what policy-sync serves; cluster/ in it is generated
	outside4=192.168.78.1 outside6=fd00:78::1
	node4=([1]=192.168.78.11 [2]=192.168.78.12)
	node6=([1]=fd00:78::11 [2]=fd00:78::12)
}
facts=(pod_node pod_namespace pod_account pod_app pod_uid pod_ip4 pod_ip6
	service_namespace service_app service_ip4 service_ip6 service_ports)
declare -A "${facts[@]}"

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

in_ns() { # ctl|n1|n2|p-POD COMMAND...
	local ns=$prefix-$1
	shift
	ip netns exec "$ns" "$@"
}

# In a pod a Service has a name: NAME.NAMESPACE, by a hosts file that only this command sees.
# shellcheck disable=SC2016 # expanded in there
pod_shell=(bash -c '[[ ! -e $0 ]] || mount --bind "$0" /etc/hosts && exec "$@"' "$world/hosts")
in_pod() { # POD COMMAND...
	local pod=$1
	shift
	in_ns "p-$pod" "${pod_shell[@]}" "$@"
}

world_save() {
	declare -p "${facts[@]}" >"$world/facts.new"
	# Sourced inside a function they would be local.
	sed -i 's/^declare -A/declare -gA/' "$world/facts.new"
	mv "$world/facts.new" "$world/facts"
}

world_stands() { [[ -e $world/facts ]]; }

world_load() {
	world_stands || return 1
	# shellcheck disable=SC1091 # made by world_save
	source "$world/facts"
}

### Namespaces ###

namespace_up() { # NAME
	local ns=$prefix-$1
	ip netns add "$ns"
	# No duplicate address detection: addresses work at once. Reverse path filter as Debian has it.
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.default.rp_filter=2
	ip -n "$ns" link set lo up
}

node_up() { # NUMBER
	local i=$1 j=$((3 - $1)) ns=$prefix-n$1 ctl=$prefix-ctl
	namespace_up "n$i"
	ip -n "$ns" link add eth0 type veth peer name "node$i" netns "$ctl"
	ip -n "$ctl" link set "node$i" master fabric up
	ip -n "$ns" addr add "${node4[$i]}/24" dev eth0
	ip -n "$ns" addr add "${node6[$i]}/64" dev eth0 nodad
	ip -n "$ns" link set eth0 up
	ip -n "$ns" route add default via "$outside4"
	ip -n "$ns" -6 route add default via "$outside6"
	ip -n "$ns" route add "10.245.$j.0/24" via "${node4[$j]}"
	ip -n "$ns" -6 route add "fd00:245:$j::/64" via "${node6[$j]}"
	ip -n "$ctl" route add "10.245.$i.0/24" via "${node4[$i]}"
	ip -n "$ctl" -6 route add "fd00:245:$i::/64" via "${node6[$i]}"
	in_ns "n$i" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	mkdir -p "$world/n$i"
}

# The empty world: two nodes, no pods.
world_up() {
	[[ $EUID == 0 ]] || die "network namespaces need root"
	world_stands && die "$prefix stands already"
	world_down # what a half-made one left
	install -d -m 0755 "$(dirname "$world")"
	install -d -m 0700 "$world" "$world/pid" "$world/log" "$world/tokens" "$policy_dir" "$policy_dir/cluster"
	namespace_up ctl
	ip -n "$prefix-ctl" link add fabric type bridge
	ip -n "$prefix-ctl" addr add "$outside4/24" dev fabric
	ip -n "$prefix-ctl" addr add "$outside6/64" dev fabric nodad
	ip -n "$prefix-ctl" link set fabric up
	in_ns ctl sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	local i
	for i in 1 2; do
		node_up "$i"
		node_publish "$i"
	done
	world_save
}

world_namespaces() { ip netns list | awk -v p="$prefix-" 'index($1, p) == 1 { print $1 }' | grep -E "^$prefix-(ctl|n[12]|p-.*)$"; }

# Everything away, in whatever state it is. Only processes inside our own namespaces are ended.
world_down() {
	local ns pids
	for ns in $(world_namespaces || true); do
		mapfile -t pids < <(ip netns pids "$ns" 2>/dev/null)
		((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
		within 10 namespace_is_empty "$ns" || true
		ip netns del "$ns"
	done
	rm -rf "${world:?}"
	rmdir "$(dirname "$world")" 2>/dev/null || true
}

namespace_is_empty() { [[ -z $(ip netns pids "$1" 2>/dev/null) ]]; }

### Pods ###

# pod_add NAME NODE [namespace=shop] [account=NAME] [app=NAME] [ip4=…] [ip6=…] [publish=yes]
# shellcheck disable=SC2034 # by name, below
pod_add() {
	local name=$1 node=$2 key namespace=shop account=$1 app=$1 ip4='' ip6='' publish=yes host
	for key in "${@:3}"; do local "${key?}"; done
	((${#name} <= 10)) || die "pod $name: a name has at most 10 letters here (veth-NAME is an interface)"
	host=$(pod_next_host "$node")
	pod_node[$name]=$node pod_namespace[$name]=$namespace pod_account[$name]=$account pod_app[$name]=$app
	pod_ip4[$name]=${ip4:-10.245.$node.$host} pod_ip6[$name]=${ip6:-fd00:245:$node::$host}
	read -r "pod_uid[$name]" </proc/sys/kernel/random/uuid
	namespace_up "p-$name"
	pod_attach "$name"
	[[ $publish == no ]] || pod_publish "$name"
	world_save
}

pod_next_host() { # NODE: the first number that no pod there has
	local host=10 pod used=' '
	for pod in "${!pod_node[@]}"; do
		[[ ${pod_node[$pod]} != "$1" ]] || used+="${pod_ip4[$pod]##*.} "
	done
	while [[ $used == *" $host "* ]]; do host=$((host + 1)); done
	echo "$host"
}

# What a CNI does. The route to the pod comes last: it makes a pod of an interface.
pod_attach() { # NAME
	local node=$prefix-n${pod_node[$1]} pod=$prefix-p-$1 mac
	ip -n "$node" link add "veth-$1" type veth peer name eth0 netns "$pod"
	ip -n "$node" link set "veth-$1" up
	mac=$(ip netns exec "$node" cat "/sys/class/net/veth-$1/address")
	ip -n "$pod" link set eth0 up
	ip -n "$pod" addr add "${pod_ip4[$1]}/32" dev eth0
	ip -n "$pod" addr add "${pod_ip6[$1]}/128" dev eth0 nodad
	ip -n "$pod" route add 169.254.1.1 dev eth0
	ip -n "$pod" neigh add 169.254.1.1 lladdr "$mac" dev eth0 nud permanent
	ip -n "$pod" route add default via 169.254.1.1
	ip -n "$pod" -6 neigh add fe80::1 lladdr "$mac" dev eth0 nud permanent
	ip -n "$pod" -6 route add default via fe80::1 dev eth0
	ip -n "$node" route add "${pod_ip4[$1]}/32" dev "veth-$1"
	ip -n "$node" -6 route add "${pod_ip6[$1]}/128" dev "veth-$1"
}

# The pod dies: processes, namespace, interface; its object goes with publish=no left out.
pod_remove() { # NAME [keep: the object stays]
	local ns=$prefix-p-$1 pids
	mapfile -t pids < <(ip netns pids "$ns")
	((${#pids[@]} == 0)) || kill -9 "${pids[@]}" 2>/dev/null || true
	within 5 namespace_is_empty "$ns"
	ip -n "$prefix-n${pod_node[$1]}" link del "veth-$1"
	ip netns del "$ns"
	[[ ${2:-} == keep ]] || rm -f "$policy_dir/cluster/pod-$1.yaml"
	local fact
	for fact in "${facts[@]}"; do [[ $fact == service_* ]] || unset "$fact[$1]"; done
	world_save
}

### Services ###

# service_add NAME APP PORT:TARGET[:NODEPORT[:PORT-NAME[:APP-PROTOCOL]]]... [namespace=shop]
# Its endpoints are the pods whose app label is APP.
service_add() {
	local name=$1 app=$2 namespace=shop port ports=() number=$((10 + ${#service_app[@]}))
	for port in "${@:3}"; do
		if [[ $port == namespace=* ]]; then namespace=${port#*=}; else ports+=("$port"); fi
	done
	service_namespace[$name]=$namespace service_app[$name]=$app service_ports[$name]=${ports[*]}
	service_ip4[$name]=10.97.0.$number service_ip6[$name]=fd00:97::$number
	service_publish "$name"
	hosts_write
	world_save
}

service_pods() { # NAME
	local pod
	for pod in "${!pod_node[@]}"; do
		[[ ${pod_app[$pod]} != "${service_app[$1]}" || ${pod_namespace[$pod]} != "${service_namespace[$1]}" ]] ||
			echo "$pod"
	done | sort
}

hosts_write() {
	local s
	{
		printf '127.0.0.1 localhost\n::1 localhost\n'
		for s in "${!service_ip4[@]}"; do
			echo "${service_ip4[$s]} $s.${service_namespace[$s]} $s.${service_namespace[$s]}.svc.cluster.local"
		done
	} >"$world/hosts"
}

### Programs ###

# In the background, a session of its own, so that the recorded process id is the whole of it.
start() { # NAME NAMESPACE COMMAND...
	local name=$1 ns=$prefix-$2
	shift 2
	: >"$world/log/$name.out"
	setsid ip netns exec "$ns" "$@" <"${start_input:-/dev/null}" >>"$world/log/$name.out" 2>>"$world/log/$name.err" &
	echo $! >"$world/pid/$name"
	disown $! # no word of the shell's when it is killed
}

# The same for programs whose first line of output says that they are ready.
start_ready() { # NAME NAMESPACE COMMAND...
	start "$@"
	within "${start_timeout_s:-15}" test -s "$world/log/$1.out" ||
		die "$1 does not start: $(tail -n 3 "$world/log/$1.err" | tr '\n' ' ')"
}

pid_of() { cat "$world/pid/$1" 2>/dev/null; } # NAME

# A recorded number may be another process by now: only ours leads a session of that number.
is_running() { # NAME
	local pid stat
	pid=$(pid_of "$1") && stat=$(ps -o stat=,sid= -p "$pid" 2>/dev/null) || return 1
	[[ $stat == [!Z]*" $pid" ]]
}
is_stopped() { ! is_running "$1"; }

# Orderly by SIGTERM unless another signal is named; after SECONDS by force, which is a failure.
stop() { # NAME [SIGNAL [SECONDS]]
	local pid
	is_running "$1" || { rm -f "$world/pid/$1" && return 0; }
	pid=$(pid_of "$1")
	kill -"${2:-TERM}" "$pid"
	if ! within "${3:-10}" is_stopped "$1"; then
		kill -9 "$pid" 2>/dev/null || true
		within 5 is_stopped "$1" || true
		rm -f "$world/pid/$1"
		return 1
	fi
	rm -f "$world/pid/$1"
}
