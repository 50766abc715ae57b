"""Warnings are told once, whatever line of the space file they stand on."""

from hpsearch.journal.told import untold


def test_a_warning_on_another_line_or_in_a_copy_of_the_file_is_the_same():
    told = ["space.yaml:7:18: training.learning_rate: odd", "data.a: 3 of 9 valid examples are also in train"]
    again = ["mlruns/x y/space.yaml:9:1: training.learning_rate: odd", *told]
    assert untold(again, told) == []
    assert untold(again, []) == [again[0], again[2]]


def test_a_changed_warning_is_told_without_secrets():
    told = ["data.a: 3 of 9 valid examples are also in train"]
    new = "data.a: 4 of 9 valid examples are also in train"
    assert untold([new, new, *told], told) == [new]
    assert untold(["notify: https://user:secret@example.org/x is slow"], []) != [
        "notify: https://user:secret@example.org/x is slow"
    ]
