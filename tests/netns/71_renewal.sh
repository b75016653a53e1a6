#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# build: release
# Proves: certificates of eight seconds are renewed at half life, each with a new key that every node knows
# before it is shown, and no request fails; a node whose renewal fails keeps the certificate it has, and
# recovers by itself.
# shellcheck source=lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
start_sync --certificate-lifetime-s 8
for n in n1 n2; do
	start_rules "$n"
	start_proxy "$n"
done
wait_ready
serve server http 9090
serve server banner 9091

served_pin() { # of the key that node n2's tunnel shows
	# It ends with an alert, as no certificate is shown; what the node shows comes before.
	(in_ns n1 openssl s_client -connect 192.168.78.12:14443 -alpn portcullis/1 </dev/null 2>/dev/null || true) |
		openssl x509 -noout -pubkey 2>/dev/null | sha256sum
}
first=$(served_pin)
installed=$(metric n2 portcullis_certificates_installed_total)
in_ns p-client /usr/bin/python3 "$world_here/servers.py" rate "$(pod_ip server):9090" 14 300 0 >"$W/rate.json"
same "no request failed over several renewals ($(jq -c .why "$W/rate.json"))" 0 "$(jq -r .failed "$W/rate.json")"
holds "there were requests" test "$(jq -r .done "$W/rate.json")" -gt 3000
now=$(metric n2 portcullis_certificates_installed_total)
holds "certificates were renewed: $((now - installed)) in 14 s" test $((now - installed)) -ge 2
holds "with a new key" test "$(served_pin)" != "$first"
left=$(($(metric n2 portcullis_certificate_not_after_seconds) - $(date +%s)))
holds "well before its end: $left s are left" test "$left" -ge 1 -a "$left" -le 8
same "no key lies on a node's disk" "" "$(grep -lr 'PRIVATE KEY' "$W/n1" "$W/n2" "$W/log" || true)"

# A renewal that fails: the token has gone. What is there stays in use until its end.
mv "$W/tokens/n2" "$W/token-n2"
failing() { grep -q '"event":"renewal_failed"' "$W/log/proxy-n2"; }
holds "a renewal without a token fails, and says so" until_ok 10 failing
same "and the node serves on" 200 "$(code "http://$(pod_ip server):9090/")"
mv "$W/token-n2" "$W/tokens/n2"
installed=$(metric n2 portcullis_certificates_installed_total)
renewed() { (($(metric n2 portcullis_certificates_installed_total) > installed)); }
holds "with the token back it is renewed" until_ok 15 renewed
same "and serves" 200 "$(code "http://$(pod_ip server):9090/")"
