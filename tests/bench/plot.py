"""Horizontal bars with whiskers as SVG: the median of each row's values, and a line from the least to the greatest."""
import statistics
from xml.sax.saxutils import escape

ROW, LEFT, WIDTH, TOP = 24, 330, 420, 52


def scale_of(rows, limit):
    greatest = max([max(values) for _, values in rows] + ([limit] if limit else []))
    step = next(step for step in (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100) if greatest / step <= 8)
    ticks = int(greatest / step + 0.999)
    return step, ticks, WIDTH / (step * ticks)


def bars(title, rows, unit, limit=None):
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
    for index, (name, values) in enumerate(rows):
        y = TOP + ROW * index
        middle = statistics.median(values)
        colour = "#1f6f8b" if "hsmart" in name or "sessions" in name else "#b8b8b8"
        out.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end" fill="#222222">{escape(name)}</text>')
        out.append(f'<rect x="{LEFT}" y="{y + 3}" width="{middle * scale:.1f}" height="{ROW - 10}" fill="{colour}"/>')
        out.append(f'<line x1="{LEFT + min(values) * scale:.1f}" y1="{y + 10}" x2="{LEFT + max(values) * scale:.1f}" y2="{y + 10}" '
                   'stroke="#222222"/>')
        out.append(f'<text x="{LEFT + max(values) * scale + 6:.1f}" y="{y + 14}" fill="#222222">{middle:.2f}</text>')
    if limit is not None:
        x = LEFT + limit * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    return "\n".join(out + ["</svg>"]) + "\n"
