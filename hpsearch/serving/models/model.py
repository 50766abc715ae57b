"""`load`: a model directory as an object that is called with texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Unpack, overload

from hpsearch.errors import UserError
from hpsearch.launchers.devices import devices
from hpsearch.serving.models.folder import ModelFolder, read_folder
from hpsearch.serving.models.generation import Generation, Options
from hpsearch.serving.models.predictions import Completion, Prediction, Translation, labelled
from hpsearch.training.uses import SetUse

BATCH_SIZE = 32


class Backend(Protocol):
    """A model with its tokenizer on a device."""

    uses: tuple[SetUse, ...]

    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The probabilities of `use.labels` for each text, and which texts were cut."""
        ...

    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The text that the model writes behind each text, and which texts were cut; numbers: for the seeds."""
        ...


class Model:
    """A model that answers texts; `load_model` makes it.

    `uses` has what it is for, by data set: a `kind` ("text": it completes, "pair": it translates, "label": it labels)
    and the `labels`.
    """

    def __init__(self, folder: ModelFolder, backend: Backend) -> None:
        self.folder, self.backend = folder, backend
        self.uses = {use.name: use for use in backend.uses}

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a text is an iterable of texts, too
        self, texts: str, *, set: str | None = ..., **how: Unpack[Options]
    ) -> Prediction: ...
    @overload
    def __call__(
        self, texts: Iterable[str], *, set: str | None = ..., batch_size: int = ..., **how: Unpack[Options]
    ) -> list[Prediction]: ...
    def __call__(
        self,
        texts: str | Iterable[str],
        *,
        set: str | None = None,
        batch_size: int = BATCH_SIZE,
        **how: Unpack[Options],
    ) -> Prediction | list[Prediction]:
        """The prediction of a text, or those of several in their order; see `stream`."""
        if isinstance(texts, str):
            return next(self.stream([texts], set=set, **how))
        return list(self.stream(texts, set=set, batch_size=batch_size, **how))

    def stream(
        self, texts: Iterable[str], *, set: str | None = None, batch_size: int = BATCH_SIZE, **how: Unpack[Options]
    ) -> Iterator[Prediction]:
        """Yields the prediction of each text, a batch of texts at a time.

        set: whose use of the model, where it has several. max_new_tokens, temperature, seed, beam_size: how it writes
        (generation.py); a model that labels ignores them. A text longer than the model reads is cut as in the training
        (a continuation reads its end), and its prediction says `truncated`. Raises UserError for an unknown set or an
        option that is not allowed.
        """
        use, found = self.use(set), Generation(**how)
        if type(batch_size) is not int or batch_size < 1:
            raise UserError(f"batch_size: {batch_size!r} is not allowed; allowed: a whole number of at least 1")
        return self._stream(use, iter(texts), found, batch_size)

    def use(self, name: str | None = None, task: str | None = None) -> SetUse:
        """The use for a set or a task, or the only one; raises UserError if it is unknown or not the only one."""
        found = [use for use in self.uses.values() if name in (None, use.name) and task in (None, use.task)]
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{use.name} ({use.task})" for use in self.uses.values())
        wanted = " and ".join(repr(word) for word in (name, task) if word is not None)
        if not found:
            raise UserError(f"{self.folder.path}: set {wanted} is none of the model's; allowed: {there}")
        raise UserError(f"{self.folder.path}: the model has several sets, name one (--set, in Python set=): {there}")

    def data_set(self, name: str) -> dict[str, Any]:
        """A set of the training as its space file had it; empty where that is unknown."""
        return (self.folder.trained.get("data") or {}).get(name) or {}

    def column(self, name: str) -> str:
        """The column of a set's texts in the training; "text" where that is unknown."""
        known = self.data_set(name)
        default = "source" if self.uses[name].kind == "pair" else "text"
        found = known.get(default, default)
        return found if isinstance(found, str) else default

    def _stream(self, use: SetUse, texts: Iterator[str], how: Generation, batch_size: int) -> Iterator[Prediction]:
        first = 0
        while batch := list(islice(texts, batch_size)):
            yield from self._predicted(use, batch, how, range(first, first + len(batch)))
            first += len(batch)

    def _predicted(
        self, use: SetUse, texts: list[str], how: Generation, numbers: Sequence[int]
    ) -> Iterator[Prediction]:
        if use.kind == "label":
            found, cut = self.backend.probabilities(use, texts)
            for text, values, is_cut in zip(texts, found, cut, strict=True):
                yield labelled(text, use.labels, values, is_cut)
            return
        written, cut = self.backend.write(use, texts, how, numbers)
        kind = Completion if use.kind == "text" else Translation
        for text, answer, is_cut in zip(texts, written, cut, strict=True):
            yield kind(text, answer, is_cut)


def load(path: Path, *, device: str = "auto") -> Model:
    """Loads a model directory; raises UserError, in one line, if it is none, or a package or the device is missing."""
    folder = read_folder(path)
    place = devices(device)[0]
    if folder.family == "hpsearch":
        from hpsearch.serving.models.own import OwnModel  # torch

        return Model(folder, OwnModel(folder, device=place))
    from hpsearch.serving.models.hugging_face import backend

    return Model(folder, backend(folder, device=place))
