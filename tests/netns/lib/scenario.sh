# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# For the numbered scenarios: a world of this process's own, checks that print ok or not ok, cleaning
# up however it ends, and no sanitizer report in any program of the world.
set -euo pipefail
P=s$$
W=${TMPDIR:-/tmp}/portcullis-$P
source "$(dirname "${BASH_SOURCE[0]}")/world.sh"

failed=0
ok() { echo "ok $1"; }
not_ok() {
	echo "not ok $1: $2"
	failed=1
}
same() { # NAME EXPECTED GOT
	if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "expected '$2', got '$3'"; fi
}
holds() { # NAME COMMAND...
	local name=$1
	shift
	if "$@" >/dev/null 2>&1; then ok "$name"; else not_ok "$name" "$* failed"; fi
}

finish() {
	local status=$? report
	trap - EXIT
	report=$(sanitizer_reports)
	if [[ -n $report ]]; then
		# shellcheck disable=SC2086
		grep -hE -A 25 'Sanitizer|runtime error:' $report | head -n 60
		not_ok "no sanitizer report" "$report"
	fi
	if ((failed || status)); then
		for report in "$W"/log/sync "$W"/log/proxy-* "$W"/log/rules-*; do
			[[ -s $report ]] && echo "--- ${report##*/}" && tail -n 8 "$report"
		done
		tail -n 5 "$W"/n?/access.log 2>/dev/null
	fi
	world_down 2>/dev/null || true
	exit $((failed ? 1 : status))
}
trap finish EXIT
trap 'exit 1' INT TERM

if ((EUID != 0)); then
	trap - EXIT
	echo "needs root"
	exit 77
fi

# The usual world: client and near on node 1, server on node 2, a Service in front of each server;
# the far one has an L7 rule on port 8080 (nobody reaches /admin), 9090 is opaque.
usual_world() {
	world_network
	world_objects
	pod_add client 1 10 client
	pod_add near 1 20 near
	pod_add server 2 20 server
	service_add near 21 near 80:8080 90:9090:30090
	service_add server 20 server 80:8080:30080 90:9090
	policy server.yaml <<-'YAML'
		apiVersion: policy.portcullis.dev/v1alpha1
		kind: SecurityPolicy
		metadata: {name: server, namespace: shop}
		spec:
		  targetRefs: [{group: "", kind: Service, name: server, sectionName: p80}, {group: "", kind: Service, name: near, sectionName: p80}]
		  authorization:
		    defaultAction: Allow
		    rules:
		      - {name: no-admin, action: Deny, operation: {paths: [{type: PathPrefix, value: /admin}]}}
	YAML
	kube_proxy n1
	kube_proxy n2
}
serve() { # POD KIND PORT...: and wait until it listens
	spawn "$2-$3-$1" "p-$1" /usr/bin/python3 "$world_here/servers.py" "${@:2}"
	until_ok 10 listens "$1" "$3" || die "$2 does not listen on $1:$3"
}
# converse NAMESPACE COMMAND...: in the background; write to $talk_in, read from $talk_out, wait for $talk_pid.
# They are copies of the coprocess's descriptors: bash closes its own when it sees the process end, and an
# answer that was not read yet would be lost.
converse() {
	coproc in_ns "$@"
	talk_pid=$COPROC_PID
	exec {talk_in}>&"${COPROC[1]}" {talk_out}<&"${COPROC[0]}"
}
hang_up() { # waits for its end
	wait "$talk_pid" || true
	exec {talk_in}>&- {talk_out}<&-
}
listens() { [[ -n $(in_ns "p-$1" ss -Hltn "sport = :$2") ]]; }
get() { in_ns p-client curl -s -g -m 8 "$@"; }
code() { get -o /dev/null -w '%{http_code}' "$@" || true; }
metric() { in_ns "$1" curl -s -m 2 http://127.0.0.1:15020/metrics | awk -v m="$2" '$1 == m { print $2 }'; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(<"$W/pid/proxy-$1")/status"; }
