# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# For the rules_*.sh scenarios: two nodes with pods behind routed veths, as Calico or kindnet attach
# them, beside kube-proxy look-alikes, in network namespaces of this process's own.
#
#   lan (192.168.78.1, the outside) ─┬─ n1 (.11) ─┬─ a   10.245.1.10
#                                    │            └─ c   10.245.1.12
#                                    └─ n2 (.12) ─── b   10.245.2.10
#
# A scenario sources this file, calls world_up, and says what it proves with the ok_* functions.
# Everything is undone when the shell ends, however it ends. No traffic leaves the namespaces.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${BIN:-$here/../../../build/bin}
rules_program=$BIN/portcullis-rules
tcp_program=(/usr/bin/python3 "$here/tcp.py")
prefix=pcr$$
work=$(mktemp -d)
pids=()
namespaces=()
failed=0

# shellcheck disable=SC2034 # scenarios use them
{
	outside4=192.168.78.1 outside6=fd00:78::1
	node4=([1]=192.168.78.11 [2]=192.168.78.12)
	node6=([1]=fd00:78::11 [2]=fd00:78::12)
	declare -A pod4=([a]=10.245.1.10 [c]=10.245.1.12 [b]=10.245.2.10)
	declare -A pod6=([a]=fd00:245:1::10 [c]=fd00:245:1::12 [b]=fd00:245:2::10)
	# Services of the look-alikes: remote ▶ pod b, local ▶ pod c, self ▶ pod a; port 80 ▶ 8080.
	declare -A service4=([remote]=10.97.0.5 [local]=10.97.0.6 [self]=10.97.0.7)
	declare -A service6=([remote]=fd00:97::5 [local]=fd00:97::6 [self]=fd00:97::7)
	declare -A node_port=([remote]=30080 [local]=30081)
}
declare -A service_pod=([remote]=b [local]=c [self]=a)

if ((EUID != 0)); then
	echo "# needs root"
	exit 77
fi
if [[ ! -x $rules_program ]]; then
	echo "# $rules_program is not built"
	exit 77
fi

