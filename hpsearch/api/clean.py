"""`hpsearch.clean`: deletes checkpoints and tokenised data that nothing needs."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.named import study_named
from hpsearch.errors import StorageFailed
from hpsearch.home import cleaning
from hpsearch.home.cleaning import Cleaned
from hpsearch.home.home import Home
from hpsearch.home.listing import studies as listed


def clean(*studies: str | Path, home: str | Path = "mlruns", dry_run: bool = False) -> tuple[Cleaned, ...]:
    """Deletes what nothing needs of some studies, or of a whole home: checkpoints of ended trials, half-written files.

    Without studies also tokenised data that no study of the home uses. What can resume, win or be exported is kept, and
    running studies are not touched. dry_run: deletes nothing. Returns what was deleted, or would be, by study; of the
    tokenised data under an empty name.

    Raises UserError for an unknown study or home, StorageFailed if something cannot be deleted.
    """
    for study in studies:
        check_arguments(study=study, home=home)
    at = Home.at(Path(home))
    listed(at)  # raises for an unknown home
    try:
        return tuple(cleaning.clean(at, [study_named(study)[0] for study in studies], dry_run=dry_run))
    except OSError as error:
        raise StorageFailed(f"{error.filename or at.path}: cannot be deleted: {error.strerror}") from None
