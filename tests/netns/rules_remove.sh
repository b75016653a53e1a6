#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: `remove` leaves iptables-save, ip6tables-save, nft list ruleset, ipset, ip rule, every routing
# table and every network sysctl byte for byte (counters aside) as they were found: on a bare host,
# beside kube-proxy in either mode, on a legacy host; after a kill -9 in the middle of it; from a host
# that others edited meanwhile, whose edits stay; without the memory in run_dir; twice.
# (Of legacy tables the empty shell stays: the kernel keeps a legacy table from its first use until the
# network namespace ends. Here they exist before, as they do on a host that uses them.)
source "$(dirname "$0")/lib/rules.sh"
keep=$(mktemp -d "$work.XXXXXX")
at_end() { rm -rf "$keep"; }

kill_after() { # SECONDS COMMAND
	# In a shell of its own, which keeps its word about the killing to itself.
	in_ns n1 bash -c 'timeout --signal=KILL "$@"; exit 0' - "$1" \
		"$rules_program" "$2" --config "$work/n1.conf" >"$work/out" 2>&1
}

prepare_bare() { :; }
prepare_iptables() { kube_proxy_iptables 1; }
prepare_nftables() { kube_proxy_nftables 1; }
prepare_legacy() {
	kube_proxy_iptables 1 legacy
	local tool
	for tool in iptables-legacy ip6tables-legacy; do in_ns n1 "$tool" -t raw -L >"$work/out"; done
}
prepare_empty_tables() { # there, and empty: that is how they have to stay
	in_ns n1 nft 'add table ip raw; add table ip6 mangle; add chain ip6 mangle FORWARD { type filter hook forward priority mangle; }'
}

for host in bare iptables nftables legacy empty_tables; do
	world_up
	"prepare_$host"
	config 1
	snapshot 1 >"$work/before"
	rules 1 preflight >"$work/out" || true
	snapshot 1 >"$work/after"
	ok_same_file "$host: preflight changes nothing" "$work/before" "$work/after"
	rules 1 apply --dry-run >"$work/out"
	snapshot 1 >"$work/after"
	ok_same_file "$host: apply --dry-run changes nothing" "$work/before" "$work/after"

	rules 1 apply >"$work/out" 2>&1
	snapshot 1 >"$work/with"
	ok_false "$host: apply changes something" cmp -s "$work/before" "$work/with"
	rules 1 remove
	snapshot 1 >"$work/after"
	ok_same_file "$host: as found" "$work/before" "$work/after"
	ok_true "$host: removing again is no error" rules 1 remove
	snapshot 1 >"$work/after"
	ok_same_file "$host: and changes nothing" "$work/before" "$work/after"

	# Killed at any moment: after 10, 20, … ms of an apply that takes some 100.
	for ms in 010 020 040 060 080 120; do kill_after "0.$ms" apply; done
	rules 1 remove
	snapshot 1 >"$work/after"
	ok_same_file "$host: as found after kill -9 of apply" "$work/before" "$work/after"

	start run n1 sh -c 'echo ready; exec "$@"' - "$rules_program" run --config "$work/n1.conf"
	within 5 rules 1 verify
	stop run KILL
	kill_after 0.030 remove
	rules 1 remove
	snapshot 1 >"$work/after"
	ok_same_file "$host: as found after kill -9 of run and of remove" "$work/before" "$work/after"
	world_down
done

# Others edit while our rules are in place: what remains is what a host has that never saw us.
edit() { # BACKEND
	in_ns n1 "iptables-$1" -t raw -A PREROUTING -s 192.0.2.1 -j DROP
	in_ns n1 "iptables-$1" -t mangle -N OTHERS
	in_ns n1 "iptables-$1" -t mangle -I PREROUTING -j OTHERS
	in_ns n1 "ip6tables-$1" -t nat -I POSTROUTING -s 2001:db8::1 -j ACCEPT
	in_ns n1 "iptables-$1" -P FORWARD DROP
	in_ns n1 ip rule add pref 1000 fwmark 0x1/0x1 lookup 99
	in_ns n1 ip route add 192.0.2.0/24 via "$outside4" table 99
}

for backend in nft legacy; do
	for us in without with; do
		world_up
		prepare_legacy
		kube_proxy_iptables 1 "$backend"
		config 1 "backend = $backend"
		if [[ $us == with ]]; then rules 1 apply --force >"$work/out" 2>&1; fi
		edit "$backend"
		if [[ $us == with ]]; then rules 1 remove; fi
		# fe80: addresses are random; nft lists chains by age, and of these ours is a part.
		snapshot 1 | sed -e '/fe80:/d' -e '/^== nft/,/^== ipset/d' >"$keep/$backend-$us"
		world_down
	done
	ok_true "$backend: others' edits stay" grep -q 192.0.2.1 "$keep/$backend-with"
	ok_same_file "$backend: and nothing else" "$keep/$backend-without" "$keep/$backend-with"
done

# The memory is lost (run_dir on a disk that was wiped): ours goes, an empty table may stay.
world_up
kube_proxy_iptables 1
config 1
rules 1 apply >"$work/out" 2>&1
rm -r "$work/run1"
rules 1 remove
snapshot 1 >"$work/after"
ok_false "without memory: nothing of ours is left" grep -qi -e portcullis -e 0x500000 -e 15001 "$work/after"
