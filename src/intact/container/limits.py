"""Every limit of the containers, in one table.

A limit is checked before the memory it guards is allocated. Raising one of the values marked
*format* changes which files are legal and needs a new format version; the others guard this
implementation and may be raised at any time.
"""

from __future__ import annotations

from typing import Final

# --- image file -------------------------------------------------------------------------------
MAX_PIXELS: Final = 1 << 28
"""Default limit on pixels; the caller of `unpack_image` may raise it."""

PADDING_SHARE: Final = 16
"""Work is done on whole squares of `LATENT_PX`: an image of one row is computed as one of 16. They,
too, must be within the limit on pixels, and a 16th (and `PADDING_PIXELS`) more, so that an image
whose sides are no multiples need not be refused."""

PADDING_PIXELS: Final = 1 << 16
"""An image that takes no more than this is never refused for its padding."""

MAX_SIDE_PX: Final = (1 << 32) - 1
"""Width and height in pixels. Format."""

LATENT_PX: Final = 16
"""Pixels on a side of the square one latent stands for, where a header says nothing else. Format:
it fixes the number of tiles."""

MAX_LATENT_LOG2: Final = 6
"""A latent of 64 x 64 pixels, and tiles of 4096."""

MAX_PREVIEW_BYTES: Final = 1 << 24
"""The preview of an image. Format."""

MIN_TILE_LOG2: Final = 4
"""Tiles are squares of 2**k latents; 16 latents are 4 hyper-latents, a whole number. Format."""

MAX_TILE_LOG2: Final = 6
"""64 latents, 1024 pixels: bounds the memory of decoding one tile. Format."""

MIN_TILE_BYTES: Final = 5
"""A tile holds symbols, and the smallest rANS message is a lane count and one state. Format."""

MAX_TILE_BYTES: Final = (1 << 32) - 1
"""A tile's payload. Longer than the file is then said to be: the file was cut short. Format."""

# --- chunks -----------------------------------------------------------------------------------
MAX_CHUNKS: Final = 64
"""Chunks in one file."""

MAX_METADATA_BYTES: Final = 1 << 24
"""EXIF, ICC, XMP or an unknown ancillary chunk, each."""

MAX_ALPHA_BYTES: Final = 1 << 29
"""The coded alpha plane: two bytes per pixel at the default pixel limit."""

# --- model file -------------------------------------------------------------------------------
MAX_CONTENT_BYTES: Final = 1 << 28
"""The canonical content of a model, 256 MiB."""

MAX_CONTENT_RATIO: Final = 32
"""Bytes of content for each byte of a model file, beyond `MIN_CONTENT_BYTES`. Real weights pack to
a third; zeros to a thousandth, and refusing 32 kB of those took 0.8 GB."""

MIN_CONTENT_BYTES: Final = 1 << 20
"""Content that a model file of any size may have."""

MAX_MODEL_FILE_BYTES: Final = MAX_CONTENT_BYTES + (1 << 20)
"""A model file, also when it travels in a chunk: its content stored raw, and the framing."""

MAX_SKELETON_BYTES: Final = 1 << 24
"""The canonical content without the data of its arrays."""

MAX_TREE_DEPTH: Final = 32
"""Containers inside containers."""

MAX_TREE_NODES: Final = 1 << 16
"""Values in a tree, containers included, keys not."""

MAX_ARRAY_AXES: Final = 8
"""Axes of one array."""

MAX_RANS_EXPANSION: Final = 256
"""Values per byte of an rANS blob, which could else claim 91,000; deflate ends at 1032. Format."""

MAX_PART_VALUES: Final = 1 << 20
"""Values decoded at a time: arrays in method 2 have no more, and method 3 codes parts of so many,
because both need several times the memory of the result. Format."""

MAX_TABLE_SPAN: Final = 4096
"""Symbols that one frequency table of a packed array covers. Format."""

MAX_TABLES: Final = 16
"""Frequency tables of one packed array. Format."""

# --- calls --------------------------------------------------------------------------------------
MAX_THREADS: Final = 1024
"""Threads that one call may ask for: each has buffers of its own."""

# --- programs of a model ------------------------------------------------------------------------
# A model may travel inside an image file, and a small file may hold a huge model of zeros. The
# shipped models need about a tenth of each.
MAX_PROGRAM_OPS: Final = 512
"""Operations of one program."""

MAX_PROGRAM_CHANNELS: Final = 1 << 17
"""Channels that the operations of one program read and make, added up: the size of its proof."""

MAX_PROGRAM_BYTES_PER_PIXEL: Final = 256
"""Values of one program alive at a time, two bytes per element, per pixel of the image."""

MAX_MODEL_MACS_PER_PIXEL: Final = 1 << 19
"""Multiplications of all programs per pixel of the image."""

MAX_MODEL_WEIGHTS: Final = 1 << 25
"""Weights of all convolutions: proofs multiply each some sixty times."""

# --- a model that travels in an image file ------------------------------------------------------
# Nobody chose it. Its limits are tighter, and beyond the first two its images count as more pixels.
MAX_EMBEDDED_OPS: Final = 512
"""Operations of all programs: each is proven. The shipped models have at most 159."""

MAX_EMBEDDED_CHANNELS: Final = 1 << 17
"""Channels that the operations of all programs read and make, added up. The shipped: 83,270."""

EMBEDDED_PS_PER_PIXEL: Final = 2_000_000
"""Picoseconds for a pixel of an image (`intact.intnet.cost`) up to which it counts as one pixel.
The shipped models take at most 1,990,000 (``photo-4``), but for ``photo-psnr`` and ``photo-mse``:
2,418,846, of whose images a pixel counts as 1.21. In web/src/intnet/cost.ts, too."""

EMBEDDED_BYTES_PER_PIXEL: Final = 128
"""Bytes for a pixel of an image up to which it counts as one. The shipped take at
most 87, ``photo-psnr`` and ``photo-mse`` 132."""

PS_PER_LATENT: Final = 250_000
"""What a latent takes besides the programs: its table, its symbol, its value. As measured."""

BYTES_PER_LATENT: Final = 36
"""Likewise."""