world_down() {
	local p n
	for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
	for n in "${namespaces[@]}"; do ip netns del "$n" 2>/dev/null || true; done
	pids=() namespaces=()
	rm -rf "${work:?}"/*
}

cleanup() {
	local status=$?
	trap - EXIT
	world_down
	if declare -F at_end >/dev/null; then at_end; fi
	rm -rf "$work"
	((status == 0 && failed > 0)) && status=1
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

### What is said ###

ok() { printf 'ok %s\n' "$1"; }

not_ok() {
	printf 'not ok %s: %s\n' "$1" "$(tr '\n' ' ' <<<"$2")"
	failed=$((failed + 1))
}

ok_equal() { # NAME WANTED GOT
	if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "wanted '$2', got '$3'"; fi
}

ok_like() { # NAME GLOB GOT
	# shellcheck disable=SC2053 # a pattern is meant
	if [[ $3 == $2 ]]; then ok "$1"; else not_ok "$1" "wanted '$2', got '$3'"; fi
}

ok_true() { # NAME COMMAND...
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$* failed: $output"; fi
}

ok_false() { # NAME COMMAND...
	local name=$1 output
	shift
	if output=$("$@" 2>&1); then not_ok "$name" "$* succeeded: $output"; else ok "$name"; fi
}

ok_same_file() { # NAME WANTED GOT
	local difference
	if difference=$(diff "$2" "$3"); then ok "$1"; else not_ok "$1" "differs: $difference"; fi
}

# Asks again and again, 20 ms apart, until COMMAND succeeds or SECONDS are over.
within() { # SECONDS COMMAND...
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
		read -rt 0.02 <> <(:) || true
	done
}

### The world ###

in_ns() { # NAMESPACE COMMAND...
	local n=$1
	shift
	ip netns exec "$prefix-$n" "$@"
}

namespace_up() {
	local n=$prefix-$1
	ip netns add "$n"
	namespaces+=("$n")
	# No duplicate address detection: addresses work at once.
	ip netns exec "$n" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
	ip -n "$n" link set lo up
}

node_up() { # NUMBER
	local n=n$1
	namespace_up "$n"
	ip -n "$prefix-$n" link add eth0 type veth peer name "port$1" netns "$prefix-lan"
	ip -n "$prefix-lan" link set "port$1" master fabric up
	ip -n "$prefix-$n" addr add "${node4[$1]}/24" dev eth0
	ip -n "$prefix-$n" addr add "${node6[$1]}/64" dev eth0 nodad
	ip -n "$prefix-$n" link set eth0 up
	ip -n "$prefix-$n" route add default via "$outside4"
	ip -n "$prefix-$n" -6 route add default via "$outside6"
	in_ns "$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

pod_up() { # NAME NODE-NUMBER ADDRESS4 ADDRESS6
	namespace_up "$1"
	pod_attach "$@"
}

# What a CNI does to a namespace. The route to the pod comes last.
pod_attach() {
	local name=$1 node=$prefix-n$2 pod=$prefix-$1 mac
	ip -n "$node" link add "veth-$name" type veth peer name eth0 netns "$pod"
	ip -n "$node" link set "veth-$name" up
	mac=$(ip netns exec "$node" cat "/sys/class/net/veth-$name/address")
	ip -n "$pod" link set eth0 up
	ip -n "$pod" addr add "$3/32" dev eth0
	ip -n "$pod" addr add "$4/128" dev eth0 nodad
	ip -n "$pod" route add 169.254.1.1 dev eth0
	ip -n "$pod" neigh add 169.254.1.1 lladdr "$mac" dev eth0 nud permanent
	ip -n "$pod" route add default via 169.254.1.1
	ip -n "$pod" -6 neigh add fe80::1 lladdr "$mac" dev eth0 nud permanent
	ip -n "$pod" -6 route add default via fe80::1 dev eth0
	ip -n "$node" route add "$3/32" dev "veth-$name"
	ip -n "$node" -6 route add "$4/128" dev "veth-$name"
}

world_up() {
	namespace_up lan
	ip -n "$prefix-lan" link add fabric type bridge
	ip -n "$prefix-lan" addr add "$outside4/24" dev fabric
	ip -n "$prefix-lan" addr add "$outside6/64" dev fabric nodad
	ip -n "$prefix-lan" link set fabric up
	node_up 1
	node_up 2
	ip -n "$prefix-n1" route add 10.245.2.0/24 via "${node4[2]}"
	ip -n "$prefix-n2" route add 10.245.1.0/24 via "${node4[1]}"
	ip -n "$prefix-n1" -6 route add fd00:245:2::/64 via "${node6[2]}"
	ip -n "$prefix-n2" -6 route add fd00:245:1::/64 via "${node6[1]}"
	ip -n "$prefix-lan" route add 10.245.1.0/24 via "${node4[1]}"
	ip -n "$prefix-lan" route add 10.245.2.0/24 via "${node4[2]}"
	ip -n "$prefix-lan" -6 route add fd00:245:1::/64 via "${node6[1]}"
	ip -n "$prefix-lan" -6 route add fd00:245:2::/64 via "${node6[2]}"
	local p
	for p in a c; do pod_up "$p" 1 "${pod4[$p]}" "${pod6[$p]}"; done
	pod_up b 2 "${pod4[b]}" "${pod6[b]}"
}

### kube-proxy look-alikes ###

# The chains of kube-proxy's iptables mode and of kubelet, as far as a packet meets them.
kube_proxy_iptables() { # NODE-NUMBER [nft|legacy]
	local backend=${2:-nft} s
	for s in 4 6; do
		local -n address=service$s pod=pod$s
		local tool=ip${s/4/}tables-$backend-restore open='' close='' cluster=10.245.0.0/16
		if ((s == 6)); then open='[' close=']' cluster=fd00:245::/32; fi
		{
			echo '*mangle'
			echo ':KUBE-KUBELET-CANARY - [0:0]'
			echo ':KUBE-PROXY-CANARY - [0:0]'
			echo COMMIT
			echo '*filter'
			echo ':KUBE-FORWARD - [0:0]'
			echo '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'
			echo '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP'
			echo '-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT'
			echo COMMIT
			echo '*nat'
			printf ':KUBE-%s - [0:0]\n' SERVICES NODEPORTS MARK-MASQ POSTROUTING
			echo '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
			echo '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
			echo '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'
			echo '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000'
			echo '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN'
			echo '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0'
			echo '-A KUBE-POSTROUTING -j MASQUERADE --random-fully'
			local n p
			for n in "${!service_pod[@]}"; do
				p=${pod[${service_pod[$n]}]}
				echo ":KUBE-SEP-$n - [0:0]"
				echo "-A KUBE-SEP-$n -s $p -j KUBE-MARK-MASQ"
				echo "-A KUBE-SEP-$n -p tcp -j DNAT --to-destination $open$p$close:8080"
				echo "-A KUBE-SERVICES ! -s $cluster -d ${address[$n]} -p tcp --dport 80 -j KUBE-MARK-MASQ"
				echo "-A KUBE-SERVICES -d ${address[$n]} -p tcp --dport 80 -j KUBE-SEP-$n"
				[[ ${node_port[$n]:-} ]] || continue
				echo "-A KUBE-NODEPORTS -p tcp --dport ${node_port[$n]} -j KUBE-MARK-MASQ"
				echo "-A KUBE-NODEPORTS -p tcp --dport ${node_port[$n]} -j KUBE-SEP-$n"
			done
			echo '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
			echo COMMIT
		} | in_ns "n$1" "$tool" --noflush
	done
}

# The table of kube-proxy's nftables mode: verdict maps, and chains of its own priority that no accept
# in iptables' tables can end.
kube_proxy_nftables() { # NODE-NUMBER
	local s n
	for s in 4 6; do
		local -n address=service$s pod=pod$s
		local family=ip${s/4/} type=ipv${s}_addr
		{
			echo "table $family kube-proxy {"
			echo "  map service-ips { type $type . inet_proto . inet_service : verdict; }"
			echo "  map service-nodeports { type inet_proto . inet_service : verdict; }"
			echo "  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }"
			echo "  chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark xor 0x4000; masquerade fully-random; }"
			echo "  chain services {"
			echo "    $family daddr . meta l4proto . th dport vmap @service-ips"
			echo "    fib daddr type local meta l4proto . th dport vmap @service-nodeports"
			echo "  }"
			echo "  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }"
			echo "  chain nat-output { type nat hook output priority -100; jump services; }"
			echo "  chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }"
			echo "  chain filter-forward { type filter hook forward priority -110; ct state invalid drop; }"
			echo "}"
			for n in "${!service_pod[@]}"; do
				local p=${pod[${service_pod[$n]}]}
				local to=$p:8080
				((s == 6)) && to=[$p]:8080
				echo "add chain $family kube-proxy endpoint-$n { $family saddr $p jump mark-for-masquerade; meta l4proto tcp dnat to $to; }"
				echo "add chain $family kube-proxy external-$n { jump mark-for-masquerade; goto endpoint-$n; }"
				echo "add element $family kube-proxy service-ips { ${address[$n]} . tcp . 80 : goto endpoint-$n }"
				[[ ${node_port[$n]:-} ]] || continue
				echo "add element $family kube-proxy service-nodeports { tcp . ${node_port[$n]} : goto external-$n }"
			done
		} >"$work/kube-proxy.nft"
		in_ns "n$1" nft -f "$work/kube-proxy.nft"
	done
}

kube_proxy() { # NODE-NUMBER iptables|nftables
	"kube_proxy_$2" "$1"
}

### Programs ###

# Starts COMMAND in NAMESPACE and waits until it has written its first line, which says that it is
# ready. Its output is in $work/NAME.log, its process id in ${pid[NAME]}.
declare -A pid=()
start() { # NAME NAMESPACE COMMAND...
	local name=$1 n=$2
	shift 2
	: >"$work/$name.log"
	ip netns exec "$prefix-$n" "$@" <"${start_input:-/dev/null}" >"$work/$name.log" 2>"$work/$name.err" &
	pid[$name]=$!
	pids+=("$!")
	disown "$!" # no word of the shell's when it is killed
	within 10 test -s "$work/$name.log" || {
		not_ok "start $name" "$(tail -3 "$work/$name.err")"
		exit 1
	}
}

stop() { # NAME [SIGNAL]
	kill "-${2:-TERM}" "${pid[$1]}" 2>/dev/null || true
	within 5 is_gone "${pid[$1]}"
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

server() { # POD [PORT]: answers "POD sees PEER"
	start "server-$1" "$1" "${tcp_program[@]}" serve "${2:-8080}" "$1"
}

# The stand-in for node-proxy: accepts what TPROXY brings and answers "PEER dialled DESTINATION", or
# dials TARGET from the client's address and passes bytes.
listener() { # NODE-NUMBER [DESTINATION=TARGET...]
	start "listener$1" "n$1" "${tcp_program[@]}" listen "${@:2}"
}

# One request: prints the answer, or refused, reset, timeout.
ask() { # NAMESPACE ADDRESS PORT [OPTION...]
	in_ns "$1" "${tcp_program[@]}" ask "${@:2}"
}

# A connection that stays: `hold NAME …`, then `say NAME WORDS` prints the answer.
hold() { # NAME NAMESPACE ADDRESS PORT [OPTION...]
	mkfifo "$work/$1.in"
	# shellcheck disable=SC2034 # kept open, so that the reader never sees the end
	exec {hold_fd}<>"$work/$1.in"
	start_input=$work/$1.in start "$1" "$2" "${tcp_program[@]}" hold "${@:3}"
}

say() { # NAME WORDS
	local before
	before=$(wc -l <"$work/$1.log")
	echo "$2" >"$work/$1.in"
	within 3 has_more_lines "$work/$1.log" "$before" || true
	tail -n +"$((before + 1))" "$work/$1.log"
}

has_more_lines() { (($(wc -l <"$1") > $2)); }

no_connections() { # POD: no TCP socket but listening ones
	[[ -z $(in_ns "$1" ss -Htan state connected exclude time-wait) ]]
}

### Rules ###

config() { # NODE-NUMBER [LINE...]
	{
		echo 'uplinks = eth0'
		echo 'capture_cidrs = 10.245.0.0/16 10.97.0.0/16 fd00:245::/32 fd00:97::/112'
		echo 'node_cidrs = 192.168.78.0/24 fd00:78::/64'
		echo "run_dir = $work/run$1"
		printf '%s\n' "${@:2}"
	} >"$work/n$1.conf"
}

rules() { # NODE-NUMBER COMMAND [OPTION...]
	in_ns "n$1" "$rules_program" "$2" --config "$work/n$1.conf" "${@:3}"
}

# config and apply, quietly; what it says is shown if it fails.
capture() { # NODE-NUMBER [LINE...]
	config "$@"
	rules "$1" apply >"$work/apply.log" 2>&1 || {
		not_ok "apply on n$1" "$(cat "$work/apply.log")"
		exit 1
	}
}

# Everything about a node that we could have touched, counters aside.
snapshot() { # NODE-NUMBER
	local tool
	for tool in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do
		echo "== $tool"
		in_ns "n$1" "$tool" 2>/dev/null | sed -e '/^#/d' -e 's/\[[0-9]*:[0-9]*\]/[]/'
	done
	echo '== nft'
	in_ns "n$1" nft --stateless list ruleset 2>/dev/null
	echo '== ipset'
	in_ns "n$1" ipset save
	for tool in -4 -6; do
		echo "== ip $tool"
		in_ns "n$1" ip "$tool" rule
		in_ns "n$1" ip "$tool" route show table all | sed 's/ expires [0-9]*sec//'
	done
	echo '== sysctl'
	in_ns "n$1" sysctl -a 2>/dev/null | grep '^net\.' |
		grep -Ev 'nf_conntrack_count|nf_conntrack_buckets|netdev_rss_key|fib_notify'
}

# Counts packets that reach a pod, both families, before anything in the pod can drop them: all TCP, or
# what MATCH says.
count_in_pod() { # POD [MATCH...]
	in_ns "$1" nft add table inet proof
	in_ns "$1" nft 'add chain inet proof in { type filter hook prerouting priority -300; }'
	in_ns "$1" nft add rule inet proof in "${@:2}" meta l4proto tcp counter
}

packets_in_pod() { # POD
	in_ns "$1" nft list chain inet proof in | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'
}
