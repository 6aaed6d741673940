"""Plots as SVG: horizontal bars with whiskers (the median of each row's values, and a line from the least to the greatest), and lines."""
import math
import statistics
from xml.sax.saxutils import escape

ROW, LEFT, WIDTH, TOP = 24, 300, 420, 52


def scale_of(rows, limit):
    """Steps of the axis. A whisker may leave the plot: one odd round must not squeeze the bars."""
    drawn = [values for _, values in rows if values]
    greatest = max([min(max(values), 1.6 * max(statistics.median(v) for v in drawn)) for values in drawn] + ([1.08 * limit] if limit else []))
    step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if greatest / step <= 8)
    ticks = int(greatest / step + 0.999)
    return step, ticks, WIDTH / (step * ticks)


def colour_of(name):
    if "hsmart" not in name and "session" not in name:
        return "#b8b8b8"
    return "#7fb3c4" if "unverified" in name or "cache" in name else "#1f6f8b"


def heading(name, y):
    return f'<text x="14" y="{y + 15}" font-weight="bold" fill="#222222">{escape(name)}</text>'


def bar(name, values, y, scale, edge):
    middle, least, greatest = statistics.median(values), min(values), max(values)
    right = min(LEFT + greatest * scale, edge)
    out = [f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" fill="#222222">{escape(name)}</text>',
           f'<rect x="{LEFT}" y="{y + 3}" width="{middle * scale:.1f}" height="{ROW - 10}" fill="{colour_of(name)}"/>',
           f'<line x1="{LEFT + least * scale:.1f}" y1="{y + 10}" x2="{right:.1f}" y2="{y + 10}" stroke="#222222"/>']
    if LEFT + greatest * scale > edge:
        out.append(f'<path d="M{edge} {y + 6} l6 4 l-6 4 z" fill="#222222"/>')
    # On a white rim, so that it can be read over the lines of the grid.
    out.append(f'<text x="{right + 10:.1f}" y="{y + 14}" fill="#222222" stroke="#ffffff" stroke-width="3" paint-order="stroke">{middle:.2f}</text>')
    return out


def bars(title, rows, unit, limit=None):
    """A bar for each (name, values); a heading for each (name, None)."""
    step, ticks, scale = scale_of(rows, limit)
    height = TOP + ROW * len(rows) + 44
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{height}" '
           f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="14" y="26" font-size="16" fill="#222222">{escape(title)}</text>']
    bottom = TOP + ROW * len(rows)
    for tick in range(ticks + 1):
        x = LEFT + tick * step * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#e0e0e0"/>')
        out.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555555">{tick * step:g}</text>')
    out.append(f'<text x="{LEFT + WIDTH / 2:.0f}" y="{bottom + 34}" text-anchor="middle" fill="#555555">{escape(unit)}</text>')
    if limit is not None:
        x = LEFT + limit * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    for index, (name, values) in enumerate(rows):
        y = TOP + ROW * index
        out += [heading(name, y)] if values is None else bar(name, values, y, scale, LEFT + WIDTH)
    return "\n".join(out + ["</svg>"]) + "\n"


COLOURS = ("#c0392b", "#1f6f8b", "#e08e0b", "#4b8b3b", "#7a4b8b")


def axis(values, log):
    """The ends of an axis and its ticks."""
    if log:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return low, max(high, low + 1), [(power, f"{10.0 ** power:g}") for power in range(low, max(high, low + 1) + 1)]
    step = next(step * 10 ** power for power in range(7) for step in (1, 2, 5) if max(values) / (step * 10 ** power) <= 8)
    ticks = [step * index for index in range(int(max(values) / step + 0.999) + 1)]
    return 0, ticks[-1], [(tick, f"{tick:g}") for tick in ticks]


def lines(title, x_unit, y_unit, series, log=False):
    """A line for each (name, points); with `log` both axes are logarithmic."""
    left, top, width, height = 80, 52, 620, 300
    place = math.log10 if log else float
    x_low, x_high, x_ticks = axis([x for _, points in series for x, _ in points], log)
    y_low, y_high, y_ticks = axis([y for _, points in series for _, y in points], log)

    def at_x(value):
        return left + (value - x_low) / (x_high - x_low) * width

    def at_y(value):
        return top + height - (value - y_low) / (y_high - y_low) * height

    bottom = top + height
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 40}" height="{bottom + 56 + 20 * len(series)}" '
           f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
           '<rect width="100%" height="100%" fill="#ffffff"/>',
           f'<text x="14" y="26" font-size="16" fill="#222222">{escape(title)}</text>',
           f'<text x="{left - 8}" y="{top - 10}" text-anchor="end" fill="#555555">{escape(y_unit)}</text>',
           f'<text x="{left + width / 2:.0f}" y="{bottom + 36}" text-anchor="middle" fill="#555555">{escape(x_unit)}</text>']
    for value, words in x_ticks:
        out.append(f'<line x1="{at_x(value):.1f}" y1="{top}" x2="{at_x(value):.1f}" y2="{bottom}" stroke="#e0e0e0"/>')
        out.append(f'<text x="{at_x(value):.1f}" y="{bottom + 16}" text-anchor="middle" fill="#555555">{words}</text>')
    for value, words in y_ticks:
        out.append(f'<line x1="{left}" y1="{at_y(value):.1f}" x2="{left + width}" y2="{at_y(value):.1f}" stroke="#e0e0e0"/>')
        out.append(f'<text x="{left - 8}" y="{at_y(value) + 4:.1f}" text-anchor="end" fill="#555555">{words}</text>')
    for index, (name, points) in enumerate(series):
        path = " ".join(f"{at_x(place(x)):.1f},{at_y(place(y)):.1f}" for x, y in points)
        y = bottom + 56 + 20 * index
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[index]}" stroke-width="1.6"/>')
        out.append(f'<line x1="{left}" y1="{y - 4}" x2="{left + 24}" y2="{y - 4}" stroke="{COLOURS[index]}" stroke-width="3"/>')
        out.append(f'<text x="{left + 32}" y="{y}" fill="#222222">{escape(name)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
