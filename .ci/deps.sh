#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what the project needs on a bare Debian 12 or 13: packages of the machine's own
# distribution, then the pinned third-party sources (deps.lock), built into a cache prefix outside
# the tree under a key of versions, flags and compiler. Quick when nothing changed.
#
#   deps.sh            install and build
#   deps.sh demo       without what only tests need: half the download
#   deps.sh prefix     print the prefix (it may not exist yet)
#   deps.sh peers      what bench/ needs besides; a line for each peer: NAME PATH, or NAME - REASON
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}
jobs=$(nproc)

wolfssl_configure=(
	--enable-static --disable-shared --with-pic
	--enable-sp=yes,2048,3072,4096,256,384,521 --enable-sp-asm --enable-sp-math-all
	--enable-tls13 --disable-tlsv12 --disable-oldtls --enable-session-ticket --enable-sni --enable-alpn
	--enable-supportedcurves --enable-keygen --enable-certgen --enable-certreq --enable-certext
	--enable-ecc --enable-curve25519 --enable-ed25519 --enable-rsapss --enable-mlkem --enable-pqc-hybrids
	--enable-crl --enable-ocsp --enable-ip-alt-name --enable-aesgcm --enable-chacha --enable-hkdf
	--disable-dh --disable-des3 --disable-md5 --disable-arc4 --disable-psk --disable-examples --disable-crypttests
)
case $(uname -m) in
x86_64) wolfssl_configure+=(--enable-intelasm) ;;
aarch64) wolfssl_configure+=(--enable-armasm) ;;
esac
wolfssl_cflags="-O2 -g0 -DHAVE_EX_DATA -DWOLFSSL_ALT_NAMES -DWOLFSSL_ALWAYS_VERIFY_CB \
-DHAVE_KEYING_MATERIAL -DWOLFSSL_TICKET_EXTRA_PADDING_SZ=512"

say() { printf '  %s\n' "$*" >&2; }
die() {
	printf 'deps: %s\n' "$*" >&2
	exit 1
}

prefix() {
	local key
	key=$({
		cat "$here/deps.lock"
		printf '%s\n' "${wolfssl_configure[@]}" "$wolfssl_cflags"
		uname -m
		gcc -dumpfullversion 2>/dev/null || true
		sed -n 's/^VERSION_ID=//p' /etc/os-release
	} | sha256sum | cut -c1-16)
	printf '%s/deps-%s\n' "$cache" "$key"
}

# ---- the machine's own packages ------------------------------------------------------------------

package_names() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | awk '{print $1}'; }

install_packages() { # LIST...
	local name names missing=() there
	mapfile -t names < <(package_names "$@")
	# One question for all of them; what it does not know it leaves out.
	# shellcheck disable=SC2016 # dpkg's own words
	there=" $({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${names[@]}" 2>/dev/null || true; } |
		sed -n 's/^installed //p' | tr '\n' ' ')"
	for name in "${names[@]}"; do
		[[ $there == *" $name "* ]] || missing+=("$name")
	done
	((${#missing[@]})) || return 0
	[[ $(id -u) == 0 ]] || die "these packages are missing and only root can install them: ${missing[*]}"
	say "installing ${#missing[@]} packages: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	# Services that a package would start (a database, a web server) are not wanted on this machine.
	local policy=/usr/sbin/policy-rc.d made=0
	[[ -e $policy ]] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1; }
	apt-get update -qq </dev/null >/dev/null || die "apt-get update failed"
	apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null >"$cache/apt.log" 2>&1 || {
		((made)) && rm -f "$policy"
		tail -n 5 "$cache/apt.log" >&2
		die "apt-get could not install them (whole log: $cache/apt.log)"
	}
	((made)) && rm -f "$policy"
	return 0
}

# ---- pinned files --------------------------------------------------------------------------------

# A private apt world beside the machine's: its own sources stay untouched, its own mirror is used,
# signatures are checked. A mirror may serve an old index of sid, hence no Valid-Until; what comes is
# compared with its pin anyway.
apt_world=
apt_private() {
	local w=$cache/apt
	[[ -n $apt_world ]] || {
		# shellcheck disable=SC1091
		. /etc/os-release
		local mirror suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg
		# shellcheck disable=SC2016
		mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $VERSION_CODENAME" | head -n1)
		[[ -n $mirror ]] || {
			apt-get update -qq </dev/null >/dev/null
			# shellcheck disable=SC2016
			mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $VERSION_CODENAME" | head -n1)
		}
		[[ -n $mirror ]] || die "this machine's apt names no mirror for $VERSION_CODENAME"
		mkdir -p "$w/state/lists/partial" "$w/cache/archives/partial"
		: >"$w/sources.list"
		for suite in sid trixie; do
			printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$mirror" "$suite" deb-src "$keyring" "$mirror" "$suite" >>"$w/sources.list"
		done
	}
	local options=(
		-o "Dir::Etc::sourcelist=$w/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::trusted=/dev/null -o Dir::Etc::trustedparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o "Dir::State=$w/state" -o Dir::State::status=/dev/null -o "Dir::Cache=$w/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::PDiffs=false
		-o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false
		-o Acquire::IndexTargets::deb-src::DEP-11::DefaultEnabled=false
	)
	[[ -n $apt_world ]] || {
		apt_world=ready
		apt-get "${options[@]}" update -qq </dev/null >/dev/null || die "the mirror serves no index of sid or trixie"
	}
	apt-get "${options[@]}" "$@" </dev/null
}

matches() { [[ -f $1 && $(sha256sum "$1" | cut -d' ' -f1) == "$2" ]]; }

# The archive's names for a file that is pinned: apt spells '+' and '~' as they are, or escaped.
fetch_one() {
	local name=$1 kind=$2 from=$3 file=$4 sha=$5
	matches "$file" "$sha" && return 0
	rm -f "$file"
	say "fetching $name ($file)"
	case $kind in
	tar) apt_private source -qq --download-only --tar-only "$from" >/dev/null ;;
	deb) apt_private download -qq "$from" >/dev/null ;;
	*) die "deps.lock: unknown kind '$kind'" ;;
	esac || die "$name: $from cannot be fetched from this machine's mirror"
	[[ -f $file ]] || die "$name: the mirror gave another file than the pinned $file"
	matches "$file" "$sha" || die "$name: $file is not the pinned one (sha256 differs)"
}

