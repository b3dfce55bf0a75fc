"""librdkafka properties that are files of a folder, as a mounted secret has them."""

from pathlib import Path
from typing import Final

_LARGEST: Final = 64 * 1024


def property_files(folder: Path) -> dict[str, str]:
    """Each file's content by its name, without the line break at its end.

    Names that begin with a full stop are Kubernetes' own.

    Raises:
        ValueError: something cannot be read, or is no property; no content is repeated.
    """
    try:
        files = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
        return {one.name: _content(one) for one in files}
    except OSError as error:
        where = error.filename or folder
        raise ValueError(f"{where} cannot be read: {error.strerror}") from error


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError(f"{file} is larger than 64 KiB: it must hold one property's value")
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text") from error
    if not text:
        raise ValueError(f"{file} is empty: write the property's value into it")
    return text
