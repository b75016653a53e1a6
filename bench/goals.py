# SPDX-License-Identifier: GPL-3.0-or-later
"""The goals: each is measured beside what it is compared with, and says met or falls short.

Goals in µs were set on a machine on which direct did REFERENCE_RPS with everything on one CPU; on
another they are scaled by the CPU time that a request takes there without proxies (client and server).
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager

import crowd
import facts
import measure
import report
from measure import Failed, World
from rounds import Rounds, Rows

NAMES = ("path", "two-cpus", "jwt", "same-node", "policies", "fairness", "workers", "swap", "growth")
REFERENCE_RPS = {1: 90700, 16: 131000, 64: 135000, 256: 135000}
CPU_LIMITS_US = {1: 19, 16: 7.5, 64: 7, 256: 8}
RPS_LIMITS = {1: .36, 16: .50, 64: .50, 256: .48}
L4_CPU_LIMIT_US = 5
PACED_CPU_LIMIT_US, PACED_RATIO_LIMIT = 40, 1.25
BULK_RATIO, CLOSE_RATIO, CLOSE_RATIO_TWO_CPUS = .30, .60, .75
JWT_LIMIT_US, SAME_NODE_LIMIT_US = 1.5, 5
RSS_LIMITS_MB = {0: 12, 1000: 16, 10000: 60}
POLICIES_RATIO, FAIRNESS_RATIO, WORKERS_RATIO, TURN_LIMIT_MS = 1.05, 2, 1.8, 1
BIG = {"pods": 3000, "services": 3000, "policies": 10000}
SWAP = {"pods": 700, "services": 700, "policies": 2000}  # a snapshot of 5 MB
SWAPS, SWAP_PAUSE_S = 6, 1
FAIR_RATE, FAIR_CONNECTIONS, FAIR_SECONDS = 500, 16, 3
GROWTH_CONNECTIONS = (1, 4, 16, 64, 256, 1024, 4096, 10000)
GROWTH_PODS = (10, 100, 1000)
GROWTH_POLICIES = (1, 100, 1000, 10000)


class Goals(Rows):
    """Rows of their own, and verdicts."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.verdicts = []
        self.congestion = None
        self.direct_us = {}  # connections ▶ µs a request of direct, everything on one CPU

    def run(self):
        for name in self.options.goals:
            print(f"goal: {name}", file=sys.stderr)
            try:
                getattr(self, name.replace("-", "_"))()
            except Failed as e:
                print(f"  {name}: {e}", file=sys.stderr)
                self.verdict(name, "", None, None, "", note=str(e))

    # ---- what all share

    @contextmanager
    def standing(self, *wanted, cpus="pinned"):
        """Worlds for (peer, environment), fresh, on one CPU or all; gone at the end."""
        measure.place(cpus)
        worlds = [World(peer, chr(ord("a") + i), environment) for i, (peer, environment) in enumerate(wanted)]
        try:
            for world in worlds:
                world.bring_up()
            for world in worlds:
                world.wait_up()
                world.wrk(16, 1)
            self.congestion = facts.congestion_control(worlds[0])
            yield worlds
        finally:
            for process in [world.rig("down") for world in worlds]:
                process.communicate()

    def interleaved(self, worlds, scenario, connections, load, names=None):
        """Rounds of one load over worlds; rows go by the worlds' peers, or by names."""
        names = names or [world.peer for world in worlds]
        for self.round in range(self.options.rounds):
            pairs = list(zip(worlds, names))
            for world, name in reversed(pairs) if self.round % 2 else pairs:
                self.attempt(world, scenario, connections, lambda w=world: load(w), name)

    def figures(self, peer, scenario, connections, name):
        return report.by_round([row for row in self.rows if (row["peer"], row["scenario"], row["connections"])
                                == (peer, scenario, connections)], name)

    def median(self, peer, scenario, connections, name):
        values = self.figures(peer, scenario, connections, name).values()
        if not values:
            raise Failed(f"no figure of {peer} {scenario} {connections}")
        return statistics.median(values)

    def ratio(self, one, base, name):
        """Of two (peer, scenario, connections): median of the rounds' ratios."""
        a, b = self.figures(*one, name), self.figures(*base, name)
        ratios = [a[r] / b[r] for r in a if b.get(r)]
        if not ratios:
            raise Failed(f"no figure of {one} by {base}")
        return statistics.median(ratios)

    def scaled(self, limit_us, connections):
        """The limit at this machine's speed."""
        if connections not in self.direct_us:
            with self.standing(("direct", None)) as worlds:
                self.interleaved(worlds, "keepalive", connections, lambda w: w.wrk(connections, self.options.seconds))
            self.direct_us[connections] = self.median("direct", "keepalive", connections, "way_us_per_request")
        return limit_us * self.direct_us[connections] * REFERENCE_RPS[connections] / 1e6

    def verdict(self, goal, wanted, limit, measured, unit, at_least=False, note=""):
        met = None
        if measured is not None:
            met = measured >= limit if at_least else measured <= limit
        self.verdicts.append({"goal": goal, "wanted": wanted, "limit": limit, "measured": measured, "unit": unit,
                              "met": met, "note": note})

    def cpu_verdict(self, goal, limit_us, connections, measured, note=""):
        self.verdict(goal, f"≤ {limit_us} µs", self.scaled(limit_us, connections), measured, "µs", note=note)

    # ---- the way of a request

    def path(self):
        """What the usual rounds show of L4 and L7."""
        options = self.options
        options.peers = ["direct", "portcullis-l4", "portcullis-l7"]
        measure.place("pinned")
        rounds = Rounds(options)
        rounds.run()
        self.rows += rounds.rows
        self.congestion = rounds.congestion
        for c in REFERENCE_RPS:
            self.direct_us[c] = self.median("direct", "keepalive", c, "way_us_per_request")
        l7, direct = "portcullis-l7", "direct"
        for c, limit in CPU_LIMITS_US.items():
            self.cpu_verdict(f"CPU a request, L7 with policy, {c} connections", limit, c,
                             self.median(l7, "keepalive", c, "cpu_us_per_request"))
        for c, limit in RPS_LIMITS.items():
            self.verdict(f"requests/s against direct, {c} connections", f"≥ {limit}", limit,
                         self.ratio((l7, "keepalive", c), (direct, "keepalive", c), "rps"), "", at_least=True)
        for c in (16, 64):
            self.cpu_verdict(f"L4, {c} connections", L4_CPU_LIMIT_US, c,
                             self.median("portcullis-l4", "keepalive", c, "cpu_us_per_request"))
        self.cpu_verdict("2,000 rps: CPU", PACED_CPU_LIMIT_US, 16, self.median(l7, "paced", 16, "cpu_us_per_request"))
        for name in ("p50_us", "p99_us"):
            self.verdict(f"2,000 rps: {name[:3]} against direct", f"≤ {PACED_RATIO_LIMIT}", PACED_RATIO_LIMIT,
                         self.ratio((l7, "paced", 16), (direct, "paced", 16), name), "")
        self.verdict("1 MiB bodies against direct", f"≥ {BULK_RATIO}", BULK_RATIO,
                     self.ratio((l7, "bulk", 4), (direct, "bulk", 4), "rps"), "", at_least=True)
        self.verdict("new connections against direct, one CPU", f"≥ {CLOSE_RATIO}", CLOSE_RATIO,
                     self.ratio((l7, "new-connections", 16), (direct, "new-connections", 16), "rps"), "", at_least=True)
        for c, limit in RSS_LIMITS_MB.items():
            self.verdict(f"memory of both proxies, {c} idle connections", f"≤ {limit} MB", limit,
                         self.median(l7, "idle", c, "rss_kb") / 1024, "MB")

    def two_cpus(self):
        with self.standing(("direct", None), ("portcullis-l7", None), cpus="all") as worlds:
            self.interleaved(worlds, "new-connections-two-cpus", 16, lambda w: w.wrk(
                16, self.options.seconds, headers=["Connection: close"], wrk_threads=2))
        load = ("new-connections-two-cpus", 16)
        self.verdict("new connections against direct, all CPUs", f"≥ {CLOSE_RATIO_TWO_CPUS}", CLOSE_RATIO_TWO_CPUS,
                     self.ratio(("portcullis-l7", *load), ("direct", *load), "rps"), "", at_least=True)

    def jwt(self):
        with self.standing(("portcullis-l7", None), ("portcullis-jwt", None)) as worlds:
            self.interleaved(worlds, "jwt", 16, lambda w: w.wrk(16, self.options.seconds))
        with_token = self.figures("portcullis-jwt", "jwt", 16, "cpu_us_per_request")
        without = self.figures("portcullis-l7", "jwt", 16, "cpu_us_per_request")
        more = [with_token[r] - without[r] for r in with_token if r in without]
        self.cpu_verdict("a token (ES256) on every request, 16 connections: more CPU", JWT_LIMIT_US, 16,
                         statistics.median(more) if more else None)

    def same_node(self):
        with self.standing(("direct", None), ("portcullis-l7", None)) as worlds:
            self.interleaved(worlds, "same-node", 16, lambda w: w.wrk(16, self.options.seconds, target="near"))
        load = ("same-node", 16)
        against = self.ratio(("portcullis-l7", *load), ("direct", *load), "rps")
        self.cpu_verdict("same node, L7 with policy, 16 connections", SAME_NODE_LIMIT_US, 16,
                         self.median("portcullis-l7", *load, "cpu_us_per_request"),
                         f"requests/s against direct {against:.3f}")

    # ---- a big cluster

    @contextmanager
    def crowded(self, pods, services, policies):
        """A directory for POLICIES."""
        with tempfile.TemporaryDirectory(dir=os.environ["BENCH_DIR"], prefix=".crowd") as directory:
            with open(f"{directory}/more.yaml", "w", encoding="utf-8") as f:
                crowd.write(pods, services, policies, f)
            yield {"POLICIES": directory}

    def policies(self):
        names = ["portcullis-l7", "portcullis-l7-crowd"]
        with self.crowded(**BIG) as environment, self.standing(("portcullis-l7", None),
                                                               ("portcullis-l7", environment)) as worlds:
            size = worlds[1].metrics("n2")["portcullis_snapshot_bytes"]
            self.interleaved(worlds, "policies", 16, lambda w: w.wrk(16, self.options.seconds), names)
            more = self.ratio((names[1], "policies", 16), (names[0], "policies", 16), "cpu_us_per_request")
        self.verdict("10,000 policies, 3,000 services: CPU a request against few", f"≤ {POLICIES_RATIO}",
                     POLICIES_RATIO, more, "", note=f"snapshot of {size / 1e6:.1f} MB")

    def turns(self, world):
        """Bucket's upper bound in seconds ▶ turns of both nodes' workers."""
        found = {}
        for node in measure.NODES:
            below = 0
            for name, value in world.metrics(node).items():
                if name.startswith("portcullis_turn_seconds_bucket"):
                    bound = float(name.split('"')[1])
                    found[bound] = found.get(bound, 0) + value - below
                    below = value
        return found

    def swap(self):
        """Snapshots change under load; client and proxies have all CPUs, so that the loader's thread does not
        stand in the worker's way."""
        with self.crowded(**SWAP) as environment, self.standing(("portcullis-l7", environment), cpus="all") as (world,):
            size = world.metrics("n2")["portcullis_snapshot_bytes"]
            quiet = self.turns_of(world, lambda: time.sleep(SWAPS * SWAP_PAUSE_S))
            swapped = self.turns_of(world, lambda: self.swap_all(world))
        for name, turns in (("", quiet), (f"{SWAPS} swaps of a {size / 1e6:.1f} MB snapshot: ", swapped)):
            p99, longest, slow = self.turn_figures(turns)
            self.add("portcullis-l7", "swap" if name else "no-swap", 64, {"p99_us": p99 * 1e6, "errors": 0})
            if name:
                self.verdict(f"{name}p99 of a worker's turn", f"< {TURN_LIMIT_MS} ms", TURN_LIMIT_MS, p99 * 1e3, "ms",
                             note=f"upper bounds of buckets; longest ≤ {longest * 1e3:g} ms, {slow} turns over 1 ms "
                                  f"(without swaps longest ≤ {before[1] * 1e3:g} ms, {before[2]} over 1 ms)")
            before = (p99, longest, slow)

    @staticmethod
    def turn_figures(turns):
        """(p99, longest, how many over 1 ms), by the buckets' upper bounds."""
        total, below, p99, longest = sum(turns.values()), 0, None, 0
        for bound in sorted(turns):
            below += turns[bound]
            if turns[bound] > 0:
                longest = bound
            if p99 is None and below >= .99 * total:
                p99 = bound
        return p99, longest, int(sum(n for bound, n in turns.items() if bound > 1e-3))

    def turns_of(self, world, during):
        before = self.turns(world)
        command = world.wrk_command(64, 2 * SWAPS * SWAP_PAUSE_S, wrk_threads=2)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            time.sleep(1)
            during()
            after = self.turns(world)
            output, _ = load.communicate(timeout=60)
        found = measure.parse_wrk(output)
        self.add(world.peer, "swap-load", 64, found)
        return {bound: after[bound] - before.get(bound, 0) for bound in after}

    @staticmethod
    def swap_all(world):
        """One policy changes, again and again; each time both nodes go by the new generation before the next."""
        path = f"{world.dir}/policy/bench.yaml"
        for i in range(SWAPS):
            before = {n: world.metrics(n)["portcullis_snapshot_generation"] for n in measure.NODES}
            text = measure.read(path)
            with open(path + ".new", "w", encoding="utf-8") as f:
                f.write(text.replace("name: no-admin", f"name: no-admin-{i}", 1))
            os.rename(path + ".new", path)
            deadline = time.monotonic() + 10
            while any(world.metrics(n)["portcullis_snapshot_generation"] == before[n] for n in measure.NODES):
                if time.monotonic() > deadline:
                    raise Failed("a node did not take a changed policy within 10 s")
                time.sleep(.05)
            time.sleep(SWAP_PAUSE_S / 2)

    # ---- neighbours, workers

    def fairness(self):
        """One pod paced to a server of its own, alone and beside another pod's flood. Direct shows how much
        of it is the machine: the flood has the same CPUs."""
        floods = (("256 connections", 256, "/api/item"), ("4 bulk streams", 4, "/api/bulk"))
        with self.standing(("direct", None), ("portcullis-l7", None), cpus="all") as worlds:
            for self.round in range(self.options.rounds):
                for world in worlds:
                    self.attempt(world, "fairness-quiet", FAIR_CONNECTIONS, lambda w=world: self.paced_apart(w))
                    for _, connections, path in floods:
                        self.attempt(world, f"fairness-{connections}", FAIR_CONNECTIONS,
                                     lambda w=world, c=connections, p=path: self.beside_flood(w, c, p))
        for name, connections, _ in floods:
            ours, direct = (self.ratio((peer, f"fairness-{connections}", FAIR_CONNECTIONS),
                                       (peer, "fairness-quiet", FAIR_CONNECTIONS), "p99_us")
                            for peer in ("portcullis-l7", "direct"))
            self.verdict(f"another pod's p99 at {FAIR_RATE} rps while one floods ({name})", f"≤ {FAIRNESS_RATIO}x quiet",
                         FAIRNESS_RATIO, ours, "x", note=f"direct beside the same flood {direct:.1f}x")

    @staticmethod
    def paced_apart(world):
        found = world.paced(FAIR_CONNECTIONS, FAIR_RATE, FAIR_SECONDS, target="apart")
        found["cpu_us_per_request"] = None  # the flood's requests are in it
        return found

    def beside_flood(self, world, connections, path):
        command = world.wrk_command(connections, FAIR_SECONDS + 2, path=path, pod="other")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            time.sleep(.5)
            found = self.paced_apart(world)
            output, _ = flood.communicate(timeout=60)
        found["errors"] += measure.parse_wrk(output)["errors"]
        return found

    def workers(self):
        """How far two workers get with two CPUs of their own: by CPU a request of the busiest worker of a
        node, so that client and server, which share the machine, are counted out, and imbalance is in."""
        names = ["portcullis-l7", "portcullis-l7-two-workers"]
        busiest = {name: {node: [] for node in measure.NODES} for name in names}
        with self.standing(("portcullis-l7", {"WORKERS": "1"}), ("portcullis-l7", {"WORKERS": "2"}), cpus="all") as worlds:
            for self.round in range(self.options.rounds):
                for world, name in zip(worlds, names):
                    before = world.threads_ns()
                    found = world.wrk(256, self.options.seconds)
                    after = world.threads_ns()
                    self.add(name, "workers", 256, found)
                    for node in measure.NODES:
                        used = [ns - before[node].get(t, 0) for t, ns in after[node].items()]
                        busiest[name][node].append(max(used) / 1e3 / found["requests"])
        scaling = {node: statistics.median(busiest[names[0]][node]) / statistics.median(busiest[names[1]][node])
                   for node in measure.NODES}
        self.verdict("two workers on two CPUs against one", f"≥ {WORKERS_RATIO}x", WORKERS_RATIO, min(scaling.values()),
                     "x", at_least=True, note=", ".join(f"{n} {s:.2f}x" for n, s in scaling.items()) +
                     "; CPU a request of the busiest worker, 256 connections")

    # ---- growth

    def growth(self):
        """Rows only: growth-connections, growth-pods-N, growth-policies-N. Thousands of connections answer in
        turns of a second: they are given longer. From few to many in a fresh world each round: pools keep what a
        crowd needed."""
        for self.round in range(max(1, self.options.rounds // 3)):
            with self.standing(("portcullis-l7", None)) as (world,):
                for c in GROWTH_CONNECTIONS:
                    self.attempt(world, "growth-connections", c, lambda c=c, w=world: w.looped(
                        c, self.options.seconds + c // 1000))
        for kind, sizes in (("pods", GROWTH_PODS), ("policies", GROWTH_POLICIES)):
            self.grown(kind, sizes)

    def grown(self, kind, sizes):
        """All sizes stand side by side, so that a drift of the machine is no slope."""
        with ExitStack() as stack:
            environments = [stack.enter_context(self.crowded(**{"pods": 10, "services": 10, "policies": 1, kind: size}))
                            for size in sizes]
            worlds = stack.enter_context(self.standing(*(("portcullis-l7", e) for e in environments)))
            for self.round in range(self.options.rounds):
                pairs = list(zip(worlds, sizes))
                for world, size in reversed(pairs) if self.round % 2 else pairs:
                    self.attempt(world, f"growth-{kind}-{size}", 16, lambda w=world: w.looped(16, self.options.seconds))
