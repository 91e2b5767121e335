"""Latents refined while an image is encoded: more time, better pictures, the same decoders.

Above the line, in float and in PyTorch: `intact.codec.encoder` loads it by name after a caller has
asked for it (``effort`` 2 or 3). What it changes are latents before they are quantized; all that
follows is the encoder's own integers, so no file depends on a float. docs/decisions/0020.
"""

from intact.refine.frozen import check as check
from intact.refine.refiner import Refiner as Refiner
