"""Translation: pairs, trained as source -> target, scored by BLEU and chrF of the decoded target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from hpsearch.config import Column, Truncate
from hpsearch.data.splits import Example
from hpsearch.data.truncation import Cut
from hpsearch.tasks.baseline import Baseline, Measurement
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.measure import Measure, Model, Scores, examples_sample, sample_rows
from hpsearch.tasks.metric import Metric
from hpsearch.tasks.scores.translation import ORDER, Scoring, unavailable
from hpsearch.tasks.task import TaskSet

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import Arrays, CorpusSet, Encoder, PairTokens
    from hpsearch.data.tokenizer import AnyTokenizer

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
            about="BLEU of the decoded targets, 0 to 100: the words in a row that they share with the references",
        ),
        Metric(
            "chrf",
            best=100.0,
            constant="the outputs are empty or share no letters with the references: train longer",
            about="chrF of the decoded targets, 0 to 100: the letters in a row that they share with the references",
        ),
        Metric(
            "ter",
            "minimize",
            best=0.0,
            constant="the outputs may be empty: train longer",
            about="translation edit rate: 100 times the edits per word of the reference",
        ),
        Metric(
            "exact_match",
            constant="no output equals its reference: train longer, or take val/chrf or val/loss",
            about="the share of the decoded targets that equal their reference, 0 to 1",
        ),
    )

    task: Literal["translation"] = Field(
        description="`translation`: pairs, trained as source to target, scored by BLEU and chrF of the decoded target",
    )
    source: str = Field(
        "source",
        description=(
            "the column of the sources; nested ones as `translation.de`, or `de` where one column has that field"
        ),
        examples=["de"],
    )
    target: str = Field("target", description="the column of the targets", examples=["en"])
    truncate: Truncate = Field(
        "right",
        description=(
            "the part that a source or text too long for the context loses: its end (`right`), its beginning "
            "(`left`) or its `middle`"
        ),
        examples=["left"],
    )

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
        return Decoded(_scoring(corpus_set, evaluation, metric), metric.rpartition("/")[2])

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

    def baselines(
        self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, tokenizer: AnyTokenizer, metric: str
    ) -> Sequence[Baseline]:
        """A copy of the source, on the examples that an evaluation decodes."""
        from hpsearch.tasks import trivial  # numpy

        valid: PairTokens = corpus_set.splits["valid"]  # type: ignore[assignment]

        def by_copy() -> Measurement:
            rows = sample_rows(len(valid), evaluation.decode_sample)
            copies = trivial.Known(valid, outputs=(rows, [valid.sources[i] for i in rows]))
            return trivial.scores(self.measure(corpus_set, evaluation, metric=metric), copies)

        return [Baseline("a copy of the source", by_copy)]


@dataclass(frozen=True)
class Decoded(Measure):
    """Scores of decoded targets."""

    scoring: Scoring
    metric: str = "bleu"  # the objective's, without the names of its split and set
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
        left = self.scoring.replicates(hypotheses, references, metric=self.metric)
        return Scores(metrics, examples_sample(NAME, shown), signatures, left)


def _scoring(corpus_set: CorpusSet, evaluation: EvaluationConfig, metric: str) -> Scoring:
    """The scoring of the set, chosen by the targets of its train split; TER is measured where it is the objective."""
    targets = corpus_set.splits["train"].references  # type: ignore[union-attr]
    return Scoring.of(
        targets, tokenize=evaluation.bleu_tokenize, ter=True if metric.endswith("/ter") else evaluation.ter
    )
