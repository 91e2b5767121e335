"""How far a program looks beyond its own position: the margin that a window needs."""

from __future__ import annotations

from intact.intnet.program import Add, Conv, Program, Requantize, Scale, Shuffle, Unshuffle, sources


def reach(program: Program) -> dict[str, int]:
    """How many positions of each input beyond a window its outputs depend on, at most.

    The window is aligned to the coarsest grid of the program.
    """
    far = dict.fromkeys(program.outputs, 0)
    for op in reversed(program.ops):
        distance = far.pop(op.target, 0)
        match op:
            case Conv():
                distance = distance * op.stride + op.weight.shape[2] // 2
            case Shuffle():
                distance = -(-distance // op.factor)
            case Unshuffle():
                distance *= op.factor
            case Requantize() | Scale() | Add():
                pass
        for source in sources(op):
            far[source] = max(far.get(source, 0), distance)
    return {value.name: far.get(value.name, 0) for value in program.inputs}
