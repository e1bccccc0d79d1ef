"""Image paths of a data set: below one folder, and nowhere else."""

from pathlib import Path

from jax_mdpo.core.errors import RecordError, UserError


class ImageRoot:
    """The folder that image paths are relative to. Raises UserError where it is none."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise UserError(f"the image folder {folder} does not exist", fix="set data.images to the folder that holds the images")
        self.folder = folder.resolve()

    def find(self, path: str, name: str) -> Path:
        """The image file at `path`. Raises RecordError where it is missing, or where it, links followed, lies outside the folder."""
        try:
            found = (self.folder / path).resolve()
            exists, size = found.exists(), found.stat().st_size if found.is_file() else None
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null character, a ring of links
            raise RecordError(f"{name}: its image path {path!r:.200} cannot be followed: {error}", fix="correct the path") from None
        if not found.is_relative_to(self.folder):
            raise RecordError(
                f"{name}: its image {path!r} leaves the image folder",
                expected=f"a path below {self.folder}",
                got=str(found),
                fix="move the image, or set data.images to a folder that holds all images",
            )
        if not exists:
            raise RecordError(f"{name}: its image {path!r} does not exist", expected=f"a file below {self.folder}", fix="check data.images")
        if size is None:
            raise RecordError(f"{name}: its image {path!r} is not a file", fix="correct the path")
        if size == 0:
            raise RecordError(f"{name}: its image {path!r} is an empty file", fix="download it again or leave the record out")
        return found
