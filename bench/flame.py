# SPDX-License-Identifier: GPL-3.0-or-later
"""perf script's text ▶ stacks with counts ▶ a flame graph as SVG."""
import collections

WIDTH, FRAME, LEFT = 1400, 16, 6
NARROWEST = 0.4  # pixels: narrower frames are not drawn
CHARACTER = 6.6


def fold(script):
    """Stacks, outermost first, with how often they were met."""
    stacks, comm, frames = collections.Counter(), None, []
    for line in script.splitlines() + [""]:
        if not line.strip():
            if comm:
                stacks[(comm, *reversed(frames))] += 1
            comm, frames = None, []
        elif line[0] not in " \t":
            comm = line.split()[0]
        elif comm is None:
            comm = line.split()[0]
        else:
            words = line.split(maxsplit=1)
            frames.append(words[1].partition("+0x")[0] if len(words) > 1 else words[0])
    return stacks


def heaviest(stacks, count):
    """(function, samples in itself, samples in it and below), by its own."""
    own, whole = collections.Counter(), collections.Counter()
    for stack, n in stacks.items():
        own[stack[-1]] += n
        for name in set(stack):
            whole[name] += n
    return [(name, n, whole[name]) for name, n in own.most_common(count)]


def tree(stacks):
    root = {"count": 0, "below": {}}
    for stack, n in stacks.items():
        at = root
        at["count"] += n
        for name in stack:
            at = at["below"].setdefault(name, {"count": 0, "below": {}})
            at["count"] += n
    return root


def escape(words):
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def colour(name):
    """Warm, and the same for the same name."""
    shade = sum(ord(c) * (i + 7) for i, c in enumerate(name))
    return f"rgb({205 + shade % 50},{80 + shade // 7 % 120},{shade // 53 % 55})"


def frames_of(node, name, left, depth, scale, out):
    width = node["count"] * scale
    if width < NARROWEST:
        return
    out.append((name, left, depth, width, node["count"]))
    for below in sorted(node["below"]):
        child = node["below"][below]
        frames_of(child, below, left, depth + 1, scale, out)
        left += child["count"] * scale


def draw(stacks, title):
    root, frames = tree(stacks), []
    frames_of(root, "all", LEFT, 0, (WIDTH - 2 * LEFT) / root["count"], frames)
    height = (max(f[2] for f in frames) + 1) * FRAME + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" '
             f'font-size="11"><rect width="{WIDTH}" height="{height}" fill="#fff"/>'
             f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>']
    for name, left, depth, width, count in frames:
        top = height - (depth + 1) * FRAME - 4
        part = 100 * count / root["count"]
        room = int((width - 4) / CHARACTER)
        shown = escape(name if len(name) <= room else name[:room - 1] + "…") if room > 2 else ""
        parts.append(f'<g><title>{escape(name)}: {count} samples, {part:.2f} %</title>'
                     f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{FRAME - 1}" fill="{colour(name)}"/>'
                     f'<text x="{left + 2:.1f}" y="{top + 11}">{shown}</text></g>')
    return "\n".join(parts + ["</svg>"]) + "\n"
