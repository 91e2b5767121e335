"""No floating point below the line: the same bits on every machine, by construction.

`intnet/backends` is exempt: there a float GEMM computes integers that the bound proves exact, and
tests hold it equal to `ops`. The rest of `codec` is exempt because it only joins rooms.
"""

import ast
from pathlib import Path

import pytest

import intact

SOURCE = Path(intact.__file__).parent
ROOMS = ("bits", "intnet", "bottleneck", "container", "packing/coding")
FILES = [
    path
    for room in ROOMS
    for path in sorted((SOURCE / room).rglob("*.py"))
    if "backends" not in path.relative_to(SOURCE).parts
]
# What of `codec` decides which symbols and pixels there are, and what all rooms stand on.
FILES += [SOURCE / "codec" / "coding.py", SOURCE / "codec" / "model.py", SOURCE / "untrusted.py"]
# From the quality a person gives to a level: only the encoder asks, and the file holds the level.
# Limits are people's too, and may be infinite.
EXEMPT = {"of_quality", "check_pixels"}
FLOAT_NAMES = {"float", "complex", "float16", "float32", "float64", "f2", "f4", "f8", "double"}
# Functions whose results are floats even for integers.
FLOAT_FUNCTIONS = {
    "true_divide", "divide", "mean", "average", "std", "var", "sqrt", "exp", "exp2", "log", "log2",
    "log10", "log1p", "rint", "linspace", "truediv", "rand", "random", "normal",
}  # fmt: skip


def floating_point(source):
    """Describe each place of a source text where a float can come from."""
    found = []
    tree = ast.parse(source)
    exempt = [
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name in EXEMPT
        for node in ast.walk(function)
    ]
    for node in ast.walk(tree):
        if node in exempt:
            continue
        match node:
            case ast.Constant(value=float() | complex()):
                found.append((node.lineno, f"constant {node.value}"))
            case ast.Call():
                # Only an argument is a dtype; elsewhere the word may name an arithmetic.
                arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                found += [
                    (node.lineno, f"dtype {argument.value!r}")
                    for argument in arguments
                    if isinstance(argument, ast.Constant)
                    and isinstance(argument.value, str)
                    and argument.value.strip("<>=") in FLOAT_NAMES
                ]
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                # A path join is no division; below the line nothing joins paths.
                found.append((node.lineno, "division with /"))
            case ast.Name(id=name, ctx=ast.Load()) if name in FLOAT_NAMES:
                found.append((node.lineno, name))
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name) if name in FLOAT_NAMES:
                found.append((node.lineno, name))
            case ast.Attribute(attr=name) if name in FLOAT_FUNCTIONS:
                found.append((node.lineno, name))
            case ast.ImportFrom(names=names):
                found += [(node.lineno, n.name) for n in names if n.name in FLOAT_FUNCTIONS]
    return [f"line {line}: {what}" for line, what in sorted(found)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_floating_point_below_the_line(path):
    assert floating_point(path.read_text()) == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_was_looked_at(room):
    assert any((SOURCE / room) in path.parents for path in FILES)


@pytest.mark.parametrize(
    "line",
    [
        "x = 0.5",
        "x = 1e3",
        "x = a / b",
        "x /= 2",
        "x = float(a)",
        "x = a.astype(np.float32)",
        "x = np.zeros(3, 'float64')",
        "x = np.zeros(3, dtype='<f8')",
        "x = math.log2(a)",
        "x = a.mean()",
        "from math import sqrt",
    ],
)
def test_the_check_sees(line):
    assert floating_point(line) != []


@pytest.mark.parametrize(
    "line", ["x = a // b", "x = 3", "x = a >> 14", "float32: bool", "x = layer.float32"]
)
def test_the_check_passes_over(line):
    assert floating_point(line) == []
