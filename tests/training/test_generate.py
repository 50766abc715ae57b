"""Decoding against the naive loop, exhaustive search and chains whose best path is known."""

import itertools
import math

import pytest
import torch

from hpsearch.training.config import ModelConfig
from hpsearch.training.generate import Limits, beam, generate
from hpsearch.training.model import Cache, Llama

CONTEXT = 24
CONFIGS = {
    "plain": ModelConfig(n_layers=2, width=32, n_heads=4, context=CONTEXT),
    "grouped": ModelConfig(n_layers=2, width=32, n_heads=4, n_kv_heads=1, context=CONTEXT, tied_embeddings=False),
}


def build(config: ModelConfig, *, vocab_size: int = 12, seed: int = 0) -> Llama:
    torch.manual_seed(seed)
    model = Llama(config, vocab_size=vocab_size)
    with torch.no_grad():  # large random weights: sharp, varied and far from ties
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(0.0, 0.3)
    return model.eval()


def prompts(*lengths: int, vocab_size: int = 12, seed: int = 0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(1, vocab_size, (length,), generator=generator).tolist() for length in lengths]


@torch.no_grad()
def naive(model: Llama, prompt: list[int], *, eos_id: int, max_new_tokens: int) -> list[int]:
    """The whole sequence again for every token: no cache, no batch, no padding."""
    sequence, new = prompt[-(CONTEXT - 1) :], []
    while len(new) < max_new_tokens and len(sequence) < CONTEXT:
        token = int(model(torch.tensor([sequence]))[0, -1].argmax())
        if token == eos_id:
            break
        new.append(token)
        sequence = [*sequence, token]
    return new


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("batch_size", [1, 4, 128])
def test_greedy_is_the_naive_loop_token_for_token(config, seed, batch_size):
    model = build(config, seed=seed)
    batch = prompts(5, 1, 12, 3, 3, 20, 23, 30, 8, seed=seed)
    expected = [naive(model, prompt, eos_id=0, max_new_tokens=10) for prompt in batch]
    assert generate(model, batch, eos_id=0, max_new_tokens=10, batch_size=batch_size) == expected


def test_rows_that_end_at_different_times_do_not_disturb_the_others():
    model = build(CONFIGS["plain"], seed=3)
    batch = prompts(*range(1, 21), seed=3)
    every = [naive(model, prompt, eos_id=-1, max_new_tokens=8) for prompt in batch]
    counts = {token: sum(token in new for new in every) for token in range(12)}
    eos_id = min(counts, key=lambda token: abs(counts[token] - 10))  # a token that ends about half of the rows
    expected = [new[: new.index(eos_id)] if eos_id in new else new for new in every]
    assert 3 <= sum(len(a) < len(b) for a, b in zip(expected, every, strict=True)) <= 17
    assert len({len(new) for new in expected}) >= 3
    assert generate(model, batch, eos_id=eos_id, max_new_tokens=8) == expected


def test_never_beyond_the_context():
    model = build(CONFIGS["plain"])
    batch = prompts(1, 20, CONTEXT - 1, CONTEXT, 3 * CONTEXT)
    for beam_size in (1, 3):
        new = generate(model, batch, eos_id=-1, max_new_tokens=1000, beam_size=beam_size)
        assert [len(tokens) for tokens in new] == [CONTEXT - 1, CONTEXT - 20, 1, 1, 1]


def test_a_long_prompt_keeps_its_last_tokens():
    model = build(CONFIGS["plain"])
    (long,) = prompts(60)
    cut = generate(model, [long[-(CONTEXT - 1) :]], eos_id=-1, max_new_tokens=5)
    assert generate(model, [long], eos_id=-1, max_new_tokens=5) == cut


def test_nothing_asked_for_gives_nothing():
    model = build(CONFIGS["plain"])
    assert generate(model, [], eos_id=0, max_new_tokens=5) == []
    for beam_size in (1, 2):
        assert generate(model, [[1], [2, 3]], eos_id=0, max_new_tokens=0, beam_size=beam_size) == [[], []]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt is empty"):
        generate(build(CONFIGS["plain"]), [[1], []], eos_id=0, max_new_tokens=5)


def test_training_mode_and_dropout_are_put_back_and_kept_out():
    config = CONFIGS["plain"].model_copy(update={"dropout": 0.5})
    model, batch = build(config), prompts(4, 6)
    expected = [naive(model, prompt, eos_id=0, max_new_tokens=10) for prompt in batch]
    model.train()
    assert generate(model, batch, eos_id=0, max_new_tokens=10) == expected
    assert model.training


def test_stops_as_soon_as_every_row_has_ended():
    chain = Chain({A: [0.1, 0.2, 0.7, 0.0], B: [0.9, 0.1, 0.0, 0.0]})  # A -> B -> end
    assert generate(chain, [[A], [B]], eos_id=EOS, max_new_tokens=15) == [[B], []]
    assert chain.steps == 2  # the prompts, and B


