"""What crosses from Python to C is never cut off: sides of 2^31 pixels, numbers over 32 bits."""

import numpy as np
import pytest

from intact import native
from intact.errors import UnsupportedError
from intact.intnet.backends import native as backend
from intact.intnet.backends.native_layers import (
    IM2COL,
    SHUFFLE,
    UNSHUFFLE,
    OpStruct,
    SlotStruct,
    fill,
)

needs_library = pytest.mark.skipif(native.library() is None, reason="no native library")
WIDTH = (1 << 31) + 64
"""Of a row that is never there as a whole: addresses are moved so that its last pixels are."""


@pytest.mark.parametrize("number", [1 << 31, 1 << 32, -(1 << 31) - 1])
def test_a_number_beyond_its_field_is_an_error(number):
    with pytest.raises(UnsupportedError, match=f"words is {number}"):
        fill(OpStruct(), words=number)


def test_sides_of_more_than_31_bits_fit_a_slot():
    slot = SlotStruct()
    fill(slot, height=(1 << 32) - 1, width=(1 << 32) - 1)
    assert (slot.height, slot.width) == ((1 << 32) - 1, (1 << 32) - 1)


def run(op, begin, end, source, target):
    """Run one operation on the pixels ``begin`` .. ``end - 1`` of a row of WIDTH."""
    ops, slots = (OpStruct * 1)(), (SlotStruct * 2)()
    fill(ops[0], source=0, target=1, addend=-1, bytes_in=1, bytes_out=1, **op)
    for slot, (address, width) in zip(slots, (source, target), strict=True):
        slot.data = address
        fill(slot, offset=-1, stride=1, height=2, width=width)
    scratch = np.zeros(4096, np.uint8)
    library = backend._library()
    status = library.intact_intnet_run(
        ops, 1, slots, WIDTH, begin, end, 16, scratch.ctypes.data, scratch.ctypes.data, 0
    )
    assert status == 0


@needs_library
def test_taps_beyond_31_bits_are_read_where_they_are():
    first, count = 1 << 31, 8
    pixels = np.arange(1, 17, dtype=np.uint8)  # those of the columns first .. first + 15
    found = np.zeros(count, np.uint8)
    run(
        {"kind": IM2COL, "channels_in": 1, "size": 1, "step": 1},
        first,
        first + count,
        (pixels.ctypes.data - first, WIDTH),
        (found.ctypes.data - first, WIDTH),
    )
    np.testing.assert_array_equal(found, pixels[:count])


@needs_library
def test_pixels_beyond_31_bits_are_moved_to_where_they_belong():
    first, count = 1 << 31, 4
    # One channel, factor 1 along a row: the fine grid's column is the coarse one's.
    order = np.zeros(1, np.int32)
    pixels, found = np.arange(1, 17, dtype=np.uint8), np.zeros(16, np.uint8)
    for kind in (SHUFFLE, UNSHUFFLE):
        ops = {"kind": kind, "channels_in": 1, "channels_out": 1, "step": 1}
        found[:] = 0
        structs, slots = (OpStruct * 1)(), (SlotStruct * 2)()
        fill(structs[0], source=0, target=1, addend=-1, bytes_in=1, bytes_out=1, **ops)
        structs[0].order = order.ctypes.data
        for slot, array in zip(slots, (pixels, found), strict=True):
            slot.data = array.ctypes.data - first
            fill(slot, offset=-1, stride=1, height=1, width=WIDTH)
        scratch = np.zeros(4096, np.uint8)
        backend._library().intact_intnet_run(
            structs, 1, slots, WIDTH, first, first + count, 16, scratch.ctypes.data, None, 0
        )
        np.testing.assert_array_equal(found[:count], pixels[:count])
        assert not found[count:].any()
