"""The one thing pyproject.toml cannot say: the C extension, and that it may be missing.

`intact._native` holds the coder and the fused integer layers, called with ctypes. Where no compiler
is found the package installs without it and computes the same values in NumPy, more slowly.
No -march=native: the same wheel runs on every CPU, and the code asks the CPU what it can do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("native")
FLAGS = ["/O2", "/std:c11"] if sys.platform == "win32" else ["-O3", "-g0", "-std=c11"]

sources = sorted(path.as_posix() for path in NATIVE.glob("*.c"))
extension = Extension(
    "intact._native",
    sources,
    depends=sorted(path.as_posix() for path in NATIVE.glob("*.h")),
    include_dirs=[NATIVE.as_posix()],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=FLAGS,
    libraries=[] if sys.platform == "win32" else ["m"],  # fenv.h, where there is no MXCSR
    py_limited_api=True,
    optional=True,
)
setup(
    ext_modules=[extension] if sources else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
