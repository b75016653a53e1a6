#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Files of at most 600 lines, functions of at most 60. With a self-test.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

check() { # FILES on standard input
	local file
	while read -r file; do
		[[ -f $file ]] || continue
		awk -v file="$file" '
			/^[a-zA-Z].*[^;]$/ { name = $0 }
			/^{/ { start = NR }
			/^}/ { if (start && NR - start - 1 > 60 && name !~ /=/) { print file ":" start ": " NR - start - 1 " lines: " name; bad = 1 } start = 0 }
			END { if (NR > 600) { print file ": " NR " lines"; bad = 1 } exit bad }' "$file" || return 1
	done
}
all() {
	local wrong=0 file
	while read -r file; do
		check <<<"$file" || wrong=1
	done
	return $wrong
}
git ls-files 'node-proxy/*.[ch]' 'policy-sync/*.[ch]' 'iptables/*.[ch]' 'tests/*.[ch]' 'bench/*.[ch]' '*.sh' '*.py' | all

planted=$(mktemp --suffix=.c)
trap 'rm -f "$planted"' EXIT
printf 'int long_one(void)\n{\n%s}\n' "$(printf '\t;\n%.0s' {1..61})"$'\n' >"$planted"
if all <<<"$planted" >/dev/null; then
	echo "the check does not see a long function"
	exit 1
fi
printf '//\n%.0s' {1..601} >"$planted"
if all <<<"$planted" >/dev/null; then
	echo "the check does not see a long file"
	exit 1
fi
