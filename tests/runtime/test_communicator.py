"""What a communicator of one does, and how work is dealt among many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.runtime.communicator import ALONE, Communicator, from_first, undealt
from recon3d.runtime.progress import Stage, told_to, track


@given(st.lists(st.integers()), st.integers(1, 9))
def test_nothing_is_left_out_or_done_twice(items, size):
    hands = []
    for rank in range(size):
        member = Communicator()
        member.rank, member.size = rank, size
        hands.append(member.share(items))
    assert undealt(hands) == items
    lengths = [len(hand) for hand in hands]
    assert max(lengths) - min(lengths) <= 1


def test_one_process_keeps_everything():
    array = np.arange(4.0)
    ALONE.sum(array)
    assert array.tolist() == [0, 1, 2, 3]
    assert ALONE.share(array) == [0, 1, 2, 3]
    assert ALONE.collect([1, 2]) == [1, 2]
    assert ALONE.agree("x") == "x"
    assert list(ALONE.gathered("x")) == ["x"]
    assert not ALONE.stopping()
    assert from_first(ALONE, lambda: "x") == "x"


def test_what_goes_wrong_on_the_first_one_is_raised_by_all():
    def fail():
        raise ValueError("there is no such file")

    heard = []

    class Second(type(ALONE)):
        rank, size = 1, 2

        def agree(self, value):
            assert value == ([], None)
            return heard.pop()

    class First(type(ALONE)):
        size = 2

        def agree(self, value):
            heard.append(value)
            return value

    with pytest.raises(ValueError, match="no such file"):
        from_first(First(), fail)
    with pytest.raises(ValueError, match="no such file"):
        from_first(Second(), fail)


def test_an_update_changes_the_whole_and_clears_the_parts():
    held = ALONE.hold((3, 2))
    assert not held.whole.any()

    def fill(rows):
        held.whole[rows] = 1

    def add(rows, summed):
        rows += summed

    held.each_row(fill)
    held.parts[...] = 2
    held.update(add)
    assert (held.whole == 3).all()
    assert not held.parts.any()


def test_a_listener_is_told_in_place_of_a_bar(capsys):
    told = []
    with told_to(told.append):
        assert list(track("ab", "spelling", unit="letter")) == ["a", "b"]
    assert told == [Stage("spelling", "letter", 0, 2), Stage("spelling", "letter", 1, 2)]
    assert capsys.readouterr().err == ""
    list(track("ab", "spelling", unit="letter"))
    assert "spelling" in capsys.readouterr().err
    assert len(told) == 2


def test_a_stage_of_unknown_length_is_told_too():
    told = []
    with told_to(told.append):
        list(track(iter("ab"), "spelling"))
    assert told[-1] == Stage("spelling", "it", 1, None)
    assert told[-1].done == pytest.approx(1)
