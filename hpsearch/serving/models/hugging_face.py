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

from hpsearch.config import Truncate
from hpsearch.data.truncation import Cut
from hpsearch.errors import UserError
from hpsearch.output.error_lines import first_line
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.serving.models.generation import Generation, seed_of
from hpsearch.training.uses import SetUse

LOADERS = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
MISSING = 3  # weights that a message names
NO_LIMIT = 1 << 20  # tokens; transformers writes 1e30 where a tokenizer has no limit


class HuggingFaceModel:
    """A model and its tokenizer; the families below implement Backend of model.py."""

    def __init__(self, folder: ModelFolder, *, device: str) -> None:
        self.model = _loaded(LOADERS[folder.family], folder.path).to(device).eval()
        self.tokenizer: Any = _loaded("AutoTokenizer", folder.path)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.unk_token
        if self.model.config.pad_token_id is None:  # by it the head of a decoder finds a text's last token
            self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.device = torch.device(device)
        tuned = folder.trained.get("model") or {}  # of a fine-tuning of hpsearch
        limits = [folder.context, self.tokenizer.model_max_length, tuned.get("context")]
        self.context: int | None = min((n for n in limits if n is not None and n < NO_LIMIT), default=None)
        self.prefix = str(tuned.get("prefix") or "")  # before each text
        self.chats = bool(tuned.get("chat_template"))
        self.trained: dict[str, Any] = folder.trained.get("data") or {}  # the sets of that fine-tuning
        self.sets = {name: str(one.get("task")) for name, one in self.trained.items()}
        training = folder.trained.get("training") or {}
        self.precision = str(training.get("precision") or "auto") if self.sets else "fp32"  # of its evaluations
        self.evaluation: dict[str, Any] = (folder.trained.get("evaluation") or {}) if self.sets else {}
        self.objective = str((folder.trained.get("objective") or {}).get("metric", ""))  # of that fine-tuning
        self._answered = folder.answers
        self.uses: tuple[SetUse, ...] = (self._use(),)

    def _use(self) -> SetUse:
        raise NotImplementedError

    def _named(self, task: str) -> str:
        """The name of the only set of the task in the training, if hpsearch trained the model."""
        names = [name for name, one in self.sets.items() if one == task]
        return names[0] if len(names) == 1 else "text"

    def _answers(self, name: str, task: str) -> SetUse:
        """The use of a model that answers with texts: as hpsearch tuned it, decoded as in its evaluations."""
        known = {key: self.evaluation[key] for key in ("max_new_tokens", "beam_size") if key in self.evaluation}
        return SetUse(name, task, "pair", truncate=self._truncate(name), **known)

    def _truncate(self, name: str) -> Truncate:
        """The part that a long text of a set lost in the fine-tuning."""
        found: Truncate = (self.trained.get(name) or {}).get("truncate") or "right"
        return found

    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The probabilities of the labels of each text, and which texts were cut."""
        raise NotImplementedError

    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The text that the model writes behind each text, and which texts were cut."""
        raise NotImplementedError

    def encoded(
        self, texts: Sequence[str], *, longest: int | None, side: str, truncate: Truncate = "right"
    ) -> tuple[dict[str, Tensor], list[bool]]:
        """The tokens of the texts with the tokenizer's special ones, padded on a side, and which texts were cut.

        truncate: the part that a long text loses, as in the fine-tuning of hpsearch; other models cut as their
        tokenizer does.
        """
        texts = [self.prefix + text for text in texts]
        found = self.tokenizer(texts, verbose=False)["input_ids"]
        if not all(found):
            texts = [text if ids else self._first for text, ids in zip(texts, found, strict=True)]
            found = self.tokenizer(texts, verbose=False)["input_ids"]
        cut = [longest is not None and len(ids) > longest for ids in found]
        self.tokenizer.padding_side = side
        if self.sets and longest is not None and any(cut):
            batch = self._padded([Cut(longest, longest, truncate).prompt(ids) for ids in found], side=side)
            return {name: tensor.to(self.device) for name, tensor in batch.items()}, cut
        options = {"truncation": True, "max_length": longest} if any(cut) else {}
        batch = self.tokenizer(texts, padding=True, return_tensors="pt", **options)
        return {name: tensor.to(self.device) for name, tensor in batch.items()}, cut

    @property
    def _first(self) -> str:
        """In place of a text without tokens: the token that begins documents, else another special one."""
        kinds = ("bos_token", "cls_token", "eos_token", "sep_token", "unk_token")
        return next((str(found) for kind in kinds if (found := getattr(self.tokenizer, kind, None))), " ")

    def _padded(self, rows: list[list[int]], *, side: str) -> dict[str, Tensor]:
        """Tokens padded on a side, and their attention mask."""
        width, pad = max(map(len, rows)), self.tokenizer.pad_token_id
        ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(width - len(row), width) if side == "left" else slice(0, len(row))
            ids[i, where], mask[i, where] = torch.tensor(row, dtype=torch.long), 1
        return {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}

    def generated(
        self, use: SetUse, inputs: dict[str, Tensor], how: Generation, most: int, numbers: Sequence[int]
    ) -> Tensor:
        """The tokens that the model generates for a batch; sampled ones by the seed and the batch's first number."""
        options: dict[str, Any] = {"do_sample": False, "max_new_tokens": most}
        if how.temperature:
            options |= {"do_sample": True, "temperature": how.temperature, "top_k": 0, "top_p": 1.0, "num_beams": 1}
        elif self.evaluation or how.beam_size is not None:  # else as its generation_config says
            options["num_beams"] = how.beams(use.beam_size)
        with _seeded(how.seed, numbers[0], self.device):
            return self.model.generate(**inputs, pad_token_id=self.tokenizer.pad_token_id, **options)  # type: ignore[no-any-return]


