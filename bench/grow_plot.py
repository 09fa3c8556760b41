"""The plot of bench/grow, as SVG that is read on a light ground and on a dark one."""

import math

LEFT, RIGHT, TOP = 64, 20, 84
PANEL, GAP = 160, 30
PLOT_HEIGHT, ROW = 132, 178

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.small { font-size: 11px }
.title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.name { font-weight: 600; fill: #1f2328 }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.axis { stroke: #8c959f }
.ns, .instructions { fill: none; stroke-width: 2 }
.ns { stroke: #0969da } .instructions { stroke: #bc4c00 }
.ns-dot { fill: #0969da } .instructions-dot { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 } .title, .name { fill: #f0f6fc }
.ns { stroke: #58a6ff } .instructions { stroke: #f0883e }
.ns-dot { fill: #58a6ff } .instructions-dot { fill: #f0883e }
}
"""


def ceiling(value):
    """The next round number, of which a quarter is round, too."""
    unit = 10 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 4, 6, 8, 10) if step * unit >= value)


def short(size):
    """1000000 as 1M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{letter}"
    return str(size)


def text(x, y, words, anchor="start", kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{words}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def panel(x, y, series, key, top, first):
    """One curve: `key` over the sizes of `series`, from 0 to `top`. Sizes from one to the many are decades apart."""
    parts, sizes = [], [r["size"] for r in series["readings"]]
    readings = [r for r in series["readings"] if key in r]
    linear = max(sizes) < 10
    scale = (lambda size: size - 1) if linear else math.log10
    across = lambda size: x + PANEL * scale(size) / scale(max(sizes))  # noqa: E731
    up = lambda value: y + PLOT_HEIGHT * (1 - value / top)  # noqa: E731
    for quarter in range(5):
        value = top * quarter / 4
        parts.append(line(x, up(value), x + PANEL, up(value), "grid" if quarter else "axis"))
        if first:
            parts.append(text(x - 8, up(value) + 4, f"{value:g}", "end"))
    decades = int(math.log10(max(sizes)))
    ticks = sizes if linear else [10**n for n in range(0, decades + 1, 2 if decades > 4 else 1)]
    # The end has its number, too, if that has room.
    if not linear and ticks[-1] < max(sizes):
        ticks = [tick for tick in ticks if across(max(sizes)) - across(tick) > 28] + [max(sizes)]
    for tick in ticks:
        parts.append(line(across(tick), y + PLOT_HEIGHT, across(tick), y + PLOT_HEIGHT + 4, "axis"))
        parts.append(text(across(tick), y + PLOT_HEIGHT + 17, short(tick), "middle"))
    points = [(across(r["size"]), up(r[key])) for r in readings]
    joined = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
    parts.append(f'<polyline points="{joined}" class="{key}"/>')
    for (px, py), r in zip(points, readings):
        tip = f"{r['size']:,} {series['name']}: {r[key]:.1f}"
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" class="{key}-dot"><title>{tip}</title></circle>')
    # Where the curve rises, the first number is below it.
    rises = readings[1][key] > 1.1 * readings[0][key]
    for (px, py), r, anchor, at in ((points[0], readings[0], "start", (-3, 18 if rises else -9)), (points[-1], readings[-1], "end", (3, -9))):
        parts.append(text(px + at[0], py + at[1], f"{r[key]:.0f}", anchor, "name"))
    return parts


def svg(result, below):
    """The whole picture: a column for each series, time above, instructions below, and what is to be said of them at the end."""
    parts = [text(LEFT, 24, "What a packet costs with one, and with many", kind="title")]
    parts.append(text(LEFT, 43, "An echo's whole way through a worker's turn: received, checked, looked up, answered, counted, sent"))
    rows = [("ns", "ns a packet"), ("instructions", "instructions a packet")]
    for row, (key, label) in enumerate(rows):
        top = ceiling(1.1 * max(r[key] for s in result.values() for r in s["readings"] if key in r))
        y = TOP + row * ROW
        middle = y + PLOT_HEIGHT / 2
        parts.append(f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle">{label}</text>')
        for column, series in enumerate(result.values()):
            x = LEFT + column * (PANEL + GAP)
            parts += panel(x, y, series, key, top, column == 0)
            if row == 0:
                parts.append(text(x + PANEL / 2, y - 14, series["name"], "middle", "name"))
    y = TOP + len(rows) * ROW
    parts.append(text(LEFT, y + 4, below, kind="small"))
    width, height = LEFT + len(result) * (PANEL + GAP) - GAP + RIGHT, y + 18
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Costs of a packet">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"
