#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Findings that are no errors: exit status 0, and 1 with --strict.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
"$here/../run.sh" "$@" warnings
bin=${BIN:-$here/../../../build/bin}
status=0
"$bin/policy-sync" check --strict "$here/input" >/dev/null || status=$?
[[ $status == 1 ]] || { echo "check --strict ends with $status, not 1" && exit 1; }
