#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck disable=SC2317 # check and explain are called by name (same)
# Golden cases: what policy-sync says about a directory of YAML, word for word.
#
#   run.sh [--update] [CASE...]      all cases by default; BIN says where policy-sync is
#
# A case is a directory: input/ (YAML), check.txt (what `check` prints, and its exit status) where it is
# about findings, requests (one line of arguments for `explain` each; $NAME stands for a line NAME=… of
# the file `values`) and explain.txt (its answers).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "${BIN:-$here/../../build/bin}" && pwd)/policy-sync
update=0
if [[ ${1:-} == --update ]]; then
	update=1
	shift
fi

check() {
	local status=0
	"$bin" check input || status=$?
	echo "exit $status"
}

explain() {
	local line status
	# shellcheck disable=SC1091
	[[ ! -e values ]] || . ./values
	while IFS= read -r line; do
		[[ $line && $line != '#'* ]] || continue
		echo "\$ explain $line"
		status=0
		# The case's own words, with its values put in.
		eval "\"$bin\" explain --from-dir input $line" || status=$?
		echo "exit $status"
		echo
	done <requests
}

# same NAME COMMAND...: what the command prints is what stands in the file
same() {
	local file=$1 said
	shift
	said=$(mktemp)
	"$@" >"$said" 2>&1
	if ((update)); then
		cp "$said" "$file"
	elif ! diff -u "$file" "$said"; then
		echo "$PWD/$file: policy-sync says something else (run.sh --update takes it over)" >&2
		rm -f "$said"
		return 1
	fi
	rm -f "$said"
}

run_case() {
	cd "$here/$1"
	[[ ! -e check.txt ]] || same check.txt check || return 1
	[[ ! -e requests ]] || same explain.txt explain || return 1
}

cases=("$@")
if ((${#cases[@]} == 0)); then
	for directory in "$here"/*/input; do
		cases+=("$(basename "$(dirname "$directory")")")
	done
fi
failed=0
for name in "${cases[@]}"; do
	(run_case "$name") || failed=1
done
exit "$failed"
