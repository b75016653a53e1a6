#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Proves: real servers and real clients notice nothing. Every call is made twice, inside the server's pod and
# through capture, and says the same, status, fields and body: nginx and Python behind curl and http.client,
# on the same node and across nodes, opaque and where a rule reads requests, IPv4 and IPv6. HEAD, 204,
# 304, ranges, compression, chunks and trailers both ways, uploads with and without a 100, HTTP/1.0, many at
# a time; and a gibibyte down and up by its digest where a rule reads requests.
# build: release
# shellcheck source=tests/netns/lib/scenario.sh
source "$(dirname "$0")/lib/scenario.sh"
usual_world
world_start
mkdir -p "$W/www/dir"
chmod 711 "$W"
# Text, so that it compresses; with a size that is no multiple of anything.
seq 1 30000 >"$W/www/text.txt"
/usr/bin/python3 "$world_here/servers.py" stream 700001 >"$W/www/blob"
: >"$W/www/empty"
chmod -R a+rX "$W/www"
for pod in near server; do
	cat >"$W/nginx-$pod.conf" <<-CONF
		daemon off; pid $W/nginx-$pod.pid; error_log $W/nginx-$pod.err; worker_processes 1;
		events { worker_connections 1024; }
		http { access_log off; default_type text/plain; gzip on; gzip_types text/plain; gzip_min_length 1; gzip_vary on;
		  server { listen [::]:8080 ipv6only=off; listen [::]:9090 ipv6only=off; root $W/www; etag on;
		    location = /none { return 204; }
		    location = /moved { return 302 /text.txt; }
		    location = /close { keepalive_timeout 0; return 200 "closing\n"; }
		    location = /early { return 200 "without reading it\n"; }
		    location = /large { client_max_body_size 1k; proxy_pass http://[::1]:1; } } }
	CONF
	spawn "nginx-$pod" "p-$pod" nginx -c "$W/nginx-$pod.conf"
	until_ok 10 listens "$pod" 9090 || die "nginx does not listen"
done
etag=$(in_ns p-server curl -sI http://127.0.0.1:8080/text.txt | tr -d '\r' | awk 'tolower($1) == "etag:" { print $2 }')

# Without the date, and the address and port by which it was asked; head and body by their digest.
seen() { tr -d '\r' | sed -e '/^[Dd]ate: /d' -e "s/$1:[0-9]*/HOST/g" | sha256sum | cut -c 1-16; }
# both NAME POD PATH CURL-OPTIONS...: inside the pod, and from the client by both families and both ports.
both() {
	local name=$1 pod=$2 path=$3 direct host port
	shift 3
	direct=$(in_ns "p-$pod" curl -s -i -g -m 20 "$@" "http://127.0.0.1:9090$path" | seen 127.0.0.1)
	for host in "$(pod_ip "$pod")" "[$(pod_ip6 "$pod")]"; do
		for port in 8080 9090; do
			same "$pod:$port ${host:0:1} $name" "$direct" "$(get -i "$@" -m 20 "http://$host:$port$path" |
				seen "$(sed 's/[][]/\\&/g' <<<"$host")")"
		done
	done
}
for pod in near server; do
	both "GET" $pod /text.txt
	both "GET of a large file" $pod /blob
	both "GET of an empty file" $pod /empty
	both "HEAD" $pod /text.txt -I
	both "HEAD, compressed" $pod /text.txt -I --compressed
	both "204" $pod /none
	both "304" $pod /text.txt -H "If-None-Match: $etag"
	both "404" $pod /nowhere
	both "405" $pod /text.txt -X DELETE
	both "a method of WebDAV" $pod /text.txt -X PROPFIND
	both "OPTIONS" $pod /text.txt -X OPTIONS
	both "302, followed" $pod /moved -L
	both "a range" $pod /blob -r 1000-99999
	both "the end" $pod /blob -r -7
	both "a range that is none" $pod /blob -r 999999999-
	both "compressed, so in chunks" $pod /text.txt --compressed
	both "compressed, as it came" $pod /text.txt -H 'Accept-Encoding: gzip' --raw --output -
	both "HTTP/1.0" $pod /text.txt -0
	both "HTTP/1.0, compressed" $pod /text.txt -0 --compressed
	both "Connection: close" $pod /text.txt -H 'Connection: close'
	both "a server that closes" $pod /close
	both "a body that nobody reads" $pod /early --data-binary "@$W/www/blob"
	both "413 to a client that waits" $pod /large -T "$W/www/blob" -H 'Expect: 100-continue'
	both "413 to a client that does not" $pod /large -T "$W/www/blob" -H 'Expect:'
	both "a path with a query" $pod '/text.txt?a=b&c=/admin'
	same "$pod: two on one connection" "1 0 " "$(get -o /dev/null -o /dev/null -w '%{num_connects} ' "http://$(pod_ip $pod):8080/text.txt" "http://$(pod_ip $pod):8080/none")"
	same "$pod: forty at a time" 40 "$(for ((i = 0; i < 40; i++)); do printf 'url = "http://%s:8080/blob"\noutput = "%s/%s-%d"\n' "$(pod_ip $pod)" "$W" $pod $i; done |
		in_ns p-client curl -s --no-progress-meter -m 60 --parallel --parallel-max 40 -K - 2>/dev/null && sha256sum "$W/$pod"-? "$W/$pod"-?? | cut -d ' ' -f 1 | grep -c "$(sha256sum <"$W/www/blob" | cut -d ' ' -f 1)")"
	halt "nginx-$pod"
done

# Bodies upwards, trailers downwards: a server that says what it got.
wanted=$(/usr/bin/python3 "$world_here/servers.py" stream 1073741824 | sha256sum | cut -d ' ' -f 1)
hundred=$(/usr/bin/python3 "$world_here/servers.py" stream 100000000 | sha256sum | cut -d ' ' -f 1)
blob=$(sha256sum <"$W/www/blob" | cut -d ' ' -f 1)
for pod in near server; do
	serve $pod http 8080
	url=http://$(pod_ip $pod):8080
	same "$pod: PUT" "PUT 700001 $blob" "$(get -T "$W/www/blob" "$url/digest")"
	same "$pod: PUT in chunks" "PUT 700001 $blob" "$(get -T - "$url/digest" <"$W/www/blob")"
	same "$pod: POST that waits for a 100" "POST 700001 $blob" "$(get -H 'Expect: 100-continue' --expect100-timeout 9 --data-binary "@$W/www/blob" "$url/digest")"
	same "$pod: POST by HTTP/1.0" "POST 700001 $blob" "$(get -0 --data-binary "@$W/www/blob" "$url/digest")"
	same "$pod: DELETE with a body" "DELETE 2 $(printf hi | sha256sum | cut -d ' ' -f 1)" "$(get -X DELETE -d hi "$url/digest")"
	same "$pod: chunks and a trailer" "$blob 700001" "$(get -D "$W/head" "$url/chunked/700001" | sha256sum | cut -d ' ' -f 1) $(tr -d '\r' <"$W/head" | awk 'tolower($1) == "x-size:" { print $2 }')"
	same "$pod: 1 GiB down, every byte" "$wanted" "$(get -m 100 "$url/stream/1073741824" | sha256sum | cut -d ' ' -f 1)"
	same "$pod: 100 MB down in chunks, every byte" "$hundred" "$(get -m 100 "$url/chunked/100000000" | sha256sum | cut -d ' ' -f 1)"
	same "$pod: 1 GiB up, every byte" "PUT 1073741824 $wanted" "$(/usr/bin/python3 "$world_here/servers.py" stream 1073741824 | get -m 100 -T - "$url/digest")"
	same "$pod: http.client, one connection, chunks up" "200 200 200" "$(in_ns p-client timeout 20 /usr/bin/python3 -c "
import http.client
c = http.client.HTTPConnection('$(pod_ip $pod)', 8080, timeout=10)
for body in (None, b'x' * 100000, iter([b'a' * 70000, b'b'])):
    c.request('POST' if body else 'GET', '/digest', body, encode_chunked=not isinstance(body, (bytes, type(None))))
    r = c.getresponse()
    r.read()
    print(r.status, end=' ')
" | xargs)"
done
for n in n1 n2; do
	kb=$(rss_kb $n)
	((kb < 60000)) && ok "$n stays small ($kb kB)" || not_ok "$n memory" "$kb kB"
done
