"""A task: the section of a config that names it, and the methods that trainers call.

A new task is one file: a subclass of `TaskSet` with a field `task: Literal[NAME]`, listed in tasks/__init__.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from hpsearch.data.encodable_set import EncodableSet
from hpsearch.data.truncation import Cut
from hpsearch.tasks.baseline import Baseline
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.measure import Measure
from hpsearch.tasks.metric import Metric

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import CorpusSet
    from hpsearch.data.tokenizer import AnyTokenizer


class TaskSet(EncodableSet):
    """A data set with its task: columns (`example_columns`), encoding (`encode`), metrics, measuring, samples."""

    METRICS: ClassVar[tuple[Metric, ...]] = ()  # of the task, beside the losses; `metrics` has those of a set

    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of this set, beside the losses."""
        return self.METRICS

    def lacks_metric(self, name: str, metric: str) -> str:
        """How to get a metric of the task that this set (`name` in the config) lacks; empty if it cannot be had."""
        return ""

    def unmeasurable(self, evaluation: EvaluationConfig) -> tuple[str, str] | None:
        """(key of `evaluation`, reason) if this machine cannot measure the set; else None."""
        return None

    def switched_off(self, metric: str, evaluation: EvaluationConfig) -> tuple[str, str] | None:
        """(key of `evaluation`, remedy) if that key switches off the metric; else None."""
        return None

    def measure(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Measure:
        """How the set is measured; `metric`: the objective, as in val/bleu or val/NAME/bleu."""
        return Measure()

    def doubts(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Iterator[str]:
        """Warnings about the metrics on these data, a line each; raises DataError if they cannot be measured."""
        yield from ()

    def baselines(
        self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, tokenizer: AnyTokenizer, metric: str
    ) -> Sequence[Baseline]:
        """Trivial models to compare the winner with; their metrics are named as those of `measure` (f1_macro)."""
        return ()

    def cut(self, *, context: int, max_new_tokens: int) -> Cut:
        """How examples longer than the context are truncated; reserves room for the decoded tokens."""
        return Cut.of(context, room=max_new_tokens + 1)  # and the end token
