#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How policy-sync and the node's loader grow with the cluster: a table in Markdown, in CPU time.

run.py [PODS...]      1000 3000 10000 30000 by default; needs ./build.sh build

check is the whole program on a directory of world.py's (files of 100 objects; a Service for ten pods, a policy for three). compile,
decode and link are tests/unit/policy-sync/test_scale's, in one process and without files: what policy-sync does with
objects once they are read, and what a node does with a snapshot that it has never seen.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
root = here.parent.parent


def spent(*command):
    """CPU seconds and peak MB of a program."""
    pid = os.posix_spawn(command[0], list(map(str, command)), os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    sizes = [int(a) for a in sys.argv[1:]] or [1000, 3000, 10000, 30000]
    binary = root / "build/bin/policy-sync"
    release = root / "build/release"
    subprocess.run(["ninja", "-C", release, "--quiet", "tests/unit-policy-sync-test_scale"], check=True)
    print("| pods | Services | policies | check, s | peak, MB | snapshot, MB | compile, ms | decode, ms | link, ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for pods in sizes:
        with tempfile.TemporaryDirectory() as directory:
            world = pathlib.Path(directory) / "world"
            subprocess.run([sys.executable, here / "world.py", world, "--pods", str(pods)], check=True)
            runs = [spent(binary, "check", world) for _ in range(3)]
            seconds, peak = min(r[0] for r in runs), max(r[1] for r in runs)
            snapshot = pathlib.Path(directory) / "snapshot"
            spent(binary, "compile", world, "-o", snapshot)
            size = snapshot.stat().st_size / 1e6
        line = subprocess.run([release / "tests/unit-policy-sync-test_scale"], check=True, text=True,
                              env={**os.environ, "SCALE_PODS": str(pods)}, stdout=subprocess.PIPE).stdout.split()
        print(f"| {pods} | {pods // 10} | {pods // 3} | {seconds:.2f} | {peak:.0f} | {size:.1f} | "
              f"{line[2]} | {line[3]} | {line[4]} |", flush=True)


if __name__ == "__main__":
    main()
