#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: wrk at 1, 64 and 256 connections, L4 and L7, to the other node and on the same one, without a
# single error and without a sanitizer report; PostgreSQL unmodified. LOAD_SECONDS each (10).
source "$(dirname "$0")/lib/scenario.sh"
seconds=${LOAD_SECONDS:-10}
usual_world
world_start
cat >"$W/nginx.conf" <<CONF
daemon off; pid $W/nginx.pid; error_log $W/nginx.err; worker_processes 1;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000;
  server { listen 8080 backlog=4096; listen 9090 backlog=4096; location / { return 200 "hello world hello world\n"; } } }
CONF
for pod in near server; do
	sed "s|nginx.pid|nginx-$pod.pid|" "$W/nginx.conf" >"$W/nginx-$pod.conf"
	spawn "nginx-$pod" "p-$pod" nginx -c "$W/nginx-$pod.conf"
	until_ok 10 listens "$pod" 9090 || die "nginx does not listen"
done
for pod in near server; do
	for port in 8080 9090; do
		for connections in 1 64 256; do
			out=$(in_ns p-client timeout $((seconds + 20)) wrk -t1 -c$connections -d"${seconds}s" --timeout 10s "http://$(pod_ip $pod):$port/")
			requests=$(awk '/requests in/ { print $1 }' <<<"$out")
			errors=$(grep -E 'Socket errors|Non-2xx' <<<"$out" || true)
			if [[ -z $errors && ${requests:-0} -gt 0 ]]; then
				ok "$pod port $port, $connections connections: $requests requests, 0 errors"
			else
				not_ok "$pod port $port, $connections connections" "$errors ($requests requests)"
			fi
		done
	done
done

postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
if [[ -n $postgres ]]; then
	mkdir -p "$W/pg"
	chmod 711 "$W"
	chown postgres "$W/pg"
	(cd / && setpriv --reuid=postgres --regid=postgres --clear-groups "$postgres/initdb" -D "$W/pg" -A trust >/dev/null)
	echo "host all all 0.0.0.0/0 trust" >>"$W/pg/pg_hba.conf"
	spawn postgres p-server setpriv --reuid=postgres --regid=postgres --clear-groups "$postgres/postgres" -D "$W/pg" \
		-c listen_addresses='*' -c unix_socket_directories="$W/pg"
	until_ok 20 in_ns p-client psql -h "$(pod_ip server)" -U postgres -c 'select 1' || true
	same "PostgreSQL: a client, a query, the address that the server sees" "10.245.1.10" \
		"$(in_ns p-client psql -h "$(pod_ip server)" -U postgres -Atc 'select host(inet_client_addr())')"
	same "PostgreSQL: 100,000 rows" 100000 \
		"$(in_ns p-client psql -h "$(pod_ip server)" -U postgres -Atc 'select generate_series(1, 100000)' | wc -l)"
fi
