"""What Neovim draws, from its screen events, as text and as an SVG picture."""

import re
from html import escape
from itertools import groupby

CELL_WIDTH, CELL_HEIGHT, BASELINE = 8.4, 19, 14
MARGIN = 10

_PIECE = re.compile(r"\S+(?: \S+)*")  # one blank only: SVG takes several for one


class Screen:
    """A grid of cells that follows a Neovim."""

    def __init__(self, nvim, *, width=76, height=16):
        self._nvim = nvim
        self._n_taken = len(nvim.notifications)
        self._cells = []
        self._highlights = {0: {}}
        self._colors = {"foreground": 0xDDDDDD, "background": 0x202020}
        self._cursor = (0, 0)
        nvim.call("nvim_ui_attach", width, height, {"rgb": True, "ext_linegrid": True})

    def lines(self):
        """The rows as text."""
        self._update()
        return ["".join(text for text, _ in row).rstrip() for row in self._cells]

    def svg(self):
        """The picture."""
        self._update()
        width = len(self._cells[0]) * CELL_WIDTH + 2 * MARGIN
        height = len(self._cells) * CELL_HEIGHT + 2 * MARGIN
        back = self._color("background", {})
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-size="14"',
            ' font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace">',
            f'\n<rect width="100%" height="100%" rx="6" fill="{back}"/>',
        ]
        for row, cells in enumerate(self._cells):
            parts += self._row(row, cells)
        row, column = self._cursor
        x, y = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
        parts.append(
            f'\n<rect x="{x:.1f}" y="{y}" width="2" height="{CELL_HEIGHT}" fill="{self._color("foreground", {})}"/>'
        )
        return "".join(parts) + "\n</svg>\n"

    def _row(self, row, cells):
        column = 0
        for highlight, run in groupby(cells, key=lambda cell: cell[1]):
            texts = [text for text, _ in run]
            x, y = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
            width = len(texts) * CELL_WIDTH
            column += len(texts)
            look = self._highlights.get(highlight, {})
            if look.get("reverse") or "background" in look:
                fill = self._color("background", look)
                yield f'\n<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{CELL_HEIGHT}" fill="{fill}"/>'
            style = f' fill="{self._color("foreground", look)}"' + ' font-weight="bold"' * look.get("bold", False)
            for piece in _PIECE.finditer("".join(texts)):
                at = f'x="{x + piece.start() * CELL_WIDTH:.1f}" y="{y + BASELINE}"'
                length = f'textLength="{len(piece[0]) * CELL_WIDTH:.1f}"'
                yield f"\n<text {at} {length}{style}>{escape(piece[0])}</text>"

    def _color(self, name, look):
        if look.get("reverse"):
            name = {"foreground": "background", "background": "foreground"}[name]
        return f"#{look.get(name, self._colors[name]):06x}"

    def _update(self):
        self._nvim.call("nvim_exec2", "redraw", {})  # its answer comes after the events
        news = self._nvim.notifications[self._n_taken :]
        self._n_taken += len(news)
        for method, batches in news:
            for name, *calls in batches if method == "redraw" else ():
                for call in calls:
                    self._take(name, call)

    def _take(self, name, call):
        match name, call:
            case "grid_resize", [_, width, height]:
                self._cells = [[(" ", 0)] * width for _ in range(height)]
            case "grid_clear", _:
                self._cells = [[(" ", 0)] * len(row) for row in self._cells]
            case "grid_line", [_, row, column, cells, *_]:
                self._draw(row, column, cells)
            case "grid_scroll", [_, top, bottom, left, right, n_rows, _]:
                self._scroll(range(top, bottom), slice(left, right), n_rows)
            case "grid_cursor_goto", [_, row, column]:
                self._cursor = (row, column)
            case "hl_attr_define", [number, look, *_]:
                self._highlights[number] = look
            case "default_colors_set", [foreground, background, *_]:
                self._colors = {"foreground": foreground, "background": background}

    def _draw(self, row, column, cells):
        highlight = 0
        for text, *more in cells:
            highlight = more[0] if more else highlight
            for _ in range(more[1] if len(more) > 1 else 1):
                self._cells[row][column] = (text, highlight)
                column += 1

    def _scroll(self, rows, columns, n_rows):
        before = [list(row) for row in self._cells]
        for row in rows:
            if row + n_rows in rows:
                self._cells[row][columns] = before[row + n_rows][columns]
