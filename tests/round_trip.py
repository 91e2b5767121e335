"""What every codec that `intact eval` measures has to do with a picture."""

import numpy as np

from tiny_model import picture


def check_round_trip(codec):
    """Its last setting takes more bytes than its first, and gives back about the same pixels."""
    pixels = picture(70, 90)
    small, large = (codec.encode(pixels, codec.settings[i]) for i in (0, -1))
    assert len(small) < len(large)
    decoded = codec.decode(large)
    assert (decoded.shape, decoded.dtype) == (pixels.shape, np.uint8)
    assert np.abs(decoded.astype(int) - pixels).mean() < 20
