# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Questions to the nodes' access logs; sourced after scenario.sh.

# log_lines NODE JQ-CONDITION [JQ-OUTPUT]: the lines for which it holds, or a part of them. Line by line,
# so that one that is being written stops nobody.
log_lines() { jq -Rr "fromjson? | select($2) | ${3:-tojson}" "$W/$1/access.log" 2>/dev/null; }

log_has() { [[ $(log_lines "$1" "$2") ]]; }

# logged NAME NODE JQ-CONDITION: there is, or comes within five seconds, such a line.
logged() { holds "$1" until_ok 5 log_has "$2" "$3"; }
