"""Figures 1 and 4 and the ablations: models and classical codecs, by ``intact eval``.

    python papers/agustsson2017/curves.py --models MODELS --out OUT kodak=FOLDER b100=FOLDER ...

The models in MODELS that `train.py` names NAME-b1 .. NAME-b4, or NAME and NAME-16 by their number
of centers, are one curve, NAME. Per set OUT has what `intact eval` writes (results.csv, mean.csv,
bd.csv, rd_*.png), and equal_error.csv: the rates of two curves at three PSNRs that both reach (A.3
compares there), and objective.csv: beta * bits + error of every model, against `vector` of the same
beta. Needs the extra `bench`, and no torch.
"""

from __future__ import annotations

import argparse
import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from intact import files
from intact.codec.store import load_model

CLASSICAL = {
    "jpeg": "5,8,12,18,26,38", "jpeg2000": "240,160,110,80,60,45,30", "webp": "0,2,6,12,20,32",
    "heic": "10,17,24,31,38,45", "bpg": "47,44,41,38,35,32",
}  # fmt: skip
"""Qualities of the classical codecs: those that the rates of our models, 0.1 to 0.6 bpp, need.

The paper has BPG on all sets. heic is x265 intra 4:4:4, which stands in its place where the
programs of libbpg are not on PATH; what is not there is left out, and said.
"""


def curves_of(models: Path) -> dict[str, list[Path]]:
    """Model files by curve."""
    found: dict[str, list[Path]] = {}
    for path in sorted(models.glob("*.intactm")):
        name = re.sub(r"-(b\d|\d+)$", "", path.stem)
        found.setdefault("shvq" if name == "vector" else name, []).append(path)
    return found


def sets_of(parser: argparse.ArgumentParser, items: list[str]) -> dict[str, Path]:
    """Folders by name, from NAME=FOLDER."""
    found = {}
    for item in items:
        name, _, folder = item.partition("=")
        if not name or not folder or name in found:
            parser.error(f"{item!r}: sets are NAME=FOLDER, each with a name of its own")
        if not Path(folder).is_dir():
            parser.error(f"{item!r}: {folder} is no folder")
        found[name] = Path(folder)
    return found


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def equal_error(out: Path, curves: dict[str, list[Path]]) -> list[dict[str, object]]:
    """Rates at equal PSNR, by linear interpolation of log rate between a curve's own points.

    Means over fewer pictures than others, where a codec refused one, are not compared.
    """
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in (*curves, *CLASSICAL)}
    rows_of_means = read(out / "mean.csv")
    most = max((int(row["pictures"]) for row in rows_of_means), default=0)
    for row in rows_of_means:
        if int(row["pictures"]) == most:
            points[row["codec"]].append((float(row["psnr"]), float(row["bpp"])))
    ours = {name: sorted(found) for name, found in points.items() if name in curves}
    several = {name: found for name, found in ours.items() if len(found) > 1}

    def rate_at(name: str, psnr: float) -> float:
        qualities, rates = zip(*several[name], strict=True)
        return float(np.exp(np.interp(psnr, qualities, np.log(rates))))

    rows: list[dict[str, object]] = []
    for first in several:
        for second in several:
            low = max(several[first][0][0], several[second][0][0])
            high = min(several[first][-1][0], several[second][-1][0])
            if first >= second or low >= high:
                continue
            for psnr in np.linspace(low, high, 3):
                one, other = rate_at(first, psnr), rate_at(second, psnr)
                rows.append({
                    "psnr": f"{psnr:.3f}", "first": first, "bpp_first": f"{one:.4f}",
                    "second": second, "bpp_second": f"{other:.4f}",
                    "second_to_first_percent": f"{100 * (other / one - 1):.1f}",
                })  # fmt: skip
    return rows


def objectives(out: Path, curves: dict[str, list[Path]]) -> list[dict[str, object]]:
    """What training minimizes, by real files: bits per pixel + squared error (0..1) / beta.

    It compares arms of one beta that have no curve. The error is the mean over the pictures that
    all of them coded; rows of an earlier model of the same name are passed over.
    """
    betas: dict[str, float] = {}
    ids: dict[str, str] = {}
    for path in [path for paths in curves.values() for path in paths]:
        model = load_model(path)
        if found := re.match(r"beta ([\d.e-]+),", model.info["rate"]):
            betas[path.stem], ids[path.stem] = float(found[1]), model.id.hex()
    seen: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in betas}
    for row in read(out / "results.csv"):
        name = row["setting"]
        if name in seen and ids[name] in row["source"].split():
            error = 10 ** (-float(row["psnr"]) / 10)
            seen[name][row["sha256"]] = float(row["bpp"]), error
    seen = {name: pictures for name, pictures in seen.items() if pictures}
    common = set.intersection(*map(set, seen.values())) if seen else set()
    values: dict[str, tuple[float, float, float]] = {}
    for name, pictures in seen.items() if common else ():
        bpp, error = np.mean([pictures[sha] for sha in sorted(common)], 0)
        values[name] = float(bpp), float(error), float(bpp + error / betas[name])
    rows: list[dict[str, object]] = []
    for name, (bpp, error, objective) in sorted(values.items(), key=lambda v: (betas[v[0]], v[0])):
        anchor = next((n for n in values if n[:8] == "vector-b" and betas[n] == betas[name]), name)
        rows.append({
            "model": name, "beta": betas[name], "bpp": f"{bpp:.4f}",
            "mse": f"{255**2 * error:.2f}", "objective": f"{objective:.4f}", "anchor": anchor,
            "percent": f"{100 * (objective / values[anchor][2] - 1):.2f}",
        })  # fmt: skip
    return rows


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """A table, if there is anything to be written."""
    if rows:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.replace(path, text.getvalue().encode())


def main() -> None:
    """Evaluate on each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="curves, by name; all by default")
    parser.add_argument("--jobs", default="1")
    options = parser.parse_args()
    sets, curves = sets_of(parser, options.sets), curves_of(options.models)
    if not curves:
        parser.error(f"--models {options.models}: no file there ends in .intactm")
    if missing := set(options.only or ()) - set(curves):
        parser.error(f"--only {missing.pop()}: {options.models} has {', '.join(curves)}")
    if options.only:
        curves = {name: paths for name, paths in curves.items() if name in options.only}
    for name, folder in sets.items():
        out = options.out / name
        command = [sys.executable, "-m", "intact", "eval", str(folder), "-o", str(out)]
        command += ["--jobs", options.jobs]
        for metric in ("psnr", "ssim", "ms_ssim"):
            command += ["--metric", metric]
        for curve, paths in curves.items():
            command += ["--codec", f"{curve}={','.join(map(str, paths))}"]
        for codec, qualities in CLASSICAL.items():
            command += ["--codec", codec, "--qualities", f"{codec}={qualities}"]
        done = subprocess.run(command, check=False)
        if done.returncode not in (0, 3):  # 3: something was left out, and said
            raise SystemExit(done.returncode)
        write(out / "equal_error.csv", equal_error(out, curves))
        write(out / "objective.csv", objectives(out, curves))


if __name__ == "__main__":
    main()
