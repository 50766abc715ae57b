"""What the bands of a study say, in lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpsearch.journal.branch_labels import label_in_words
from hpsearch.results.evidence.bands import ASSUMED, SIGMAS, Band, Bands, is_number, source
from hpsearch.results.evidence.cliffs import CLIFF, Cliff


def lines(found: Bands) -> Iterator[str]:
    """Yields the bands in one line, and then what is doubtful; warnings begin with "warning: "."""
    if not found.bands:
        return
    near = f"within two sigma ({_sigma(found)}) of the best"
    if found.good < 2:
        yield f"no other trial is {near}: there is no band of good values"
    else:
        values = "; ".join(
            f"{_name(found, band.name)} {_span(found, band)}{_recommended(band)}" for band in found.bands
        )
        yield f"good values, of the {found.good} trials {near}: {values}"
    yield from (f"warning: {line}" for line in at_edges(found))
    for band in found.bands:
        if band.cliff is not None:
            yield _cliff_line(_name(found, band.name), band, band.cliff)
    yield from on_effects(found)


def at_edges(found: Bands) -> Iterator[str]:
    """Yields a line for each hyperparameter whose best value is at an edge of its range."""
    for band in found.bands:
        if band.edge and band.name not in found.idle:
            yield (
                f"{_name(found, band.name)} {_shown(band.best)} of the best trial is at the {band.edge} edge of its "
                "range: better values may lie beyond"
            )


def on_effects(found: Bands) -> Iterator[str]:
    """Yields a line on which hyperparameters seem not to matter, or why that cannot be said."""
    near = f"within two sigma ({_sigma(found)}) of the best"
    if found.few and len(found.bands) > 1:
        yield f"too few trials ({found.trials}) to say which of the {found.searched} hyperparameters matter"
    elif not found.few and found.good == found.trials:
        yield f"all {found.trials} trials are {near}: in these ranges no hyperparameter matters"
    elif found.idle:
        yield from _idle(found)


def _idle(found: Bands) -> Iterator[str]:
    """A line for the hyperparameters that seem not to matter, and one for each whose range is too narrow to tell."""
    narrow = [band for band in found.bands if band.name in found.idle and band.narrow is not None]
    others = [_name(found, name) for name in found.idle if name not in {band.name for band in narrow}]
    if others:
        verb = "seems" if len(others) == 1 else "seem"
        yield f"{', '.join(others)} {verb} not to matter: good trials have values from all over the range"
    for band in narrow:
        low, high = map(_shown, band.narrow or ())
        name = _name(found, band.name)
        yield f"{name} makes no difference from {low} to {high}, but that range is narrow: a wider one says more"


def _sigma(found: Bands) -> str:
    """Two sigma, and whether it is assumed."""
    how = source(found.assumed, found.repeats)
    share = f": {ASSUMED:.1%} of the best value" if how == "assumed" else ""
    return f"{SIGMAS * found.sigma:.2g}{', ' * bool(how)}{how}{share}"


def _name(found: Bands, name: str) -> str:
    """The name that people know a hyperparameter by."""
    return found.names.get(name, name)


def _span(found: Bands, band: Band) -> str:
    if band.name not in found.names:
        return " or ".join(map(label_in_words, band.values))
    if all(is_number(value) for value in band.values) and len(band.values) > 1:
        return f"{_shown(band.values[0])} to {_shown(band.values[-1])}"
    return ", ".join(map(_shown, band.values))


def _recommended(band: Band) -> str:
    """The recommended value, where it says more than the band itself."""
    is_span = len(band.values) > 1 and all(map(is_number, band.values))
    return f" (recommended: {_shown(band.recommended)})" if is_span else ""


def _cliff_line(name: str, band: Band, cliff: Cliff) -> str:
    what = "diverge" if cliff.diverged else f"are worse by more than {CLIFF:g} sigma"
    beyond = "on" if cliff.side == "upper" else "down"
    half = "lower" if cliff.side == "upper" else "upper"
    choose = (
        f"choose from the {half} half of the band of good values"
        if len(band.values) > 1
        else f"choose no {_other(half)} value"
    )
    place = f"from {_shown(cliff.start)} {beyond}; the best has {_shown(band.best)}"
    return f"warning: {name}: trials {what} {place}: {choose}"


def _other(half: str) -> str:
    return "higher" if half == "lower" else "lower"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
