"""Which images go to a registry and which come from one: ``--push``, ``--pull`` and the list of images.

An image is named by what it was made of: its tag holds the fingerprint of the files, the base image and the
device. A list, written by ``up --push``, names images by digest: what is pulled with it is what was pushed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from greenbench import __version__
from greenbench.core.errors import ConfigurationError, FleetError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY = re.compile(rf"{_PART}(?::[0-9]{{1,5}})?(?:/{_PART})*")
_REFERENCE = rf"^{_REGISTRY.pattern}@sha256:[0-9a-f]{{64}}$"


class ImageAbsentError(FleetError):
    """The registry answers, or the list is read, and has no such image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """What tells an image from all others, in whichever registry.

    Attributes:
        runtime: Name in the catalogue, or the sidecar's.
        device: ``cpu`` or ``cuda``.
        fingerprint: Hash (hex) over all that goes into it.
    """

    runtime: str
    device: str
    fingerprint: str

    def repository(self, registry: str) -> str:
        """Return its repository in a registry."""
        return f"{registry}/greenbench-{self.runtime}"

    @property
    def tag(self) -> str:
        """Its tag in every registry."""
        return f"{self.device}-{self.fingerprint}"


class ListedImage(BaseModel):
    """One image of a list.

    Attributes:
        runtime: See `ImageName`.
        device: See `ImageName`.
        fingerprint: See `ImageName`.
        reference: ``REPOSITORY@sha256:...``, by which it is pulled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    runtime: str
    device: Literal["cpu", "cuda"]
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    reference: str = Field(pattern=_REFERENCE)


class ImageList(BaseModel):
    """Pushed images, as ``images.json`` in the state folder keeps them.

    Attributes:
        schema_version: Of the file.
        greenbench_version: That pushed them.
        base_image: They were built on; part of their fingerprints.
        images: One of each runtime and device.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Literal[1] = 1
    greenbench_version: str
    base_image: str
    images: tuple[ListedImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is pushed and what is pulled.

    Attributes:
        push: Registry that images go to; empty for none.
        pull: Where images come from instead of being built: a registry or a list; empty for nowhere.
    """

    push: str = ""
    pull: str | ImageList = ""

    @property
    def asked(self) -> str:
        """The option that was given, ``--pull`` before ``--push``; empty without one."""
        return "--pull" if self.pull else "--push" if self.push else ""


NO_EXCHANGE = Exchange()
"""Images are built and stay on their host."""


def exchange_of(*, push: str | None, pull: str | None) -> Exchange:
    """Return what the options ask for.

    Args:
        push: ``REGISTRY[:PORT][/PATH]``.
        pull: The same, or the path of a list (it ends in ``.json``).

    Raises:
        ConfigurationError: Neither a registry nor a list that can be read.
    """
    return Exchange(
        push=_registry(push, "--push") if push is not None else "",
        pull="" if pull is None else _pull(pull),
    )


def write_list(path: Path, *, base_image: str, images: Iterable[ListedImage]) -> None:
    """Keep pushed images beside those of other runtimes and devices made on the same base by this version.

    A reader sees the old file or the new one, never half of one.
    """
    fresh = {(image.runtime, image.device): image for image in images}
    try:
        before = read_list(path)
    except ConfigurationError:
        kept = {}  # none yet, or of another version: its images are not these files'
    else:
        same = (before.base_image, before.greenbench_version) == (base_image, __version__)
        kept = {(image.runtime, image.device): image for image in before.images} if same else {}
    listed = ImageList(
        greenbench_version=__version__, base_image=base_image, images=tuple((kept | fresh).values())
    )
    draft = path.with_suffix(".draft")
    draft.write_text(listed.model_dump_json(indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def read_list(path: Path) -> ImageList:
    """Return a list that `write_list` wrote.

    Raises:
        ConfigurationError: It cannot be read; names the file and what is wrong with it.
    """
    try:
        return ImageList.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the list of images {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"the list of images {path}: {place}: {first['msg']}") from error


def listed_reference(images: ImageList, name: ImageName) -> str:
    """Return by which digest a list has an image.

    Raises:
        ImageAbsentError: It has none.
        FleetError: It has one of other files.
    """
    found = [one for one in images.images if (one.runtime, one.device) == (name.runtime, name.device)]
    if not found:
        raise ImageAbsentError(
            f"the list of images has none of {name.runtime} for {name.device}; "
            f"push it too: greenbench up {name.runtime} --push REGISTRY"
        )
    if found[0].fingerprint != name.fingerprint:
        raise FleetError(
            f"the listed image of {name.runtime} for {name.device} was made of other files (by greenbench "
            f"{images.greenbench_version} on {images.base_image}; this is {__version__}); install the same "
            "version, leave --base-image out, or push anew"
        )
    return found[0].reference


def _pull(text: str) -> str | ImageList:
    return read_list(Path(text)) if text.endswith(".json") else _registry(text, "--pull")


def _registry(text: str, option: str) -> str:
    if not _REGISTRY.fullmatch(text):
        allowed = "REGISTRY[:PORT][/PATH] in lower case, such as ghcr.io/me/bench"
        also = " or a list that --push wrote (images.json)" if option == "--pull" else ""
        raise ConfigurationError(f"{option} {text!r} is not {allowed}{also}")
    return text
