#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What is somebody else's, what was meant to be ours, and what is no object.
exec "$(dirname "${BASH_SOURCE[0]}")/../run.sh" "$@" strangers
