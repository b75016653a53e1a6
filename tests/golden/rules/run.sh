#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The whole rule set as it is rendered, compared with what was reviewed: a change of any rule shows in
# review as what it is. `run.sh write` takes today's as reviewed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
render() { "${BIN:-$here/../../../build/bin}/portcullis-rules" render --config "$here/everything.conf"; }

if [[ ${1:-} == write ]]; then
	{ echo '# SPDX-License-Identifier: GPL-3.0-or-later' && render; } >"$here/everything.rules"
else
	diff "$here/everything.rules" <(echo '# SPDX-License-Identifier: GPL-3.0-or-later' && render)
fi
