"""Classification: labelled text, trained as text -> label, scored by F1 and accuracy of the most likely label."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hpsearch.config import Column, Truncate
from hpsearch.data.splits import LABEL, Example
from hpsearch.data.truncation import Cut
from hpsearch.errors import DataError
from hpsearch.tasks.baseline import Baseline, Measurement, sampled
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.measure import Measure, Model, Scores, confusion_sample, sample_rows
from hpsearch.tasks.metric import Metric
from hpsearch.tasks.scores import classification as metrics_of
from hpsearch.tasks.scores.losses import Sums
from hpsearch.tasks.task import TaskSet

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import Arrays, CorpusSet, Encoder, PairTokens
    from hpsearch.data.tokenizer import AnyTokenizer

NAME = "classification"
NAMED = 10  # labels that a message about an unknown label names
MISSING = 5  # labels that a message about missing labels names
ONE_LABEL = (
    "the models may answer one label whatever the text: train longer, or take val/loss, which changes before that"
)
OF_POSITIVE = tuple(
    Metric(name, constant=ONE_LABEL, about=about)
    for name, about in (
        ("f1", "F1 of the label `positive`, 0 to 1: the harmonic mean of its precision and recall"),
        ("precision", "of the texts that are given the label `positive`, the share that have it"),
        ("recall", "of the texts that have the label `positive`, the share that are given it"),
    )
)
_OF_ALL = {
    "f1_macro": "the mean F1 of all labels, 0 to 1: each label counts the same, however rare",
    "f1_micro": "F1 over all decisions, 0 to 1: with one label a text it equals the accuracy",
    "f1_weighted": "the mean F1 of all labels, weighted by their frequency",
    "accuracy": "the share of the texts whose most likely label is the right one, 0 to 1",
}


class ClassificationSet(TaskSet):
    """Labelled text, trained as text -> label, scored by F1 and accuracy of the most likely label."""

    target_key: ClassVar[str | None] = LABEL
    later_keys: ClassVar[tuple[str, ...]] = ("truncate", "positive")
    METRICS: ClassVar[tuple[Metric, ...]] = (
        *(Metric(name, constant=ONE_LABEL, about=about) for name, about in _OF_ALL.items()),
        Metric(
            "mcc",
            constant=ONE_LABEL,
            chance=(0.1, 0.3),
            known_as="f1_macro",
            chosen_by="f1_macro",
            perfect_by="accuracy",  # with a single label mcc is 0 for a perfect model
            about="Matthews correlation of labels and answers: 1 perfect, 0 chance",
        ),
        *OF_POSITIVE,
    )

    task: Literal["classification"] = Field(
        description=(
            "`classification`: labelled text, trained as text to label, scored by F1 and accuracy of the most "
            "likely label"
        ),
    )
    text: Column = Field(
        "text",
        description=(
            "the column of the texts; nested ones as `meta.body`. A list of columns: their texts are joined by "
            "line ends, missing ones are left out"
        ),
        examples=["body", ["title", "body"]],
    )
    label: str = Field(
        "label",
        description="the column of the classes: text, whole numbers or booleans",
        examples=["category"],
    )
    truncate: Truncate = Field(
        "right",
        description=(
            "the part that a source or text too long for the context loses: its end (`right`), its beginning "
            "(`left`) or its `middle`"
        ),
        examples=["left"],
    )
    positive: str | int | bool | None = Field(
        None,
        description="the label for which `f1`, `precision` and `recall` are measured",
        examples=["spam"],
    )

    @field_validator("positive", mode="before")
    @classmethod
    def _one_label(cls, raw: Any) -> Any:
        if raw is None or isinstance(raw, str | int):
            return raw
        raise ValueError("must be one of the labels (text, a whole number, true or false)")

    def example_columns(self) -> dict[str, Column]:
        """The text and the label."""
        return {"text": self.text, LABEL: self.label}

    def encode(self, examples: list[Example], encoder: Encoder) -> Arrays:
        """Prompts of the text, and the token of the label."""
        return encoder.labelled([example["text"] for example in examples], [example[LABEL] for example in examples])

    def cut(self, *, context: int, max_new_tokens: int) -> Cut:
        """Reserves one token for the label."""
        return Cut.of(context, room=1, truncate=self.truncate)

    def metrics(self) -> tuple[Metric, ...]:
        """Adds f1, precision and recall if the set names `positive`."""
        return tuple(metric for metric in self.METRICS if self.positive is not None or metric not in OF_POSITIVE)

    def lacks_metric(self, name: str, metric: str) -> str:
        """f1, precision and recall need `positive`."""
        if metric not in (one.name for one in OF_POSITIVE):
            return ""
        return f"{metric} is of one label: name it as data.{name}.positive, or use val/f1_macro"

    def measure(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Measure:
        """Scores of the most likely labels."""
        return Labels(corpus_set.label_names, corpus_set.label_ids, self.positive_place(corpus_set))

    def doubts(self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, metric: str) -> Iterator[str]:
        """The highest macro-F1 on splits that lack labels: a missing label has F1 0 whatever is predicted."""
        self.positive_place(corpus_set)
        labels = corpus_set.label_names
        for part, split in corpus_set.splits.items():
            there = set(split.labels.tolist())  # type: ignore[union-attr]
            missing = [label for place, label in enumerate(labels) if place not in there]
            if missing:
                named = ", ".join(f"{label[:60]!r}" for label in missing[:MISSING])
                yield (
                    f"data.{corpus_set.name}: {len(missing)} of {len(labels)} labels are not in {part} "
                    f"({named}{', ...' * (len(missing) > MISSING)}): "
                    f"f1_macro can reach {len(there) / len(labels):.3g} at most there"
                )

    def baselines(
        self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, tokenizer: AnyTokenizer, metric: str
    ) -> Sequence[Baseline]:
        """The majority class, and TF-IDF with logistic regression."""
        from hpsearch.tasks import bag_of_words, trivial  # numpy

        train: PairTokens = corpus_set.splits["train"]  # type: ignore[assignment]
        valid: PairTokens = corpus_set.splits["valid"]  # type: ignore[assignment]
        measure, n_labels = self.measure(corpus_set, evaluation, metric=metric), len(corpus_set.label_names)

        def by_majority() -> Measurement:
            return trivial.scores(measure, trivial.frequencies(train, valid, n_labels))

        def by_words() -> Measurement:
            rows = sample_rows(len(train), bag_of_words.EXAMPLES)
            texts = [train.sources[i][: bag_of_words.LONGEST] for i in rows]
            labels = [int(train.labels[i]) for i in rows]  # type: ignore[index]
            found = bag_of_words.probabilities(texts, labels, valid.sources, n_labels)
            return trivial.scores(measure, trivial.labelled(valid, found))

        note = sampled(len(train), bag_of_words.EXAMPLES, "examples")
        return [
            Baseline("the majority class", by_majority),
            Baseline("TF-IDF with logistic regression", by_words, note),
        ]

    def positive_place(self, corpus_set: CorpusSet) -> int | None:
        """The index of `positive` among the labels, None if it is not given; raises DataError for an unknown label."""
        if self.positive is None:
            return None
        labels, wanted = corpus_set.label_names, str(self.positive)
        spellings = [wanted, wanted.lower()] if isinstance(self.positive, bool) else [wanted]
        for spelling in spellings:
            if spelling in labels:
                return labels.index(spelling)
        error = DataError(
            f"data.{corpus_set.name}.positive: no label {wanted!r} in the data; {_instead(wanted, labels)}"
        )
        error.data_set = corpus_set.name
        raise error


@dataclass(frozen=True)
class Labels(Measure):
    """Scores of the most likely label of each example."""

    names: list[str]
    ids: list[int]  # their tokens
    positive: int | None  # its index among them

    def score(self, model: Model) -> tuple[Sums, Scores]:
        """F1, accuracy and the like, with the confusion matrix as the sample."""
        sums, guesses = model.choices(self.ids)
        places = list(range(len(self.names)))
        truth, guessed = model.tokens.labels.tolist(), guesses.tolist()  # type: ignore[union-attr]
        counts = metrics_of.confusion(truth, guessed, places)
        found = metrics_of.scores(truth, guessed, places, positive=self.positive)
        left = metrics_of.replicates(truth, guessed, len(places), positive=self.positive)
        return sums, Scores(found, confusion_sample(NAME, self.names, counts), replicates=left)


def _instead(wanted: str, labels: Sequence[str]) -> str:
    if near := difflib.get_close_matches(wanted, labels, n=1, cutoff=0.6):
        return f"did you mean {near[0]!r}?"
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return f"there are {', '.join(map(repr, labels[:NAMED]))}{more}"
