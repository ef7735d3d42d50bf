import math

import pytest

from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("framebg", -1, "a whole number from 0 to 100000000, in pixels"),
        ("framebg", 1.5, "a whole number from 0"),
        ("binth", math.nan, "a number of 0 or more, in counts"),
        ("binth", -1.0, "a number of 0 or more, in counts"),
        ("binth", "14", "a number of 0 or more, in counts"),
        ("min_region_pix", -5, "a whole number"),
        ("min_region_pix", 10**9, "a whole number from 0 to 100000000, in pixels"),
        ("hot_pixels", math.inf, "a number of 0 or more, in standard deviations"),
        ("hot_limit", 0, "a number above 0, in counts"),
        ("close_radius_pix", -1, "a whole number from 0 to 50, in pixels"),
        ("close_radius_pix", 51, "a whole number from 0 to 50, in pixels"),
        ("normalize", "current please", "one of auto, current, total, none"),
        ("dark", 1, "true or false"),
        ("fill_holes", None, "true or false"),
    ],
)
def test_an_impossible_value_is_named_with_what_was_expected(name, value, expected):
    with pytest.raises(ParameterError) as caught:
        Cleaning(**{name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}: expected {expected}")


def test_only_what_is_not_usual_is_shown():
    assert repr(Cleaning()) == "Cleaning()"
    assert repr(Cleaning(binth=14, dark=False)) == "Cleaning(binth=14.0, dark=False)"
