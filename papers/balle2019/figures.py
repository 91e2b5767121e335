"""Draws what results/ holds; needs matplotlib.

    figures.py [--steps 5000]

Pictures of what was not measured yet are not drawn.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from arms import ARMS, FLOAT, INTEGER, LAMBDAS, MAIN, STEPS
from paper_b import HERE, RESULTS, RUNS, read_rows, write_rows

from intact.measure import bd_rate

NOTE = "N = 32 for 128, 64 for 256"
Point = tuple[float, float]


def means(path: Path) -> dict[tuple[str, int], dict[str, float]]:
    """Mean rate, error and PSNR of each arm and step."""
    groups: dict[tuple[str, int], list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path):
        groups[row["arm"], int(row["step"])].append(row)
    keys = ("bpp", "mse", "psnr", "encode_s", "decode_s")
    return {
        place: {k: float(np.mean([float(r[k]) for r in rows])) for k in keys}
        | {"pictures": len(rows)}
        for place, rows in groups.items()
    }


def curve(found: dict[tuple[str, int], dict[str, float]], steps: int, name: str) -> list[Point]:
    """(bpp, PSNR) of an arm's lambdas, as far as they are there."""
    places = [(f"{name}-{weight:g}", steps) for weight in LAMBDAS]
    return [(found[p]["bpp"], found[p]["psnr"]) for p in places if p in found]


def frontier(points: list[Point]) -> list[Point]:
    """Without points that need more bits than another one for no better a picture.

    BD-rates want a quality that grows; a short training may end so at a large lambda.
    """
    return [p for p in sorted(points) if all(q[1] < p[1] for q in points if q[0] < p[0])]


def rate_distortion(
    found: dict[tuple[str, int], dict[str, float]],
    steps: int,
    names: dict[str, str],
    path: Path,
    title: str,
) -> list[dict[str, object]]:
    """A rate-distortion picture, and BD-rates against its first curve."""
    curves = {label: curve(found, steps, name) for name, label in names.items()}
    curves = {label: points for label, points in curves.items() if points}
    if len(curves) < 2:
        return []
    mine = tuple(names)
    counts = {int(v["pictures"]) for (arm, _), v in found.items() if arm.startswith(mine)}
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    styles = ("o-", "s--", "^-", "d:", "x-.")
    for (label, points), style in zip(curves.items(), styles, strict=False):
        axes.plot(*zip(*points, strict=True), style, label=label, markersize=5)
    axes.set(xlabel="bits per pixel (whole files)", ylabel="PSNR, dB",
             title=f"{title}\n{max(counts)} pictures of Kodak, {steps} steps, {NOTE}")  # fmt: skip
    save(figure, axes, path)
    anchor, *others = curves
    rows: list[dict[str, object]] = []
    for other in others:
        try:
            points = [frontier(curves[name]) for name in (anchor, other)]
            value = bd_rate(*zip(*points[0], strict=True), *zip(*points[1], strict=True))
        except ValueError as error:
            print(f"{other} against {anchor}: {error}")
            continue
        rows.append({"figure": path.stem, "anchor": anchor, "test": other, "steps": steps,
                     "lambdas": len(points[1]), "bd_rate_percent": f"{value:.2f}"})  # fmt: skip
    return rows


def save(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


def figure4(found: dict[tuple[str, int], dict[str, float]], steps: int, path: Path) -> None:
    """Loss on Kodak over training."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    names = {"relu-float-32": "float, 32 filters", "relu-integer-32": "integer, 32",
             "relu-integer-64": "integer, 64"}  # fmt: skip
    drawn = 0
    for name, label in names.items():
        points = sorted(
            (step, values["bpp"] + MAIN * values["mse"])
            for (arm, step), values in found.items()
            if arm == f"{name}-{MAIN:g}" and step
        )
        if points:
            drawn += 1
            axes.plot(*zip(*points, strict=True), "o-", label=label, markersize=4)
    if drawn > 1:
        axes.set(xlabel="steps", ylabel=f"bpp + {MAIN:g} MSE, files of 8 Kodak pictures",
                 yscale="log", title=f"Figure 4: loss over training, {NOTE}")  # fmt: skip
        save(figure, axes, path)
    plt.close(figure)


def instability(folder: Path, path: Path) -> None:
    """Eq. 16 against Eq. 18 to 20: rate and change of the prior's parameters over steps."""
    names = {"eq16-seed0": ("Eq. 16, seed 0", "C3-"), "eq16-seed1": ("Eq. 16, seed 1", "C1-"),
             f"relu-integer-32-{MAIN:g}": ("Eq. 18, seed 0", "C0-"),
             "eq18-seed1": ("Eq. 18, seed 1", "C2-")}  # fmt: skip
    there = {n: read_rows(folder / f"{n}.csv") for n in names}
    if sum(bool(rows) for rows in there.values()) < 2:
        return
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.8))
    keys = {"prior_change": "change of the prior's parameters\nin 50 steps, relative",
            "bpp": "bits per pixel (training crops)", "loss": "loss (training crops)"}  # fmt: skip
    for axes, (key, label) in zip(panels, keys.items(), strict=True):
        for name, rows in there.items():
            if rows:
                steps = [int(r["step"]) for r in rows]
                values = [float(r[key]) for r in rows]
                axes.plot(steps, values, names[name][1], label=names[name][0], linewidth=1)
        axes.set(xlabel="steps", ylabel=label, yscale="log")
        axes.grid(alpha=0.3)
    panels[0].set_title(f"integer, {NOTE.partition(',')[0]}")
    save(figure, panels[0], path)


