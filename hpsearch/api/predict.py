"""`hpsearch.load_model`: a model directory as an object that answers texts, as `hpsearch predict` does."""

from __future__ import annotations

from pathlib import Path

from hpsearch.api.arguments import check_arguments
from hpsearch.api.options import redacted
from hpsearch.errors import UserError
from hpsearch.serving.models.model import Model, load
from hpsearch.system.environment import refuse_old


def load_model(folder: str | Path, *, device: str = "auto") -> Model:
    """Loads a model directory of hpsearch, or one that transformers reads.

        model = hpsearch.load_model("model")
        model("Free entry!")  # one result; a list of texts gives a list of them
        model(texts, max_new_tokens=20, temperature=0.8, seed=1)  # of a model that writes

    A result is a Labelled (label, probability, probabilities), a Translation or a Completion, by what the model was
    trained for; `set` chooses where it was trained for several. A directory of others may hold a causal language model,
    a sequence classifier or an encoder-decoder with its weights in safetensors; no code in it is run.

    Raises UserError, in one line, for a directory that is no model, or a package or device that is missing.
    """
    refuse_old("torch")
    with redacted():
        check_arguments(folder=folder)
        if device not in ("auto", "cpu", "cuda", "mps"):
            raise UserError(f"device: {device!r} is not allowed; allowed: auto, cpu, cuda, mps")
        return load(Path(folder), device=device)
