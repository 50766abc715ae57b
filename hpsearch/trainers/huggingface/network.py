"""A model of transformers as a module that scores the batches of training/: logits of every target.

Its state is what is trained: the frozen weights are in the checkpoint already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from hpsearch.errors import UserError
from hpsearch.trainers.huggingface import checkpoint, loading
from hpsearch.trainers.huggingface.batches import HalvesBatch
from hpsearch.trainers.huggingface.config import FineTuneConfig
from hpsearch.trainers.huggingface.kinds import Kind
from hpsearch.trainers.huggingface.vocabulary import PretrainedTokenizer
from hpsearch.training.batches import Batch

ALL = "all-linear"  # of `lora_targets`: all but the output layer


@dataclass(frozen=True)
class Plan:
    """What a network is made of."""

    config: FineTuneConfig
    kind: Kind
    tokenizer: PretrainedTokenizer
    labels: list[str]  # of a head
    base: Path

    @property
    def name(self) -> str:
        """The checkpoint or the architecture, for messages."""
        return str(self.config.model.pretrained or self.config.model.architecture)


class Network(nn.Module):
    """A model of transformers whose weights are trained in part or in whole."""

    def __init__(self, plan: Plan) -> None:
        """Loads or makes the model, draws the weights that its checkpoint lacks; raises UserError."""
        super().__init__()
        self.kind, self.pad_id = plan.kind, plan.tokenizer.pad_id
        model, drawn = _loaded(plan)
        new = [weight for name, weight in model.named_parameters() if name in drawn]
        tuning = plan.config.model.tuning
        self._adapted: Any = None
        if tuning == "lora":
            self._adapted = (_adapted(model, plan, drawn),)  # in a tuple: its weights are those of `hf`
        elif tuning == "last_layers":
            freeze(model, plan.config.model.last_layers, plan.name)
        self.hf = self._adapted[0].get_base_model() if self._adapted else model
        for weight in new:  # also where the others are frozen
            weight.requires_grad_(True)
        if plan.config.model.gradient_checkpointing:
            with checkpoint.reading(plan.name):
                self.hf.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def forward(self, batch: Batch) -> Tensor:
        """The logits (K, V) of every target of the batch; (B, labels) of a head."""
        if isinstance(batch, HalvesBatch):
            return self._of_halves(batch)
        if self.kind == "encoder":
            return self._of_head(batch)
        logits = self.hf(input_ids=batch.tokens, use_cache=False).logits.flatten(0, 1)  # (B * T, V)
        scored: Tensor = logits if batch.positions is None else logits[batch.positions]
        return scored

    def _of_head(self, batch: Batch) -> Tensor:
        size, width = batch.tokens.shape
        assert batch.positions is not None  # of pairs
        steps = torch.arange(width, device=batch.tokens.device)
        lengths = batch.positions[:size] - torch.arange(size, device=batch.tokens.device) * width + 1
        inside = steps < lengths[:, None]
        ids = torch.where(inside, batch.tokens, self.pad_id)
        if ids.device.type == "cpu":  # no sync there; on a GPU widths that are rounded up are as fast
            longest = int(lengths.max())
            ids, inside = ids[:, :longest], inside[:, :longest]
        logits: Tensor = self.hf(input_ids=ids, attention_mask=inside.long()).logits
        return logits

    def _of_halves(self, batch: HalvesBatch) -> Tensor:
        ids, mask = self.source(batch)
        answers = self.hf.prepare_decoder_input_ids_from_labels(batch.answers)
        logits = self.hf(input_ids=ids, attention_mask=mask, decoder_input_ids=answers, use_cache=False).logits
        scored: Tensor = logits[batch.answers >= 0]
        return scored

    def source(self, batch: HalvesBatch) -> tuple[Tensor, Tensor]:
        """The padded sources and their attention mask."""
        inside = torch.arange(batch.tokens.shape[1], device=batch.tokens.device) < batch.lengths[:, None]
        return torch.where(inside, batch.tokens, self.pad_id), inside.long()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """What is trained, and buffers that are kept."""
        return {name: weight.detach() for name, weight in self._kept()}

    def load_state_dict(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Copies what `state_dict` returned; raises KeyError for a weight that is missing."""
        with torch.no_grad():
            for name, weight in self._kept():
                weight.copy_(state[name])

    def _kept(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, weight) for name, weight in self.hf.named_parameters() if weight.requires_grad)
        whole = self.hf.state_dict(keep_vars=True)
        yield from ((name, buffer) for name, buffer in self.hf.named_buffers() if name in whole)

    def save_pretrained(self, folder: Path, tokenizer: PretrainedTokenizer) -> None:
        """Writes a model directory; LoRA's updates are merged into the weights, after which it is trained no more."""
        model = self._adapted[0].merge_and_unload() if self._adapted else self.hf
        folder.mkdir(parents=True, exist_ok=True)
        model.config.use_cache = True
        with checkpoint.reading(str(folder)):
            model.save_pretrained(folder)
        tokenizer.save(folder)


