"""The command that runs one pipeline: a flag for each parameter of its compiled YAML."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from ropewalk.launch.parameters import placeholder
from ropewalk.launch.request import Request
from ropewalk.launch.specification import Field

_TAKEN = {"help", "pairs", "param"}


def make_command(
    name: str, request: Request, start: Callable[..., None], options: Sequence[click.Option] = ()
) -> click.Command:
    """Return the command `name` that calls `start` with the request, the flags given, and the --param pairs.

    Args:
        name: The command's name.
        request: The pipeline; its parameters become flags.
        start: Called with those three, and with the values of `options` by name.
        options: Further options. A parameter of the same name is given by --param.
    """
    own = {str(option.name) for option in options}

    def callback(pairs: tuple[str, ...], **given: Any) -> None:
        flags = {parameter: text for parameter, text in given.items() if text is not None and parameter not in own}
        start(request, flags, pairs, **{option: given[option] for option in own})

    specification = request.specification
    taken = _TAKEN | own
    return click.Command(
        name,
        context_settings={"token_normalize_func": lambda flag: flag.replace("_", "-")},
        params=[*options, *(_flag(field) for field in specification.parameters if field.name not in taken), _pairs()],
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
