"""The Pillow plugin: after ``import intact.pillow``, Pillow opens and saves .intact files.

Opening reads the file and its metadata; pixels are decoded by the first access to them. The model
is found by the id in the file, so it must be installed.

    import intact.pillow
    from PIL import Image

    Image.open("photo.png").save("photo.intact", quality=60)
    Image.open("photo.intact").show()

`save` takes "quality" or a target, "effort" and "model" as `intact.encode` does, and metadata:
"exif", "icc_profile", "xmp" and "cicp" (an opened file's is in ``info``); None drops one. What is
not given is the image's: a color profile always, EXIF (as edited by `getexif`) and XMP as long as
the image is the one that was opened. One that was turned, cut or converted has those that are
given: nobody knows whether the others are still true of it.
"""

from __future__ import annotations

import io
from typing import IO, Any

from PIL import Image, ImageFile

from intact.container import chunks
from intact.container.image_file import MAGIC, peek, unpack_image
from intact.errors import IntactError, UnsupportedError, quoted

METADATA = ("exif", "icc_profile", "xmp", "cicp")
TARGETS = ("target_bpp", "target_size", "target_psnr")
OPTIONS = ("quality", *TARGETS, "model", "effort", *METADATA)
FORMAT = "INTACT"
EXTENSION = ".intact"
MIME = "image/x-intact"


class IntactImageFile(ImageFile.ImageFile):
    """An opened file; see Pillow's handbook, "Writing your own image plugin"."""

    format = FORMAT
    format_description = "Intact"
    embedded_models = True
    """Whether a model may be taken from the file that names it; see `register`."""
    _data: bytes | None = None

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        try:
            header = peek(self._data)
        except IntactError as error:
            # Pillow's convention for "not this format".
            raise SyntaxError(str(error)) from error
        self._size = (header.width, header.height)
        self._mode = header.mode.name
        self.tile = [ImageFile._Tile("raw", (0, 0, *self._size), 0, self._mode)]
        self._read_metadata()

    def _read_metadata(self) -> None:
        try:
            file = unpack_image(self._data or b"", max_pixels=1 << 64)
        except IntactError:
            return  # as with other formats, damage behind the header shows in `load`
        exif = file.chunk(chunks.EXIF)
        found = {
            # As Pillow's JPEG and PNG readers have it, and its JPEG writer needs it.
            "exif": chunks.EXIF_PREFIX + exif if exif else None,
            "icc_profile": file.chunk(chunks.ICC),
            "xmp": file.chunk(chunks.XMP),
            "cicp": file.chunk(chunks.CICP),
        }
        self.info.update({key: value for key, value in found.items() if value})

    def verify(self) -> None:
        """Test every checksum of the bytes, without decoding; then the image must be opened again.

        Raises:
            OSError: the file is damaged.
        """
        if self._data is None:
            raise OSError(f"{FORMAT}: verify comes directly after opening")
        try:
            unpack_image(self._data, max_pixels=1 << 64)
        except IntactError as error:
            raise OSError(f"{FORMAT}: {error}") from error
        finally:
            self._data = None
            self.tile = []
            super().verify()

    def load(self) -> Any:
        """Decode the pixels, once.

        Raises:
            OSError: the file is damaged, or its model is not installed.
        """
        if self.tile and self._data is not None:
            from intact.codec.image import decode

            try:
                decoded = decode(
                    self._data,
                    max_pixels=_max_pixels(),
                    embedded_models=type(self).embedded_models,
                )
            except IntactError as error:
                raise OSError(f"{FORMAT}: {error}") from error
            if self.fp is not None and getattr(self, "_exclusive_fp", False):
                self.fp.close()
            self.fp = io.BytesIO(decoded.pixels.tobytes())
            self._data = None
        return super().load()

    def load_seek(self, pos: int) -> None:
        """Nothing to seek: `load` has just put the pixels there."""


def _max_pixels() -> int:
    """Pillow's own limit. It counts width times height, where work is done on whole squares."""
    limit = Image.MAX_IMAGE_PIXELS
    return 1 << 64 if limit is None else 2 * limit  # beyond twice it is an error, below a warning


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    from intact.api import encode
    from intact.codec.image import DEFAULT_QUALITY

    options = im.encoderinfo
    if unknown := [key for key in options if key not in OPTIONS]:
        raise TypeError(f"{FORMAT} has no option {', '.join(unknown)}; it has {', '.join(OPTIONS)}")
    targets: dict[str, Any] = {key: options.get(key) for key in TARGETS}
    try:
        data = encode(
            im,
            quality=options.get("quality", DEFAULT_QUALITY),
            **targets,
            model=options.get("model"),
            effort=options.get("effort", 0),
            metadata=_metadata(options),
        )
    except IntactError as error:
        raise OSError(f"cannot write mode {im.mode} as {FORMAT}: {error}") from error
    fp.write(data)


def _metadata(options: dict[str, Any]) -> dict[str, bytes | None]:
    """What was given; None and nothing both drop what the image has. The rest is the image's."""
    found: dict[str, bytes | None] = {}
    for key in METADATA:
        if key in options:
            value = options[key]
            if isinstance(value, Image.Exif):
                value = _exif_bytes(value)
            if key == "xmp" and isinstance(value, str):
                value = value.encode()
            found[key] = value or b""
    return found


def _exif_bytes(exif: Image.Exif) -> bytes:
    """What Pillow writes of what it has read; of damaged tags it may be unable to.

    Raises:
        UnsupportedError: it is.
    """
    try:
        return exif.tobytes()
    except Exception as error:  # whatever damage leads to in Pillow
        raise UnsupportedError(f"exif: Pillow cannot write what it holds ({error})") from error


def _save_all(im: Image.Image, fp: IO[bytes], filename: str | bytes) -> None:
    """As `_save`, for whoever says ``save_all``: a file holds one image, so there may be one only.

    Raises:
        ValueError: there are more.
    """
    more = im.encoderinfo.pop("append_images", None) or ()
    count = getattr(im, "n_frames", 1) + len(list(more))
    if count != 1:
        raise ValueError(f"save_all, append_images: {count} images, a file of {FORMAT} holds one")
    _save(im, fp, filename)


def register(*, embedded_models: bool = True) -> None:
    """Make the format known to Pillow; importing this module does it. Twice does no harm.

    Args:
        embedded_models: whether a model may be taken from the file that names it. False for files
            from strangers whose models are all installed here.
    """
    if not isinstance(embedded_models, bool):
        raise TypeError(f"embedded_models is {quoted(embedded_models)}, must be True or False")
    IntactImageFile.embedded_models = embedded_models
    Image.register_open(FORMAT, IntactImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)


register()
