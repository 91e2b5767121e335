"""Models that travel in image files. Nobody chose them: what they may ask of a decoder is less.

A decoder that is told to take images of at most so many pixels shall not be made to work for more
by the model that comes along. So a model may have so many operations, which it takes time to prove,
and an image whose model takes more than the shipped ones do for a pixel counts as more pixels.
"""

from __future__ import annotations

from fractions import Fraction

from intact.codec.model import Model
from intact.container import limits
from intact.container.image_file import ImageHeader, check_pixels
from intact.errors import CorruptDataError, InexactError, ModelError
from intact.intnet.cost import cost


def read_embedded(data: bytes, header: ImageHeader, max_pixels: float) -> Model:
    """The model in an image file.

    Args:
        data: its chunk.
        header: of the image.
        max_pixels: what the caller allows; see `check_pixels`.

    Raises:
        CorruptDataError: it is damaged, or not the file's.
        ModelError: it breaks a rule, or asks for more than a model in a file may.
        UnsupportedError: it is of a later version, or the image takes too much work with it.
    """
    model, wanted = Model.from_bytes(data), header.model_id
    if not model.is_exact:
        raise InexactError("the model in the file is not exact: such a model must be named")
    if model.id != wanted:
        raise CorruptDataError(f"the model in the file is {model.id.hex()}, not {wanted.hex()}")
    check_embedded(model, header, max_pixels)
    return model


def check_embedded(model: Model, header: ImageHeader, max_pixels: float) -> None:
    """What `read_embedded` asks of a sound model; an encoder asks before it writes one.

    Raises:
        ModelError: it has too many operations.
        UnsupportedError: the image takes too much work with it.
    """
    costs = [cost(program) for program in model.programs.values()]
    found = {
        "operations": (sum(c.ops for c in costs), limits.MAX_EMBEDDED_OPS),
        "channels in all operations": (
            sum(c.channels for c in costs),
            limits.MAX_EMBEDDED_CHANNELS,
        ),
    }
    for what, (number, most) in found.items():
        if number > most:
            raise ModelError(f"the model in the file: {what}: {number}, at most {most}")
    check_pixels(header, max_pixels, pixel_weight(model))


def pixel_weight(model: Model) -> Fraction:
    """As how many pixels one counts that this model decodes: 1 for what the shipped ones take."""
    roles = [role for role in model.roles if role.decoding]
    found = [cost(model.programs[role.name]).per_pixel(role.px) for role in roles]
    latents = Fraction(model.channels["M"], model.bottleneck.LATENT_PX**2)
    ps = sum((c.picoseconds for c in found), latents * limits.PS_PER_LATENT)
    memory = max(c.bytes for c in found) + latents * limits.BYTES_PER_LATENT
    return max(
        Fraction(1),
        ps / limits.EMBEDDED_PS_PER_PIXEL,
        memory / limits.EMBEDDED_BYTES_PER_PIXEL,
    )
