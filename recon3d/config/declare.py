"""One declaration a setting: its default, unit, bounds, help, and its name in files and commands.

The parser of .ini files, the command line, the checks, the widgets' labels, the table of keys in
the documentation and the record of a run all follow from these declarations.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from recon3d.arguments import WORDS, NamedFields, as_argument, choices_text, is_several, wrong
from recon3d.errors import warn

_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SEPARATORS = re.compile(r"[\s,;x×]+")
_BOUNDS = {">=": " of {} or more", ">": " above {}", "<=": " of {} at most", "<": " below {}"}
_BRACKETS = str.maketrans("[](){}", " " * 6)


@dataclass(frozen=True)
class Setting:
    """What is declared of one field; `settings_of` fills in what the field itself says."""

    help: str  # a sentence without a full stop
    unit: str = ""  # of its numbers
    key: str = ""  # its name in .ini files; the field's name where empty
    bounds: str = ""  # of its numbers, as `recon3d.arguments.checked` takes them
    choices: tuple[Any, ...] = ()
    # words that stand for a value in files, such as auto for 0
    words: Mapping[str, Any] = field(default_factory=dict)
    one_for_all: bool = False  # a single number stands for every number of the tuple
    expect: str = ""  # what is expected, in words; made of type, bounds and choices where empty
    # the option of the command line that gives it; of a truth value, the opposite of the default
    option: str = ""
    metavar: str = ""  # what stands for the value in the option's help
    record: bool = True  # whether it belongs in the record of a run
    name: str = ""
    kind: Any = str
    single: type = str  # the type of one value: int, float, bool, str or Path
    count: int | None = None  # of a tuple's values; 0 for any number, None where there is no tuple
    default: Any = None
    required: bool = False

    @property
    def expected(self) -> str:
        """What the value may be, in words."""
        words = [*self.words]
        if self.expect:
            return self.expect
        if self.choices:
            return choices_text([*words, *self.choices])
        text = self._numbers_text() + _bounds_text(self.bounds)
        if self.unit and self.unit != "1":
            text += f", in {self.unit}"
        return " or ".join([text, *words])

    def _numbers_text(self) -> str:
        if self.single is bool:
            return "true or false"
        article, _, name = WORDS[self.single.__name__].partition(" ")
        if self.count is None:
            return name if self.single is str else f"{article} {name}"
        several = f"{self.count} {name}s" if self.count else f"{name}s"
        return f"one {name} or {several}" if self.one_for_all else several

    def check(self, value: Any) -> Any:
        """Take a value of Python as the declared type; a ValueError says what is expected."""
        if isinstance(value, str) and value in self.words:
            return self.words[value]
        if self.single is str and isinstance(value, Path):
            value = str(value)  # a path, though it is kept as a text, may be given as a path
        if self.count is not None and is_several(value):
            value = [n for item in value for n in (item if is_several(item) else [item])]
        try:
            taken = as_argument(value, self.kind, self.bounds)
        except (TypeError, ValueError):
            raise ValueError(self.expected) from None
        known = (*self.choices, *self.words.values(), None)
        if self.choices and not all(
            n in known for n in (taken if isinstance(taken, tuple) else [taken])
        ):
            raise ValueError(self.expected)
        return taken

    def parse(self, text: str) -> Any:
        """Turn the text of a file or a command line, without quotes, into a value, or raise."""
        if text.lower() in self.words:
            return self.words[text.lower()]
        if self.single in (str, Path) and self.count is None:
            return self.check(text)
        if self.single is bool:
            if text.lower() not in _TRUTH:
                raise ValueError(self.expected)
            return _TRUTH[text.lower()]
        # A comment may follow a number without a space: no number has a '#'.
        text = text.partition("#")[0].strip()
        if self.count is None:
            return self.check(_number(text))
        parts = _SEPARATORS.split(text.translate(_BRACKETS).strip())
        if self.single is not str:
            parts = [_number(part) for part in parts if part]
        if self.one_for_all and len(parts) == 1 and self.count:
            parts = parts * self.count
        return self.check(parts)

    def text(self, value: Any) -> str:
        """The text of a value, without quotes, that `parse` gives back exactly."""
        for word, meaning in self.words.items():
            if meaning == value:
                return word
        return as_text(value)


def setting(default: Any = MISSING, help: str = "", **more: Any) -> Any:
    """Declare a field of a dataclass of settings.

    `default`: its default; left out where it must be given.
    """
    return field(default=default, metadata={"setting": Setting(help=help, **more)})


class Declared(NamedFields):
    """A dataclass of settings: checks its fields, and shows those that are not the default."""

    def __post_init__(self) -> None:
        for declared in settings_of(type(self)).values():
            value = getattr(self, declared.name)
            try:
                object.__setattr__(self, declared.name, declared.check(value))
            except ValueError as error:
                raise wrong(declared.name, value, str(error)) from None

    def __repr__(self) -> str:
        shown = [
            f"{declared.name}={getattr(self, declared.name)!r}"
            for declared in settings_of(type(self)).values()
            if declared.required or getattr(self, declared.name) != declared.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def settings_of(cls: Any) -> dict[str, Setting]:
    """The settings that a dataclass declares, by their keys, in order."""
    return _settings_of(cls)


@cache
def _settings_of(cls: Any) -> dict[str, Setting]:
    hints = get_type_hints(cls)
    found = {}
    for one in fields(cls):
        if "setting" in one.metadata:
            declared: Setting = one.metadata["setting"]
            key, required = declared.key or one.name, one.default is MISSING
            kind = hints[one.name]
            single = get_args(kind)[0] if type(None) in get_args(kind) else kind
            several = get_args(single) if get_origin(single) is tuple else None
            found[key] = replace(
                declared,
                key=key,
                name=one.name,
                kind=kind,
                single=single if several is None else several[0],
                count=None if several is None else len(several) * (several[-1] is not Ellipsis),
                default=None if required else one.default,
                required=required,
            )
    return found


def parse_texts(
    cls: type, texts: Mapping[str, str], capitals: Collection[str] = ()
) -> dict[str, Any]:
    """Parse the texts of a dataclass's keys, without quotes; what is not given is left out.

    A ParameterError names a value that is not what its key expects; `capitals`: the keys that it
    writes in capitals.
    """
    values = {}
    for key, declared in settings_of(cls).items():
        text = texts.get(key, "None").strip()
        # `None` says nothing, unless `none` is one of the choices.
        given = text.lower() != "none" or (text == "none" and "none" in declared.choices)
        if key in texts and (declared.required or given):
            try:
                values[declared.name] = declared.parse(texts[key])
            except ValueError as error:
                name = key.upper() if key in capitals else key
                raise wrong(name, texts[key], str(error)) from None
    return values


def missing_keys(cls: type, texts: Mapping[str, str]) -> list[str]:
    """The keys that must be given, and are not."""
    return [key for key, one in settings_of(cls).items() if one.required and key not in texts]


def record_of(settings: Any) -> dict[str, Any]:
    """The values of a dataclass of settings that belong in the record of a run, by their keys.

    What is None, to be found from the data, is left out.
    """
    declared = settings_of(type(settings))
    named = {key: value for key, value in values_of(settings).items() if declared[key].record}
    return {key: value for key, value in named.items() if value is not None}


def values_of(settings: Any) -> dict[str, Any]:
    """The values of a dataclass of settings by their keys."""
    declared = settings_of(type(settings))
    return {key: getattr(settings, one.name) for key, one in declared.items()}


def texts_of(settings: Any) -> dict[str, str]:
    """The texts of the values of a dataclass of settings by their keys."""
    declared = settings_of(type(settings))
    return {key: declared[key].text(value) for key, value in values_of(settings).items()}


def as_text(value: Any) -> str:
    """The text of a number, word, path, truth value, None or several of them, without quotes."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(as_text(item) for item in value)
    return repr(value) if isinstance(value, float) else str(value)


def nearest(key: str, known: Iterable[str]) -> str:
    """A hint at the known key that is most like an unknown one; empty where none is."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(key.lower(), [*by_lower], n=1)
    return f" (did you mean '{by_lower[near[0]]}'?)" if near else ""


def warn_of_unknown(keys: Iterable[str], known: Collection[str], path: Path) -> None:
    """Warn of the keys of a file that are not known, in one message; the nearest are named."""
    told = [(f"'{key}'", nearest(key, known)) for key in keys]
    if len(told) == 1:
        warn(f"{path}: the key {told[0][0]} is not known and is ignored{told[0][1]}")
    elif told:
        listed = ", ".join(name + hint for name, hint in told)
        warn(f"{path}: the keys {listed} are not known and are ignored")


def _number(text: str) -> float:
    """The number that a text is; NaN where it is none."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


def _bounds_text(bounds: str) -> str:
    parts = [bound.split() for bound in bounds.split(",") if bound]
    if [sign for sign, _ in parts] == [">=", "<="]:
        return f" from {parts[0][1]} to {parts[1][1]}"
    return " and".join(_BOUNDS[sign].format(number) for sign, number in parts)
