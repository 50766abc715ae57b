"""The lines of Python in a model card that use the model, and how it reads a text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hpsearch.output.printable import printable
from hpsearch.serving.models.folder import ModelFolder
from hpsearch.training.uses import CLASSIFIER, SetUse

EXAMPLES = {"label": "You have won a prize!", "pair": "How are you?", "text": "Once upon a time"}
NEWLINE = "\n"  # between a text and the answer of a fine-tuned decoder


def usage(folder: ModelFolder, path: str) -> str:
    """The part of a card that says how to use the model, and how it cuts long texts."""
    lines = ["## Use", ""]
    for use in folder.uses:
        lines += [f"{_what(use)}:", "", "```python", *_of_use(use, folder, path), "```", ""]
    if not folder.uses:
        lines += ["```python", *_of_family(folder, path), "```", ""]
    named = f" --set {folder.uses[0].name}" if len(folder.uses) > 1 else ""
    by_hpsearch = f'`hpsearch predict {path}{named} -t "..."`, or `hpsearch.load_model({_quoted(path)})(texts)`'
    lines += [f"By hpsearch{', without transformers' if folder.uses else ''}: {by_hpsearch}."]
    lines += ["", *_markers(folder.uses)]
    return "\n".join(lines).rstrip()


def _what(use: SetUse) -> str:
    does = {"label": "Label a text", "pair": "Translate a text", "text": "Continue a text"}[use.kind]
    return f"{does}, as in `{use.name}`"


def _of_use(use: SetUse, folder: ModelFolder, path: str) -> list[str]:
    """Three lines of Python for a use of a model of hpsearch's own.

    They cut a long text as the training did; of several uses a prompt has markers at both ends, which a cut would lose.
    """
    alone = len(folder.uses) == 1
    before, after = use.markers if use.kind == "pair" and not alone else ("", "")
    text = _quoted(f"{before}{EXAMPLES[use.kind]}{after}")
    if use.kind == "label" and len(use.labels) > 1:
        place = _quoted(f"{path}/{CLASSIFIER}" if alone else f"{path}/{CLASSIFIER}/{use.name}")
        made, options = f'pipeline("text-classification", {place}, truncation=True)', ""
    else:
        made = f'pipeline("text-generation", {_quoted(path)})'
        options = ", return_full_text=False, do_sample=False" + ", truncation=True" * alone
        if use.kind == "text":
            options = f', {_most(folder)}, handle_long_generation="hole"'  # the end of a long text is read
        options += ', tokenizer_encode_kwargs={"split_special_tokens": False}' if before else ""
    return ["from transformers import pipeline", f"model = {made}", f"print(model({text}{options}))"]


def _of_family(folder: ModelFolder, path: str) -> list[str]:
    """Three lines of Python for a model of transformers that hpsearch fine-tuned, with the prefix that it learnt.

    They cut a text that is longer than the model reads.
    """
    most, longest = _most(folder), _longest(folder)
    prefix = str((folder.trained.get("model") or {}).get("prefix") or "")
    if folder.family == "seq2seq":
        loading = "AutoModelForSeq2SeqLM, AutoTokenizer"
        pair = f"AutoModelForSeq2SeqLM.from_pretrained({_quoted(path)}), AutoTokenizer.from_pretrained({_quoted(path)})"
        asked = f"{_quoted(prefix + EXAMPLES['pair'])}, truncation=True{_limit('max_length', longest)}"
        written = f'model.generate(**tokenizer({asked}, return_tensors="pt"), {most})'
        said = f"print(tokenizer.batch_decode({written}, skip_special_tokens=True))"
        return [f"from transformers import {loading}", f"model, tokenizer = {pair}", said]
    if folder.family == "classifier":
        cut = f"truncation=True{_limit('max_length', longest)}"
        made = f'model = pipeline("text-classification", {_quoted(path)}, {cut})'
        return ["from transformers import pipeline", made, f"print(model({_quoted(prefix + EXAMPLES['label'])}))"]
    tokenizer = f"AutoTokenizer.from_pretrained({_quoted(path)}{_limit('model_max_length', longest)})"
    made = f'model = pipeline("text-generation", {_quoted(path)}, tokenizer={tokenizer})'
    cut = f'{most}, handle_long_generation="hole"'  # the beginning of a long text
    return ["from transformers import AutoTokenizer, pipeline", made, f"print(model({_asked(folder, prefix)}, {cut}))"]


def _most(folder: ModelFolder) -> str:
    """How many tokens are written: at most a quarter of the context."""
    return f"max_new_tokens={min(40, max(1, (folder.context or 160) // 4))}"


def _asked(folder: ModelFolder, prefix: str) -> str:
    """What a causal model is called with: a text to continue, or one to answer as in the fine-tuning."""
    if not folder.answers:
        return _quoted(EXAMPLES["text"])
    text = prefix + EXAMPLES["label" if folder.answers[1] == "classification" else "pair"]
    is_chat = (folder.trained.get("model") or {}).get("chat_template")
    asked = f'[{{"role": "user", "content": {_quoted(text)}}}]' if is_chat else _quoted(text + NEWLINE)
    return f"{asked}, return_full_text=False, do_sample=False"


def _longest(folder: ModelFolder) -> int | None:
    """The tokens that the model reads: of its fine-tuning, or else at most; None: any number."""
    limits = (folder.context, (folder.trained.get("model") or {}).get("context"))
    return min((n for n in limits if isinstance(n, int)), default=None)


def _limit(name: str, longest: int | None) -> str:
    """An argument with the limit; none if there is no limit."""
    return "" if longest is None else f", {name}={longest}"


def _quoted(text: str) -> str:
    """A text as a literal of Python."""
    return json.dumps(text, ensure_ascii=False)


def _markers(uses: tuple[SetUse, ...]) -> Iterator[str]:
    """How a prompt is made, and how a long text is cut."""
    pairs = [use for use in uses if use.kind != "text"]
    if not pairs:
        return
    yield "| data set | prompt | answer | a text longer than |"
    yield "|---|---|---|---|"
    for use in pairs:
        before, after = use.markers
        answer = f"one of {len(use.labels)} label tokens" if use.labels else "text, then `<|endoftext|>`"
        lost = {"right": "its end", "left": "its beginning", "middle": "its middle"}[use.truncate]
        cells = [f"`{use.name}`", f"`{before}`TEXT`{after}`", answer, f"{use.longest_prompt - 2} tokens loses {lost}"]
        yield row(cells)
    yield ""
    if len(uses) == 1:
        yield "The tokenizer puts these markers around each text itself."
    else:
        yield (
            "The tokenizer reads these markers as ordinary characters, so that no text can spell them, unless it is "
            "called with `split_special_tokens=False`, as above."
        )


def row(cells: Iterable[str]) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(plain(cell).replace("|", "\\|") for cell in cells) + " |"


def plain(text: str) -> str:
    """A text without control characters."""
    return printable(str(text), keep="")