def loss_sum(network: Network, batch: Batch) -> Tensor:
    """The summed cross-entropy (nats) of a batch's targets."""
    return F.cross_entropy(network(batch), batch.targets, reduction="sum")


def _loaded(plan: Plan) -> tuple[Any, set[str]]:
    """The model in float32, with a head for the labels if it is an encoder, and the weights that were drawn anew."""
    model, config = plan.config.model, checkpoint.config_of(plan.config, plan.base)
    if plan.kind == "encoder":
        _name_labels(config, plan.labels)
    if model.architecture is None:
        return loading.load(plan.config, config, plan.kind, plan.base)
    auto: Any = loading.AUTO[plan.kind]
    with checkpoint.reading(plan.name), loading.in_float32():
        _fit_tokenizer(config, plan)
        return auto.from_config(config), set()


def _name_labels(config: Any, labels: list[str]) -> None:
    config.num_labels = len(labels)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: i for i, label in enumerate(labels)}
    config.problem_type = "single_label_classification"


def _fit_tokenizer(config: Any, plan: Plan) -> None:
    """Gives an architecture the vocabulary and the special tokens of its tokenizer."""
    inner = plan.tokenizer.inner
    config.vocab_size = plan.tokenizer.vocab_size
    config.pad_token_id = plan.tokenizer.pad_id
    for name in ("bos_token_id", "eos_token_id"):
        setattr(config, name, getattr(inner, name))
    if plan.kind == "encoder-decoder":
        config.decoder_start_token_id = plan.tokenizer.pad_id


def _adapted(model: Any, plan: Plan, drawn: set[str]) -> Any:
    """The model with LoRA's layers, which alone are trained; raises UserError.

    Layers whose weights are drawn anew are trained as they are: there is nothing to keep of them.
    """
    from peft import LoraConfig, get_peft_model

    settings = plan.config.model
    lora = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]  # any number
        lora_dropout=settings.lora_dropout,
        target_modules=_targets(model, plan, {name.rpartition(".")[0] for name in drawn}),
    )
    with checkpoint.reading(plan.name):
        try:
            return get_peft_model(model, lora)
        except ValueError as error:  # a layer that is no matrix
            raise _no_targets(model, plan) from error


def _targets(model: Any, plan: Plan, drawn: set[str]) -> list[str]:
    """The whole names of the layers that get updates; raises UserError if there are none."""
    wanted = [name.strip() for name in plan.config.model.lora_targets.split(",") if name.strip()]
    output = model.get_output_embeddings()
    found = []
    for name, one in model.named_modules():
        if name in drawn or one is output:
            continue
        if isinstance(one, nn.Linear | Conv1D) if wanted == [ALL] else _is_named(name, wanted):
            found.append(name)
    if not found:
        raise _no_targets(model, plan)
    return found


def _is_named(name: str, ends: Sequence[str]) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in ends)


def _no_targets(model: nn.Module, plan: Plan) -> UserError:
    linear = {name.rpartition(".")[2] for name, one in model.named_modules() if isinstance(one, nn.Linear | Conv1D)}
    allowed = f"{ALL}, or some of {', '.join(sorted(linear))}"
    return UserError(f"model.lora_targets: {plan.config.model.lora_targets}: not in {plan.name}; allowed: {allowed}")


def freeze(model: nn.Module, last: int, name: str) -> None:
    """Freezes all but the last layers of each stack and what comes after the first stack, embeddings left out.

    Raises UserError for a model without a stack of so many layers.
    """
    stacks = loading.stacks(model)
    longest = max((len(stack) for stack in stacks.values()), default=0)
    if last > longest:
        raise UserError(f"model.last_layers: {last}, but {name} has {longest} layers")
    embeddings = {id(p) for one in model.modules() if isinstance(one, nn.Embedding) for p in one.parameters()}
    begun = False
    for key, weight in model.named_parameters():
        inside = next((prefix for prefix in stacks if key.startswith(f"{prefix}.")), None)
        begun = begun or inside is not None
        trained = begun
        if inside is not None:
            trained = int(key[len(inside) + 1 :].partition(".")[0]) >= len(stacks[inside]) - last
        weight.requires_grad_(trained and id(weight) not in embeddings)
