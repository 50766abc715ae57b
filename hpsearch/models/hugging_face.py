"""Models of others, by transformers: causal language models, sequence classifiers, encoder-decoders.

Weights are read from safetensors alone, no code of a model directory is run, and nothing is downloaded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpsearch.error_lines import first_line
from hpsearch.errors import UserError
from hpsearch.models.folder import ModelFolder
from hpsearch.models.generation import Generation, seed_of
from hpsearch.training.uses import SetUse

LOADERS = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
NO_LIMIT = 1 << 20  # tokens; transformers writes 1e30 where a tokenizer has no limit


class HuggingFaceModel:
    """A model and its tokenizer; the families below implement Backend of model.py."""

    def __init__(self, folder: ModelFolder, *, device: str) -> None:
        self.model = _loaded(LOADERS[folder.family], folder.path).to(device).eval()
        self.tokenizer: Any = _loaded("AutoTokenizer", folder.path)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        self.device = torch.device(device)
        limits = [n for n in (folder.context, self.tokenizer.model_max_length) if n is not None and n < NO_LIMIT]
        self.context: int | None = min(limits, default=None)
        self.uses: tuple[SetUse, ...] = (self._use(),)

    def _use(self) -> SetUse:
        raise NotImplementedError

    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The probabilities of the labels of each text, and which texts were cut."""
        raise NotImplementedError

    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The text that the model writes behind each text, and which texts were cut."""
        raise NotImplementedError

    def encoded(self, texts: Sequence[str], *, longest: int | None, side: str) -> tuple[dict[str, Tensor], list[bool]]:
        """The tokens of the texts with the tokenizer's special ones, padded on a side, and which texts were cut."""
        found = self.tokenizer(list(texts), verbose=False)["input_ids"]
        cut = [longest is not None and len(ids) > longest for ids in found]
        self.tokenizer.padding_side = side
        options = {"truncation": True, "max_length": longest} if any(cut) else {}
        batch = self.tokenizer(list(texts), padding=True, return_tensors="pt", **options)
        return {name: tensor.to(self.device) for name, tensor in batch.items()}, cut

    def generated(self, inputs: dict[str, Tensor], how: Generation, most: int, numbers: Sequence[int]) -> Tensor:
        """The tokens that the model generates for a batch; sampled ones by the seed and the batch's first number."""
        options: dict[str, Any] = {"do_sample": False, "max_new_tokens": most}
        if how.temperature:
            options |= {"do_sample": True, "temperature": how.temperature, "top_k": 0, "top_p": 1.0, "num_beams": 1}
        elif how.beam_size is not None:
            options["num_beams"] = how.beam_size
        with _seeded(how.seed, numbers[0], self.device):
            return self.model.generate(**inputs, pad_token_id=self.tokenizer.pad_token_id, **options)  # type: ignore[no-any-return]


class CausalModel(HuggingFaceModel):
    """A causal language model: it completes texts."""

    def _use(self) -> SetUse:
        return SetUse("text", "text", "text")

    @torch.inference_mode()
    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The continuations; of a long text its end is read, so that up to half the context is free."""
        most = how.tokens(0, self.context)
        room = None if self.context is None else self.context - min(most, self.context // 2)
        self.tokenizer.truncation_side = "left"
        inputs, cut = self.encoded([text or self._first for text in texts], longest=room, side="left")
        inputs.pop("token_type_ids", None)
        free = most if self.context is None else min(most, self.context - inputs["input_ids"].shape[1])
        tokens = self.generated(inputs, how, free, numbers)[:, inputs["input_ids"].shape[1] :]
        return self.tokenizer.batch_decode(tokens, skip_special_tokens=True), cut

    @property
    def _first(self) -> str:
        """In place of an empty text: the token that begins documents."""
        return str(self.tokenizer.bos_token or self.tokenizer.eos_token or " ")


class ClassifierModel(HuggingFaceModel):
    """A model with a head for labels."""

    def _use(self) -> SetUse:
        names = self.model.config.id2label
        labels = tuple(str(names[i]) for i in sorted(names))
        if len(labels) < 2 or self.model.config.problem_type in ("regression", "multi_label_classification"):
            what = self.model.config.problem_type or "one label"
            raise UserError(f"{self.model.config.name_or_path}: a model of {what}; allowed: one of several labels")
        return SetUse("text", "classification", "label", labels=labels, label_ids=tuple(range(len(labels))))

    @torch.inference_mode()
    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The softmax of the head; a text longer than the context is cut on the tokenizer's side."""
        logits, cut = self.logits(texts)
        return logits.double().softmax(-1).tolist(), cut

    @torch.inference_mode()
    def logits(self, texts: Sequence[str]) -> tuple[Tensor, list[bool]]:
        """The logits (B, labels) of the head, and which texts were cut."""
        inputs, cut = self.encoded(texts, longest=self.context, side=self.tokenizer.padding_side)
        return self.model(**inputs).logits, cut


class Seq2SeqModel(HuggingFaceModel):
    """An encoder-decoder: it translates, or answers otherwise."""

    def _use(self) -> SetUse:
        return SetUse("text", "translation", "pair")

    @torch.inference_mode()
    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The decoder's texts."""
        inputs, cut = self.encoded(texts, longest=self.context, side=self.tokenizer.padding_side)
        inputs.pop("token_type_ids", None)
        most = how.tokens(0, self.context)
        limit = most if self.context is None else min(most, self.context - 1)  # the decoder's first token counts
        tokens = self.generated(inputs, how, limit, numbers)
        return self.tokenizer.batch_decode(tokens, skip_special_tokens=True), cut


FAMILIES = {"causal": CausalModel, "classifier": ClassifierModel, "seq2seq": Seq2SeqModel}


def backend(folder: ModelFolder, *, device: str) -> HuggingFaceModel:
    """Loads the model of a directory; raises UserError if transformers is missing or cannot read it."""
    return FAMILIES[folder.family](folder, device=device)


def _loaded(loader: str, path: Path) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"{path}: only transformers reads this model, and it is not installed: pip install transformers"
        ) from error
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if loader != "AutoTokenizer":
        options |= {"use_safetensors": True, "dtype": torch.float32}
    try:
        with _quiet():
            return getattr(transformers, loader).from_pretrained(path, **options)
    except Exception as error:  # transformers raises what it meets: OSError, ValueError, KeyError, RuntimeError, ...
        raise UserError(f"{path}: transformers cannot load it ({first_line(error)})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' bars and reports."""
    from transformers.utils import logging as module

    logging: Any = module  # half typed
    before, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if had_bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _seeded(seed: int, number: int, device: torch.device) -> Iterator[None]:
    """Random numbers by the seed and the number of the batch's first text; the process's own state comes back."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_of(seed, number))
        yield
