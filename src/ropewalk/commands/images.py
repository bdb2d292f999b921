"""`ropewalk images ...` and `ropewalk bundle ...`: the containers that steps run in."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ropewalk.containers.build import Built
    from ropewalk.containers.families import Sources

_source = click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Checkout of Ropewalk.  [default: the current folder]",
)
_registry = click.option(
    "--registry",
    default="",
    help="What comes before /ropewalk-FAMILY in names.  [default: $ROPEWALK_IMAGE_REGISTRY, else ghcr.io/ropewalk]",
)


@click.group()
def images() -> None:
    """Build the images that steps run in, with podman or docker, from a checkout of Ropewalk.

    \b
    Families, one image for each:
      data       resolve, pull, push, version: DVC and git
      tables     check, validate, preprocess, report: Arrow and pandas
      train      train, launch, tune, evaluate: torch, for CPUs or NVIDIA GPUs
      registry   fetch, register: MLflow

    \b
    Examples:
      ropewalk images build                          all of them, with SBOMs and images.lock
      ropewalk images build train --accelerator cuda
      ropewalk images build --base registry.example.com/python:3.11 --push registry.example.com/ml
      ropewalk images lock                           after a change of constraints.txt
    """  # noqa: D301 (click reads a real backspace: do not wrap this paragraph)


@images.command()
@click.argument("families", nargs=-1, metavar="[FAMILY]...")
@_source
@_registry
@click.option("--base", default="", help="Base image, Debian-like.  [default: python:3.11-slim-bookworm]")
@click.option("--accelerator", type=click.Choice(["cpu", "cuda"]), default="cpu", help="What train computes with.")
@click.option("--push", default="", metavar="REGISTRY", help="Push them there; images.lock then has its digests.")
@click.option("--sbom/--no-sbom", default=True, help="Write an SBOM for each image to build/sboms.")
def build(
    *, families: tuple[str, ...], source: Path, registry: str, base: str, accelerator: str, push: str, sbom: bool
) -> None:
    """Build the images FAMILY..., all of them without one; writes images.lock when it built all.

    pip fetches wheels by its own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...), checked against the locks in
    containers/; the builds themselves fetch nothing but Debian's packages. What is built already is kept, so that a
    killed build goes on; only whole images get a name. Each has two tags: the version, which compiled YAML names, and
    version and commit.
    """
    from ropewalk.containers.build import BASE_IMAGE, build_images, make_plan
    from ropewalk.containers.engine import find_engine
    from ropewalk.containers.families import FAMILIES, Sources, check_families
    from ropewalk.containers.push import push_images

    chosen = check_families(families)
    sources, engine = Sources(root=source), find_engine()
    plan = make_plan(
        engine, sources, base=base or BASE_IMAGE, accelerator=accelerator, registry=registry or _default_registry()
    )
    built = build_images(engine, sources, chosen, plan, say=_say)
    if sbom:
        _write_sboms(sources, built)
    named = push_images(engine, built, push, say=_say) if push else built
    _show(named)
    if set(chosen) == set(FAMILIES):
        _write_lock(sources, named, plan.revision)


@images.command()
@_source
@click.option("--find-links", multiple=True, help="Folder or page with further wheels, such as torch's for CPUs.")
def lock(*, source: Path, find_links: tuple[str, ...]) -> None:
    """Write all locks: exact versions and hashes, from containers/*/requirements.in and constraints.txt."""
    from ropewalk.containers.families import Sources
    from ropewalk.containers.lock import lock_images

    changed = lock_images(Sources(root=source), find_links)
    for file in changed:
        click.echo(file)
    click.echo(f"{len(changed)} locks changed.")


@click.group(invoke_without_command=True)
@_source
@_registry
@click.option("--out", type=click.Path(path_type=Path), help="New folder.  [default: build/ropewalk-VERSION-bundle]")
@click.pass_context
def bundle(context: click.Context, *, source: Path, registry: str, out: Path | None) -> None:
    """Write one folder with all that a site without a network needs: images, wheels, YAML, SBOMs and checksums.

    \b
    Examples:
      ropewalk images build && ropewalk bundle --out /media/stick/ropewalk
      ropewalk bundle verify /media/stick/ropewalk

    The images must have been built from this checkout; the folder's README.md says how to load them. Needs podman.
    """  # noqa: D301
    if context.invoked_subcommand:
        return
    import ropewalk
    from ropewalk.containers.build import inspect_built, read_revision
    from ropewalk.containers.bundle import make_bundle
    from ropewalk.containers.engine import find_engine
    from ropewalk.containers.families import FAMILIES, Sources

    sources, engine = Sources(root=source), find_engine()
    revision = read_revision(sources.root)
    name = registry or _default_registry()
    built = [inspect_built(engine, each, f"{name}/ropewalk-{each}:{ropewalk.__version__}") for each in FAMILIES]
    target = out or sources.built / f"ropewalk-{ropewalk.__version__}-bundle"
    click.echo(make_bundle(engine, sources, built, target, revision=revision, say=_say))


@bundle.command()
@click.argument("folder", type=click.Path(path_type=Path))
def verify(*, folder: Path) -> None:
    """Check that every file of the bundle FOLDER is there, unaltered, and that there is no other."""
    from ropewalk.containers.bundle import verify_bundle

    click.echo(f"{folder}: {verify_bundle(folder)} files, all as they were written.")


def _default_registry() -> str:
    from ropewalk.images import REGISTRY

    return REGISTRY


def _say(what: str) -> None:
    click.echo(f"{what} ...", err=True)


def _write_sboms(sources: "Sources", built: "list[Built]") -> None:
    from ropewalk.containers.engine import find_engine
    from ropewalk.containers.sbom import write_sbom

    for image in built:
        _say(f"{image.family}: SBOM")
        write_sbom(find_engine(), image, sources.built / "sboms" / f"{image.family}.cdx.json")


def _write_lock(sources: "Sources", built: "list[Built]", revision: str) -> None:
    import ropewalk
    from ropewalk.images_lock import IMAGES_LOCK, write_images_lock

    file = sources.root / IMAGES_LOCK
    found = {image.family: (image.image, image.digest) for image in built}
    write_images_lock(file, version=ropewalk.__version__, revision=revision, images=found)
    click.echo(file)


def _show(built: "list[Built]") -> None:
    from rich.table import Table

    from ropewalk.launch.console import open_console

    table = Table("image", "digest", "MB unpacked", box=None)
    for image in built:
        table.add_row(image.image, image.digest.removeprefix("sha256:")[:12], f"{image.size / 1e6:,.0f}")
    for column in table.columns:
        column.no_wrap = True
    open_console().print(table)
