# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures into README.md, between the markers of its section Performance, and plots into docs/."""
import os

import measure
import plot
import report

ROOT = os.path.normpath(os.path.join(measure.HERE, ".."))
MARKERS = {"peers": ("<!-- bench:peers -->", "<!-- /bench:peers -->"),
           "goals": ("<!-- bench:goals -->", "<!-- /bench:goals -->")}


def between(text, markers, new):
    start, end = (text.index(marker) for marker in markers)
    return text[:start] + markers[0] + "\n" + new.strip() + "\n" + text[end:]


def conditions(m):
    programs = ", ".join(f"{name} {version}" for name, version in m["programs"].items() if version)
    return (f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}; {m['mode']}; medians of {m['rounds']} rounds, "
            f"{m['date'][:10]}. {programs}.")


def peers(result):
    plot.write(result, os.path.join(ROOT, "docs", "bench.svg"))
    return "\n".join([
        "![throughput, CPU, latency and memory beside the peers](docs/bench.svg)", "",
        *report.lines(result["summary"]), "",
        "Requests/s against direct in the same rounds · CPU of both proxies a request. " + conditions(result["machine"])])


def goals(result):
    drawn = plot.write_growth(result, os.path.join(ROOT, "docs", "bench-growth.svg"))
    picture = ["", "![cost against connections, pods, policies](docs/bench-growth.svg)"] if drawn else []
    return "\n".join([*report.goal_lines(result), *picture, "", conditions(result["machine"])])


def update(result):
    path = os.path.join(ROOT, "README.md")
    kind = "goals" if "goals" in result else "peers"
    text = measure.read(path)
    os.makedirs(os.path.join(ROOT, "docs"), exist_ok=True)
    text = between(text, MARKERS[kind], goals(result) if kind == "goals" else peers(result))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