class Chain(Llama):
    """A model by hand: the next token depends on the last one alone, with the given probabilities."""

    def __init__(self, table: dict[int, list[float]]) -> None:
        config = ModelConfig(n_layers=1, width=8, n_heads=1, context=16)
        super().__init__(config, vocab_size=len(next(iter(table.values()))))
        uniform = [1 / self.vocab_size] * self.vocab_size
        rows = [table.get(token, uniform) for token in range(self.vocab_size)]
        self.table = torch.tensor(rows).log()
        self.steps = 0

    def step(self, tokens: torch.Tensor, cache: Cache, *, slots: int | None = None) -> torch.Tensor:
        self.steps += 1
        cache.lengths = cache.lengths + tokens.shape[1]
        return torch.nn.functional.one_hot(tokens, self.vocab_size).float()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.table[hidden.argmax(-1)]


EOS, A, B, C = 0, 1, 2, 3
GARDEN_PATH = {  # from C: A looks best (0.6), but what follows it is a toss-up; B (0.4) leads on surely
    C: [0.0, 0.6, 0.4, 0.0],
    A: [0.4, 0.3, 0.0, 0.3],
    B: [1.0, 0.0, 0.0, 0.0],
}


def test_a_beam_finds_a_likelier_sequence_than_greedy():
    chain = Chain(GARDEN_PATH)
    assert generate(chain, [[C]], eos_id=EOS, max_new_tokens=1) == [[A]]
    assert generate(chain, [[C]], eos_id=EOS, max_new_tokens=2) == [[A]]  # probability 0.6 x 0.4
    assert generate(chain, [[C]], eos_id=EOS, max_new_tokens=2, beam_size=2) == [[B]]  # 0.4 x 1.0


def test_beams_are_compared_by_log_probability_per_token():
    """[] ends at once with 0.5 (log 0.5 per token); [A A A] has 0.5 x 0.9^3, less in all, more per token."""
    chain = Chain({C: [0.5, 0.5, 0.0, 0.0], A: [0.1, 0.9, 0.0, 0.0]})
    assert 0.5 * 0.9**2 < 0.5 < (0.5 * 0.9**2) ** (1 / 3)
    assert generate(chain, [[C]], eos_id=EOS, max_new_tokens=3, beam_size=3) == [[A, A, A]]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("seed", [0, 1])
def test_one_beam_is_greedy(config, seed):
    model = build(config, seed=seed)
    batch = [prompt[-(CONTEXT - 1) :] for prompt in prompts(5, 1, 12, 3, 20, 23, 30, seed=seed)]
    with torch.inference_mode():
        single = beam(model, batch, Limits(0, 10), beam_size=1)
    assert single == generate(model, batch, eos_id=0, max_new_tokens=10)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_beam_wide_enough_is_exhaustive_search(seed):
    model = build(CONFIGS["grouped"], vocab_size=4, seed=seed)
    batch = prompts(2, 5, 1, vocab_size=4, seed=seed)
    expected = [exhaustive(model, prompt, eos_id=0, max_new_tokens=3) for prompt in batch]
    assert generate(model, batch, eos_id=0, max_new_tokens=3, beam_size=64, batch_size=1000) == expected
    assert generate(model, batch, eos_id=0, max_new_tokens=3, beam_size=64, batch_size=1) == expected


def exhaustive(model: Llama, prompt: list[int], *, eos_id: int, max_new_tokens: int) -> list[int]:
    """The best of all endings by mean log probability, each scored alone by a forward pass."""
    others = [token for token in range(model.vocab_size) if token != eos_id]
    endings = [[*body, eos_id] for n in range(max_new_tokens) for body in itertools.product(others, repeat=n)]
    endings += [list(body) for body in itertools.product(others, repeat=max_new_tokens)]
    best = max(endings, key=lambda ending: mean_log_probability(model, prompt, ending))
    return [token for token in best if token != eos_id]


@torch.no_grad()
def mean_log_probability(model: Llama, prompt: list[int], ending: list[int]) -> float:
    sequence = torch.tensor([prompt + ending])
    log_probs = model(sequence)[0, len(prompt) - 1 : -1].log_softmax(-1)
    return sum(float(log_probs[i, token]) for i, token in enumerate(ending)) / len(ending)


def test_more_beams_than_possible_tokens_invent_nothing():
    chain = Chain({C: [0.0, 1.0, 0.0, 0.0], A: [1.0, 0.0, 0.0, 0.0]})  # C -> A -> end, and nothing else
    assert generate(chain, [[C], [A]], eos_id=EOS, max_new_tokens=5, beam_size=4) == [[A], []]


def test_beams_work_under_bfloat16_autocast():
    model, batch = build(CONFIGS["grouped"]), prompts(5, 2)
    with torch.autocast("cpu", torch.bfloat16):
        new = generate(model, batch, eos_id=-1, max_new_tokens=4, beam_size=2)
    assert [len(tokens) for tokens in new] == [4, 4]
    assert all(math.isfinite(mean_log_probability(model, *pair)) for pair in zip(batch, new, strict=True))
