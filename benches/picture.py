#!/usr/bin/env python3
"""Draws what a message costs the server, by the number of messages in flight.

usage: cargo bench -q -p countersign-cli --bench messages -- --tsv > messages.tsv
       benches/picture.py messages.tsv > src/manual/messages.svg

A panel for each depth, since a message of 64 in flight costs a fiftieth of a single one. The
colors are readable on light and on dark ground, and nothing is told by color alone.
"""

import html
import sys

# The rows of the bench, what they are called in the picture, and their colors.
SERVERS = [
    ("raw, bare loop", "bare loop, raw", "#8c8c8c"),
    ("raw", "raw", "#3d8bd4"),
    ("countersign/1", "countersign/1, tags", "#2f9e73"),
    ("countersign/1, sealed", "countersign/1, sealed", "#b07ad1"),
    ("raw, threads", "threads, raw", "#c98a1b"),
    ("countersign/1, threads", "threads, countersign/1", "#d0654f"),
]
DEPTHS = [1, 16, 64]

WIDTH, LEFT, RIGHT = 720, 170, 150
BAR, GAP, HEAD = 16, 5, 34


def median(text):
    """The median in "median (minimum-maximum)"."""
    return float(text.split(" ")[0])


def read(lines):
    """Nanoseconds of the server's processor time for a message, by server and depth."""
    rows = [line.rstrip("\n").split("\t") for line in lines if not line.startswith("#")]
    column = rows[0].index("ns/message")
    costs = {}
    for row in rows[1:]:
        server, depth = row[0].rsplit(", ", 1)
        costs[server, int(depth)] = median(row[column])
    return costs


def shown(nanoseconds):
    if nanoseconds >= 1000:
        return f"{nanoseconds / 1000:.1f} µs"
    return f"{nanoseconds:.0f} ns"


def panel(depth, costs, top):
    """The bars of one depth, and how high they are together."""
    flight = "1 message" if depth == 1 else f"{depth} messages"
    out = [f'<text x="0" y="{top + 14}" class="head">{flight} in flight on each connection</text>']
    known = [(name, color, costs.get((server, depth))) for server, name, color in SERVERS]
    known = [bar for bar in known if bar[2] is not None]
    longest = max(cost for _, _, cost in known)
    y = top + HEAD - BAR + GAP
    for name, color, cost in known:
        width = max(1, round((WIDTH - LEFT - RIGHT) * cost / longest))
        middle = y + BAR - 4
        out += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{html.escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{color}"/>',
            f'<text x="{LEFT + width + 6}" y="{middle}">{shown(cost)}</text>',
        ]
        y += BAR + GAP
    return out, y + 12 - top


def draw(costs):
    top, bars = 24, []
    for depth in DEPTHS:
        drawn, height = panel(depth, costs, top)
        bars += drawn
        top += height
    title = "Processor time of the server for one message of 32 bytes and its reply"
    # In a page the text has the page's color; alone, one that suits the ground.
    style = ".cost text{font:13px sans-serif;fill:currentColor}.cost .head{font-weight:600}"
    light = "svg:root{color:#24292f}"
    dark = "@media(prefers-color-scheme:dark){svg:root{color:#d8dee4}}"
    box = f'viewBox="0 0 {WIDTH} {top}" role="img" class="cost"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        f"<title>{title}</title>",
        f"<style>{style}{light}{dark}</style>",
        f'<text x="0" y="13" class="head">{title}, less is better</text>',
        *bars,
        "</svg>",
    ]


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        costs = read(lines)
    print("\n".join(draw(costs)))


if __name__ == "__main__":
    main()
