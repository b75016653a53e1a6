#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: ten minutes of everything that clients do (kept and new connections, L7 and L4, bodies, downloads broken off,
# refusals, garbage, resets, policies edited, certificates renewed) leave no trace: memory, descriptors and
# what is open are at the end what they were when it had warmed up, and nothing went wrong meanwhile.
# SOAK_SECONDS (600); the run starts it first and asks for its result last.
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
seconds=${SOAK_SECONDS:-600}
rate=${SOAK_RATE:-120}
grown_max_kb=1024
at_most() { # NAME LIMIT GOT
	if (($3 <= $2)); then ok "$1: $3 (at most $2)"; else not_ok "$1" "$3 is more than $2"; fi
}
usual_world
start_sync --certificate-lifetime-s 60
for n in n1 n2; do start_rules "$n" && start_proxy "$n"; done
wait_ready
serve server http 8080
serve server http 9090
serve server banner 9091
serve server source 9005 1073741824

edit() { # a policy of another workload comes and goes: snapshots are swapped under the load
	policy soak.yaml <<-YAML
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: soak, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: near, sectionName: p90}]
		  authorization: {rules: [{name: "r$1", action: Allow, principal: {clientCIDRs: [10.$(($1 % 250)).0.0/16]}}]}
	YAML
}
kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(<"$W/pid/$1")/status"; }
descriptors() { find "/proc/$(<"$W/pid/$1")/fd" -mindepth 1 | wc -l; }
quiet() { [[ $(metric "$1" portcullis_exchanges_open) -le 16 ]]; } # the kept ones
# What is measured is measured while the load goes on: its kept connections are part of it.
sample() { # into $sampled: name kb descriptors, a line each
	local p
	sampled=''
	for p in proxy-n1 proxy-n2 sync rules-n1 rules-n2; do sampled+="$p $(kb $p) $(descriptors $p)"$'\n'; done
}

spawn soak p-client /usr/bin/python3 "$world_here/soak.py" "$(pod_ip server)" "$seconds" "$rate"
warm=$((seconds / 4)) edits=0
until ! alive soak; do
	edits=$((edits + 1))
	edit $edits
	read -rt 10 <> <(:) || true # the pace of the edits
	if ((SECONDS >= warm && ${warmed:-0} == 0)); then
		sample
		warmed=1 first=$sampled
	fi
	sample
	while read -r name size open; do
		[[ -n $name ]] && printf '# %4s s %-9s %6s kB %3s descriptors\n' "$SECONDS" "$name" "$size" "$open"
	done <<<"$sampled"
done
result=$(tail -n 1 "$W/log/soak")
echo "# $result"
same "nothing went wrong" 0 "$(jq -r .wrong <<<"$result")"
# A tunnel ends with its certificate, and the kept connections on it with the tunnel: 16 at most, and new ones
# stand on a certificate that has half of its 60 s left.
at_most "kept connections that ended with a certificate" $((16 * (seconds / 30 + 1))) "$(jq -r .redialled <<<"$result")"
at_most "actions that were left out" $((seconds * rate / 10)) $((seconds * rate - $(jq '[.done[]] | add' <<<"$result")))
for n in n1 n2; do
	holds "$n: what was open is closed" until_ok 10 quiet "$n"
	holds "$n: certificates were renewed" [ "$(grep -c certificate_installed "$W/log/proxy-$n")" -ge $((seconds / 60)) ]
done
sample
while read -r name size open; do
	[[ -n $name ]] || continue
	read -r _ before_kb before_open < <(grep "^$name " <<<"$first")
	at_most "$name: kB more than when warm ($before_kb)" $grown_max_kb $((size - before_kb))
	at_most "$name: descriptors more than when warm ($before_open)" 8 $((open - before_open))
done <<<"$sampled"
