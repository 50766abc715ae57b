"""A checkpoint of transformers: where it is, its config, its kind, its fingerprint. No code of it runs unless trusted.

Everything that transformers says of a mistake becomes a UserError of one line.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers.models.auto import modeling_auto
from transformers.utils.hub import cached_file

from hpsearch.config import digest
from hpsearch.data.file_formats import digest as file_digest
from hpsearch.document.document import Fault
from hpsearch.errors import HpsearchError, UserError
from hpsearch.output.error_lines import first_line
from hpsearch.trainers.huggingface.config import PLACES, FineTuneConfig, PretrainedConfig
from hpsearch.trainers.huggingface.folders import NO_TOKENIZER, check_folder
from hpsearch.trainers.huggingface.kinds import Kind

READ = (".json", ".safetensors", ".txt", ".model", ".jinja", ".py")  # endings of files that a model is made of
LONGEST = 200  # characters of what transformers says


def place(name: str, base: Path) -> str:
    """The path of a local folder, or the name on the hub; raises UserError for a folder without a config."""
    path = base / Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or path.exists():
        raise UserError(f"{name}: no such folder; allowed: the folder of a checkpoint, or a name on the hub")
    return name


def config_of(config: FineTuneConfig, base: Path) -> Any:
    """The config of transformers, with the values that `config` sets; raises UserError."""
    model, own = config.model, config.config.flat
    if model.architecture is not None:
        return _of_architecture(model.architecture, own)
    name = str(model.pretrained)
    check_weights(model, base)
    with reading(name):
        found = transformers.AutoConfig.from_pretrained(place(name, base), trust_remote_code=model.trust_remote_code)
    for key, value in own.items():
        if not hasattr(found, key):
            raise _unknown(key, name, found)
        setattr(found, key, value)
    return found


def _of_architecture(name: str, own: Mapping[str, Any]) -> Any:
    known = transformers.CONFIG_MAPPING
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=3)
        also = f"did you mean {', '.join(near)}?" if near else "allowed: a model type of transformers, such as gpt2"
        raise Fault(("model", "architecture"), f"transformers has no {name!r}; {also}")
    default = known[name]()
    for key in own:
        if not hasattr(default, key):
            raise _unknown(key, name, default)
    try:
        return known[name](**own)
    except Exception as error:  # each architecture checks its values in its own way
        raise Fault(("config",), f"{name} refuses these values ({first_line(error)[:LONGEST]})") from error


def _unknown(key: str, name: str, config: Any) -> Fault:
    """The error of a value that the model's config does not have."""
    return Fault(("config", *key.split(".")), f"{name} has no such value{_near(key, config.to_dict())}")


def _near(key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def kind_of(config: Any) -> Kind:
    """What a model is, by its config; raises UserError for what is no language model."""
    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    name = config.model_type
    if name in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False):
        return "encoder"
    if name in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or hasattr(config, "auto_map"):
        return "decoder"
    raise UserError(f"a model of type {name!r} is no language model; allowed: encoders, decoders, encoder-decoders")


def check_sizes(model: PretrainedConfig, config: Any, name: str, *, context: int, last_layers: int) -> None:
    """Raises UserError for a context or a number of layers that the model does not have."""
    longest = longest_of(config)
    if longest is not None and context > longest:
        raise Fault(("model", "context"), f"{context}, but {name} reads at most {longest} tokens")
    layers = getattr(config, "num_hidden_layers", None)
    if model.tuning == "last_layers" and layers is not None and last_layers > layers:
        raise Fault(("model", "last_layers"), f"{last_layers}, but {name} has {layers} layers")


def longest_of(config: Any) -> int | None:
    """The tokens that a model reads at most; None: any number."""
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if not isinstance(found, int) or found <= 0 or config.model_type in ("t5", "mt5", "umt5", "longt5"):
        return None  # relative positions
    return found - 2 if config.model_type in ("roberta", "xlm-roberta", "camembert") else found  # begin after padding


def check_weights(model: PretrainedConfig, base: Path) -> None:
    """Raises UserError for a folder that is no whole checkpoint, and for weights that may hold code."""
    folder = Path(place(str(model.pretrained), base)) if model.pretrained else None
    if folder is not None and folder.is_dir():
        check_folder(folder, str(model.pretrained), tokenizer=model.tokenizer is None)


def fingerprints(model: PretrainedConfig, base: Path) -> dict[str, str]:
    """What the files of the checkpoint and of the tokenizer are, by the key that names them, wherever they lie.

    Of a name on the hub: its commit.
    """
    named = {key: getattr(model, key) for key in PLACES}
    return {key: digest(_print(str(name), base)) for key, name in named.items() if name is not None}


def _print(name: str, base: Path) -> Any:
    source = place(name, base)
    if Path(source).is_dir():
        files = sorted(path for path in Path(source).iterdir() if path.is_file() and path.suffix in READ)
        return [[path.name, file_digest(path)] for path in files]
    with reading(name):
        found = cached_file(source, "config.json")
    return [name, Path(str(found)).parent.name or hashlib.sha256(name.encode()).hexdigest()]


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Silences transformers, and turns what it raises into a UserError of one line about `name`."""
    verbosity, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    hub, level = logging.getLogger("huggingface_hub"), logging.getLogger("huggingface_hub").level
    hub.setLevel(logging.ERROR)  # it reports each attempt to reach the hub
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HpsearchError:
        raise
    except Exception as error:  # transformers and the libraries below raise what they meet
        raise UserError(f"{name}: cannot be read: {_reason(error)}") from error
    finally:
        hub.setLevel(level)
        transformers.logging.set_verbosity(verbosity)
        if bars:
            transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    if "couldn't connect" in said or "offline" in said.lower() or "Cannot find the requested files" in said:
        return "no such folder, not in the cache of transformers, and the hub cannot be reached"
    if "trust_remote_code" in said:
        return "it needs code that comes with it, which only model.trust_remote_code: true allows"
    if "safetensors" in said and "does not appear" in said:
        return "it has no weights as safetensors; allowed: model.safetensors"
    if "SentencePiece library" in said:
        return "its tokenizer needs a package that is not installed: pip install sentencepiece"
    if "to build an AutoTokenizer" in said:
        return f"it {NO_TOKENIZER}"
    if "not a valid model identifier" in said or "is not a local folder" in said:
        return "no such folder, and no such name on the hub"
    return said[:LONGEST] or type(error).__name__
