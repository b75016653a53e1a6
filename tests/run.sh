#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Everything that proves it, one line a test, closed by "N passed, N failed". Called by ./build.sh test.
#
#   run.sh                     all
#   run.sh unit netns          some kinds
#   run.sh walks unit/core     tests whose kind/name contains a word
#   SIM_SEEDS=100000 run.sh sim  so many simulated worlds; SIM_SECONDS (60) of them by default
#
# Unit tests and scenarios run on sanitized programs; a scenario that says "# build: release" in its
# head gets the release build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

logs=build/test-logs
mkdir -p "$logs"
passed=0 failed=0 skipped=0

report() { # STATUS NAME SECONDS LOG
	case $1 in
	0) passed=$((passed + 1)) && printf 'ok      %-44s %4s s\n' "$2" "$3" ;;
	77) skipped=$((skipped + 1)) && printf 'skipped %-44s %s\n' "$2" "$(tail -n 1 "$4")" ;;
	*)
		failed=$((failed + 1))
		printf 'FAILED  %-44s %4s s\n' "$2" "$3"
		tail -n 60 "$4" | sed 's/^/        /'
		;;
	esac
}

wanted=("$@")
kind_wanted() { # KIND: asked for, or nothing is asked for, or a name is looked for in it
	local w
	((${#wanted[@]})) || return 0
	for w in "${wanted[@]}"; do
		case $w in
		lint | unit | sim | golden | fuzz | image | netns) [[ $w == "$1" ]] && return 0 ;;
		*) return 0 ;;
		esac
	done
	return 1
}
name_wanted() { # KIND NAME
	local w
	((${#wanted[@]})) || return 0
	for w in "${wanted[@]}"; do
		[[ $w == "$1" || $1/$2 == *"$w"* ]] && return 0
	done
	return 1
}

run_one() { # KIND NAME SECONDS-LIMIT COMMAND...
	local kind=$1 name=$2 limit=$3 started=$SECONDS status=0 log
	shift 3
	name_wanted "$kind" "$name" || return 0
	log=$logs/$kind-${name//\//-}.log
	timeout --kill-after=20 "$limit" "$@" >"$log" 2>&1 </dev/null || status=$?
	((status == 124)) && echo "not finished within $limit s" >>"$log"
	report "$status" "$kind/$name" $((SECONDS - started)) "$log"
}

# No sanitizer may have said anything, in whatever program of the scenario.
export ASAN_OPTIONS=abort_on_error=0:exitcode=99:detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1:exitcode=99

run_lint() {
	local check
	for check in tests/lint/*.sh; do
		[[ ! -e $check || $check == */run.sh ]] || run_one lint "$(basename "$check" .sh)" 300 bash "$check"
	done
}

run_unit() {
	local test
	for test in build/asan/tests/unit-*; do
		[[ ! -x $test || ! -f $test ]] || run_one unit "${test##*/unit-}" 180 "$test"
	done
}

# SIM_SEEDS=100000: so many worlds, however long it takes; else as many as there is time for.
run_sim() {
	local sim=build/asan/tests/sim/sim limit=("--seeds" "1-100000" "--seconds" "${SIM_SECONDS:-60}")
	[[ ! ${SIM_SEEDS:-} ]] || limit=("--seeds" "1-$SIM_SEEDS")
	run_one sim worlds "${SIM_LIMIT_SECONDS:-7200}" "$sim" "${limit[@]}" --jobs "$(nproc)"
	# It broke a rule once (a source that waits for the end of a lazy send), and lies beyond what a minute reaches.
	run_one sim seed-84236 60 "$sim" --seed 84236
	run_one sim faults 900 bash tests/sim/faults.sh
}

run_golden() {
	local case
	for case in tests/golden/*/run.sh; do
		[[ ! -e $case ]] || run_one golden "$(basename "$(dirname "$case")")" 60 env BIN=build/asan/bin bash "$case"
	done
}

# Bounded in time; a finding is kept in build/fuzz-corpus.
run_fuzz() {
	local target name
	./build.sh build-fuzz 2>"$logs/build-fuzz.log" || { cat "$logs/build-fuzz.log"; exit 1; }
	for target in tests/fuzz/fuzz_*.c; do
		name=$(basename "$target" .c)
		run_one fuzz "${name#fuzz_}" 300 bash tests/fuzz/run.sh "${name#fuzz_}" "${FUZZ_SECONDS:-30}"
	done
}

run_image() {
	run_one image layout 300 bash tests/image/run.sh
}

# The soak takes ten minutes of little load: it runs beside all else, and is reported last.
soak_pid=''
trap '[[ -z $soak_pid ]] || kill "$soak_pid" 2>/dev/null || true' EXIT
start_soak() {
	[[ $(id -u) == 0 ]] && kind_wanted netns && name_wanted netns soak || return 0
	BIN=$PWD/build/bin timeout --kill-after=60 1200 bash tests/netns/soak.sh >"$logs/netns-soak.log" 2>&1 </dev/null &
	soak_pid=$!
	soak_started=$SECONDS
}
finish_soak() {
	local status=0
	[[ $soak_pid ]] || return 0
	wait "$soak_pid" || status=$?
	soak_pid=''
	report "$status" netns/soak $((SECONDS - soak_started)) "$logs/netns-soak.log"
}

run_netns() {
	local scenario bin
	if [[ $(id -u) != 0 ]]; then
		echo "skipped netns/*: network namespaces need root"
		return
	fi
	for scenario in tests/netns/*.sh; do
		case $(basename "$scenario") in sandbox.sh | demo.sh | soak.sh) continue ;; esac
		bin=$PWD/build/asan/bin
		if head -n 20 "$scenario" | grep -q '^# build: release'; then bin=$PWD/build/bin; fi
		run_one netns "$(basename "$scenario" .sh)" 300 env BIN="$bin" bash "$scenario"
	done
	run_one netns demo 180 env BIN="$PWD/build/bin" bash tests/netns/demo.sh
}

echo "building (release and sanitized)"
./build.sh build 2>"$logs/build.log" || { cat "$logs/build.log"; exit 1; }
./build.sh build-asan 2>"$logs/build-asan.log" || { cat "$logs/build-asan.log"; exit 1; }
start_soak
for kind in lint unit sim golden fuzz image netns; do
	if kind_wanted "$kind"; then "run_$kind"; fi
done
finish_soak
if ((skipped)); then
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
	printf '%d passed, %d failed\n' "$passed" "$failed"
fi
((passed + failed + skipped)) || echo "no test is called so: ${wanted[*]}" >&2
((failed == 0 && passed > 0))
