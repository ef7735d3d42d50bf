"""The table of commands: each is a function with its arguments."""

from __future__ import annotations

import argparse
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from recon3d.config.declare import Setting, as_text, settings_of

Run = Callable[[argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are two lines long: the mistake, and where help is."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2 after telling what is wrong with the call."""
        self.exit(2, f"{self.prog}: error: {message}\n(see {self.prog} --help)\n")


@dataclass(frozen=True)
class Argument:
    """One argument of a command: what `ArgumentParser.add_argument` takes, and its group."""

    names: tuple[str, ...]
    how: dict[str, Any]
    group: str = ""


@dataclass(frozen=True)
class Command:
    """One command: what it does, its arguments, and whether processes of MPI share its work."""

    run: Run
    arguments: tuple[Argument, ...]
    shared: bool

    def add_to(self, parser: Parser) -> None:
        """Give a parser the arguments of this command."""
        groups: dict[str, Any] = {"": parser}
        for argument in self.arguments:
            if argument.group not in groups:
                groups[argument.group] = parser.add_argument_group(argument.group)
            groups[argument.group].add_argument(*argument.names, **argument.how)
        parser.add_argument(
            "--quiet", action="store_true", help="no progress bars, only warnings and errors"
        )

    @property
    def places(self) -> list[str]:
        """The arguments that have a place, by their names."""
        return [one.names[0] for one in self.arguments if not one.names[0].startswith("-")]


COMMANDS: dict[str, Command] = {}
"""Every command by its name, in the order of the help."""


def command(*arguments: Argument, shared: bool = False) -> Callable[[Run], Run]:
    """Make a function a command of its name; its docstring is the help.

    `shared`: whether the processes that an MPI launcher started share its work; else the first of
    them does it alone.
    """

    def enter(run: Run) -> Run:
        COMMANDS[run.__name__] = Command(run, arguments, shared)
        return run

    return enter


def summary(run: Run) -> str:
    """What a command does, in one line."""
    line = (inspect.getdoc(run) or "").partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


def argument(*names: str, **how: Any) -> Argument:
    """An argument as `ArgumentParser.add_argument` takes it; an upper-case metavar by default."""
    return Argument(names, how)


def file_argument(name: str, metavar: str, about: str, **more: Any) -> Argument:
    """An argument that is a path."""
    return argument(name, metavar=metavar, type=Path, help=about, **more)


def places(settings: dict[str, Setting]) -> Iterator[Argument]:
    """The arguments with a place that settings declare; a settings file can stand for them."""
    for key, declared in settings.items():
        about = f"{declared.help}, in {declared.unit}" if declared.unit else declared.help
        yield argument(key, metavar=key.upper(), nargs="?", help=about)


def options(declaring: type, group: str = "") -> Iterator[Argument]:
    """The options that a dataclass of settings declares; each leaves its text under its key."""
    for declared in settings_of(declaring).values():
        how: dict[str, Any] = {"metavar": declared.metavar or None}
        if declared.single is bool:
            how = {"action": "store_const", "const": as_text(not declared.default)}
        elif declared.choices and not declared.metavar:
            how["choices"] = declared.choices
        how |= {"dest": declared.key, "default": None, "help": _about(declared)}
        if declared.option:
            yield Argument((declared.option,), how, group)


def _about(declared: Setting) -> str:
    """What an option is, its unit and its default."""
    if declared.single is bool:
        return f"do not {declared.help}" if declared.default else declared.help
    unit = f", in {declared.unit}" if declared.unit else ""
    if declared.default in (None, ()):
        return declared.help + unit
    return f"{declared.help}{unit} (default: {declared.text(declared.default)})"


def within(least: float, most: float, kind: Callable[[str], float] = float) -> Any:
    """Make an argument's `type`: a number from `least` to `most`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            number = "a number" if kind is float else "a whole number"
            raise argparse.ArgumentTypeError(f"'{text}' is not {number} from {least:g} to {most:g}")
        return value

    return parse
