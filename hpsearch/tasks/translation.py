"""Translation: pairs, trained as source -> target, scored by BLEU and chrF of the decoded target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hpsearch.config import Column, Truncate
from hpsearch.data.splits import Example
from hpsearch.data.truncation import Cut
from hpsearch.metrics.translation import ORDER, Scoring, unavailable
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.measure import Measure, Model, Scores, examples_sample
from hpsearch.tasks.metric import Metric
from hpsearch.tasks.task import TaskSet

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import Arrays, CorpusSet, Encoder

NAME = "translation"


class TranslationSet(TaskSet):
    """Pairs, trained as source -> target, scored by BLEU and chrF of the decoded target."""

    target_key: ClassVar[str | None] = "target"
    reads_aligned_files: ClassVar[bool] = True
    later_keys: ClassVar[tuple[str, ...]] = ("truncate",)
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "bleu",
            best=100.0,
            chance=(2.0, 10.0),
            known_as="chrf",
            constant="no output shares as many words in a row with its reference as BLEU counts: train longer, see "
            "that evaluation.bleu_tokenize fits the language, or take val/chrf, which counts letters",
        ),
        Metric(
            "chrf",
            best=100.0,
            constant="the outputs are empty or share no letters with the references: train longer",
        ),
        Metric("ter", "minimize", best=0.0, constant="the outputs may be empty: train longer"),
        Metric("exact_match", constant="no output equals its reference: train longer, or take val/chrf or val/loss"),
    )

    task: Literal["translation"]
    source: str = "source"
    target: str = "target"
    truncate: Truncate = "right"

    def example_columns(self) -> dict[str, Column]:
        """The source and the target."""
        return {"source": self.source, "target": self.target}

    def encode(self, examples: list[Example], encoder: Encoder) -> Arrays:
        """Prompts of the source, and the target's tokens with an EOS."""
        return encoder.pairs([example["source"] for example in examples], [example["target"] for example in examples])

    def cut(self, *, context: int, max_new_tokens: int) -> Cut:
        """Reserves room for the decoded tokens and an EOS."""
        return Cut.of(context, room=max_new_tokens + 1, truncate=self.truncate)

    def unmeasurable(self, evaluation: EvaluationConfig) -> tuple[str, str] | None:
        """Whether sacrebleu cannot use the tokenizer that the config names."""
        wanted = evaluation.bleu_tokenize
        reason = None if wanted == "auto" else unavailable(wanted)
        return ("bleu_tokenize", f"sacrebleu cannot use '{wanted}' on this machine: {reason}") if reason else None

    def switched_off(self, metric: str, evaluation: EvaluationConfig) -> tuple[str, str] | None:
        """`ter: false` switches off TER."""
        return ("ter", "leave ter out, or write true") if metric == "ter" and evaluation.ter is False else None

    def measure(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Measure:
        """Decodes, and scores as the targets of the train split require."""
        return Decoded(_scoring(corpus_set, evaluation, metric))

    def doubts(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Iterator[str]:
        """Warns if BLEU is the objective and the targets have too few words for it."""
        if metric not in ("val/bleu", f"val/{corpus_set.name}/bleu"):
            return
        scoring = _scoring(corpus_set, evaluation, metric)
        if scoring.order < ORDER:
            longest = "single words" if scoring.order == 1 else f"up to {scoring.order} words in a row"
            yield (
                f"data.{corpus_set.name}: the targets are short (too few have {ORDER} words, as {scoring.tokenize} "
                f"counts them): BLEU compares {longest} there; {metric.removesuffix('bleu')}chrf tells such outputs "
                "apart better"
            )


@dataclass(frozen=True)
class Decoded(Measure):
    """Scores of decoded targets."""

    scoring: Scoring
    decodes = True

    def decode(self, model: Model) -> Scores:
        """BLEU, chrF and the like of the decoded examples, which are also the samples."""
        rows, hypotheses = model.decode()
        pairs = model.tokens
        references = [pairs.references[i] for i in rows]  # type: ignore[union-attr]
        metrics, signatures = self.scoring.score(hypotheses, references)
        shown = [
            {"source": pairs.sources[i], "reference": reference, "hypothesis": hypothesis}  # type: ignore[union-attr]
            for i, reference, hypothesis in zip(rows, references, hypotheses, strict=True)
        ]
        return Scores(metrics, examples_sample(NAME, shown), signatures)


def _scoring(corpus_set: CorpusSet, evaluation: EvaluationConfig, metric: str) -> Scoring:
    """The scoring of the set, chosen by the targets of its train split; TER is measured where it is the objective."""
    targets = corpus_set.splits["train"].references  # type: ignore[union-attr]
    return Scoring.of(
        targets, tokenize=evaluation.bleu_tokenize, ter=True if metric.endswith("/ter") else evaluation.ter
    )
