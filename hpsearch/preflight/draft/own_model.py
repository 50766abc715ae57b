"""The part of a draft about a model of hpsearch's own, which is trained from scratch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from hpsearch.preflight.draft.plan import ModelPart, Plan, about
from hpsearch.preflight.draft.sets import Found
from hpsearch.preflight.draft.sizes import Sizes, sizes
from hpsearch.preflight.draft.writing import Line
from hpsearch.trainers.causal_lm.ranges import RULES, Facts, recommended
from hpsearch.trainers.causal_lm.rules import STEP_LAW


def own_model(every: Sequence[Found], plan: Plan) -> ModelPart:
    """Tokenizer, model, training and evaluation by the size of the data and by the budget."""
    measured = sizes(every)
    facts = _facts(every, measured, plan)
    lines = [
        _tokenizer(measured),
        Line("model", under=list(_model(every, measured, facts))),
        Line("training", under=list(_training(facts))),
    ]
    if measured.new_tokens:
        lines.append(Line("evaluation", under=list(_evaluation(measured))))
    found = f"about {about(measured.tokens)} training tokens; to be trained on {plan.machine.words}"
    return ModelPart(tuple(lines), (found,))


def _facts(every: Sequence[Found], measured: Sizes, plan: Plan) -> Facts:
    tasks = {one.task for one in every}
    base = Facts(
        tokens=measured.tokens,
        targets=measured.targets,
        rows=0,
        labels=tasks == {"classification"},
        pairs="translation" in tasks,
        vocab_size=measured.vocab_size or 256,
        flops=plan.budget.flops(plan.machine),
    )
    context = _context(measured, base)
    rows = measured.examples + math.ceil(measured.running / context)
    return replace(base, rows=max(1, rows))


def _context(measured: Sizes, facts: Facts) -> int:
    """Enough for the examples, and with running text for what its size asks."""
    return max(measured.context or 0, facts.size.context if measured.running else 0)


def _tokenizer(measured: Sizes) -> Line:
    if not measured.vocab_size:
        return Line("tokenizer", {"kind": "bytes"}, "too little text to learn a vocabulary from")
    why = f"for {measured.n_bytes / 1e6:.2g} MB of training text; grows with its square root (Heaps' law)"
    return Line("tokenizer", {"kind": "bpe", "vocab_size": measured.vocab_size}, why)


def _model(every: Sequence[Found], measured: Sizes, facts: Facts) -> Iterator[Line]:
    for_size = f"for about {about(measured.tokens)} training tokens"
    for key, why in (("n_layers", for_size), ("width", ""), ("n_heads", "")):
        yield Line(key, recommended(facts)["model", key].written, why)
    context = _context(measured, facts)
    if measured.context is None or context > measured.context:
        yield Line("context", context, "tokens; longer text is cut into sequences")
    else:
        why = f"99% of the examples have at most {measured.longest} tokens"
        yield Line("context", measured.context, why + (f"; {measured.cut / 10:g}% are cut" if measured.cut else ""))
    yield Line("dropout", recommended(facts)["model", "dropout"].written, "helps where data repeat, arXiv 2305.13230")


def _training(facts: Facts) -> Iterator[Line]:
    whys = {
        "learning_rate": RULES["training", "learning_rate"].source,
        "batch_size": f"near what {STEP_LAW}, recommends for so many tokens",
        "epochs": _why_epochs(facts),
        "weight_decay": RULES["training", "weight_decay"].source,
    }
    for key, why in whys.items():
        yield Line(key, recommended(facts)["training", key].written, why)


def _why_epochs(facts: Facts) -> str:
    if facts.epochs[1] < replace(facts, flops=math.inf).epochs[1]:
        return "as many as the budget allows; more hours or a GPU allow more"
    return "small data are read several times; validation says when that is too often"


def _evaluation(measured: Sizes) -> Iterator[Line]:
    yield Line("decode_every", 5, "decoding is slow: at every 5th of the 20 evaluations")
    yield Line("max_new_tokens", measured.new_tokens, "half as long again as the targets in the data")