def beta(folder: Path, found: dict[tuple[str, int], dict[str, float]], steps: int) -> None:
    """Final losses of the arms that differ in beta."""
    rows = []
    for name in ("beta-2", f"relu-integer-32-{MAIN:g}", "beta-8", "beta-infinite", "beta-2-to-32"):
        values = found.get((name, steps))
        if values:
            rows.append({
                "arm": name, "beta": ARMS[name].beta, "steps": steps,
                "kodak_loss": f"{values['bpp'] + MAIN * values['mse']:.4f}",
                "bpp": f"{values['bpp']:.4f}", "psnr": f"{values['psnr']:.3f}",
            })  # fmt: skip
    if len(rows) > 1:
        write_rows(folder / "beta.csv", rows)
        print(*rows, sep="\n")


def summary(folder: Path, found: dict[tuple[str, int], dict[str, float]], steps: int) -> None:
    """Means of every arm, and its own loss: bpp + lambda * MSE."""
    rows = []
    for (name, step), values in found.items():
        if step == steps:
            settings = ARMS[name].settings if name in ARMS else ()  # posthoc.py's: by their name
            weights = [s.rpartition("=")[2] for s in settings if s.startswith("rate.rd_weight=")]
            weight = float(weights[0] if weights else name.rpartition("-")[2])
            rows.append({
                "arm": name, "lambda": f"{weight:g}", "pictures": int(values["pictures"]),
                "bpp": f"{values['bpp']:.4f}", "psnr": f"{values['psnr']:.3f}",
                "mse": f"{values['mse']:.2f}",
                "loss": f"{values['bpp'] + weight * values['mse']:.4f}",
            })  # fmt: skip
    write_rows(folder / "summary.csv", sorted(rows, key=lambda row: str(row["arm"])))


def cost(folder: Path, found: dict[tuple[str, int], dict[str, float]], steps: int) -> None:
    """§6: bytes of the model and times of the ReLU models; float networks run in PyTorch."""
    rows = []
    for name in ("relu-float-32", "relu-integer-32", "relu-integer-64"):
        arm = f"{name}-{MAIN:g}"
        path, values = RUNS / str(steps) / f"{arm}.intactm", found.get((arm, steps))
        if path.exists() and values:
            rows.append({"arm": arm, "model_bytes": path.stat().st_size,
                         "encode_s": f"{values['encode_s']:.3f}",
                         "decode_s": f"{values['decode_s']:.3f}"})  # fmt: skip
    if len(rows) > 1:
        write_rows(folder / "cost.csv", rows)
        print(*rows, sep="\n")


def figure2(path: Path) -> None:
    """QReLU, Qtanh and what training sees of them."""
    rows = read_rows(HERE / "figure2.csv")
    if not rows:
        return
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.8))
    curves: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in rows:
        curves[row["function"], row["beta"]].append((float(row["v"]), float(row["w"])))
    for (function, shape), points in curves.items():
        axes = panels[int("anh" in function)]
        x, y = zip(*points, strict=True)
        if function in ("QReLU", "Qtanh"):
            axes.step(x, y, "k", where="mid", label=f"{function}, 4 bits", linewidth=1.4)
        else:
            paper = shape in ("4", "")
            color = "c" if paper else "0.6"
            style = {"1": ":", "2": "--", "8": "-.", "inf": "-"}.get(shape, "-")
            label = f"{function}, beta {shape}" if shape else function
            axes.plot(x, y, style, color=color, linewidth=2 if paper else 1, label=label)
    for axes in panels:
        axes.set(xlabel="v", ylabel="w")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    figure2(HERE / "figure2.png")
    folder = RESULTS / str(args.steps)
    if not folder.exists():
        return
    found = means(folder / "rd.csv")
    left = {FLOAT: "float prior", INTEGER: "integer prior"}
    right = {"relu-float-32": "ReLU, float, 32", "relu-integer-32": "QReLU, integer, 32",
             "relu-integer-64": "QReLU, integer, 64",
             "relu-integer-32-k7": "QReLU, integer, 32, K = 7",
             "relu-posthoc-32": "float, 32, converted afterwards"}  # fmt: skip
    rates = rate_distortion(
        found, args.steps, left, folder / "figure3_left.png", "Figure 3, left: scale hyperprior"
    )
    rates += rate_distortion(
        found, args.steps, right, folder / "figure3_right.png", "Figure 3, right: no hyperprior"
    )
    if rates:
        write_rows(folder / "bd_rate.csv", rates)
        print(*rates, sep="\n")
    figure4(means(folder / "training_rd.csv"), args.steps, folder / "figure4.png")
    instability(folder / "training", folder / "instability.png")
    summary(folder, found, args.steps)
    beta(folder, found, args.steps)
    cost(folder, found, args.steps)


if __name__ == "__main__":
    main()
