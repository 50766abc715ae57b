"""Metrics of models that transformers reads, scored by the tasks as our own are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hpsearch.data.token_arrays import CorpusSet, PairTokens, TextTokens
from hpsearch.errors import DataError, UserError
from hpsearch.serving.models.examples import Examples
from hpsearch.serving.models.generation import Generation
from hpsearch.serving.models.hugging_face import CausalModel, ClassifierModel, HuggingFaceModel, Seq2SeqModel
from hpsearch.serving.models.own_measures import check_labels
from hpsearch.tasks.measure import Measure, Scores
from hpsearch.tasks.metric import of_head
from hpsearch.tasks.scores.losses import Sums
from hpsearch.training.device import autocast, fast_bf16
from hpsearch.training.evaluation import Measured

CONTEXT = 1024  # tokens of a window, for a model that names no limit
LOGITS = 1 << 26  # held at once
IGNORED = -100  # a target that is none, as transformers has it
AT_ONCE = 16  # texts that are labelled or translated at once


def measured(model: HuggingFaceModel, on: Examples, how: Generation) -> Measured:
    """The metrics of the model on the examples; raises UserError for a task that the model does not do."""
    allowed: dict[type[HuggingFaceModel], str] = {
        CausalModel: "text",
        ClassifierModel: "classification",
        Seq2SeqModel: "translation",
    }
    if on.section.task_name != allowed[type(model)]:
        raise UserError(
            f"data.{on.name}: {on.section.task_name} cannot be measured on this kind of model; "
            f"allowed: {allowed[type(model)]}"
        )
    adapter: Any = ADAPTERS[type(model)](model, on, how)
    measure = on.section.measure(adapter.corpus_set, on.evaluation, metric="val/loss")
    with autocast(precision(model), model.device):
        found = scored(measure, adapter)
    if isinstance(model, ClassifierModel):
        found.metrics = of_head(found.metrics, objective=model.objective)
    return found


def precision(model: HuggingFaceModel) -> str:
    """The precision of the products: that of the fine-tuning by hpsearch, float32 for other models."""
    wanted = model.precision
    return wanted if wanted in ("bf16", "fp32") else "bf16" if fast_bf16(model.device) else "fp32"


def scored(measure: Measure, model: Any) -> Measured:
    """The losses and all metrics of a model on one set."""
    sums, found = measure.score(model)
    decoded = measure.decode(model) if measure.decodes else Scores()
    samples = found.samples | decoded.samples
    return Measured(sums.metrics() | found.metrics | decoded.metrics, samples, decoded.signatures)


@dataclass(frozen=True)
class OnText:
    """A causal language model on running text (implements Model of tasks/measure.py).

    The documents are one row of tokens, each after the token that begins documents (else the one that ends them), cut
    into windows of the context; every token but the first is a target once, seen from the beginning of its window.
    """

    model: CausalModel
    on: Examples
    how: Generation

    @property
    def tokens(self) -> TextTokens:
        """The documents' tokens, and their bytes."""
        tokenizer = self.model.tokenizer
        begins = [tokenizer.bos_token_id, tokenizer.eos_token_id]
        if self.model.sets:  # hpsearch tuned it: documents stand after the end token
            begins.reverse()
        begin = next((token for token in begins if token is not None), None)
        first = [] if begin is None else [begin]
        texts = [example["text"] for example in self.on.examples]
        found = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        flat = np.array([token for ids in found for token in (*first, *ids)], np.int32)
        return TextTokens(flat, sum(len(text.encode()) for text in texts))

    @property
    def corpus_set(self) -> CorpusSet:
        """Nothing of it is needed to score running text."""
        return CorpusSet(self.on.name, "text", {})

    @torch.inference_mode()
    def losses(self) -> Sums:
        """The losses of all tokens but the first; raises DataError if there is no other one."""
        text = self.tokens
        if len(text.tokens) < 2:
            raise DataError(f"data.{self.on.name}: its text is a single token, which leaves none to predict")
        sums = Sums(n_bytes=text.n_bytes)
        for window in self.windows(torch.from_numpy(text.tokens.astype(np.int64))):
            logits = self.model.model(input_ids=window[:, :-1]).logits
            _count(sums, F.cross_entropy(logits.float().flatten(0, 1), window[:, 1:].flatten(), reduction="none"))
        return sums

    def windows(self, tokens: Tensor) -> Iterator[Tensor]:
        """Batches (B, T + 1) of windows that overlap by one token; the last window may be shorter."""
        context = min(self.model.context or CONTEXT, max(1, len(tokens) - 1))
        n_full = (len(tokens) - 1) // context
        rows = max(1, LOGITS // (context * self.model.model.config.get_text_config().vocab_size))
        full = tokens[: n_full * context + 1].unfold(0, context + 1, context)
        for start in range(0, n_full, rows):
            yield full[start : start + rows].to(self.model.device)
        if (rest := tokens[n_full * context :]).numel() > 1:
            yield rest[None].to(self.model.device)


class _OnPairs:
    """What classification and translation share: examples as tokens that only the texts of are used."""

    def __init__(self, model: Any, on: Examples, how: Generation) -> None:
        self.model, self.on, self.how = model, on, how
        self.first, self.second = on.section.example_columns()

    def pairs(self, examples: list[dict[str, str]], labels: Sequence[str] = ()) -> PairTokens:
        """The texts of examples; `labels`: of which their second texts are."""
        places = {label: i for i, label in enumerate(labels)}
        none = np.zeros(0, np.int32)
        return PairTokens(
            tokens=none,
            starts=np.zeros(len(examples) + 1, np.int64),
            prompt_lengths=none,
            target_bytes=none,
            labels=np.array([places.get(one[self.second], -1) for one in examples], np.int32) if labels else None,
            references=[one[self.second] for one in examples],
            sources=[one[self.first] for one in examples],
        )

    def batches(self) -> Iterator[list[dict[str, str]]]:
        """The examples, some at a time."""
        for start in range(0, len(self.on.examples), AT_ONCE):
            yield self.on.examples[start : start + AT_ONCE]

    def empty(self) -> Sums:
        """No losses yet, over the bytes of the second texts."""
        return Sums(n_bytes=sum(len(one[self.second].encode()) for one in self.on.examples))


class OnLabels(_OnPairs):
    """A sequence classifier on labelled texts."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The model's labels."""
        return tuple(self.model.uses[0].labels)

    @property
    def tokens(self) -> PairTokens:
        """The texts and the places of their labels."""
        check_labels(self.on, self.labels)
        return self.pairs(self.on.examples, self.labels)

    @property
    def corpus_set(self) -> CorpusSet:
        """The labels, as a task asks for them."""
        return CorpusSet(self.on.name, "classification", {}, list(self.labels), list(range(len(self.labels))))

    @torch.inference_mode()
    def choices(self, tokens: Sequence[int]) -> tuple[Sums, NDArray[np.int64]]:
        """The losses of the labels, and the likeliest label of each text."""
        truth, sums, guesses = self.tokens.labels, self.empty(), []
        assert truth is not None
        for batch in self.batches():
            logits, _ = self.model.logits([one[self.first] for one in batch])
            guesses += logits.argmax(-1).tolist()
            targets = torch.from_numpy(truth[len(guesses) - len(batch) : len(guesses)].astype(np.int64))
            _count(sums, F.cross_entropy(logits.float(), targets.to(logits.device), reduction="none"))
        return sums, np.array(guesses, np.int64)


class OnTranslations(_OnPairs):
    """An encoder-decoder on pairs."""

    @property
    def tokens(self) -> PairTokens:
        """The sources and their references."""
        return self.pairs(self.on.examples)

    @property
    def corpus_set(self) -> CorpusSet:
        """The references of the train split, by which the scoring is chosen."""
        return CorpusSet(self.on.name, "translation", {"train": self.pairs(self.on.reference)})

    @torch.inference_mode()
    def losses(self) -> Sums:
        """The losses of the references' tokens after their sources; of a long reference the first tokens."""
        sums = Sums()
        options: dict[str, Any] = {"side": self.model.tokenizer.padding_side, "truncate": self.model.uses[0].truncate}
        for batch in self.batches():
            inputs, _ = self.model.encoded([one[self.first] for one in batch], longest=self.model.context, **options)
            inputs.pop("token_type_ids", None)
            targets, n_bytes = self._targets([one[self.second] for one in batch])
            sums.n_bytes += n_bytes
            logits = self.model.model(**inputs, labels=targets).logits
            nll = F.cross_entropy(
                logits.float().flatten(0, 1), targets.flatten(), reduction="none", ignore_index=IGNORED
            )
            _count(sums, nll[targets.flatten() != IGNORED])
        return sums

    def decode(self) -> tuple[Sequence[int], list[str]]:
        """The translations of all sources."""
        outputs: list[str] = []
        for batch in self.batches():
            sources, numbers = [one[self.first] for one in batch], range(len(outputs), len(outputs) + len(batch))
            outputs += self.model.write(self.model.uses[0], sources, self.how, numbers)[0]
        return range(len(self.on.examples)), outputs

    def _targets(self, texts: list[str]) -> tuple[Tensor, int]:
        """The tokens (B, T) of the references, up to the context, with -100 where there are none; and their bytes."""
        tokenizer, longest = self.model.tokenizer, self.model.context
        found: list[list[int]] = tokenizer(text_target=texts, verbose=False)["input_ids"]
        n_bytes, rows = 0, []
        for text, ids in zip(texts, found, strict=True):
            size, row = len(text.encode()), ids[:longest]
            if len(row) < len(ids):
                size = min(size, len(tokenizer.decode(row, skip_special_tokens=True).strip().encode()))
            n_bytes += size
            rows.append(torch.tensor(row, dtype=torch.long))
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED)
        return padded.to(self.model.device), n_bytes


def _count(sums: Sums, nll: Tensor) -> None:
    nll = nll.double()
    sums.nll += float(nll.sum())
    sums.squares += float((nll * nll).sum())
    sums.tokens += nll.numel()


ADAPTERS: dict[type[HuggingFaceModel], Any] = {
    CausalModel: OnText,
    ClassifierModel: OnLabels,
    Seq2SeqModel: OnTranslations,
}
