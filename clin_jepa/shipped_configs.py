"""Finding the configs that come with the package, so that a bare name works from any folder."""

from collections.abc import Sequence
from pathlib import Path


def config_folder() -> Path:
    """The shipped configs: inside the installed package, or beside it in a source tree."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def resolve_config_names(arguments: Sequence[str]) -> list[str]:
    """Replace each ``--config NAME`` that names no file here by the shipped config of that name.

    Args:
        arguments: Words of a command line.

    Returns:
        The words, with shipped names turned into paths; a name that is neither stays as it is.
    """
    resolved: list[str] = []
    expects_name = False
    for word in arguments:
        option, separator, name = word.partition("=")
        if expects_name:
            word = _resolve(word)
        elif option in ("--config", "-c") and separator:
            word = f"{option}={_resolve(name)}"
        expects_name = not expects_name and word in ("--config", "-c")
        resolved.append(word)
    return resolved


def _resolve(name: str) -> str:
    shipped = config_folder() / name
    return str(shipped) if not Path(name).exists() and shipped.is_file() else name
