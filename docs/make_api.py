"""Writes docs/api.md from the docstrings of every public name.

    python docs/make_api.py           # after a public name or its docstring has changed

`tests/contract/test_api.py` holds the page to the code.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import intact
import intact.measure
import intact.pillow
import intact.weights

PAGE = Path(__file__).with_name("api.md")
HEAD = """# Python

All that is public, from the docstrings (`docs/make_api.py`). What is not on this page may change.

```python
import intact

data = intact.encode("photo.png", quality=60)  # a path, a Pillow image, or uint8 [h, w, 3]
data = intact.encode(image, target_size=50_000)  # or target_bpp=0.5, target_psnr=40
picture = intact.decode("photo.intact")  # .pixels, .mode, .exif, .icc_profile, .xmp
part = intact.decode(data, region=(0, 0, 256, 256))
header = intact.peek("photo.intact")  # .width, .height, .mode, .level, .model_id
decibels = intact.measure.psnr(image, picture.pixels)
```

Files from strangers: `intact.decode(data, max_pixels=..., embedded_models=False)`. Many images at a
time: processes, and `threads=1` for each call; results are the same.
"""


def text_of(value: Any) -> str:
    """A docstring with the indentation of its first line."""
    return inspect.cleandoc(inspect.getdoc(value) or "")


def signature(name: str, value: Any) -> str:
    """``name(parameters) -> result``, one parameter a line where there are many."""
    found = inspect.signature(value)
    parts, star = [], False
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {parameter.annotation}{default}")
    result = f") -> {found.return_annotation}"
    text = f"{name}({', '.join(parts)}{result}"
    if len(text) <= 90:
        return text
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + result


def entry(name: str, value: Any) -> str:
    """The section of one name."""
    if isinstance(value, type) and issubclass(value, Exception):
        bases = ", ".join(base.__name__ for base in value.__bases__)
        return f"### `{name}({bases})`\n\n{text_of(value)}\n"
    head = f"### `{name}`\n\n"
    if not isinstance(value, type):
        head += f"```text\n{signature(name, value)}\n```\n\n"
    body = f"{head}```text\n{text_of(value)}\n```\n"
    if isinstance(value, type):
        for attribute, member in vars(value).items():
            if attribute.startswith("_") or not (text := members_text(member)):
                continue
            body += f"\n- `.{attribute}`: {text}\n"
    return body


def members_text(member: Any) -> str:
    """The first paragraph about a method or a property, in one line."""
    function = member.__func__ if isinstance(member, classmethod) else member
    if not (inspect.isfunction(function) or isinstance(function, property)) and not hasattr(
        function, "attrname"
    ):
        return ""
    return " ".join(text_of(function).partition("\n\n")[0].split())


def page() -> str:
    """The whole page."""
    names = [name for name in intact.__all__ if name != "measure"]
    errors = [name for name in names if name.endswith("Error")]
    parts = [HEAD, "## intact\n"]
    parts += [entry(name, getattr(intact, name)) for name in names if name not in errors]
    parts.append("## Errors\n")
    parts += [entry(name, getattr(intact, name)) for name in errors]
    parts.append(f"## intact.measure\n\n{text_of(intact.measure)}\n")
    measures = intact.measure.__all__
    parts += [entry(f"measure.{name}", getattr(intact.measure, name)) for name in measures]
    parts.append(f"## intact.pillow\n\n```text\n{text_of(intact.pillow)}\n```\n")
    parts.append(entry("pillow.register", intact.pillow.register))
    parts.append(f"## intact.weights\n\n```text\n{text_of(intact.weights)}\n```\n")
    names = ("load", "save", "Symbols", "Raw")  # what needs no torch; docs/weights.md has the rest
    parts += [entry(f"weights.{name}", getattr(intact.weights, name)) for name in names]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"written to {PAGE}")
