"""How deep the fuzzer got: the lines of each parser that its runs executed, by `sys.settrace`.

The coverage package would do, but it traces every line of every run. Here a function whose lines
have all been seen is no longer traced, so that a sample of the runs can be watched at little cost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import intact

ROOT = Path(intact.__file__).parent
PARSERS = (
    "container/arrays.py", "container/chunks.py", "container/cursor.py", "container/framing.py",
    "container/header.py", "container/image_file.py", "container/model_file.py",
    "container/tree.py", "codec/alpha.py", "codec/coding.py", "codec/encoder.py", "codec/image.py",
    "codec/model.py", "codec/opinion.py", "codec/pixels.py", "bottleneck/checkerboard.py",
    "bottleneck/colors.py", "bottleneck/floats.py", "bottleneck/grid.py", "bottleneck/hyper.py",
    "bottleneck/hyperprior.py", "bottleneck/kinds.py", "bottleneck/order.py",
    "bottleneck/repeats.py", "bottleneck/roles.py", "bottleneck/scalar.py", "bottleneck/tiles.py",
    "bottleneck/vector.py",
    "bits/fallback.py", "bits/fast.py", "bits/rans.py", "bits/tables.py", "bits/tree.py",
    "bits/varint.py", "intnet/infer.py", "intnet/program.py", "intnet/tree.py", "untrusted.py",
)  # fmt: skip


def functions(path: Path) -> dict[str, set[int]]:
    """The lines of code in each function of a file; nested functions belong to the outer one."""
    found: dict[str, set[int]] = {}

    def walk(code: CodeType, prefix: str, owner: str | None) -> None:
        is_function = bool(code.co_flags & 2)  # CO_NEWLOCALS: no module, no class body
        name = owner or (f"{prefix}{code.co_name}" if is_function else None)
        if name is not None:
            lines = {line for _, _, line in code.co_lines() if line is not None}
            found.setdefault(name, set()).update(lines - {code.co_firstlineno})
        inner = prefix if code.co_name == "<module>" else f"{prefix}{code.co_name}."
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                walk(constant, inner, name)

    walk(compile(path.read_text("utf-8"), str(path), "exec"), "", None)
    return found


class Reach:
    """Lines seen, by file."""

    def __init__(self) -> None:
        self.files = {str(ROOT / name): name for name in PARSERS}
        self.seen: dict[str, set[int]] = {name: set() for name in PARSERS}
        self._left: dict[CodeType, set[int]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Trace what runs inside."""
        before = sys.gettrace()
        sys.settrace(self._call)
        try:
            yield
        finally:
            sys.settrace(before)

    def merge(self, seen: dict[str, set[int]]) -> None:
        """Add another one's lines."""
        for name, lines in seen.items():
            self.seen[name] |= lines

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if (left := self._left.get(code)) is None:
            known = code.co_filename in self.files
            lines = {line for _, _, line in code.co_lines() if line is not None} if known else set()
            left = self._left[code] = lines - {code.co_firstlineno}
        if not left:
            return None
        lines = self.seen[self.files[code.co_filename]]

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                lines.add(frame.f_lineno)
                left.discard(frame.f_lineno)
            return local

        return local

    def table(self) -> str:
        """Percent of lines by file, what is missing in functions that ran, and what never ran."""
        rows = [
            "lines executed by the traced runs: of all functions, and of those that ran at all",
            f"{'file':<26}{'all':>6}{'ran':>6}  not executed",
        ]
        for name in PARSERS:
            of_all = of_ran = done = 0
            missing: list[str] = []
            never: list[str] = []
            for function, lines in functions(ROOT / name).items():
                seen = lines & self.seen[name]
                of_all, done = of_all + len(lines), done + len(seen)
                if not seen:
                    never.append(function)
                    continue
                of_ran += len(lines)
                if lines - seen:
                    missing.append(f"{function} {_spans(sorted(lines - seen))}")
            rates = [f"{100 * done // max(total, 1):>5}%" for total in (of_all, of_ran)]
            rows.append(f"{name:<26}{rates[0]}{rates[1]}  {'; '.join(missing) or '-'}")
            if never:
                rows.append(f"{'':<40}never ran: {', '.join(never)}")
        return "\n".join(rows)


def _spans(lines: list[int]) -> str:
    """``3, 4, 5, 9`` as ``3-5,9``."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
