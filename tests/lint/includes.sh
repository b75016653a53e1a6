#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Who includes whom, and who sees the third-party headers. `includes.sh DIR` checks another tree: the
# self-test plants a fault in a copy and has to see it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=$PWD/tests/lint/includes.sh
cd "${1:-.}"
wrong=0

# room ▶ what it may include
declare -A may=(
	[common]="common"
	[core]="core common"
	[io]="io common"
	[decide]="decide core io common"
	[path]="path decide core io common"
	[control]="control path decide core io common"
)
for room in "${!may[@]}"; do
	while IFS=: read -r file _ line; do
		other=$(sed -n 's/.*#include "\([a-z_]*\)\/.*/\1/p' <<<"$line")
		[[ " ${may[$room]} " == *" $other "* ]] || { echo "$file: $room may not include $other ($line)" && wrong=1; }
	done < <(grep -rnE '#include "[a-z_]+/' "node-proxy/$room" --include='*.[ch]' || true)
done
# decide sees io's crypto only
while IFS= read -r line; do
	echo "decide may include io/crypto.h only: $line"
	wrong=1
done < <(grep -rnE '#include "io/' node-proxy/decide --include='*.[ch]' | grep -v 'io/crypto.h"' || true)

only() { # HEADER-REGEX ALLOWED-FILE-REGEX
	while IFS=: read -r file _; do
		[[ $file =~ $2 ]] || { echo "$file: may not include <$1>" && wrong=1; }
	done < <(grep -rnE "#include <$1" node-proxy policy-sync iptables --include='*.[ch]' || true)
}
only 'liburing' '^node-proxy/io/'
only 'wolfssl/' '^node-proxy/io/(tls|crypto|x509)[a-z0-9_]*\.[ch]$'
only 'llhttp' '^node-proxy/core/http1\.c$'
only 'msgpack' '^node-proxy/common/'

if [[ -z ${1:-} ]]; then
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	cp -r node-proxy policy-sync iptables "$copy/"
	echo '#include "path/worker.h"' >>"$copy/node-proxy/core/cidr.c"
	bash "$here" "$copy" >/dev/null && { echo "the check does not see a planted include" && wrong=1; }
	cp node-proxy/core/cidr.c "$copy/node-proxy/core/cidr.c"
	echo '#include <wolfssl/ssl.h>' >>"$copy/node-proxy/path/conn.c"
	bash "$here" "$copy" >/dev/null && { echo "the check does not see a planted library" && wrong=1; }
fi
exit $wrong
