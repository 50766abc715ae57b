"""What reading a set's files finds: rows that cannot be read, quotes that look stray."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpsearch.errors import DataError

SHOWN = 3  # of the rows that were skipped


@dataclass
class Findings:
    """Refuses the first bad row, or skips and counts bad rows (`skip_bad_rows`); `told`: which files were read."""

    name: str = ""
    skip: bool = False
    told: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    skipped: int = 0
    first: list[str] = field(default_factory=list)
    swallowed: list[tuple[str, int]] = field(default_factory=list)

    def bad(self, error: DataError) -> None:
        """Counts a row that cannot be read; raises the error unless rows are skipped."""
        if not self.skip:
            raise error
        self.skipped += 1
        if len(self.first) < SHOWN:
            self.first.append(str(error))

    def warnings(self, good: int) -> list[str]:
        """One line each; raises DataError where more rows are bad than good."""
        return self.doubts + self._skips(good) + self._strays()

    def _skips(self, good: int) -> list[str]:
        if not self.skipped:
            return []
        first = "; ".join(self.first) + ("; ..." if self.skipped > len(self.first) else "")
        if self.skipped > good:
            raise DataError(
                f"data.{self.name}: {self.skipped} of {self.skipped + good} rows cannot be read, "
                f"more than skip_bad_rows skips (half of them): {first}"
            )
        return [f"data.{self.name}: {self.skipped} of {self.skipped + good} rows skipped: {first}"]

    def _strays(self) -> list[str]:
        if not self.swallowed:
            return []
        where, n = self.swallowed[0]
        more = f" (and {len(self.swallowed) - 1} more such rows)" if len(self.swallowed) > 1 else ""
        return [
            f"{where}: a quoted field goes over {n} lines that look like rows of their own{more}; "
            "if its quote is a stray one: quoting: none"
        ]
