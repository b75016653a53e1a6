# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # rig.sh's
# nginx on both nodes, TLS 1.3 with client certificates between them; sourced by rig.sh. It cannot
# listen transparently, so it is captured by REDIRECT.

nginx_head() { # NODE
	cat <<CFG
worker_processes 1;
daemon off;
user root;
worker_rlimit_nofile 20000;
pid $W/$1/nginx.pid;
error_log $W/log/nginx-$1 error;
events {
	worker_connections 16384;
	multi_accept on;
}
http {
	access_log off;
	server_tokens off;
	tcp_nodelay on;
	keepalive_timeout 600s;
	keepalive_requests 1000000000;
	client_max_body_size 0;
	client_body_temp_path $W/$1/body;
	proxy_temp_path $W/$1/proxy;
	fastcgi_temp_path $W/$1/fastcgi;
	uwsgi_temp_path $W/$1/uwsgi;
	scgi_temp_path $W/$1/scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host \$http_host;
	proxy_buffer_size 16k;
	proxy_buffers 16 32k;
	proxy_busy_buffers_size 128k;
	proxy_max_temp_file_size 0;
	proxy_request_buffering off;
CFG
}

nginx_upstream() { # ADDRESS
	cat <<CFG
	upstream next {
		server $1;
		keepalive 1024;
		keepalive_requests 1000000000;
		keepalive_timeout 600s;
	}
CFG
}

nginx_source() {
	nginx_head n1
	nginx_upstream "192.168.78.12:$mesh_port"
	cat <<CFG
	server {
		listen $capture_port backlog=8192;
		location / {
			proxy_pass https://next;
			proxy_ssl_certificate $certs/n1.pem;
			proxy_ssl_certificate_key $certs/n1.key;
			proxy_ssl_trusted_certificate $certs/ca.pem;
			proxy_ssl_verify on;
			proxy_ssl_name n2;
			proxy_ssl_server_name on;
			proxy_ssl_protocols TLSv1.3;
			proxy_ssl_session_reuse on;
			proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
			proxy_ssl_conf_command Groups X25519;
		}
	}
}
CFG
}

nginx_destination() {
	nginx_head n2
	nginx_upstream "$(pod_ip server):$server_port"
	cat <<CFG
	server {
		listen 192.168.78.12:$mesh_port ssl backlog=8192;
		ssl_certificate $certs/n2.pem;
		ssl_certificate_key $certs/n2.key;
		ssl_client_certificate $certs/ca.pem;
		ssl_verify_client on;
		ssl_protocols TLSv1.3;
		ssl_ecdh_curve X25519;
		ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
		ssl_session_cache shared:s:10m;
		ssl_session_tickets on;
		ssl_buffer_size 16k;
		location / { proxy_pass http://next; }
	}
}
CFG
}

peer_start() {
	local n
	nginx_source >"$W/n1/nginx.conf"
	nginx_destination >"$W/n2/nginx.conf"
	for n in n2 n1; do spawn "proxy-$n" "$n" "$PEER_NGINX" -e stderr -c "$W/$n/nginx.conf"; done
	capture_redirect
}
