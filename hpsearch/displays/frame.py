"""The live view of a search as lines of text: a pure function of its state, the width and the height."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from hpsearch.displays.bars import Glyphs
from hpsearch.displays.live.progress import Progress
from hpsearch.displays.live.state import Best, InTraining, LiveState, Memory
from hpsearch.displays.text import inline, shown
from hpsearch.outcome import Outcome
from hpsearch.output.digits import digits
from hpsearch.policies.budget.spending import Limit, figure

ROOMY = 18  # lines of a terminal, from here on with an empty one above the view
LONGEST_VALUE = 24  # characters of a param's value
DAY = 86400.0
NARROW, WIDE = 76, 110  # columns: from here on a sparkline of 8, and of 20


@dataclass(frozen=True)
class Frame:
    """Where a state is drawn."""

    width: int
    height: int
    glyphs: Glyphs
    now: float  # unix seconds; the state may be older


def rows(state: LiveState, frame: Frame) -> list[Text]:
    """The lines of the live view, none wider than the frame, and all but one line of its height at most."""
    state = state.later(frame.now)
    gap = [Text()] if frame.height >= ROOMY else []
    head = [*gap, _progress(state, frame), *_best(state, frame), _counts(state, frame)]
    room = max(1, frame.height - 1 - len(head))
    shown = state.running if len(state.running) <= room else state.running[: room - 1]
    lines = [*head, *_trials(shown, state, frame)]
    if hidden := state.running[len(shown) :]:
        mean = sum(one.progress for one in hidden) / len(hidden)
        lines.append(Text(f"and {len(hidden)} more, at {mean:.0%} on average", style="dim"))
    if not state.running:
        lines.append(Text(waits_for(state, frame), style="dim"))
    return [_cut(line, frame) for line in lines[: max(1, frame.height - 1)]]


def summary(state: LiveState, now: float) -> str:
    """The state in one line, for what is no terminal."""
    state = state.later(now)
    parts = [f"{state.study}: {state.phase}" if state.phase else state.study, done(state.progress)]
    if state.progress.share is not None:
        parts[-1] += f" ({state.progress.share:.0%})"
    if state.best is not None:
        parts.append(f"best {state.metric} {digits(state.best.value)} (trial {state.best.number})")
    parts.append(f"{len(state.running)} running" + _values(state))
    if left := time_left(state):
        parts.append(left)
    return "; ".join(parts)


def _values(state: LiveState) -> str:
    named = [
        f"{one.name} at {one.progress:.0%}" + ("" if math.isnan(one.value) else f" {digits(one.value)}")
        for one in state.running[:4]
    ]
    more = [f"{len(state.running) - 4} more"] if len(state.running) > 4 else []
    return f" ({', '.join([*named, *more])})" if named else ""


# ------------------------------------------------------------------------------------------------------------- the head


def _progress(state: LiveState, frame: Frame) -> Text:
    """The study, a bar, how much is done, and when it ends."""
    found = state.progress
    name, phase = inline(state.study), f" {state.phase}" if state.phase else ""
    percent = "" if found.share is None else f"{found.share:.0%}"
    told = [done(found), percent, time_left(state), ends_at(state)]
    room = frame.width - 14 - min(10, cell_len(name)) - len(phase)  # beside the name and a bar
    while len(told) > 1 and sum(cell_len(one) + 2 for one in told if one) > room:
        told.pop()
    right = "  ".join(one for one in told if one)
    room = frame.width - cell_len(right) - len(phase) - 4
    name = _clipped(name, max(8, min(cell_len(name), room - 10)), frame)
    line = Text.assemble((name, "bold"), (phase, "yellow"), "  ")
    width = min(40, room - cell_len(name))
    if found.share is not None and width >= 4:
        line.append_text(_bar(found.share, width, frame, "green")).append("  ")
    return line.append(right)


def done(found: Progress) -> str:
    """How much is done: "7 of 16 trials", "7 of 16 trials, 2:10 of 4:30"."""
    count = f"{found.done} {found.what}" if found.total is None else f"{found.done} of {found.total} {found.what}"
    return count if found.binding is None else f"{count}, {_limit(found.binding)}"


def _limit(limit: Limit) -> str:
    if limit.name == "hours":
        return f"{clock(limit.spent)} of {clock(limit.total)}"
    return str(limit)


def time_left(state: LiveState) -> str:
    """How long it takes still; empty if that is unknown."""
    left = _left(state)
    return "" if left is None else f"{clock(left)} left"


def ends_at(state: LiveState) -> str:
    """When it ends by the clock; empty if that is unknown."""
    left = _left(state)
    if left is None:
        return ""
    end = time.localtime(state.at + left)
    return time.strftime("ends %H:%M" if left < DAY / 2 else "ends %a %d %b %H:%M", end)


def _left(state: LiveState) -> float | None:
    found, left = state.progress, state.progress.seconds_left
    is_done = found.done == found.total and not state.running  # what comes after the trials has no pace
    return None if left is None or not math.isfinite(left) or is_done or state.phase == "paused" else left


def _best(state: LiveState, frame: Frame) -> list[Text]:
    """The best trial's value and lead, and its params."""
    best = state.best
    if best is None:
        return [Text(f"no {state.metric} measured yet", style="dim")]
    value = (digits(best.value), "bold green")
    line = Text.assemble(("best ", "dim"), f"{inline(state.metric)} ", value, "  ", _whose(best))
    told = params(best.params, frame.width - line.cell_len - 2)
    if len(told.split()) >= min(4, len(best.params)):
        return [line.append(f"  {told}", style="dim")]
    return [line, Text("     " + params(best.params, frame.width - 5), style="dim")]


