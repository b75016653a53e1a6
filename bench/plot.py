# SPDX-License-Identifier: GPL-3.0-or-later
"""Results as SVG, by hand: four panels of the peers, three of growth."""
import math
import re

import report

COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#7f7f7f")
WIDTH, HEIGHT = 470, 250
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 30


def escape(words):
    return words.replace("&", "&amp;").replace("<", "&lt;")


class Panel:
    """A chart at (x, y) of the drawing, with one vertical axis from low to high."""

    def __init__(self, x, y, title, low, high, log=False):
        self.x, self.y, self.log = x, y, log
        self.low, self.high = low, high
        self.parts = [f'<text x="{x + LEFT}" y="{y + 18}" font-weight="bold">{escape(title)}</text>']
        for tick in self.ticks():
            at = self.up(tick)
            self.line(x + LEFT, at, x + WIDTH - RIGHT, at, "#dddddd")
            self.text(x + LEFT - 5, at + 4, f"{tick:g}", "end")

    def ticks(self):
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            found = [m * 10 ** e for e in range(first - 1, last + 1) for m in (1, 2, 5)]
            return [t for t in found if self.low <= t <= self.high]
        step = 10 ** math.floor(math.log10(self.high / 4))
        step *= next(m for m in (1, 2, 5, 10) if self.high / (step * m) <= 5)
        return [step * i for i in range(int(self.high / step) + 1)]

    def up(self, value):
        """The height at which a value is drawn."""
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.y + HEIGHT - BOTTOM - min(part, 1) * (HEIGHT - TOP - BOTTOM)

    def line(self, x1, y1, x2, y2, colour, width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"/>')

    def text(self, x, y, words, anchor="middle", size=11):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>')

    def bar(self, x, width, value, colour):
        top = self.up(value)
        self.parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
                          f'height="{self.y + HEIGHT - BOTTOM - top:.1f}" fill="{colour}"/>')

    def dot(self, x, value, colour, hollow=False):
        fill = "#ffffff" if hollow else colour
        self.parts.append(f'<circle cx="{x:.1f}" cy="{self.up(value):.1f}" r="4" fill="{fill}" stroke="{colour}" '
                          f'stroke-width="1.5"/>')

    def slots(self, names):
        """(name, left edge, width) of equal places along the axis, each named below it."""
        width = (WIDTH - LEFT - RIGHT) / max(len(names), 1)
        for i, name in enumerate(names):
            left = self.x + LEFT + i * width
            self.text(left + width / 2, self.y + HEIGHT - BOTTOM + 16, name)
            yield name, left, width


def bars(panel, groups, peers, value):
    """For each group a bar a peer; value(peer, group) may be None."""
    for group, left, width in panel.slots(groups):
        each = width * .84 / len(peers)
        for i, (peer, colour) in enumerate(peers.items()):
            found = value(peer, group)
            if found is not None:
                panel.bar(left + width * .08 + i * each, each * .9, found, colour)


def drawing(panels, legend, columns=2):
    rows = math.ceil(len(panels) / columns)
    height = rows * HEIGHT + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * WIDTH}" height="{height}" '
             f'viewBox="0 0 {columns * WIDTH} {height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{columns * WIDTH}" height="{height}" fill="#ffffff"/>']
    for panel in panels:
        parts += panel.parts
    at = LEFT
    for name, colour in legend.items():
        parts.append(f'<rect x="{at}" y="{height - 26}" width="12" height="12" fill="{colour}"/>'
                     f'<text x="{at + 17}" y="{height - 15}">{escape(name)}</text>')
        at += 34 + 8 * len(name)
    return "\n".join(parts + ["</svg>"]) + "\n"


def place(i, columns=2):
    return i % columns * WIDTH, i // columns * HEIGHT


