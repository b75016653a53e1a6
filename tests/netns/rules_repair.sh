#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: `run` puts back, within a second (three, on a busy machine), whatever others took or pushed aside: a flushed
# ruleset, a
# deleted table, a lost jump, a rule in front of our jump, a rule in our chains, lost policy rules and
# routes, the nf_tables binding, on a host with iptables-nft and on one with iptables-legacy; rules.json
# says so; the rules outlive it, also a kill -9; a second one is refused; SIGHUP takes a new
# configuration, and a wrong one changes nothing.
source "$(dirname "$0")/lib/rules.sh"

verified() { # WANTED: what rules.json says
	jq -e "$1" "$work/run1/rules.json"
}

run_rules() {
	start run n1 sh -c 'echo ready; exec "$@"' - "$rules_program" run --config "$work/n1.conf"
	within 5 verified .verified
}

# DAMAGE and WITNESS are shell, run in the node. The witness asks the host's own tools, because verify and
# repair are one program and could be wrong together.
repairs() { # NAME DAMAGE WITNESS
	in_ns n1 sh -c "$2"
	if ! within 3 rules 1 verify; then
		not_ok "$1" "$(rules 1 verify 2>&1)"
	elif ! within 3 in_ns n1 sh -ec "$3"; then
		not_ok "$1" "verify is content, and this is not so: $3"
	else
		ok "$1"
	fi
}

# kube-proxy's chains of a large cluster: what has to be read around.
many_services() { # BACKEND
	local i
	{
		echo '*nat'
		echo ':KUBE-SERVICES - [0:0]'
		for i in {1..5000}; do printf ':KUBE-SVC-%05d - [0:0]\n' "$i"; done
		for i in {1..5000}; do
			printf -- '-A KUBE-SERVICES -d 10.97.%d.%d/32 -p tcp --dport 8080 -j KUBE-SVC-%05d\n' \
				$((i / 250 + 1)) $((i % 250)) "$i"
			printf -- '-A KUBE-SVC-%05d -p tcp -j DNAT --to-destination 10.245.2.10:8080\n' "$i"
		done
		echo COMMIT
	} | in_ns n1 "iptables-$1-restore" --noflush
}

for backend in nft legacy; do
	world_up
	kube_proxy_iptables 1 "$backend"
	config 1
	listener 1
	server b
	run_rules
	ok_equal "$backend: rules.json" "true $backend " \
		"$(jq -r '"\(.verified) \(.backend) \(.error)"' "$work/run1/rules.json")"
	t=iptables-$backend t6=ip6tables-$backend
	first() { echo "$1 -t $2 -S $3 | sed -n 2p | grep -q 'PORTCULLIS-$3\$'"; }
	repairs "$backend: table mangle flushed" "$t -t mangle -F" \
		"$(first $t mangle PREROUTING); $t -t mangle -S PORTCULLIS-CAPTURE | grep -q TPROXY"
	repairs "$backend: table raw flushed, IPv6" "$t6 -t raw -F" \
		"$(first $t6 raw PREROUTING); $t6 -t raw -S PORTCULLIS-OURS | grep -q notrack"
	repairs "$backend: everything flushed and deleted" \
		"for i in $t $t6; do for x in raw mangle nat filter; do \$i -t \$x -F; \$i -t \$x -X; done; done" \
		"$(first $t raw OUTPUT); $(first $t6 nat POSTROUTING); $(first $t mangle FORWARD)"
	repairs "$backend: a jump deleted" "$t -t raw -D PREROUTING 1" "$(first $t raw PREROUTING)"
	repairs "$backend: another's rule before our jump" "$t -t mangle -I PREROUTING -j ACCEPT" \
		"$(first $t mangle PREROUTING)"
	repairs "$backend: our jump doubled" \
		"$t -t raw -A PREROUTING ! -i lo -p tcp -j PORTCULLIS-PREROUTING" \
		"test 1 = \$($t -t raw -S PREROUTING | grep -c PORTCULLIS)"
	repairs "$backend: a rule in our chain" "$t -t mangle -I PORTCULLIS-SCOPE -j RETURN" \
		"! $t -t mangle -S PORTCULLIS-SCOPE | grep -q -e '-A PORTCULLIS-SCOPE -j RETURN'"
	repairs "$backend: a policy rule deleted" "ip rule del pref 51" "ip rule | grep -q ^51:"
	repairs "$backend: a policy rule deleted, IPv6" "ip -6 rule del pref 50" "ip -6 rule | grep -q ^50:"
	repairs "$backend: the route deleted" "ip route flush table 15001" \
		"ip route show table 15001 | grep -q 'local default dev lo'"
	repairs "$backend: the binding deleted" "nft delete table ip portcullis" \
		"nft list table ip portcullis | grep -q 'dnat to ip daddr'"
	repairs "$backend: the binding's rule deleted" "nft flush chain ip6 portcullis prerouting" \
		"nft list table ip6 portcullis | grep -q 'dnat to ip6 daddr'"
	[[ $backend == legacy ]] || repairs "$backend: nft flush ruleset" "nft flush ruleset" \
		"$(first $t mangle PREROUTING); $(first $t6 raw PREROUTING)"
	many_services "$backend"
	repairs "$backend: beside 5,000 Services, mangle and nat flushed" \
		"$t -t mangle -F; $t -t nat -F PORTCULLIS-POSTROUTING" \
		"$(first $t mangle PREROUTING); $t -t nat -S PORTCULLIS-POSTROUTING | grep -q ACCEPT"
	ok_equal "$backend: and capture works" \
		"${pod4[a]} dialled ${service4[remote]}:80: hello" "$(ask a "${service4[remote]}" 80)"

	ok_false "$backend: apply beside run is refused" rules 1 apply
	ok_false "$backend: remove beside run is refused" rules 1 remove
	ok_false "$backend: a second run is refused" rules 1 run

	config 1 'exclude = 10.245.2.0/24'
	kill -HUP "${pid[run]}"
	ok_true "$backend: SIGHUP takes the new configuration" within 5 rules 1 verify
	ok_equal "$backend: which is in force" "b sees ${pod4[a]}: hello" "$(ask a "${pod4[b]}" 8080)"
	cp "$work/n1.conf" "$work/good.conf"
	echo 'capture_cidrs = nonsense' >>"$work/n1.conf"
	kill -HUP "${pid[run]}"
	ok_true "$backend: a wrong configuration is refused by name" \
		within 5 grep -q 'config_refused.*nonsense is no network' "$work/run.err"
	cp "$work/good.conf" "$work/n1.conf"
	ok_true "$backend: and changes nothing" rules 1 verify

	stop run KILL
	ok_true "$backend: rules outlive a kill -9" rules 1 verify
	run_rules
	stop run TERM
	ok_true "$backend: and a SIGTERM" rules 1 verify
	rules 1 remove
	ok_equal "$backend: after removal rules.json says so" "false removed" \
		"$(jq -r '"\(.verified) \(.error)"' "$work/run1/rules.json")"
	world_down
done
