"""Every limit of the containers, in one table.

A limit is checked before the memory it guards is allocated. Raising one of the values marked
*format* changes which files are legal and needs a new format version; the others guard this
implementation and may be raised at any time.
"""

from __future__ import annotations

from typing import Final

# --- image file -------------------------------------------------------------------------------
MAX_PIXELS: Final = 1 << 28
"""Default limit on width * height; the caller of `unpack_image` may raise it."""

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

MAX_MODEL_MACS_PER_PIXEL: Final = 1 << 18
"""Multiplications of all programs per pixel of the image."""

MAX_MODEL_WEIGHTS: Final = 1 << 25
"""Weights of all convolutions: proofs multiply each some sixty times."""