def write(result, path):
    """The peers: throughput, CPU, latency at a constant rate, memory."""
    entries = {(e["peer"], e["scenario"], e["connections"]): e for e in result["summary"]}
    names = list(dict.fromkeys(e["peer"] for e in result["summary"]))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    proxies = {name: colour for name, colour in colours.items() if name != "direct"}

    def figure(peer, load, name):
        return (entries.get((peer, *load)) or {}).get(name)

    loads = {report.heading(*key): key for key in report.columns(result["summary"])}
    through = [h for h, key in loads.items() if key[0] in ("keepalive", "new-connections", "bulk")]
    costs = [h for h, key in loads.items() if key[0] in ("keepalive", "paced")]
    idle = [h for h, key in loads.items() if key[0] == "idle"]

    ratios = Panel(*place(0), "requests/s against direct", 0, 1)
    bars(ratios, through, proxies, lambda p, h: figure(p, loads[h], "rps_ratio"))
    cpu = [figure(p, loads[h], "cpu_us_per_request") for p in proxies for h in costs]
    highest = max([c for c in cpu if c] or [10])
    cost = Panel(*place(1), "CPU of both proxies, µs a request (log)", 5, highest * 1.3, log=True)
    for heading, left, width in cost.slots([h.replace(" p50 / p99", "") for h in costs]):
        key = next(loads[h] for h in costs if h.startswith(heading))
        for i, (peer, colour) in enumerate(proxies.items()):
            value = figure(peer, key, "cpu_us_per_request")
            if value:
                cost.dot(left + width * (i + 1) / (len(proxies) + 1), value, colour)
    panels = [ratios, cost, latencies(result, colours)]
    memory = [figure(p, loads[h], "rss_kb") or 0 for p in proxies for h in idle]
    if idle:
        panels.append(Panel(*place(3), "memory of both proxies, MB, by idle connections", 0, max(memory) / 1024 * 1.1))
        bars(panels[-1], idle, proxies, lambda p, h: (figure(p, loads[h], "rss_kb") or 0) / 1024 or None)
    with open(path, "w", encoding="utf-8") as f:
        f.write(drawing(panels, colours))


def latencies(result, colours):
    """p50 and p99 of each peer at a constant rate, joined by a line."""
    paced = {e["peer"]: e for e in result["summary"] if e["scenario"] == "paced" and e["p50_us"]}
    values = [e[name] for e in paced.values() for name in ("p50_us", "p99_us")] or [100, 1000]
    panel = Panel(*place(2), "latency at 2,000 requests/s, µs: p50 ○ p99 ● (log)", min(values) / 1.5, max(values) * 1.3, log=True)
    for peer, left, width in panel.slots([p for p in colours if p in paced]):
        at = left + width / 2
        panel.line(at, panel.up(paced[peer]["p50_us"]), at, panel.up(paced[peer]["p99_us"]), colours[peer], 2)
        panel.dot(at, paced[peer]["p50_us"], colours[peer], hollow=True)
        panel.dot(at, paced[peer]["p99_us"], colours[peer])
    return panel


def growth_points(result, kind):
    """Size ▶ (CPU µs a request, MB of both proxies), of the rows growth-<kind>…"""
    found = {}
    for e in result["summary"]:
        named = re.fullmatch(rf"growth-{kind}(?:-(\d+))?", e["scenario"])
        if named and e["cpu_us_per_request"]:
            found[int(named[1] or e["connections"])] = (e["cpu_us_per_request"], e["rss_kb"] / 1024)
    return found


def write_growth(result, path):
    """CPU a request and memory against connections, pods, policies; False: there are no such rows."""
    panels, legend = [], {"CPU, µs a request": COLOURS[1], "memory of both proxies, MB": COLOURS[2]}
    for kind in ("connections", "pods", "policies"):
        points = growth_points(result, kind)
        if not points:
            continue
        highest = max(max(pair) for pair in points.values())
        panel = Panel(*place(len(panels), 3), f"against {kind} (log)", 5, highest * 1.5, log=True)
        before = None
        for size, left, width in panel.slots([f"{size:,}" for size in sorted(points)]):
            now = left + width / 2, points[int(size.replace(",", ""))]
            for i, colour in enumerate(legend.values()):
                panel.dot(now[0], now[1][i], colour)
                if before:
                    panel.line(before[0], panel.up(before[1][i]), now[0], panel.up(now[1][i]), colour, 2)
            before = now
        panels.append(panel)
    if not panels:
        return False
    with open(path, "w", encoding="utf-8") as f:
        f.write(drawing(panels, legend, 3))
    return True
