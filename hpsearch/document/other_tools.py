"""Recognises ranges as other tools write them (W&B, Optuna, Ray, Ax, Hydra, hyperopt), to suggest ours in an error."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from typing import Any

from hpsearch.output.printable import printable

LOWS = ("low", "min", "lower", "start", "from", "lo")
HIGHS = ("high", "max", "upper", "stop", "end", "to", "hi")
LISTS = ("choices", "values", "categories", "options", "grid_search", "choice")
PAIRS = ("bounds", "range", "interval", "uniform", "loguniform")
STEPS = ("step", "q", "stride")
OTHERS = (
    "value",
    "distribution",
    "type",
    "name",
    "scale",
    "log_scale",
    "logscale",
    "sampling",
    "value_type",
    "parameter",
)
WORDS = {*LOWS, *HIGHS, *LISTS, *PAIRS, *STEPS, *OTHERS}  # including ours
SECTIONS = {  # top-level keys of other tools
    **dict.fromkeys(("parameters", "params", "hyperparameters", "search_space"), "ranges stand in SECTIONS"),
    "method": "the sampler is search: {sampler: ...}",
    "metric": "the metric is objective: {metric: ...}",
    "early_terminate": "the pruner is search: {pruner: ...}",
    **dict.fromkeys(("evaluations", "n_evaluations", "eval_times"), "their number is evaluation: {times: N}"),
}
LONGEST = 12  # choices; longer lists are abbreviated

# Functions of other tools, without their module and `suggest_`: uniform in the number, or in its logarithm.
LINEAR = {"uniform", "quniform", "float", "int", "randint", "qrandint", "interval", "range", "discrete_uniform"}
LOGARITHMIC = {"loguniform", "log_uniform", "qloguniform", "lograndint", "qlograndint"}
CHOOSING = {"choice", "categorical", "grid_search", "pchoice"}


def in_our_spelling(value: Any) -> str:
    """How a foreign range is written here; empty if it is not recognised."""
    if isinstance(value, list | tuple):
        return _choices(value)
    if isinstance(value, Mapping):
        return _mapping({str(key).lower(): inner for key, inner in value.items()})
    return _call(value) if isinstance(value, str) else ""


def suggestion(value: Any) -> str:
    """The same for the end of a message: `; write {choices: [16, 32]}`."""
    ours = in_our_spelling(value)
    return f"; write {ours}" if ours else ""


# ------------------------------------------------------------------------------------------------------------ mappings


def _mapping(raw: Mapping[str, Any]) -> str:
    if list(raw) in (["value"], ["distribution", "value"], ["value", "distribution"]) and _plain(raw["value"]):
        return _shown(raw["value"])
    for key in LISTS:
        if isinstance(raw.get(key), list):
            return _choices(raw[key])
    for key in PAIRS:
        if isinstance(raw.get(key), list) and len(raw[key]) == 2:
            return _range(*raw[key], log=_is_log(raw) or key == "loguniform", step=_first(raw, STEPS))
    low, high = _first(raw, LOWS), _first(raw, HIGHS)
    kind = str(raw.get("distribution", ""))
    if kind in (
        "log_uniform",
        "q_log_uniform",
        "inv_log_uniform",
    ):  # W&B's take exponents; its log_uniform_values does not
        return _exponents(low, high)
    return _range(low, high, log=_is_log(raw), step=_first(raw, STEPS))


def _is_log(raw: Mapping[str, Any]) -> bool:
    kinds = f"{raw.get('distribution', '')} {raw.get('type', '')} {raw.get('scale', '')} {raw.get('sampling', '')}"
    return "log" in kinds.lower() or any(raw.get(key) is True for key in ("log", "log_scale", "logscale"))


def _first(raw: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((raw[name] for name in names if name in raw), None)


# --------------------------------------------------------------------------------------------------------------- calls


def _call(text: str) -> str:
    """`tune.loguniform(1e-4, 1e-1)`, `choice(8, 16)`, `trial.suggest_int("layers", 1, 4)`, `hp.uniform('x', 0, 1)`."""
    if len(text) > 500:
        return ""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    if not isinstance(node, ast.Call):
        return ""
    prefix, _, name = ast.unparse(node.func).rpartition(".")
    given = [_literal(argument) for argument in node.args]
    named = {str(word.arg): _literal(word.value) for word in node.keywords}
    return _called(name.removeprefix("suggest_").lower(), given, named, hyperopt=prefix == "hp")


def _called(name: str, given: list[Any], named: Mapping[str, Any], *, hyperopt: bool) -> str:
    if name in CHOOSING:
        lists = [one for one in (*given[-1:], named.get("choices"), named.get("options")) if isinstance(one, list)]
        return _choices(lists[-1] if lists else given)
    if name not in LINEAR | LOGARITHMIC:
        return ""
    log = name in LOGARITHMIC or named.get("log") is True
    numbers = given[1:] if given and isinstance(given[0], str) else given
    low, high, step = [*numbers, None, None, None][:3]
    low, high = named.get("low", named.get("lower", low)), named.get("high", named.get("upper", high))
    if hyperopt and log:
        return _exponents(low, high)
    return _range(low, high, log=log, step=named.get("step", named.get("q", step)))


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(inner) for inner in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return None


# --------------------------------------------------------------------------------------------------------- our spelling


def _range(low: Any, high: Any, *, log: bool = False, step: Any = None) -> str:
    if not (_number(low) and _number(high)):
        return ""
    options = ", log: true" if log else f", step: {_shown(step)}" if _number(step) and step not in (0, 1) else ""
    return f"{{low: {_shown(low)}, high: {_shown(high)}{options}}}"


def _exponents(low: Any, high: Any) -> str:
    """A range that is given by natural logarithms."""
    known = _number(low) and _number(high) and max(abs(low), abs(high)) < 100
    return _range(_short(low), _short(high), log=True) if known else ""


def _short(exponent: float) -> float:
    return float(f"{math.exp(exponent):.3g}")


def _choices(values: Any) -> str:
    if not isinstance(values, list | tuple) or not values or not all(map(_plain, values)) or len(values) > LONGEST:
        return "{choices: [...]}" if isinstance(values, list | tuple) and values else ""
    return f"{{choices: [{', '.join(map(_shown, values))}]}}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return printable(str(value)[:40], keep="")
