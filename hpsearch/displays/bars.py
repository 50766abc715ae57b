"""Columns of the progress bars."""

from __future__ import annotations

from rich.console import Console, OverflowMethod
from rich.progress import Task, TextColumn
from rich.text import Text


class DescriptionColumn(TextColumn):
    """The description of a bar, cut so that bar, percentage, value and time stay on the same line."""

    OTHERS = 50  # characters of the other columns

    def __init__(self, console: Console) -> None:
        super().__init__("{task.description}")
        self._console = console

    def render(self, task: Task) -> Text:
        """Returns the description, cut to the width that is left."""
        text = super().render(task)
        overflow: OverflowMethod = "crop" if self._console.options.ascii_only else "ellipsis"
        text.truncate(max(20, self._console.width - self.OTHERS), overflow=overflow)
        return text
