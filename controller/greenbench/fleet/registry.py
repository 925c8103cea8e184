"""Images to and from a registry, by digest, through the engine of this host."""

from contextlib import suppress
from dataclasses import asdict

from docker import DockerClient
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.images import Image

from greenbench import __version__
from greenbench.core.errors import FleetError
from greenbench.fleet.exchange import ImageAbsentError, ImageName, ListedImage, listed_reference, write_list
from greenbench.fleet.launcher import LaunchSettings

FINGERPRINT = "greenbench.fingerprint"
"""Label of every image: the hash over all that went into it."""


class ImageExchange:
    """Pushes and pulls what `Exchange` asks for, with the credentials that ``docker login`` keeps."""

    def __init__(self, client: DockerClient, settings: LaunchSettings) -> None:
        """Prepare; no registry is asked yet.

        Args:
            client: Of an engine that answers.
            settings: What goes where, the base image, and the state folder, which keeps the list.
        """
        self._client = client
        self._asked = settings.exchange
        self._base_image = settings.base_image
        self._list = settings.state.images

    def wanted(self, name: ImageName) -> str:
        """Return by which digest an image is pulled: ``REPOSITORY@sha256:...``.

        Raises:
            ImageAbsentError: The registry has no image of these files.
            FleetError: The list has none, or the registry refused or does not answer.
        """
        if not isinstance(self._asked.pull, str):
            return listed_reference(self._asked.pull, name)
        repository = name.repository(self._asked.pull)
        try:
            found = self._client.images.get_registry_data(f"{repository}:{name.tag}")
        except NotFound as error:
            raise ImageAbsentError(
                f"{repository} has no image for {name.device} of these files (greenbench {__version__}) on "
                f"{self._base_image}; push it there with --push {self._asked.pull}, or name its --base-image"
            ) from error
        except APIError as error:
            raise _refused(repository, "does not tell its images", error) from error
        return f"{repository}@{found.id}"

    def pull(self, reference: str, name: ImageName, *, tag: str) -> Image:
        """Return the image of a digest, named `tag` on this host.

        Raises:
            FleetError: It is not there, not of these files or not for this processor.
        """
        repository, _, digest = reference.partition("@")
        try:
            image = self._client.images.pull(repository, tag=digest)
        except (ImageNotFound, APIError) as error:
            raise _refused(repository, f"does not give {digest[:19]}", error) from error
        wrong = self._misfit(image, name)
        if wrong:
            with suppress(APIError):
                self._client.images.remove(reference)
            raise FleetError(f"{reference} is not used: {wrong}")
        image.tag(*tag.rsplit(":", 1))
        return self._client.images.get(tag)

    def push(self, image: Image, name: ImageName) -> str:
        """Push an image and list it; return by which digest the registry has it.

        Raises:
            FleetError: The registry refused or does not answer.
        """
        repository = name.repository(self._asked.push)
        digest = ""
        try:
            image.tag(repository, name.tag)
            for said in self._client.api.push(repository, tag=name.tag, stream=True, decode=True):
                if "error" in said:
                    raise FleetError(_sentence(repository, "does not take the image", said["error"]))
                digest = said.get("aux", {}).get("Digest", digest)
        except APIError as error:
            raise _refused(repository, "does not take the image", error) from error
        if not digest:
            raise FleetError(f"the engine pushed {repository}:{name.tag} and told no digest")
        listed = ListedImage.model_validate(asdict(name) | {"reference": f"{repository}@{digest}"})
        write_list(self._list, base_image=self._base_image, images=[listed])
        return listed.reference

    def _misfit(self, image: Image, name: ImageName) -> str:
        made_of = image.labels.get(FINGERPRINT)
        if made_of != name.fingerprint:
            return (
                f"its label says that it was made of {made_of or 'nothing that is named'}, not of these files"
            )
        here, there = self._client.version().get("Arch"), image.attrs.get("Architecture")
        return f"it is for {there}, this host is {here}" if here != there else ""


def _refused(repository: str, what: str, error: APIError) -> FleetError:
    return FleetError(_sentence(repository, what, str(error.explanation or error)))


def _sentence(repository: str, what: str, reason: str) -> str:
    host = repository.partition("/")[0]
    denied = any(
        word in reason.lower()
        for word in ("denied", "unauthorized", "authentication required", "auth credentials")
    )
    remedy = f"; run `docker login {host}`" if denied else ""
    return f"the registry of {repository} {what}: {reason.strip()}{remedy}"
