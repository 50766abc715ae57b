"""A table of texts is answered as `hpsearch.load_model` answers its texts."""

import pandas
import pytest
from mlflow.exceptions import MlflowException

from hpsearch.serving import _load_pyfunc, served
from hpsearch.serving.models.model import load
from tests.serving.directories import MAIL, PAIRS, PROSE, directory

TEXTS = ["buy", "hello there", "a text that is longer than the context of the model"]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """The directory of a model of three data sets."""
    return directory(tmp_path_factory.mktemp("several"), {"mail": MAIL, "pairs": PAIRS, "prose": PROSE})


def test_each_row_is_answered_by_the_use_of_its_set(several):
    names = ("mail", "pairs", "prose")
    rows = [(text, name) for text in TEXTS for name in names]
    answers = _load_pyfunc(str(several)).predict(pandas.DataFrame(rows, columns=["text", "set"]))
    model = load(several)
    found = {name: model(TEXTS, set=name) for name in names}
    for (text, name), answer in zip(rows, answers.to_dict("records"), strict=True):
        wanted = found[name][TEXTS.index(text)].to_dict()
        given = {key: value for key, value in answer.items() if key in wanted}
        assert given == {key: value for key, value in wanted.items() if key not in ("text", "source", "truncated")}
        assert answer["set"] == name
    assert set(answers.columns) == set(served(several).outputs)


def test_params_of_a_request_say_how_a_text_is_written(tmp_path):
    answers = _load_pyfunc(str(directory(tmp_path, {"pairs": PAIRS})))
    table = pandas.DataFrame({"text": TEXTS})
    short, long = (answers.predict(table, {"max_new_tokens": n, "beam_size": 0}) for n in (1, 0))
    for one, other in zip(short["translation"], long["translation"], strict=True):
        assert other.startswith(one)
    assert sum(map(len, short["translation"])) < sum(map(len, long["translation"]))


def test_what_a_request_and_its_answer_have_depends_on_the_data_sets(several, tmp_path):
    mail = served(directory(tmp_path / "mail", {"mail": MAIL}))
    assert (mail.inputs, mail.params, list(mail.outputs)) == (
        {"text": True},
        {},
        ["label", "probability", "probabilities"],
    )
    samples = {"pairs": {"examples": [{"source": "Hallo"}]}}
    pairs = served(directory(tmp_path / "pairs", {"pairs": PAIRS}, samples=samples))
    assert (list(pairs.outputs), pairs.example) == (["translation"], [{"text": "Hallo"}])
    assert set(pairs.params) == {"max_new_tokens", "beam_size", "temperature", "seed"}
    assert served(several).inputs == {"text": True, "set": True}
    assert not served(several).always


@pytest.mark.parametrize(
    ("row", "params", "message"),
    [
        ({"text": 5, "set": "mail"}, {}, r"row 0: text must be a text, not 5"),
        ({"text": "x", "set": "male"}, {}, r"set 'male' is none of the model's; allowed: mail \(classification\)"),
        ({"text": "x", "set": "prose"}, {"max_new_tokens": -1}, r"max_new_tokens: -1 is not allowed"),
    ],
)
def test_a_wrong_request_is_said_in_one_line(several, row, params, message):
    with pytest.raises(MlflowException, match=message) as raised:
        _load_pyfunc(str(several)).predict(pandas.DataFrame([row]), params)
    assert raised.value.get_http_status_code() == 400


def test_a_directory_of_another_kind_is_not_served(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"1234")
    assert served(tmp_path) is None
