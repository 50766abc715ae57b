"""Our own models, read without transformers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hpsearch.data.tokenizer import Tokenizer
from hpsearch.errors import DataError, UserError
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.serving.models.generation import Generation, seed_of
from hpsearch.training.export import load_pretrained
from hpsearch.training.generate import Sampling, generate
from hpsearch.training.uses import SetUse


class OwnModel:
    """A model that hpsearch trained from scratch (implements Backend of model.py)."""

    def __init__(self, folder: ModelFolder, *, device: str) -> None:
        self.model = load_pretrained(folder.path).to(device)
        self.uses = folder.uses
        try:
            self.tokenizer = Tokenizer.load(folder.path)
        except (DataError, OSError, ValueError, KeyError) as error:
            raise UserError(f"{folder.path}: its tokenizer cannot be read ({' '.join(str(error).split())})") from error
        if self.tokenizer.vocab_size > self.model.vocab_size:
            raise UserError(f"{folder.path}: its tokenizer is not that of its weights: it has more tokens")

    @property
    def context(self) -> int:
        """The tokens that the model reads at most."""
        return self.model.config.context

    @torch.inference_mode()
    def probabilities(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[float]], list[bool]]:
        """The probabilities of the labels of each text, and which texts were cut."""
        prompts, cut = self._prompts(use, texts)
        device = self.model.embedding.weight.device
        longest = max(map(len, prompts))
        padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts], device=device)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=device)
        hidden = self.model.hidden(padded)[torch.arange(len(prompts), device=device), last]  # (B, C)
        logits = self.model.logits(hidden)[:, list(use.label_ids)].double()
        return logits.softmax(-1).tolist(), cut

    def write(
        self, use: SetUse, texts: Sequence[str], how: Generation, numbers: Sequence[int]
    ) -> tuple[list[str], list[bool]]:
        """The text that the model writes behind each text, and which texts were cut; numbers: for the seeds."""
        most = how.tokens(use.max_new_tokens, self.context)
        prompts, cut = self._begun(texts, most) if use.kind == "text" else self._prompts(use, texts)
        seeds = [seed_of(how.seed, number) for number in numbers]
        written = generate(
            self.model,
            prompts,
            eos_id=self.tokenizer.eos_id,
            max_new_tokens=most,
            beam_size=how.beams(use.beam_size),
            sampling=Sampling(how.temperature, seeds) if how.temperature else None,
        )
        return [self.tokenizer.decode(tokens) for tokens in written], cut

    def _begun(self, texts: Sequence[str], most: int) -> tuple[list[list[int]], list[bool]]:
        """The texts as the beginnings of documents; of a long one its end, so that up to half the context is free."""
        room = self.context - min(most, self.context // 2)
        whole = [[self.tokenizer.eos_id, *ids] for ids in self.tokenizer.encode(list(texts))]
        return [ids[-room:] for ids in whole], [len(ids) > room for ids in whole]

    def _prompts(self, use: SetUse, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """The prompts of the texts, cut as in the training."""
        before, after = (self.tokenizer.id(marker) for marker in use.markers)
        whole = [[before, *ids, after] for ids in self.tokenizer.encode(list(texts))]
        cut = use.cut(self.context)
        return [cut.prompt(ids) for ids in whole], [len(ids) > cut.longest_prompt for ids in whole]
