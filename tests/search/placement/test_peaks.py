"""What trials have taken of a GPU's memory, and what is expected of the next."""

import pytest

from hpsearch.contract import Evaluation
from hpsearch.journal.trial_history import TrialHistory
from hpsearch.search.placement.peaks import Peaks
from hpsearch.trainers import default
from hpsearch.trainers.causal_lm.shape import shape
from hpsearch.training.config import TrainConfig

TEXT = {"text": {"task": "text", "dataset": "python:a:b"}}


def config(*, data=None, tokenizer=None, model=None, evaluation=None, **training):
    sections = {"tokenizer": tokenizer, "model": model, "evaluation": evaluation, "training": training}
    given = {name: section for name, section in sections.items() if section}
    return TrainConfig.model_validate({"data": data or TEXT, **given}).model_dump(mode="json")


def shape_of(raw):
    return shape(TrainConfig.model_validate(raw))


def trial(number, *peaks, device="cuda:0", size=100, **wanted):
    evaluations = {i: says(peak, size) for i, peak in enumerate(peaks, start=1)}
    return TrialHistory(number, device=device, config=config(**wanted), evaluations=evaluations)


def peaks_of(*trials):
    return Peaks({found.number: found for found in trials}, default())


def expected(peaks, *numbers):
    return [peaks.expected(number) for number in numbers]


def says(peak, size=100):
    return Evaluation(1, 1, 0.1, {}, peak_memory=peak, device_memory=size)


def test_a_trial_is_expected_to_take_what_it_took_and_another_of_its_shape_the_most_that_one_took():
    peaks = peaks_of(trial(0, 10, 30, learning_rate=0.1), trial(1, 20, 20, epochs=9), trial(2, weight_decay=0.3))
    assert expected(peaks, 0, 1, 2, None) == [30, 20, 30, 30]
    peaks.measured(2, says(40))
    peaks.measured(1, says(15))
    assert expected(peaks, 0, 1, 2, None) == [30, 20, 40, 40]


def test_one_of_another_shape_what_the_next_larger_took():
    small, middle, large = trial(0, 10, batch_size=8), trial(1, 20, batch_size=16), trial(2, 70, batch_size=64)
    new = [trial(number, batch_size=size) for number, size in {3: 4, 4: 16, 5: 32, 6: 65}.items()]
    peaks = peaks_of(small, middle, large, *new)
    assert expected(peaks, 3, 4, 5, 6) == [10, 20, 70, 70]  # none was as large as the last: the most that any took
    assert peaks.expected(None) == 10
    peaks.measured(6, says(80))
    assert expected(peaks, 5, 6) == [70, 80]


def test_a_large_one_that_had_to_make_do_with_little_says_less_than_a_smaller_one():
    peaks = peaks_of(trial(0, 30, batch_size=8), trial(1, 20, batch_size=64), trial(2, batch_size=16))
    assert peaks.expected(2) == 30


@pytest.mark.parametrize(
    "larger",
    [
        {"model": {"n_layers": 5}},
        {"model": {"width": 256}},
        {"model": {"mlp_width": 999}},
        {"model": {"context": 256}},
        {"tokenizer": {"vocab_size": 3000}},
        {"evaluation": {"beam_size": 2}},
        {"batch_size": 33},
    ],
)
def test_what_makes_a_trial_larger(larger):
    assert shape_of(config(**larger)).covers(shape_of(config()))
    assert not shape_of(config()).covers(shape_of(config(**larger)))


@pytest.mark.parametrize(
    "other",
    [
        {"precision": "fp32"},
        {"compile": True},
        {"model": {"dropout": 0.1}},
        {"data": {"text": {"task": "text", "dataset": "python:a:c"}}},
    ],
)
def test_what_cannot_be_compared(other):
    assert not shape_of(config(**other)).covers(shape_of(config()))
    assert not shape_of(config()).covers(shape_of(config(**other)))


@pytest.mark.parametrize(
    "same",
    [
        {"learning_rate": 0.1, "epochs": 9, "schedule": "cosine"},
        {"batch_size": 64, "micro_batch_size": 32},
        {"batch_size": 32, "micro_batch_size": 64},
        {"evaluation": {"times": 7}},
    ],
)
def test_what_takes_no_memory(same):
    assert shape_of(config(**same)) == shape_of(config())


def test_a_trial_whose_config_is_lost_is_like_no_other():
    peaks = peaks_of(trial(0, 10), trial(1, 30, batch_size=64), TrialHistory(2))
    assert peaks.expected(2) == 30


def test_nothing_is_known_before_the_first():
    peaks = peaks_of(trial(7))
    assert (peaks.size("cuda:0"), peaks.expected(None), peaks.expected(7)) == (None, 0, 0)


def test_a_trial_that_says_nothing_of_the_device_is_passed_over():
    on_cpu = TrialHistory(0, device="cpu", evaluations={1: says(999, 0), 2: says(0, 0)})
    older = TrialHistory(1, device="cuda:0", evaluations={1: says(999, 0)})
    peaks = peaks_of(on_cpu, older)
    assert (peaks.size("cuda:0"), peaks.size("cpu"), peaks.expected(0)) == (None, None, 0)
    peaks.measured(1, says(999, 0))
    assert (peaks.size("cuda:0"), peaks.expected(1)) == (0, 0)


def test_of_the_sizes_that_a_journal_has_for_a_device_the_smallest_is_believed_until_it_is_measured():
    peaks = peaks_of(trial(0, 10, size=80), trial(1, 10, size=24), trial(2, 10, size=80), trial(3))
    assert peaks.size("cuda:0") == 24
    peaks.measured(3, says(10, size=48))
    assert peaks.size("cuda:0") == 48


def test_what_was_too_little_for_one_is_for_all_that_are_no_smaller_until_more_is_known():
    peaks = peaks_of(trial(0, 10), trial(1, 10), trial(2), trial(3, batch_size=1), trial(4, batch_size=99))
    peaks.ran_out(1, 45)
    assert expected(peaks, 0, 1, 2, 3, 4) == [45, 45, 45, 10, 45]
    peaks.measured(1, says(20))
    assert expected(peaks, 0, 1, 2, 3, 4) == [10, 20, 20, 20, 20]
    peaks.ran_out(2, 60)
    peaks.ended(2)
    assert expected(peaks, 0, 1, 2, 3, 4) == [10, 20, 20, 20, 20]
