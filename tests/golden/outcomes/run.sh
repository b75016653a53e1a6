#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@" outcomes
