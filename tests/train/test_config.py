"""Settings that make no run are refused at once, by their names."""

import pytest

torch = pytest.importorskip("torch")

from intact.errors import ArgumentError  # noqa: E402
from intact.train import config as configuration, start  # noqa: E402


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("loss.mse=0", "all weights of loss are 0, one must be > 0"),
        ("loss.ms_ssim=1", "data.crop = 64 is too small for loss.ms_ssim"),
        ("optimizer.precision=half", "optimizer.precision = 'half'; legal: auto, float32, "),
        ("optimizer.method=sgd", "optimizer.method = 'sgd'; legal: soap, adam"),
        ("transform.latents=769", r"transform.latents = 769, must be in 1\.\.768"),
        ("rate.step_min=0.01", r"rate.step_min = 0.01, must be in 0\.015625\.\.511\.984375"),
        ("rate.step_max=512", r"rate.step_max = 512.0, must be in 0\.015625\.\.511\.984375"),
        ("rate.step_min=9", "rate.step_min = 9.0 is not below rate.step_max"),
    ],
)
@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2"])
def test_a_value_that_cannot_be_is_refused_with_what_is_legal(setting, said, kind):
    with pytest.raises(ArgumentError, match=said):
        configuration.load(None, ["data.crop=64", f"codec.kind={kind}", setting])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data = 5", "data = 5, must be a section"),
        ("codec = 5", "codec = 5, must be a section"),
        ("steps = 5", "unknown setting outside a section: 'steps'; legal sections: codec, data"),
        ("[outputs]", "unknown section 'outputs'; legal sections: codec, data"),
        ("[data]\nfolder = []", "unknown key data.folder; legal: folders, "),
    ],
)
def test_what_is_no_section_is_said(tmp_path, text, said):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ArgumentError, match=said):
        configuration.load(tmp_path / "c.toml")


@pytest.mark.parametrize("kind", ["image codec 1", "image codec 2"])
def test_networks_that_could_not_be_frozen_are_not_trained(small_run, kind):
    """Features are shuffled by 2 x 2, and a program has at most 4,096 channels."""
    more = ("transform.features=1025", f"codec.kind={kind}")
    settings = [s for s in small_run(64, *more) if not s.startswith("transform.features=8")]
    with pytest.raises(ArgumentError, match="has 4100 channels, at most 4096 can be frozen"):
        start.trainer_for(configuration.load(None, settings), torch.device("cpu"))
