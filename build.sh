#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The front door. Every verb is idempotent, quick when nothing changed, and installs what it needs.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$root"

usage() {
	cat <<'TEXT'
usage: ./build.sh VERB

  demo              the main job on two nodes, shown with real requests; cleans up after itself
  test [WHAT...]    everything that proves it: lint unit sim golden fuzz image netns,
                    or names of tests
  sandbox up|info [--json]|exec POD COMMAND...|down
                    the demo's two-node world left standing, to play with
  build             build/bin/node-proxy, build/bin/policy-sync, build/bin/portcullis-rules
  deps              packages and pinned third-party sources
  bench [...]       wrk through the two-node rig, beside the peers
  lint [CHECK]      the style: lint, or one of its checks
  format            settle what a machine can settle of it
  fuzz NAME [S]     one fuzz target for S seconds (30); without NAME: which there are
  cover [FILE...]   line coverage of unit, golden and simulator tests; the lines of FILE that nothing ran
  image [TAR]       an OCI image as a tar file (build/image/portcullis.tar), its SBOM beside
  clean             remove build/ (what deps fetched stays in its cache)
TEXT
}

say() { printf '%s\n' "$*" >&2; }
die() {
	say "build.sh: $*"
	exit 1
}

# deps [demo]: once; everything covers less.
deps() {
	[[ ${deps_done:-} == all || ${deps_done:-} == "${1:-all}" ]] || .ci/deps.sh ${1:+"$1"}
	deps_done=${1:-all}
}

release=(-Dbuildtype=release -Db_lto=true -Ddebug=true)
programs=(node-proxy/node-proxy policy-sync/policy-sync iptables/portcullis-rules)

test_files() { find tests -name '*.c' | sort; }

# meson_build DIR TARGETS SETUP-OPTIONS...: configure once, then let ninja see what changed.
meson_build() {
	local dir=$1 targets
	read -ra targets <<<"$2"
	shift 2
	export PKG_CONFIG_PATH
	PKG_CONFIG_PATH=$(.ci/deps.sh prefix)/lib/pkgconfig
	local key="$PKG_CONFIG_PATH $*"
	if [[ ! -f $dir/build.ninja || $(cat "$dir/.key" 2>/dev/null) != "$key" ]]; then
		rm -rf "$dir"
		meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
			tail -n 20 "$dir.log" >&2
			die "meson could not configure $dir (whole log: $dir.log)"
		}
		printf '%s' "$key" >"$dir/.key"
	elif [[ $(test_files) != "$(cat "$dir/.tests" 2>/dev/null)" ]]; then
		# A test that is new, or gone, is seen when meson looks again.
		meson setup --reconfigure "$dir" >"$dir.log" 2>&1 || die "meson could not configure $dir (whole log: $dir.log)"
	fi
	test_files >"$dir/.tests"
	ninja -C "$dir" --quiet "${targets[@]}" >"$dir.log" 2>&1 || {
		tail -n 40 "$dir.log" >&2
		die "the build in $dir failed (whole log: $dir.log)"
	}
}

# The three programs under one stable path.
link_programs() {
	local from=$1 to=$2
	mkdir -p "$to"
	cp -f "$from/node-proxy/node-proxy" "$from/policy-sync/policy-sync" "$from/iptables/portcullis-rules" "$to/"
}

build() {
	deps demo
	mkdir -p build
	meson_build build/release "${programs[*]}" "${release[@]}"
	link_programs build/release build/bin
}

build_asan() {
	deps
	mkdir -p build
	meson_build build/asan all -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
	link_programs build/asan build/asan/bin
}

# Unoptimized, so that a line is a line.
build_cover() {
	deps
	mkdir -p build
	meson_build build/cover all -Dbuildtype=debug -Doptimization=0 -Db_coverage=true
	link_programs build/cover build/cover/bin
}

fuzz_names() { for target in tests/fuzz/fuzz_*.c; do basename "${target#tests/fuzz/fuzz_}" .c; done; }

# The load generator of bench/, and the programs unless BIN names others.
build_bench() {
	local targets=bench/load/bench-load
	deps
	[[ ${BIN:-} ]] || targets="${programs[*]} $targets"
	meson_build build/release "$targets" "${release[@]}"
	[[ ${BIN:-} ]] || link_programs build/release build/bin
}

fuzz_targets() { for target in tests/fuzz/fuzz_*.c; do printf 'tests/fuzz/%s ' "$(basename "$target" .c)"; done; }

build_fuzz() {
	deps
	mkdir -p build
	CC=clang meson_build build/fuzz "$(fuzz_targets)" -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
}

fuzz() {
	local names name=${1:-} seconds=${2:-30}
	names=$(fuzz_names | paste -sd ' ')
	[[ $name ]] || { say "fuzz targets: $names" && exit 2; }
	[[ " $names " == *" $name "* ]] || die "no fuzz target is called '$name'; there are: $names"
	[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "fuzz: '$seconds' is no number of seconds"
	build_fuzz
	exec tests/fuzz/run.sh "$name" "$seconds"
}

# Only what is not settled yet is written, so that nothing is built again for nothing.
format() {
	deps
	local file changed=0
	while read -r file; do
		[[ -f $file ]] || continue
		clang-format --dry-run -Werror "$file" 2>/dev/null && continue
		clang-format -i "$file"
		changed=$((changed + 1))
	done < <(git ls-files '*.c' '*.h')
	say "$changed files formatted"
}

lint() {
	deps
	local check=${1:-}
	[[ $check ]] || exec tests/lint/run.sh
	[[ -e tests/lint/$check.sh && $check != run ]] ||
		die "no check is called '$check'; there are: $(basename -s .sh -a tests/lint/*.sh | grep -vx run | paste -sd ' ')"
	exec bash "tests/lint/$check.sh"
}

verb=${1:-help}
shift || true
case $verb in
deps) deps ;;
build) build && say "build/bin: ${programs[*]##*/}" ;;
build-asan) build_asan ;; # for tests/run.sh
build-fuzz) build_fuzz ;;
build-cover) build_cover ;;
demo) build && exec tests/netns/demo.sh "$@" ;;
sandbox)
	[[ ${1:-} == up ]] && build
	exec tests/netns/sandbox.sh "$@"
	;;
test) deps && exec tests/run.sh "$@" ;;
bench) build_bench && exec bench/run.sh "$@" ;;
lint) lint "$@" ;;
format) format ;;
fuzz) fuzz "$@" ;;
cover) deps && exec tests/cover.sh "$@" ;;
image) build && exec .ci/image.sh "$@" ;;
prefix) .ci/deps.sh prefix ;;
clean) rm -rf build ;;
help | -h | --help) usage ;;
*)
	usage >&2
	die "no such verb: $verb"
	;;
esac
