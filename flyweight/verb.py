"""What all verbs share: `--config`, `--json`, the exit codes, and faults told as one line for a person.

0  yes        1  the verdict is no        2  usage or configuration
3  the run was not valid and gives no figure        4  internal error
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from contracts import durable
from contracts.faults import Fault, UsageFault
from contracts.sections import Settings
from contracts.settings import Key, read_settings
from flyweight.console import Reporter

A_PATH = click.Path(path_type=Path)
THERE = click.Path(path_type=Path, exists=True)


@dataclass(frozen=True)
class Outcome:
    """What a verb found (JSON-able, for `--json`), and its exit code."""

    result: object
    exit_code: int = 0


@dataclass(frozen=True)
class Desk:
    """What a verb works with."""

    settings: Settings
    out: Reporter


def verb(*, flags: dict[str, Key] | None = None) -> Callable:
    """Make a function `(desk, **arguments) -> Outcome` a command; its docstring is the help.

    `flags` names the arguments that override a setting: `{"seed": ("training", "seed")}`.
    """

    def decorate(function: Callable[..., Outcome]) -> click.Command:
        @functools.wraps(function)
        def run(config: Path | None, json_file: Path | None, **arguments: object) -> None:
            sys.exit(_run(function, flags or {}, config, json_file, arguments))

        run = click.option(
            "--json",
            "json_file",
            type=A_PATH,
            metavar="FILE",
            help="Write the result here, as JSON.",
        )(run)
        run = click.option("--config", type=A_PATH, metavar="FILE", help="Instead of ./flyweight.toml.")(run)
        return click.command(name=function.__name__.replace("_", "-"))(run)

    return decorate


def _run(
    function: Callable[..., Outcome],
    flags: dict[str, Key],
    config: Path | None,
    json_file: Path | None,
    arguments: dict[str, object],
) -> int:
    together = os.environ.get("WORLD_SIZE", "1") != "1"  # under torchrun; models/processes.py would import torch
    is_first = not together or os.environ.get("RANK", "0") == "0"
    with Reporter(mute=not is_first) as out:
        try:
            given = {key: arguments.pop(name) for name, key in flags.items()}
            settings = read_settings(config, {key: value for key, value in given.items() if value is not None})
            outcome = function(Desk(settings, out), **arguments)
            if json_file and is_first:
                content = msgspec.json.format(msgspec.json.encode(outcome.result), indent=2)
                durable.write_bytes(json_file, content + b"\n")
                out.wrote(json_file, "the result as JSON")
            return outcome.exit_code
        except Fault as fault:
            click.echo(f"flyweight: {fault}", err=True)
            return fault.exit_code
        except ModuleNotFoundError as missing:
            click.echo(f"flyweight: {explain_missing(missing)}", err=True)
            return UsageFault.exit_code
        except KeyboardInterrupt:
            click.echo("flyweight: interrupted. What is written is whole: run the same command again.", err=True)
            return 130
        except Exception:
            traceback.print_exc()
            click.echo("flyweight: internal error; the trace above says where. Please report it.", err=True)
            return Fault.exit_code


def explain_missing(missing: ModuleNotFoundError) -> str:
    """What serves is installed without what trains and load-tests: say which extra a verb needs."""
    if missing.name in ("export", "models", "loadtests"):
        return (
            f"this verb needs {missing.name}/, which is not in this image: it only serves. The jobs' image has it "
            "(docs/kubernetes.md), and so has a checkout."
        )
    extra = "loadtest" if missing.name in ("locust", "hdrh") else "train"
    return f"this verb needs {missing.name}, which is not installed. Run `pip install 'flyweight[{extra}]'`."
