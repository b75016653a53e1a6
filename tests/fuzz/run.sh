#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# One fuzz target: run.sh NAME [SECONDS]. Starts from the corpus in the tree, keeps what it finds in build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=${1:?usage: run.sh NAME [SECONDS]}
found=build/fuzz-corpus/$name
mkdir -p "$found" "tests/fuzz/corpus/$name"
dictionary=()
[[ ! -e tests/fuzz/$name.dict ]] || dictionary=("-dict=tests/fuzz/$name.dict")
# Its usual exit status after a finding is 77, which means "skipped" to tests/run.sh.
exec "build/fuzz/tests/fuzz/fuzz_$name" "${dictionary[@]}" -max_total_time="${2:-30}" -rss_limit_mb=2048 -timeout=20 -error_exitcode=1 \
	-artifact_prefix="build/fuzz-corpus/" "$found" "tests/fuzz/corpus/$name"
