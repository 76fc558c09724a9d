import math
import pickle

import pytest

from minicnn.schedules import constant, cosine, step_decay


def test_constant_never_changes():
    schedule = constant(0.3)
    assert [schedule(step) for step in (0, 1, 10**9)] == [0.3, 0.3, 0.3]


def test_step_decay_falls_exactly_at_each_multiple():
    schedule = step_decay(8.0, every=3, factor=0.5)
    assert [schedule(step) for step in range(8)] == [8.0, 8.0, 8.0, 4.0, 4.0, 4.0, 2.0, 2.0]


def test_cosine_equals_a_hand_calculation():
    schedule = cosine(4.0, steps=4, warmup=2, final=2.0)
    # up over two steps, then 3 + cos(0, 45, 90, 135, 180 degrees), then constant
    root = math.sqrt(0.5)
    expected = [0.0, 2.0, 4.0, 3 + root, 3.0, 3 - root, 2.0, 2.0, 2.0]
    assert [schedule(step) for step in range(9)] == pytest.approx(expected, rel=1e-15)


def test_cosine_without_warmup_begins_at_the_top_and_ends_at_final_exactly():
    schedule = cosine(0.1, steps=10, final=0.001)
    assert (schedule(0), schedule(10), schedule(11)) == (0.1, 0.001, 0.001)


@pytest.mark.parametrize("schedule", [constant(0.1), step_decay(0.1, 5), cosine(0.1, 10, warmup=2)])
def test_schedule_survives_pickle(schedule):
    twin = pickle.loads(pickle.dumps(schedule))
    assert [twin(step) for step in range(15)] == [schedule(step) for step in range(15)]
    assert repr(twin) == repr(schedule)


def test_schedule_prints_as_the_call_that_made_it():
    assert repr(constant(1)) == "constant(lr=1.0)"
    assert repr(step_decay(0.1, 5)) == "step_decay(lr=0.1, every=5, factor=0.1)"
    assert repr(cosine(0.1, 10)) == "cosine(lr=0.1, steps=10, warmup=0, final=0.0)"


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: constant(-1), ValueError, "`lr` must be in"),
        (lambda: constant("fast"), TypeError, "`lr` must be a number, got 'fast'"),
        (lambda: step_decay(-1, 5), ValueError, "`lr` must be in"),
        (lambda: step_decay(0.1, 0), ValueError, "`every` must be at least 1, got 0"),
        (lambda: step_decay(0.1, 2.5), TypeError, "`every` must be an integer, got 2.5"),
        (lambda: step_decay(0.1, 2, factor=0), ValueError, "`factor` must be in"),
        (lambda: cosine(0.1, 0), ValueError, "`steps` must be at least 1, got 0"),
        (lambda: cosine(0.1, 10, warmup=-1), ValueError, "`warmup` must be at least 0, got -1"),
        (lambda: cosine(0.1, 10, final=math.nan), ValueError, "`final` must be in"),
        (lambda: cosine(math.inf, 10), ValueError, "`lr` must be in"),
    ],
)
def test_schedule_refuses_wrong_arguments(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
