#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Where the time of both proxies goes under a load: perf's samples as flame graphs and as lists. After
# ./build.sh bench has been run once (it builds the load generator); options: profile.sh --help.
BENCH_DRIVER=profile.py exec "$(dirname "${BASH_SOURCE[0]}")/run.sh" "$@"
