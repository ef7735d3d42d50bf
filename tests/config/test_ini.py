import pytest

from recon3d.config.ini import (
    integer,
    number,
    one_of,
    parse_literal,
    read_ini,
    several,
    truth,
    word,
)
from recon3d.errors import ParameterError


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "some.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_ini(path)

    return read_text


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("key 3", "3"),
        ("  key   3  ", "3"),
        ("key\t3", "3"),
        ("key \t 3", "3"),
        ("key = 3", "3"),
        ("key=3", "3"),
        ("key: 3", "3"),
        ("key 3 # and why", "3"),
        ("key 3\t# and why", "3"),
        ("key file#1.edf", "file#1.edf"),
        ("key [1, 2, 3]", "[1, 2, 3]"),
        ("key 1 2 3", "1 2 3"),
        ("key C:/data/x=3", "C:/data/x=3"),
        ("key 3\r", "3"),
    ],
)
def test_one_line(read, line, value):
    assert read(line + "\n") == {"key": value}


def test_comments_and_empty_lines_are_passed_over(read):
    assert read("# a comment\n\n   # indented\n\t\na 1\n") == {"a": "1"}


def test_of_repeated_keys_the_last_wins(read):
    assert read("a 1\nb 2\na 3\n") == {"a": "3", "b": "2"}


def test_a_byte_order_mark_is_no_part_of_the_first_key(read):
    assert read(b"\xef\xbb\xbfa 1\n") == {"a": "1"}


@pytest.mark.parametrize("line", ["key", "key =", "key # 3"])
def test_a_key_without_a_value_is_named(read, line):
    with pytest.raises(ParameterError, match=r"some\.ini, line 2: the key 'key' has no value"):
        read("a 1\n" + line + "\n")


def test_what_is_no_text_file_is_refused(read, tmp_path):
    with pytest.raises(ParameterError, match="not a text file"):
        read(b"\xff\xfe\x00binary")
    with pytest.raises(ParameterError, match=r"absent\.ini: cannot be read"):
        read_ini(tmp_path / "absent.ini")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3.5e-2", -0.035),
        ("[1, 2, 3]", (1, 2, 3)),
        ("(1, 2, 3)", (1, 2, 3)),
        ("[1,2,3]", (1, 2, 3)),
        ("[1 2 3]", (1, 2, 3)),
        ("1 2 3", (1, 2, 3)),
        ("1, 2, 3", (1, 2, 3)),
        ("1\t2", (1, 2)),
        ("None", None),
        ("none", None),
        ("True", True),
        ("false", False),
        ("'quoted'", "quoted"),
        ("id06", "id06"),
        ("out/run 1", "out/run 1"),
    ],
)
def test_literals(text, value):
    assert parse_literal(text) == value
    assert type(parse_literal(text)) is type(value)


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "2 * 3", "len('ab')", "a.b", "1/2"])
def test_an_expression_stays_text_and_is_no_number(text):
    assert parse_literal(text) == text
    with pytest.raises(ValueError, match="one finite number"):
        number(text)


def test_numbers():
    assert number("0.5") == 0.5
    assert number("None") == 0.0
    for bad in ("True", "nan", "inf", "1e999", "[1]", "1 2", "two", "'2'"):
        with pytest.raises(ValueError, match="finite number"):
            number(bad)


def test_whole_numbers():
    assert [integer(text) for text in ("101", "101.0", "+1", "-1")] == [101, 101, 1, -1]
    with pytest.raises(ValueError, match="whole number"):
        integer("100.5")


def test_truth_values():
    assert [truth(text) for text in ("yes", "True", "1")] == [True] * 3
    assert [truth(text) for text in ("no", "FALSE", "0")] == [False] * 3
    with pytest.raises(ValueError, match="true or false"):
        truth("maybe")


def test_words():
    assert word("'horizontal'") == word("horizontal") == "horizontal"
    assert word("2017") == "2017"
    assert one_of("a", "b")("'b'") == "b"
    with pytest.raises(ValueError, match="one of a, b"):
        one_of("a", "b")("c")


def test_several_values():
    assert several(number, 3)("[1, 2.5, -3]") == (1.0, 2.5, -3.0)
    assert several(integer)("4") == (4,)
    assert several(number, 3)("None None 1") == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="3 values, not 2"):
        several(number, 3)("1 2")
    with pytest.raises(ValueError, match="whole number"):
        several(integer, 2)("1 2.5")
