"""The record of looks at test data."""

from hpsearch.results.evidence.looks import RECORD, Look, earlier, line, look_of, looks, record


def look(study="a", config="1", folder="/m", contents=None, trial=3):
    return Look(study, trial, config, folder, contents if contents is not None else {"text": "f" * 8})


def test_the_first_look_has_none_before_it(tmp_path):
    assert earlier(tmp_path, look()) == []
    record(tmp_path, look())
    [found] = looks(tmp_path)
    assert found.is_same_training(look())
    assert found.contents == {"text": "f" * 8}
    assert found.time > 0
    assert line([]) == ""


def test_a_training_that_was_resumed_after_its_test_is_one_look(tmp_path):
    for _ in range(2):
        record(tmp_path, look())
    assert earlier(tmp_path, look()) == []
    assert len(earlier(tmp_path, look(config="2"))) == 1


def test_looks_at_the_same_data_count_whatever_the_study(tmp_path):
    record(tmp_path, look())
    assert len(earlier(tmp_path, look(study="b", config="2", contents={"other": "f" * 8}))) == 1
    assert len(earlier(tmp_path, look(study="a", config="2", contents={"text": "new"}))) == 1
    assert earlier(tmp_path, look(study="b", config="2", contents={"text": "new"})) == []


def test_earlier_looks_are_named_in_one_line(tmp_path):
    record(tmp_path, look(folder="/one"))
    said = "this test split was looked at once before (trial 3 of a in /one): do not choose among models by"
    assert line(earlier(tmp_path, look(config="2"))) == f"{said} their test values"
    for n in range(4):
        record(tmp_path, look(config=f"3{n}", folder=f"/{n}", trial=None))
    said = line(earlier(tmp_path, look(config="2")))
    assert said.startswith("this test split was looked at 5 times before (a in /1, a in /2, a in /3, ...): ")


def test_a_line_that_a_crash_has_cut_off_is_skipped(tmp_path):
    record(tmp_path, look())
    with (tmp_path / RECORD).open("a") as file:
        file.write('{"study": "a", "tri')
    record(tmp_path, look(config="2"))
    assert [one.config for one in looks(tmp_path)] == ["1", "2"]
    (tmp_path / RECORD).write_text("[1]\n5\n{}\n")
    assert looks(tmp_path) == []


def test_the_look_of_a_final_training(tmp_path):
    found = look_of("a", {"trial": 2}, config="c", folder=tmp_path, facts={"contents": {"x": "y"}, "fingerprint": "z"})
    assert found == Look("a", 2, "c", str(tmp_path), {"x": "y"})
    assert look_of("a", {}, config="c", folder=tmp_path, facts={}).trial is None