fetch_all() {
	mkdir -p "$cache/sources"
	cd "$cache/sources"
	local name kind from file sha
	while read -r name kind from file sha; do
		fetch_one "$name" "$kind" "$from" "$file" "$sha"
	done < <(grep -v '^#' "$here/deps.lock")
}

# ---- building ------------------------------------------------------------------------------------

source_of() { awk -v n="$1" '$1 == n { print $4 }' "$here/deps.lock"; }

unpack() {
	local to=$1/$2
	mkdir -p "$to"
	tar xf "$cache/sources/$(source_of "$2")" -C "$to" --strip-components=1
	cd "$to"
}

# step NAME COMMAND...: quiet, with its log kept for the case that it fails
step() {
	local name=$1 started=$SECONDS
	shift
	"$@" >"$cache/$name.log" 2>&1 || {
		tail -n 20 "$cache/$name.log" >&2
		die "$name did not build (whole log: $cache/$name.log)"
	}
	say "built $name in $((SECONDS - started)) s"
}

pkg_config_file() {
	cat >"$1/lib/pkgconfig/$2.pc" <<PC
prefix=$3
Name: $2
Description: pinned in deps.lock
Version: $4
Libs: -L\${prefix}/lib $5
Cflags: -I\${prefix}/include
PC
}

build_wolfssl() {
	unpack "$1" wolfssl
	./autogen.sh
	./configure --prefix="$3" "${wolfssl_configure[@]}" CFLAGS="$wolfssl_cflags"
	make -j"$jobs"
	make install DESTDIR="$2"
}

build_liburing() {
	unpack "$1" liburing
	# Its install knows no DESTDIR; only the .pc file names the prefix, and that one is ours.
	./configure --prefix="$2$3" --libdir="$2$3/lib"
	make -j"$jobs" -C src ENABLE_SHARED=0
	make -C src install ENABLE_SHARED=0
}

build_yyjson() {
	unpack "$1" yyjson
	gcc -O2 -fPIC -c src/yyjson.c -o yyjson.o
	ar rcs "$2$3/lib/libyyjson.a" yyjson.o
	cp src/yyjson.h "$2$3/include/"
}

# A static library and headers out of a Debian -dev package.
take_deb() {
	local to=$1/$2
	mkdir -p "$to"
	dpkg-deb -x "$cache/sources/$(source_of "$2")" "$to"
	cp -r "$to/usr/include/." "$3/include/"
	find "$to/usr/lib" -name '*.a' -exec cp {} "$3/lib/" \;
}

build_all() {
	local to=$1 work stage
	work=$(mktemp -d "$cache/build.XXXXXX")
	stage=$work/stage
	# shellcheck disable=SC2064
	trap "rm -rf '$work'" EXIT
	mkdir -p "$stage$to/lib/pkgconfig" "$stage$to/include"
	step liburing build_liburing "$work" "$stage" "$to"
	step yyjson build_yyjson "$work" "$stage" "$to"
	take_deb "$work" libllhttp "$stage$to"
	take_deb "$work" msgpack-c "$stage$to"
	step wolfssl build_wolfssl "$work" "$stage" "$to"
	pkg_config_file "$stage$to" liburing "$to" 2.15 -luring
	pkg_config_file "$stage$to" yyjson "$to" 0.10.0 -lyyjson
	pkg_config_file "$stage$to" libllhttp "$to" 9.4.3 -lllhttp
	pkg_config_file "$stage$to" msgpack-c "$to" 7.0.2 -lmsgpack-c
	pkg_config_file "$stage$to" wolfssl "$to" 5.9.2 "-lwolfssl"
	rm -rf "$to"
	mv "$stage$to" "$to"
}

main() { # LIST...
	[[ -r /etc/debian_version ]] || die "this is no Debian: packages.txt and deps.lock say what is needed"
	mkdir -p "$cache"
	install_packages "$@"
	local to
	to=$(prefix)
	[[ -e $to/lib/pkgconfig/wolfssl.pc ]] && return 0
	exec 9>"$cache/lock"
	flock 9 # two at once build once
	[[ -e $to/lib/pkgconfig/wolfssl.pc ]] && return 0
	fetch_all
	build_all "$to"
}

case ${1:-} in
prefix) prefix ;;
peers)
	# shellcheck source=.ci/peers.sh
	source "$here/peers.sh"
	mkdir -p "$cache"
	install_packages "$here/packages-bench.txt"
	peers
	;;
demo) main "$here/packages.txt" ;;
'') main "$here/packages.txt" "$here/packages-test.txt" ;;
*) die "usage: deps.sh [demo | prefix | peers]" ;;
esac
