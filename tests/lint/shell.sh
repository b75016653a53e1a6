#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every script through shellcheck.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
git ls-files '*.sh' '.ci/run' | xargs shellcheck -x -S error
