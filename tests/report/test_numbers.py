import math

import pytest

from greenbench.report.numbers import counted, duration, figure, with_interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0.0, "0"),
        (1.0, "1.000"),
        (9.9996, "10.00"),
        (1234.5678, "1235"),
        (123456.7, "123457"),
        (0.00012345, "0.0001234"),
        (1.2345e-5, "1.23e-05"),
        (2.5e7, "2.50e+07"),
        (-0.5, "-0.5000"),
        (999999.7, "1.00e+06"),
    ],
)
def test_four_digits_that_mean_something(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(
    ("mean", "u95", "text"),
    [
        (0.5, 0.0124, "0.500 ±0.012"),
        (12.3456, 1.5, "12.3 ±1.5"),
        (12.3456, None, "12.35"),
        (100.0, 25.0, "100 ±25"),
        (2.0, 0.0, "2.000 ±0"),
        (5.0, 1e-9, "5.000 ±0.000"),
        (1e-6, 1e-7, "1.00e-06 ±1e-07"),
    ],
)
def test_a_mean_stops_where_its_interval_begins(mean, u95, text):
    assert with_interval(mean, u95) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_lengths_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_one_and_many():
    assert (counted(1, "trial"), counted(0, "trial"), counted(3, "trial")) == (
        "1 trial",
        "0 trials",
        "3 trials",
    )
