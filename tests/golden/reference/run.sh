#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# docs/reference.md is what policy-sync prints of the rows by which it reads.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
bin=${BIN:-$here/../../../build/bin}
page=$here/../../../docs/reference.md
if [[ ${1:-} == --update ]]; then
	"$bin/policy-sync" reference >"$page"
fi
diff -u "$page" <("$bin/policy-sync" reference)
