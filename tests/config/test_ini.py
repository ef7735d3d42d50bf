import pytest

from recon3d.config.ini import quoted, read_ini
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
        ("key 'a b'", "a b"),
        ('key "grain #1"', "grain #1"),
        ("key 'grain #1' # the first", "grain #1"),
        ("key='grain #1'", "grain #1"),
        ("""key "it's #1" # isn't it""", "it's #1"),
        ("key ''", ""),
        ("key it's", "it's"),
        ("key “grain #1” # why", "grain #1"),
        ("key „it’s”", "it’s"),
        ("key ‘grain #1’", "grain #1"),
        ("\ufeffkey 3", "3"),
        ("\u200b\ufeffkey 3", "3"),
        ('key ["a", "b"]', '["a", "b"]'),
    ],
)
def test_one_line(read, line, value):
    assert read(line + "\n") == {"key": value}


def test_comments_headings_and_empty_lines_are_passed_over(read):
    assert read("[scan]\n# a comment\n\n   # indented\n; too\n\t\na 1\n") == {"a": "1"}
    assert read("a 1 ; 2\n") == {"a": "1 ; 2"}


def test_of_repeated_keys_the_last_wins_and_the_log_says_so(read, caplog):
    caplog.set_level("INFO", logger="recon3d")
    assert read("a 1\na 1\nb 2\na 3\n") == {"a": "3", "b": "2"}
    (record,) = caplog.records
    assert "line 4: the key 'a' is given again: '3' is used" in record.getMessage()


@pytest.mark.parametrize("marks", [1, 2])
def test_a_byte_order_mark_is_no_part_of_the_first_key(read, marks):
    assert read(marks * b"\xef\xbb\xbf" + b"a 1\n") == {"a": "1"}


@pytest.mark.parametrize("value", ["'open", '"None', "\"None'", '"grain #1', "“None", "‘None”"])
def test_a_quote_that_is_not_closed_is_named(read, value):
    with pytest.raises(ParameterError, match="line 1: the key 'key' has a quote that is not"):
        read(f"key {value}\n")


@pytest.mark.parametrize("line", ["key", "key =", "key # 3"])
def test_a_key_without_a_value_is_named(read, line):
    with pytest.raises(ParameterError, match=r"some\.ini, line 2: the key 'key' has no value"):
        read("a 1\n" + line + "\n")


def test_what_is_no_text_file_is_refused(read, tmp_path):
    with pytest.raises(ParameterError, match="not a text file"):
        read(b"\xff\xfe\x00binary")
    with pytest.raises(ParameterError, match=r"some\.ini, line 2: is not text"):
        read(b"\x89HDF\r\n\x1a\n\x00\x01")
    with pytest.raises(ParameterError, match=r"absent\.ini: cannot be read"):
        read_ini(tmp_path / "absent.ini")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a b",
        "grain #1",
        "#1",
        "file#1",
        "it's",
        "'",
        '"',
        "",
        " a",
        "a ",
        "=3",
        "C:/x=3",
        "é µ",
    ],
)
def test_what_is_written_is_read_again(read, text):
    assert read(f"key {quoted(text)}\n") == {"key": text}


def test_what_no_line_can_hold_is_refused():
    for text in ("a\nb", 'it\'s "#1" #2'):
        with pytest.raises(ParameterError, match="cannot stand in a settings file"):
            quoted(text)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_as_editors_write_it(read, encoding, end):
    text = end.join(["# 20 µm, 5°", "grain_pos 1 2 3", "path 'é #1'", ""])
    assert read(text.encode(encoding)) == {"grain_pos": "1 2 3", "path": "é #1"}


def test_a_line_that_is_not_text_is_named(read):
    with pytest.raises(ParameterError, match=r"some\.ini, line 2: is not text"):
        read(b"a 1\nb \x01\x02\n")
