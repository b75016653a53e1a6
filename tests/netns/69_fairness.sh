#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: while one pod keeps 128 requests under way, another pod's wait behind few of them, and none of either
# is lost; a pod alone is not held at all.
source "$(dirname "$0")/lib/scenario.sh"
usual_world
pod_add flood 1 11 flood
world_start
cat >"$W/nginx.conf" <<CONF
daemon off; pid $W/nginx.pid; error_log $W/nginx.err; worker_processes 1;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000;
  server { listen 8080 backlog=4096; location / { return 200 "hello world hello world\n"; } } }
CONF
spawn nginx p-server nginx -c "$W/nginx.conf"
until_ok 10 listens server 8080 || die "nginx does not listen"

load() { # POD CONNECTIONS SECONDS
	in_ns "p-$1" timeout 30 wrk -t1 -c"$2" -d"$3s" --latency --timeout 10s "http://$(pod_ip server):8080/"
}
p50_us() { awk '$1 == "50%" { n = $2 + 0; print int($2 ~ /us$/ ? n : $2 ~ /ms$/ ? n * 1000 : n * 1000000) }'; }
errors() { grep -c -E 'Socket errors|Non-2xx' || true; }
held() { metric n2 portcullis_requests_held_total; }

load flood 128 2 >"$W/alone"
same "alone: errors" 0 "$(errors <"$W/alone")"
same "alone: requests that were held" 0 "$(held)"

load flood 128 6 >"$W/flood" &
flood=$!
flooding() { (($(in_ns p-flood ss -Htn state established "dport = :8080" | wc -l) == 128)); }
until_ok 5 flooding || die "the flood does not begin"
load client 1 3 >"$W/beside"
wait "$flood"
same "beside each other: errors" "0 0" "$(errors <"$W/flood") $(errors <"$W/beside")"
flood_us=$(p50_us <"$W/flood") beside_us=$(p50_us <"$W/beside")
if ((beside_us > 0 && beside_us * 4 <= flood_us * 3)); then
	ok "the other pod's requests take $beside_us us, the flood's $flood_us (medians)"
else
	not_ok "the other pod waits behind the flood" "its median is $beside_us us, the flood's $flood_us"
fi
(($(held) > 0)) && ok "requests of the flood were held: $(held)" || not_ok "requests of the flood are held" "none was"