class CausalModel(HuggingFaceModel):
    """A causal language model: it completes texts, or answers those of the data set that hpsearch tuned it on.

    A data set of labels is answered with a label's name, as the text that the model writes.
    """

    def _use(self) -> SetUse:
        if self._answered is not None:
            return self._answers(*self._answered)
        return SetUse(self._named("text"), "text", "text")

    @torch.inference_mode()
    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The continuations; of a long text its end is read, so that up to half the context is free.

        An answer's prompt is that of trainers/huggingface, and loses its end before its last token where it is long.
        """
        most = how.tokens(use.max_new_tokens, self.context)
        room = None if self.context is None else self.context - min(most, self.context // 2)
        if use.kind == "pair":
            prompts = self._asked(texts)
            cut = [room is not None and len(ids) > room for ids in prompts]
            if room is not None:
                prompts = [Cut(room, room, use.truncate).prompt(ids) for ids in prompts]
            inputs = self._padded(prompts, side="left")
        else:
            self.tokenizer.truncation_side = "left"
            inputs, cut = self.encoded(texts, longest=room, side="left")
        inputs.pop("token_type_ids", None)
        width = inputs["input_ids"].shape[1]
        limit = most if self.context is None else min(most, self.context - width)
        tokens = self.generated(use, inputs, how, limit, numbers)
        written = self.tokenizer.batch_decode(tokens[:, width:], skip_special_tokens=True)
        return [text.strip() for text in written] if use.kind == "pair" else written, cut

    def _asked(self, texts: Sequence[str]) -> list[list[int]]:
        """The texts as the fine-tuning had them before their answers."""
        asked = [self.prefix + text for text in texts]
        if self.chats:
            asked = [self._chat(text) for text in asked]
        ids: list[list[int]] = self.tokenizer(asked, add_special_tokens=False, verbose=False)["input_ids"]
        if self.chats:
            return ids
        first = self.tokenizer("")["input_ids"][:1]
        begin = first if first == [self.tokenizer.bos_token_id] else []
        end = self.tokenizer("\n", add_special_tokens=False)["input_ids"]
        return [[*begin, *one, *end] for one in ids]

    def _chat(self, text: str) -> str:
        messages = [{"role": "user", "content": text}]
        return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))


class ClassifierModel(HuggingFaceModel):
    """A model with a head for labels."""

    def _use(self) -> SetUse:
        names = self.model.config.id2label
        labels = tuple(str(names[i]) for i in sorted(names))
        if len(labels) < 2 or self.model.config.problem_type in ("regression", "multi_label_classification"):
            what = self.model.config.problem_type or "one label"
            raise UserError(f"{self.model.config.name_or_path}: a model of {what}; allowed: one of several labels")
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise UserError(f"{self.model.config.name_or_path}: two of its outputs have the label {twice!r}")
        name, ids = self._named("classification"), tuple(range(len(labels)))
        return SetUse(name, "classification", "label", truncate=self._truncate(name), labels=labels, label_ids=ids)

    @torch.inference_mode()
    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The softmax of the head; a longer text is cut as in its fine-tuning, else on the tokenizer's side."""
        logits, cut = self.logits(texts)
        return logits.double().softmax(-1).tolist(), cut

    @torch.inference_mode()
    def logits(self, texts: Sequence[str]) -> tuple[Tensor, list[bool]]:
        """The logits (B, labels) of the head, and which texts were cut."""
        options: dict[str, Any] = {"side": self._side, "truncate": self.uses[0].truncate}
        inputs, cut = self.encoded(texts, longest=self.context, **options)
        return self.model(**inputs).logits, cut

    @property
    def _side(self) -> str:
        """Where texts are padded: on the right, where no position or label depends on the others of a batch.

        XLNet reads a text's label at the last place of all.
        """
        return "left" if getattr(self.model.config, "summary_type", None) == "last" else "right"


class Seq2SeqModel(HuggingFaceModel):
    """An encoder-decoder: it translates, or answers otherwise."""

    def _use(self) -> SetUse:
        return self._answers(self._named("translation"), "translation")

    @torch.inference_mode()
    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The decoder's texts."""
        options: dict[str, Any] = {"side": self.tokenizer.padding_side, "truncate": use.truncate}
        inputs, cut = self.encoded(texts, longest=self.context, **options)
        inputs.pop("token_type_ids", None)
        most = how.tokens(use.max_new_tokens, self.context)
        limit = most if self.context is None else min(most, self.context)  # the last token is not read
        tokens = self.generated(use, inputs, how, limit, numbers)
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
            f"{path}: only transformers reads this model, and it is not installed: pip install 'hpsearch[hf]'"
        ) from error
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    is_model = loader != "AutoTokenizer"
    if is_model:
        options |= {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
    try:
        with _quiet():
            found = getattr(transformers, loader).from_pretrained(path, **options)
    except Exception as error:  # transformers raises what it meets: OSError, ValueError, KeyError, RuntimeError, ...
        raise UserError(f"{path}: transformers cannot load it ({first_line(error)})") from error
    if not is_model:
        return found
    model, about = found
    if missing := sorted(about["missing_keys"]):
        more = f" and {len(missing) - MISSING} more" if len(missing) > MISSING else ""
        raise UserError(f"{path}: its weights lack {', '.join(missing[:MISSING])}{more}, which would be random ones")
    return model


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
