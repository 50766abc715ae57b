"""What reading a set's files finds: which files were read, bad rows, quotes that look stray."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpsearch.errors import DataError

SHOWN = 3  # errors of skipped rows that are quoted


@dataclass
class ReadReport:
    """Collects what reading a set finds; refuses the first bad row, or skips and counts bad rows."""

    name: str = ""  # of the data set
    skip_bad_rows: bool = False
    notes: list[str] = field(default_factory=list)  # which files were read, a line each
    doubts: list[str] = field(default_factory=list)  # warnings about a file's form
    skipped: int = 0
    first_errors: list[str] = field(default_factory=list)  # of skipped rows
    swallowed: list[tuple[str, int]] = field(default_factory=list)  # (where, lines) of suspicious quoted fields

    def add_bad_row(self, error: DataError) -> None:
        """Counts a row that cannot be read; raises the error unless bad rows are skipped."""
        if not self.skip_bad_rows:
            raise error
        self.skipped += 1
        if len(self.first_errors) < SHOWN:
            self.first_errors.append(str(error))

    def warnings(self, good: int) -> list[str]:
        """The warnings, a line each; raises DataError if more rows are bad than good."""
        return self.doubts + self._skipped_lines(good) + self._swallowed_lines()

    def _skipped_lines(self, good: int) -> list[str]:
        if not self.skipped:
            return []
        first = "; ".join(self.first_errors) + ("; ..." if self.skipped > len(self.first_errors) else "")
        if self.skipped > good:
            raise DataError(
                f"data.{self.name}: {self.skipped} of {self.skipped + good} rows cannot be read, "
                f"more than skip_bad_rows skips (half of them): {first}"
            )
        return [f"data.{self.name}: {self.skipped} of {self.skipped + good} rows skipped: {first}"]

    def _swallowed_lines(self) -> list[str]:
        if not self.swallowed:
            return []
        where, n = self.swallowed[0]
        more = f" (and {len(self.swallowed) - 1} more such rows)" if len(self.swallowed) > 1 else ""
        return [
            f"{where}: a quoted field spans {n} lines that look like rows of their own{more}; "
            "if its quote is a stray one: quoting: none"
        ]
