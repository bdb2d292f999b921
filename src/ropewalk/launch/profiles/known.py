"""What a profile can name and place: the steps and images of the library's components."""

from ropewalk.launch import catalog
from ropewalk.launch.profiles.apply import locked_digests
from ropewalk.launch.profiles.config import Profile
from ropewalk.launch.profiles.images import placed
from ropewalk.launch.profiles.launched import TUNING_STEP


def known_steps() -> list[str]:
    """Return every step's name, such as "train-model", in the order of `ropewalk.components.__all__`."""
    return [name.replace("_", "-") for name in catalog.components()]


def known_handed_on() -> dict[str, set[str]]:
    """Return, by step, what the job that it launches gets from `steps` alone, and not from `defaults`."""
    return {
        name.replace("_", "-"): {
            each.field.name for each in one.component_spec.task_config_passthroughs or () if not each.apply_to_task
        }
        for name, one in catalog.components().items()
        if name.replace("_", "-") != TUNING_STEP
    }


def known_images(profile: Profile) -> dict[str, str]:
    """Return each step's image on the cluster that `profile` describes.

    Raises:
        ConfigError: The images' lock cannot be read, or lacks one.
    """
    digests = locked_digests(profile)
    compiled = [one.component_spec.implementation.container.image for one in catalog.components().values()]
    placed_ones = [placed(image, profile.images, digests) for image in compiled]
    return dict(zip(known_steps(), placed_ones, strict=True))