def _whose(best: Best) -> str:
    of = f"trial {best.number}" + (f", mean of {best.seeds} seeds" if best.seeds > 1 else "")
    if best.is_default:
        return f"{of}, the default config"
    if best.lead is None:
        return of
    kind = "better" if best.lead >= 0 else "worse"
    return f"{of}, {abs(best.lead):.3g} {kind} than the default"


def _counts(state: LiveState, frame: Frame) -> Text:
    """Trials by outcome, rates and memory, as far as they fit."""
    told: list[Text] = []
    if state.ended:
        outcomes = [Text(f"{count} {word}", style=_colour(word)) for word, count in state.ended.items()]
        told.append(Text(", ").join(outcomes))
    told.append(Text(f"{len(state.running)} running"))
    if state.trials_per_hour is not None:
        told.append(Text(f"{figure(state.trials_per_hour)} trials/h"))
    if state.tokens_per_second is not None:
        told.append(Text(f"{quantity(state.tokens_per_second)} tokens/s"))
    told += [Text(memory(one)) for one in state.memory]
    line = told[0]
    for one in told[1:]:
        if line.cell_len + 3 + one.cell_len <= frame.width:
            line = Text.assemble(line, (f" {frame.glyphs.dot} ", "dim"), one)
    return line


def memory(found: Memory) -> str:
    """Memory in words: "412 MB", "cuda:0 3.1 of 80 GB"."""
    if not found.total:
        return f"{_bytes(found.used)} memory"
    return f"{found.device} {found.used / 1e9:.3g} of {_bytes(found.total)}"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def waits_for(state: LiveState, frame: Frame) -> str:
    """What a search without a training waits for."""
    if state.phase == "paused":
        return "paused; the devices are free"
    return inline(state.note) or "no trial is in training"


# ----------------------------------------------------------------------------------------------------------- the trials


def _trials(running: Iterable[InTraining], state: LiveState, frame: Frame) -> list[Text]:
    """A line for each: bar, percentage, value, sparkline, time, params."""
    found = list(running)
    spark = 20 if frame.width >= WIDE else 8 if frame.width >= NARROW else 0
    names = min(max((len(one.name) for one in found), default=0), max(9, frame.width // 4))
    bar = 8 if frame.width < NARROW else 12 if frame.width < WIDE else 20
    values = max((len(_value(one)) for one in found), default=0)
    times = max((len(clock(one.seconds)) for one in found), default=0)
    lines = []
    for one in found:
        line = Text(set_cell_size(one.name, names) + " ")
        line.append_text(_bar(one.progress, bar, frame, "cyan")).append(f" {one.progress:>4.0%} ")
        line.append(f"{_value(one):<{values}} ", style="bold")
        if spark:
            line.append(f"{frame.glyphs.sparkline(one.curve, spark):<{spark}} ", style="cyan")
        line.append(f"{clock(one.seconds):>{times}} ")
        again = f"attempt {one.attempt} " if one.attempt > 1 else ""
        line.append(again + params(one.params, frame.width - line.cell_len - len(again)), style="dim")
        lines.append(line)
    return lines


def _value(one: InTraining) -> str:
    if math.isnan(one.value):
        return "nan" if one.curve else ""
    return digits(one.value)


def params(values: Mapping[str, Any], width: int) -> str:
    """As many params as fit, in their order: "learning_rate=0.00212 n_layers=3"."""
    told: list[str] = []
    left = width
    for name, value in values.items():
        text = f"{inline(name)}={_short(value)}"
        if cell_len(text) > left:
            if told:
                break
            continue
        told.append(text)
        left -= cell_len(text) + 1
    return " ".join(told)


def _short(value: Any) -> str:
    text = inline(shown(value))
    return text if cell_len(text) <= LONGEST_VALUE else set_cell_size(text, LONGEST_VALUE - 2).rstrip() + ".."


# ---------------------------------------------------------------------------------------------------------- its figures


def clock(seconds: float) -> str:
    """A duration: 0:04, 12:40, 3:12:40, 2d 03:12."""
    whole = int(max(0.0, seconds))
    days, hours, minutes, rest = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days}d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def quantity(value: float) -> str:
    """A count in three significant digits: 812, 21.4k, 1.2M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def _bar(share: float, width: int, frame: Frame, style: str) -> Text:
    bar = Text(frame.glyphs.bar(share, width), style="dim")
    done = sum(character != frame.glyphs.empty for character in bar.plain)
    bar.stylize(f"not dim {style}", 0, done)
    return bar


def _colour(word: str) -> str:
    return Outcome.of(word.replace(" ", "_")).colour


def _clipped(text: str, width: int, frame: Frame) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + frame.glyphs.cut


def _cut(line: Text, frame: Frame) -> Text:
    line.rstrip()
    if line.cell_len > frame.width:
        line.truncate(frame.width - 1)
        line.append(frame.glyphs.cut)
    return line
