"""Batched decoding with a key-value cache: greedy, beam search or sampling.

Prompts of different lengths share a batch padded on the right: a token's slot in the cache is its position, so the
first new token of each row overwrites that row's first padding, and no padding is ever seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hpsearch.training.model import Cache, Llama


@dataclass(frozen=True)
class Limits:
    """Where decoding ends."""

    eos_id: int  # -1: no token ends
    max_new_tokens: int


class Sampling:
    """Draws tokens at a temperature, each prompt by a seed of its own: its tokens do not depend on other prompts."""

    def __init__(self, temperature: float, seeds: Sequence[int]) -> None:
        self.temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def pick(self, logits: Tensor, prompts: Sequence[int]) -> Tensor:
        """Tokens (R,) drawn from the softmax of the logits (R, V) by the temperature; `prompts`: the prompt of a row.

        The largest of logits / temperature plus Gumbel noise is such a draw (Gumbel-max; arXiv 1611.01144).
        """
        drawn = [torch.empty(logits.shape[-1]).exponential_(generator=self._generators[i]) for i in prompts]
        noise = -torch.stack(drawn).clamp_min(torch.finfo(torch.float32).tiny).log().to(logits.device)
        return (logits.float() / self.temperature + noise).argmax(-1)


Pick = Callable[[Tensor, Sequence[int]], Tensor]  # the next tokens (R,) of logits (R, V), and the prompt of each row


def likeliest(logits: Tensor, prompts: Sequence[int]) -> Tensor:
    """The likeliest token of each row."""
    return logits.argmax(-1)


@torch.inference_mode()
def generate(
    model: Llama,
    prompts: Sequence[Sequence[int]],
    *,
    eos_id: int,
    max_new_tokens: int,
    beam_size: int = 1,
    batch_size: int = 128,
    sampling: Sampling | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt, without the end token: the likeliest at each place, the best beam, or drawn ones.

    Prompt and new tokens together never exceed the model's context; a prompt longer than context - 1 keeps its last
    tokens. `batch_size` counts rows, that is prompts times beams. A beam is judged by its log probability per token,
    the end token counted. The model is in eval mode meanwhile.
    """
    if not all(prompts):
        raise ValueError("a prompt is empty: the model needs at least one token")
    kept = [list(prompt[-(model.config.context - 1) :]) for prompt in prompts]
    order = sorted(range(len(kept)), key=lambda i: len(kept[i]))  # similar lengths together: less padding
    rows = max(1, batch_size // beam_size)
    limits = Limits(eos_id, max_new_tokens)
    results: list[list[int]] = [[] for _ in kept]
    training = model.training
    model.eval()
    try:
        for chunk in (order[start : start + rows] for start in range(0, len(order), rows)):
            batch = [kept[i] for i in chunk]
            pick = likeliest if sampling is None else _for(sampling, chunk)
            found = (
                greedy(model, batch, limits, pick)
                if beam_size == 1
                else beam(model, batch, limits, beam_size=beam_size)
            )
            for i, tokens in zip(chunk, found, strict=True):
                results[i] = tokens
    finally:
        model.train(training)
    return results


def prefill(model: Llama, prompts: list[list[int]], limits: Limits) -> tuple[Tensor, Cache, list[int]]:
    """Reads the prompts: the logits of each first new token (B, V), the filled cache, and how many tokens fit."""
    lengths = [len(prompt) for prompt in prompts]
    longest = max(lengths)
    slots = min(longest + limits.max_new_tokens, model.config.context)
    device = model.embedding.weight.device
    padded = [prompt + [0] * (longest - len(prompt)) for prompt in prompts]  # any token: nothing looks at it
    cache = model.cache(len(prompts), slots)
    hidden = model.step(torch.tensor(padded, device=device), cache, slots=longest)
    cache.lengths = torch.tensor(lengths, device=device)
    last = hidden[torch.arange(len(prompts), device=device), cache.lengths - 1]  # (B, C)
    room = [min(limits.max_new_tokens, model.config.context - length) for length in lengths]
    return model.logits(last), cache, room


def _for(sampling: Sampling, chunk: Sequence[int]) -> Pick:
    """Picks for the prompts of a chunk, which are numbered from 0 in it."""
    return lambda logits, rows: sampling.pick(logits, [chunk[row] for row in rows])


def greedy(model: Llama, prompts: list[list[int]], limits: Limits, pick: Pick = likeliest) -> list[list[int]]:
    """The token that `pick` picks again and again, until the end token or the limit; new tokens of each prompt."""
    logits, cache, room = prefill(model, prompts, limits)
    results: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the prompt that each row of the cache decodes
    live = {prompt for prompt in rows if room[prompt] > 0}
    while live:
        tokens = pick(logits, rows)
        for prompt, token in zip(rows, tokens.tolist(), strict=True):  # the only device sync per token
            if prompt in live and token != limits.eos_id:
                results[prompt].append(token)
            if token == limits.eos_id or len(results[prompt]) == room[prompt]:
                live.discard(prompt)
        if len(live) <= 0.75 * len(rows):  # not at each end: the selection copies the cache
            kept = [i for i, prompt in enumerate(rows) if prompt in live]
            rows = [rows[i] for i in kept]
            tokens, cache = tokens[kept], cache.select(torch.tensor(kept, dtype=torch.long, device=tokens.device))
        if live:
            alive = torch.tensor([prompt in live for prompt in rows], device=tokens.device)
            cache.lengths = cache.lengths * alive  # an ended row idles in its slot 0
            slots = max(len(prompts[prompt]) + len(results[prompt]) for prompt in live)
            logits = model.logits(model.step(tokens[:, None], cache, slots=slots)[:, 0])
    return results


def beam(model: Llama, prompts: list[list[int]], limits: Limits, *, beam_size: int) -> list[list[int]]:
    """The best sequence that `beam_size` beams find, by log probability per token; new tokens of each prompt.

    A beam that ends among the `beam_size` best continuations is a finished one; a prompt is done with `beam_size` of
    those or at its limit, where the unfinished ones count too. So one beam is greedy decoding.
    """
    logits, cache, room = prefill(model, prompts, limits)
    found: list[list[tuple[float, list[int]]]] = [[(-math.inf, [])] for _ in prompts]
    rows = torch.tensor([i for i in range(len(prompts)) if room[i] > 0], dtype=torch.long, device=logits.device)
    prompt_of = rows.tolist()  # the prompt of each group of beams
    every_beam = rows.repeat_interleave(beam_size)
    logits, cache = logits[every_beam], cache.select(every_beam)
    beams = Beams.start(len(rows), beam_size, device=logits.device)
    length = 0
    while prompt_of:
        length += 1
        beams, ended, parents = beams.extend(logits, limits.eos_id)
        for group, score, tokens in ended:
            found[prompt_of[group]].append((score / length, tokens))
        for group, prompt in enumerate(prompt_of):
            if length == room[prompt]:
                found[prompt] += [(score / length, tokens) for score, tokens in beams.listed(group)]
        going = [
            group
            for group, prompt in enumerate(prompt_of)
            if len(found[prompt]) <= beam_size and length < room[prompt]  # <=: the first of `found` is a stand-in
        ]
        if going:
            kept = torch.tensor(going, device=logits.device)
            cache = cache.select((kept[:, None] * beam_size + parents[kept]).flatten())
            beams = Beams(beams.scores[kept], beams.tokens[kept])
            slots = max(len(prompts[prompt_of[group]]) for group in going) + length
            logits = model.logits(model.step(beams.tokens[:, :, -1:].flatten(0, 1), cache, slots=slots)[:, 0])
        prompt_of = [prompt_of[group] for group in going]
    return [max(candidates, key=lambda candidate: candidate[0])[1] for candidates in found]


@dataclass(frozen=True)
class Beams:
    """The unfinished sequences of G prompts, K for each, all of the same length L."""

    scores: Tensor  # (G, K) log probabilities, best first; -inf: no beam
    tokens: Tensor  # (G, K, L)

    @classmethod
    def start(cls, groups: int, beam_size: int, *, device: torch.device) -> Beams:
        """One empty beam per prompt, and K - 1 that cannot win."""
        scores = torch.full((groups, beam_size), -math.inf, device=device)
        scores[:, 0] = 0.0
        return cls(scores, torch.empty(groups, beam_size, 0, dtype=torch.long, device=device))

    def extend(self, logits: Tensor, eos_id: int) -> tuple[Beams, list[tuple[int, float, list[int]]], Tensor]:
        """The beams a token longer, those that ended as (group, score, tokens), and each new beam's parent (G, K).

        `logits` (G K, V). Of the 2 K best continuations at most K end, so K unfinished ones are always among them.
        """
        groups, beam_size = self.scores.shape
        log_probs = logits.float().log_softmax(-1).view(groups, beam_size, -1)  # (G, K, V)
        vocab_size = log_probs.shape[-1]
        scores, flat = (self.scores[..., None] + log_probs).flatten(1).topk(2 * beam_size)  # (G, 2 K), best first
        parents, chosen = flat // vocab_size, flat % vocab_size
        is_end = chosen == eos_id
        ended = [
            (group, float(scores[group, i]), self.tokens[group, parents[group, i]].tolist())
            for group, i in (is_end & scores.isfinite())[:, :beam_size].nonzero().tolist()
        ]
        unfinished = is_end.long().argsort(dim=1, stable=True)[:, :beam_size]  # the first K that did not end
        scores, parents, chosen = (x.gather(1, unfinished) for x in (scores, parents, chosen))
        earlier = self.tokens.gather(1, parents[..., None].expand(-1, -1, self.tokens.shape[-1]))
        return Beams(scores, torch.cat([earlier, chosen[..., None]], -1)), ended, parents

    def listed(self, group: int) -> list[tuple[float, list[int]]]:
        """A prompt's beams as (score, tokens)."""
        pairs = zip(self.scores[group].tolist(), self.tokens[group].tolist(), strict=True)
        return [(score, tokens) for score, tokens in pairs if score > -math.inf]
