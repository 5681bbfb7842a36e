"""Where panels stand on Grafana's grid. What overlaps fails here, not on the wall."""

from __future__ import annotations

from dataclasses import dataclass, field

from grafana_foundation_sdk.models import dashboard as model

COLUMNS = 24
# A row of the grid with the gap below it; and what title and border take of a panel.
ROW_PX = 38
PANEL_FRAME_PX = 56
# Rows that a screen of 1600 × 1000 shows below Grafana's own bars.
FIRST_SCREEN = 22


class LayoutError(ValueError):
    """A panel that does not fit where it was put."""


@dataclass(kw_only=True)
class Grid:
    """Panels in the order they are placed, which is the order of their ids."""

    panels: list[model.Panel | model.RowPanel] = field(default_factory=list)
    _taken: dict[tuple[int, int], str] = field(default_factory=dict)
    _folded: model.RowPanel | None = None
    _next_id: int = 1

    @property
    def bottom(self) -> int:
        """The first row below everything."""
        return max((y + 1 for _, y in self._taken), default=0)

    def at(self, x: int, y: int, w: int, h: int, panel: model.Panel) -> None:
        """Put a panel's top left corner at column x, row y. Raises ``LayoutError``."""
        title = panel.title or panel.type_val
        if not (panel.description or panel.type_val == "text"):
            raise LayoutError(f"panel {title!r}: needs a description")
        self._take(title, x, y, w, h)
        panel.grid_pos = model.GridPos(x=x, y=y, w=w, h=h)
        panel.id_val = self._id()
        if self._folded is not None:
            self._folded.panels.append(panel)
        else:
            self.panels.append(panel)

    def row(self, h: int, *panels: tuple[int, model.Panel]) -> None:
        """Panels side by side below everything, each with its width."""
        y, x = self.bottom, 0
        for w, panel in panels:
            self.at(x, y, w, h, panel)
            x += w

    def heading(self, title: str, *, folded: bool = False) -> None:
        """A heading over what follows; folded, that is shown and asked for when it is opened."""
        y = self.bottom
        self._take(title, 0, y, COLUMNS, 1)
        row = model.RowPanel(
            title=title,
            collapsed=folded,
            grid_pos=model.GridPos(x=0, y=y, w=COLUMNS, h=1),
            id_val=self._id(),
            panels=[],
        )
        self.panels.append(row)
        self._folded = row if folded else None

    def _take(self, title: str, x: int, y: int, w: int, h: int) -> None:
        if min(x, y) < 0 or min(w, h) < 1 or x + w > COLUMNS:
            raise LayoutError(f"panel {title!r}: {w} × {h} at {x}, {y} is not on the grid")
        for cell in ((column, line) for column in range(x, x + w) for line in range(y, y + h)):
            if cell in self._taken:
                column, line = cell
                raise LayoutError(
                    f"panel {title!r}: stands on {self._taken[cell]!r} at {column}, {line}"
                )
            self._taken[cell] = title

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
