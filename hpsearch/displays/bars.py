"""Columns of the bars that show what trains."""

from __future__ import annotations

from rich.console import Console, OverflowMethod
from rich.progress import Task, TextColumn
from rich.text import Text


class Described(TextColumn):
    """What a bar is about, cut so that bar, percentage, value and time stay on the same line."""

    BESIDE = 50  # columns of the others

    def __init__(self, console: Console) -> None:
        super().__init__("{task.description}")
        self._console = console

    def render(self, task: Task) -> Text:
        """The description, as wide as there is room now."""
        text = super().render(task)
        overflow: OverflowMethod = "crop" if self._console.options.ascii_only else "ellipsis"
        text.truncate(max(20, self._console.width - self.BESIDE), overflow=overflow)
        return text
