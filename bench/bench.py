#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""./build.sh bench: options, what is run, what is written. Called by run.sh, which cleans up behind it."""
import argparse
import json
import os
import sys
import time

import facts
import goals
import measure
import plot
import readme
import report
from rounds import PEERS, SCENARIOS, Rounds


def parse():
    parser = argparse.ArgumentParser(prog="./build.sh bench")
    parser.add_argument("--quick", action="store_true", help="two rounds: at most four minutes")
    parser.add_argument("--rounds", type=int, help="9, quick 2")
    parser.add_argument("--seconds", type=int, default=1, help="of one load (1): machines drift, so many short "
                        "loads side by side tell more than few long ones")
    parser.add_argument("--only", default=",".join(SCENARIOS), help=f"of {','.join(SCENARIOS)}")
    parser.add_argument("--peers", help=f"of {','.join(PEERS)}, and others that bench/README.md names")
    parser.add_argument("--cpus", choices=("pinned", "all"), default="pinned",
                        help="client, server and proxies on one CPU, or on all")
    parser.add_argument("--goals", nargs="?", const=",".join(goals.NAMES), metavar="NAMES",
                        help=f"the goals instead: {','.join(goals.NAMES)}")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--plot", metavar="FILE", help="SVG of this run")
    parser.add_argument("--update-readme", action="store_true", help="table and plot into README.md and docs/")
    parser.add_argument("--from-json", metavar="FILE", help="measure nothing: table, plot, README of an earlier run")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 9)
    options.only = options.only.split(",")
    options.goals = options.goals.split(",") if options.goals else []
    options.wrk_threads = 1 if options.cpus == "pinned" else 2
    for given, known in ((options.only, SCENARIOS), (options.goals, goals.NAMES)):
        unknown = set(given) - set(known)
        if unknown:
            parser.error(f"no such name: {', '.join(sorted(unknown))}")
    return options


def choose_peers(options):
    missing = facts.missing_peers()
    wanted = options.peers.split(",") if options.peers else list(PEERS)
    if os.environ.get("BIN_B") and not options.peers:
        wanted.append("portcullis-l7-b")
    options.peers = [peer for peer in wanted if peer.split("-")[0] not in missing]
    for peer in wanted:
        if peer not in options.peers:
            print(f"left out: {peer} ({missing[peer.split('-')[0]]})", file=sys.stderr)
    if not options.peers:
        sys.exit("bench: no peer is left")
    return missing


def measure_all(options):
    """The result, as it is written to the JSON file."""
    missing = choose_peers(options)
    started = time.time()
    measure.place(options.cpus)
    run = goals.Goals(options) if options.goals else Rounds(options)
    run.run()
    result = {"machine": facts.machine(options, missing, started, run.congestion), "rows": run.rows,
              "summary": report.summary(run.rows, options.peers)}
    if options.goals:
        result["goals"] = run.verdicts
    return result


def main():
    options = parse()
    if options.from_json:
        with open(options.from_json, encoding="utf-8") as f:
            result = json.load(f)
    else:
        result = measure_all(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    if options.goals or "goals" in result:
        report.goals(result)
    else:
        report.table(result)
    report.compare(result["rows"], "portcullis-l7", "portcullis-l7-b")
    if options.plot:
        plot.write(result, options.plot)
    if options.update_readme:
        readme.update(result)
    sys.exit(1 if any(row["errors"] for row in result["rows"]) else 0)


if __name__ == "__main__":
    main()
