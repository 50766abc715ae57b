"""Running text, trained by next-token prediction, scored by perplexity and bits per byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from hpsearch.config import Column
from hpsearch.data.splits import Example
from hpsearch.tasks.task import TaskSet

if TYPE_CHECKING:  # numpy takes its time to import, and a config is read without it
    from hpsearch.data.token_arrays import Arrays, Encoder


class TextSet(TaskSet):
    """Running text, trained by next-token prediction, scored by perplexity and bits per byte."""

    has_prompts: ClassVar[bool] = False
    reads_text_files: ClassVar[bool] = True
    form_keys: ClassVar[tuple[str, ...]] = ("lines",)

    task: Literal["text"]
    text: Column = "text"  # if the file has columns
    lines: bool = False  # of .txt files: each line is an example

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
