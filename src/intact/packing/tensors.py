"""Tensors of torch, as they are packed. Torch is not imported: who hands one in has done that."""

from __future__ import annotations

import sys
from typing import Any, Final

from intact.errors import UnsupportedError
from intact.packing.dtypes import BY_NAME, Array
from intact.packing.state import Raw

NAMES: Final = {
    "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "complex64": "C64",
}  # fmt: skip
"""Of torch's types, those of files."""
_BITS = {1: "uint8", 2: "int16"}


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of torch."""
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return kind is not None and isinstance(value, kind)


def dtype_name(dtype: Any) -> str | None:
    """The name that a torch type has in files; None of one that no file has."""
    return NAMES.get(str(dtype).removeprefix("torch."))


def to_array(tensor: Any, where: str) -> Array | Raw:
    """What `intact.weights.save` keeps of a tensor of torch: its elements, wherever they are.

    Raises:
        UnsupportedError: it has no values, is sparse, quantized by torch, or of a type that no
            file has.
    """
    torch = sys.modules["torch"]
    if torch.nn.parameter.is_lazy(tensor):
        raise UnsupportedError(f"{where} has no values yet: run the network on a batch first")
    name = dtype_name(tensor.dtype)
    if tensor.layout is not torch.strided or name is None or tensor.is_quantized:
        raise UnsupportedError(f"{where} is {tensor.layout} {tensor.dtype}, which no file has")
    if tensor.device.type == "meta":
        raise UnsupportedError(f"{where} is on the device meta: it has no values")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if BY_NAME[name].numpy is not None:
        return plain.numpy()
    bits = plain.view(getattr(torch, _BITS[plain.element_size()])).numpy()
    return Raw(bits.view(BY_NAME[name].raw), name, tuple(tensor.shape))
