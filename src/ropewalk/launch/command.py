"""The command that runs one pipeline: a flag for each parameter of its compiled YAML."""

from collections.abc import Callable

import click

from ropewalk.launch.parameters import placeholder
from ropewalk.launch.request import Request
from ropewalk.launch.specification import Field

_TAKEN = {"help", "pairs", "param"}


def make_command(
    name: str, request: Request, start: Callable[[Request, dict[str, str], tuple[str, ...]], None]
) -> click.Command:
    """Return the command `name` that calls `start` with the request, the flags given, and the --param pairs."""

    def callback(pairs: tuple[str, ...], **given: str | None) -> None:
        start(request, {parameter: text for parameter, text in given.items() if text is not None}, pairs)

    specification = request.specification
    return click.Command(
        name,
        context_settings={"token_normalize_func": lambda flag: flag.replace("_", "-")},
        params=[*(_flag(field) for field in specification.parameters if field.name not in _TAKEN), _pairs()],
        callback=callback,
        help=f"{specification.description}\n\nSteps: {', '.join(specification.tasks)}.",
    )


def _flag(field: Field) -> click.Option:
    return click.Option(
        [f"--{field.name.replace('_', '-')}", field.name],
        metavar=placeholder(field),
        help=f"{field.description} [{_default(field)}]",
    )


def _pairs() -> click.Option:
    explained = "Another way to give a parameter; may be repeated."
    return click.Option(["--param", "pairs"], multiple=True, metavar="NAME=VALUE", help=explained)


def _default(field: Field) -> str:
    if field.default is None:
        return "required"
    return "default: empty" if field.default in ("", {}, []) else f"default: {field.default}"
