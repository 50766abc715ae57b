"""Running text, trained by next-token prediction, scored by perplexity and bits per byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from hpsearch.config import Column
from hpsearch.data.splits import Example
from hpsearch.tasks.baseline import Baseline, Measurement, sampled
from hpsearch.tasks.evaluation import EvaluationConfig
from hpsearch.tasks.measure import Measure
from hpsearch.tasks.task import TaskSet

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import Arrays, CorpusSet, Encoder, TextTokens
    from hpsearch.data.tokenizer import AnyTokenizer


class TextSet(TaskSet):
    """Running text, trained by next-token prediction, scored by perplexity and bits per byte."""

    has_prompts: ClassVar[bool] = False
    reads_text_files: ClassVar[bool] = True
    form_keys: ClassVar[tuple[str, ...]] = ("lines",)

    task: Literal["text"] = Field(
        description="`text`: running text, trained by next-token prediction, scored by perplexity and bits per byte",
    )
    text: Column = Field(
        "text",
        description=(
            "the column of the texts; nested ones as `meta.body`. A list of columns: their texts are joined by line "
            "ends, missing ones are left out"
        ),
        examples=["body", ["title", "body"]],
    )
    lines: bool = Field(False, description="each line of a .txt file is an example", examples=[True])

    def example_columns(self) -> dict[str, Column]:
        """The text."""
        return {"text": self.text}

    @property
    def lines_are_examples(self) -> bool:
        """Whether each line of a .txt file is an example."""
        return self.lines

    def encode(self, examples: list[Example], encoder: Encoder) -> Arrays:
        """The documents, an EOS before each."""
        return encoder.running_text([example["text"] for example in examples])

    def baselines(
        self, corpus_set: CorpusSet, evaluation: EvaluationConfig, *, tokenizer: AnyTokenizer, metric: str
    ) -> Sequence[Baseline]:
        """The frequencies of the tokens, and a compressor that has seen the train text."""
        from hpsearch.tasks import compression, trivial  # numpy

        train: TextTokens = corpus_set.splits["train"]  # type: ignore[assignment]
        valid: TextTokens = corpus_set.splits["valid"]  # type: ignore[assignment]

        def by_frequency() -> Measurement:
            return trivial.scores(Measure(), trivial.unigrams(train, valid, tokenizer.vocab_size))

        def by_compressor() -> Measurement:
            seen = compression.text_of(train, tokenizer, compression.SEEN)
            text = compression.text_of(valid, tokenizer, compression.TEXT)
            return trivial.scores(Measure(), trivial.compressed(valid, compression.bits_per_byte(seen, text)))

        note = sampled(train.n_bytes, compression.SEEN, "bytes")
        return [
            Baseline("the frequencies of the tokens", by_frequency),
            Baseline("the better compressor of bz2 and lzma", by_compressor, note),
        ]
