"""The command that runs one pipeline: a flag for each parameter of its compiled YAML."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from ropewalk.launch.parameters import placeholder
from ropewalk.launch.request import Request
from ropewalk.launch.specification import Field
from ropewalk.launch.where import CONTAINERS, PROCESSES

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
    taken = _TAKEN | own | {flag.removeprefix("--") for option in options for flag in option.opts}
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


def places() -> list[click.Option]:
    """Return the options that say where steps work: the fields of `Where`."""
    return [
        click.Option(
            ["--in", "place"],
            type=click.Choice([PROCESSES, CONTAINERS]),
            default=PROCESSES,
            help="Where steps work: processes of this machine, or containers (podman or docker) from the images that "
            "`make images` builds: not root, read-only, with the limits that the YAML sets. [default: processes]",
        ),
        click.Option(
            ["--network"],
            type=click.Choice(["auto", "on", "off"]),
            default="auto",
            help="In containers: which steps have a network. auto: those that are handed an address of a server, by a "
            "parameter, a variable of theirs or a DVC remote; a store on this machine needs none. [default: auto]",
        ),
        click.Option(
            ["--mount", "mounts"],
            multiple=True,
            metavar="PATH[:rw]",
            help="In containers: a further file or folder that steps see at the same path, to be read, or written with "
            ":rw. What parameters name is mounted without it. May be repeated.",
        ),
    ]


def _default(field: Field) -> str:
    if field.default is None:
        return "required"
    return "default: empty" if field.default in ("", {}, []) else f"default: {field.default}"
