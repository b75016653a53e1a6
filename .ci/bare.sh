#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the README's commands on a bare Debian: a minimal chroot of that suite with nothing installed, a clone of this
# tree's HEAD in it, and a mount and process namespace round both, so that nothing of it is left when it ends.
# CI runs on a machine that already has everything: this shows an install step that is missing.
#
#   bare.sh SUITE [COMMAND...]   SUITE: bookworm | trixie; by default ./build.sh demo, then ./build.sh test
#
# The chroot is kept under the cache and made anew with FRESH=1; the first run of a fresh one is the cold one.
set -euo pipefail
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${PORTCULLIS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portcullis}

die() {
	echo "bare.sh: $*" >&2
	exit 1
}
[[ $(id -u) == 0 ]] || die "only root can make a chroot"
suite=${1:-}
[[ $suite == bookworm || $suite == trixie ]] || die "usage: bare.sh bookworm|trixie [COMMAND...]"
shift
(($#)) || set -- bash -c './build.sh demo && ./build.sh test'
root=$cache/bare/$suite

make_root() {
	local mirror
	command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap </dev/null >/dev/null ||
		die "debootstrap cannot be installed"
	# The machine's own mirror, asked of its apt.
	# shellcheck disable=SC1091,SC2016
	mirror=$(. /etc/os-release && apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Release: $VERSION_CODENAME" | head -n1)
	[[ $mirror ]] || die "this machine's apt names no mirror"
	rm -rf "$root.new"
	mkdir -p "$root.new"
	debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"$suite" "$root.new" "$mirror" >"$root.log" 2>&1 || die "debootstrap failed (whole log: $root.log)"
	rm -rf "$root"
	mv "$root.new" "$root"
}

# In namespaces of its own: all that is mounted or started here ends with this script.
inside() {
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/run"
	mkdir -p "$root/run/lock" "$root/run/netns" "$root/home"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	rm -rf "$root/tree"
	cp -r "$1" "$root/tree"
	shift
	exec chroot "$root" env -i HOME=/home PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LANG=C.UTF-8 bash -c 'cd /tree && exec "$@"' bash "$@"
}

if [[ ${BARE_INSIDE:-} ]]; then
	unset BARE_INSIDE
	inside "$@"
fi
[[ -d $root && ! ${FRESH:-} ]] || make_root
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
git clone -q --no-hardlinks "$tree" "$clone/tree"
BARE_INSIDE=1 unshare --mount --pid --fork --kill-child --propagation private \
	bash "${BASH_SOURCE[0]}" "$suite" "$clone/tree" "$@"
