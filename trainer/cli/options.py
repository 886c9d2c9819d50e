"""Click options: those that a stage's config describes, and those that several commands have. Imports nothing heavy."""

import functools
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from spa_lsp.bases.catalog import DEFAULT_BASE
from spa_lsp.settings.schema import QUANTIZATIONS
from trainer.configs import Option, PartitionConfig
from trainer.executor.on_ray import Ray
from trainer.executor.work import Executor, Local

_Command = TypeVar("_Command", bound=Callable[..., Any])

SEED = click.IntRange(0, 2**31 - 1)  # what every generator takes


def of_config(
    config: type, argument: str, *, only: Sequence[str] = (), flags: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options of a config's fields; the command gets the config that they make as this argument.

    Args:
        config: a config of `trainer.configs`; fields without an option keep their defaults.
        argument: the command's.
        only: names of the fields to take; all by default.
        flags: other names for the options of some fields.
    """
    chosen = [each for each in fields(config) if "option" in each.metadata and (not only or each.name in only)]
    parameters = {each.name: f"{argument}_{each.name}" for each in chosen}
    named = {each.name: (flags or {}).get(each.name) or _flag(each) for each in chosen}

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_config(*args: Any, **values: Any) -> Any:
            made = config(**{name: values.pop(parameter) for name, parameter in parameters.items()})
            for each in chosen:
                if is_given(parameters[each.name]):
                    _check_effect(made, each, named)
            return command(*args, **values, **{argument: made})

        decorated: Callable[..., Any] = with_config
        for each in reversed(chosen):
            decorated = _option(config, each, parameters[each.name], named[each.name])(decorated)
        return decorated

    return decorate


def of_field(config: type, name: str) -> Callable[[_Command], _Command]:
    """The option of one field of a config; the command gets its value under the field's name."""
    (found,) = (each for each in fields(config) if each.name == name)
    return _option(config, found, name, _flag(found))


def is_given(parameter: str) -> bool:
    """Whether the user gave a value for a parameter of the running command, be it the default."""
    return click.get_current_context().get_parameter_source(parameter) is not ParameterSource.DEFAULT


def _flag(each: "Field[Any]") -> str:
    option: Option = each.metadata["option"]
    return option.flag or f"--{each.name.replace('_', '-')}"


def _check_effect(config: Any, given: "Field[Any]", flags: Mapping[str, str]) -> None:
    """Refuse an option that was given and that does nothing beside the others."""
    option: Option = given.metadata["option"]
    other, values = option.only_with or ("", ())
    if other in flags and getattr(config, other) not in values:
        beside, way_out = f"{flags[other]} {getattr(config, other)}", f"{flags[other]} {' or '.join(values)}"
        raise click.UsageError(f"{flags[given.name]} does nothing with {beside}; leave it out, or pass {way_out}")


def _option(config: type, each: "Field[Any]", parameter: str, flag: str) -> Callable[[_Command], _Command]:
    option: Option = each.metadata["option"]
    kind, is_many = _kind(get_type_hints(config)[each.name])
    return click.option(
        flag,
        parameter,
        type=_param_type(kind, option),
        default=each.default,
        show_default=each.default not in (None, ()),
        metavar=option.metavar,
        multiple=is_many,
        is_flag=kind is bool,
        help=option.help,
    )


def _kind(hint: Any) -> tuple[Any, bool]:
    """What one value of an option is, and whether there may be several (`tuple[Path, ...]`); None says "not given"."""
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    if get_origin(hint) not in (Union, UnionType):
        return hint, False
    kinds = [each for each in get_args(hint) if each is not type(None)]
    if len(kinds) == 1:
        return kinds[0], False
    return Literal[tuple(choice for each in kinds for choice in get_args(each))], False  # Literal["all"] | Recipe


def _param_type(kind: Any, option: Option) -> "click.ParamType[Any]":
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if kind is int:
        low, high = (None if bound is None else int(bound) for bound in (option.low, option.high))
        return Whole(low, high)
    if kind is float:
        return _Finite(option.low, option.high, min_open=option.is_open)
    if kind is Path:
        return PATH
    return click.BOOL if kind is bool else click.STRING


class Whole(click.IntRange):
    """A whole number that the store can hold."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if number > _LARGEST:
            self.fail(f"{value} is more than {_LARGEST}", param, ctx)
        return number


class _Finite(click.FloatRange):
    """A number that can be computed with; `nan` is in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


class _NamedPath(click.Path):
    """A path; an empty one, as of a shell's variable that is not set, would mean the folder one is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


PATH = _NamedPath(path_type=Path)
FILE = _NamedPath(dir_okay=False, path_type=Path)


class Duration(click.ParamType[float]):
    """`90s`, `10m`, `1h30m`, or plain minutes; gives seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        text = value.strip().lower()
        found = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", f"{text}m" if text.isdigit() else text)
        hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
        total = 3600 * hours + 60 * minutes + seconds
        if not 0 < total <= _LONGEST_S:
            self.fail(f"{value!r} is no time; write 90s, 10m or 1h30m, at most a week", param, ctx)
        return float(total)


_LARGEST = 2**63 - 1
_LONGEST_S = 7 * 24 * 3600

k = of_field(PartitionConfig, "k")
budget = click.option(
    "--budget",
    "budget_s",
    type=Duration(),
    metavar="TIME",
    help="End in this time, as in 1h30m: as many samples, parts and steps (up to --steps) as fit, at lowest priority.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
base = click.option(
    "--base", "base_id", metavar="ID", default=DEFAULT_BASE, show_default=True, help="Base, see spa-lsp models list."
)
quantization = click.option(
    "--quantization", type=click.Choice(QUANTIZATIONS), default="auto", show_default=True, help="Precision of the base."
)
seed = click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of everything that is drawn.")
limit = click.option("--limit", type=Whole(min=1), metavar="N", help="At most N samples.  [default: all]")
n_seeds = click.option(
    "--seeds", "n_seeds", type=Whole(min=1), metavar="N", help="Synthesize of at most N seeds.  [default: all]"
)
limit_seeds = click.option("--limit", type=Whole(min=1), metavar="N", help="At most N seeds.  [default: all]")
language = click.option(
    "--language",
    default="python",
    show_default=True,
    callback=lambda _, __, value: value.strip().lower(),  # as samples are kept
    help="Language of the samples.",
)
anchors = click.option("--anchors", "anchors_path", type=PATH, help="JSONL of own anchors.  [default: bundled]")
data = click.option("--data", envvar="SPA_DATA", type=PATH, help="Folder of the benchmarks.  [env: SPA_DATA]")
hub = click.option("--hub", is_flag=True, help="Download humaneval and mbpp-sanitized where nothing else has them.")
unsafe_no_sandbox = click.option("--unsafe-no-sandbox", is_flag=True, help="Run programs even where no sandbox works.")
allow_package = click.option(
    "--allow-package",
    "allow_packages",
    multiple=True,
    metavar="NAME",
    help="Let programs import this installed package, as in numpy; may be given again.",
)


def executor(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the pieces of a stage are computed; the command gets an `executor`."""

    @functools.wraps(command)
    def with_executor(*args: Any, executor: str, ray_address: str | None, n_workers: int | None, **values: Any) -> Any:
        if n_workers and executor == "local":
            raise click.UsageError("--workers needs --executor ray")
        return command(*args, **values, executor=_executor(executor, ray_address, n_workers))

    return _executor_name(_ray_address(_workers(with_executor)))


def executor_of_programs(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command whose `workers` are programs that run at the same time, wherever that is."""

    @functools.wraps(command)
    def with_executor(*args: Any, executor: str, ray_address: str | None, workers: int, **values: Any) -> Any:
        return command(*args, **values, workers=workers, executor=_executor(executor, ray_address, workers))

    return _executor_name(_ray_address(with_executor))


_executor_name = click.option(
    "--executor",
    type=click.Choice(("local", "ray")),
    default="local",
    show_default=True,
    help="Compute in this process, or on a Ray cluster.",
)
_ray_address = click.option(
    "--ray-address",
    envvar="RAY_ADDRESS",
    metavar="HOST:PORT",
    help="ray: a cluster that runs, or auto.  [env: RAY_ADDRESS; default: one is started here]",
)
_workers = click.option(
    "--workers",
    "n_workers",
    type=Whole(min=1),
    metavar="N",
    help="ray: processes that hold the base.  [default: one for each GPU, else for each core]",
)


def _executor(name: str, address: str | None, n_workers: int | None) -> Executor:
    source = click.get_current_context().get_parameter_source("ray_address")
    if name == "local" and source is ParameterSource.COMMANDLINE:  # the variable may be meant for other programs
        raise click.UsageError("--ray-address needs --executor ray")
    return Ray(address=address, n_workers=n_workers or 0) if name == "ray" else Local()
