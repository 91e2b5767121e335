"""Color prediction: every position once, from neighbors that came before, and undone exactly."""

import numpy as np
import pytest

from intact.bottleneck import colors
from intact.bottleneck.grid import Window
from intact.bottleneck.order import pass_a_mask
from intact.bottleneck.scalar import dequantize, quantize

# 1: a single position; 2, 3: no full set of neighbors; 16: a whole block; 9: between powers of two.
SHAPES = [(1, 1), (1, 2), (2, 1), (2, 3), (5, 8), (16, 9), (16, 16), (1, 16), (7, 16)]
# 17: a block and a row; 40: blocks and a half.
GRIDS = [*SHAPES, (17, 16), (16, 33), (40, 64)]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_position_comes_once_and_after_its_neighbors(shape):
    pass_a, pass_b = colors.stages(*shape)
    order = np.full(shape[0] * shape[1], -1)
    for number, stage in enumerate((*pass_a, pass_b)):
        assert (order[stage.positions] == -1).all()
        assert (order[stage.neighbors][stage.exists] >= 0).all()
        assert (order[stage.neighbors][stage.exists] < number).all()
        order[stage.positions] = number
    assert (order >= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_the_stages_of_pass_a_are_its_positions(shape):
    pass_a, pass_b = colors.stages(*shape)
    mask = pass_a_mask(Window(0, 0, *shape), 1, predicted=1).ravel()
    positions = np.concatenate([stage.positions for stage in pass_a])
    assert np.array_equal(np.sort(positions), np.flatnonzero(mask))
    assert np.array_equal(np.sort(pass_b.positions), np.flatnonzero(~mask))


@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_first_position_has_no_neighbor(shape):
    pass_a, pass_b = colors.stages(*shape)
    alone = [p for s in (*pass_a, pass_b) for p in s.positions[s.count == 0]]
    assert alone == [0]


def test_averages_round_half_up():
    stage = colors.stages(2, 2)[1]  # two positions with two neighbors each
    assert stage.blend(np.array([[[0], [9], [9], [1]]])).tolist() == [[[1], [1]]]
    assert stage.blend(np.array([[[0], [9], [9], [-1]]])).tolist() == [[[0], [0]]]


@pytest.mark.parametrize("shape", [(16, 32), (6, 10)])
def test_blocks_and_back(shape):
    array = np.arange(shape[0] * shape[1] * 3).reshape(*shape, 3)
    height, width = (16, 16) if shape == (16, 32) else (3, 5)
    blocks = colors.to_blocks(array, height, width)
    assert np.array_equal(blocks[1, :width], array[0, width : 2 * width])
    assert np.array_equal(colors.from_blocks(blocks, height, width, shape[1] // width), array)


@pytest.mark.parametrize("shape", GRIDS)
def test_regions_cover_everything_once(shape):
    count = np.zeros(shape, int)
    for rows, columns, height, width in colors.regions(*shape):
        count[rows, columns] += 1
        assert (rows.stop - rows.start) % height == (columns.stop - columns.start) % width == 0
    assert (count == 1).all()


def encoder(step):
    """Nearest rounding, as an encoder decides."""

    def code(mean, target):
        symbols = quantize(target.astype(np.int32) - mean, step, step // 2)
        return dequantize(mean, symbols, step)

    return code


@pytest.mark.parametrize("shape", GRIDS)
def test_constant_latents_are_sent_once_per_block(shape):
    """After the first position of a block, means equal what was decoded there."""
    target = np.broadcast_to(np.array((1000, -777), np.int16), (*shape, 2))
    zeros = np.zeros((*shape, 2), np.int16)
    mask = pass_a_mask(Window(0, 0, *shape), 2, predicted=2)
    mean = colors.correct_pass_a(zeros, encoder(50), target)
    blocks = -(-shape[0] // 16) * -(-shape[1] // 16)
    symbols = quantize(target.astype(np.int32) - mean, 50, 25) * mask
    assert np.count_nonzero(symbols) == 2 * blocks
    latents = encoder(50)(mean, target) * mask
    corrected = colors.correct_pass_b(zeros, latents)
    assert (np.abs(corrected - (1000, -777))[~mask] <= 25).all()


@pytest.mark.parametrize("shape", [(5, 8), (40, 64)])
def test_a_decoder_finds_the_encoders_means(shape):
    random = np.random.default_rng(11)
    mean, target = random.integers(-3000, 3000, (2, *shape, 3)).astype(np.int16)
    mask = pass_a_mask(Window(0, 0, *shape), 3, predicted=3)
    means = colors.correct_pass_a(mean, encoder(80), target)
    symbols = quantize(target.astype(np.int32) - means, 80, 40)
    decoded = colors.correct_pass_a(mean, lambda m, s: dequantize(m, s, 80), symbols)
    assert np.array_equal(means[mask], decoded[mask])
    assert np.array_equal(means[~mask], mean[~mask])
    assert np.abs(dequantize(means, symbols, 80)[mask] - target[mask]).max() <= 40


def test_windows_give_the_means_of_the_whole():
    random = np.random.default_rng(13)
    mean, target = random.integers(-3000, 3000, (2, 40, 64, 2)).astype(np.int16)
    whole = colors.correct_pass_a(mean, encoder(80), target)
    part = colors.correct_pass_a(mean[16:, 32:], encoder(80), target[16:, 32:])
    assert np.array_equal(whole[16:, 32:], part)


def test_nothing_to_predict():
    none = np.zeros((20, 33, 0), np.int16)
    assert colors.correct_pass_a(none, encoder(80), none).shape == none.shape
    assert colors.correct_pass_b(none, none).shape == none.shape


def test_extreme_means_saturate():
    mean = np.full((4, 4, 1), -32768, np.int16)
    corrected = colors.correct_pass_a(mean, lambda m: np.full(m.shape, 32767, np.int16))
    mask = pass_a_mask(Window(0, 0, 4, 4), 1, predicted=1)
    # Neighbors were wrong by 65,535: the corrected mean is the upper end.
    assert (corrected[mask][1:] == 32767).all()
    assert colors.correct_pass_b(-1 - mean, np.full((4, 4, 1), 32767, np.int16)).max() == 32767


@pytest.mark.parametrize("shape", [(9, 12), (20, 33)])
def test_training_predicts_as_the_codec_does(shape):
    torch = pytest.importorskip("torch")
    from intact.train.codecs.colors import correct_means_a, correct_means_b

    random = np.random.default_rng(12)
    mean, target = random.integers(-2000, 2000, (2, *shape, 2)).astype(np.int16)
    mask = pass_a_mask(Window(0, 0, *shape), 2, predicted=2)
    means = colors.correct_pass_a(mean, encoder(37), target)
    tensors = [torch.from_numpy(a.astype(np.float32))[None] for a in (mean, target)]
    got = correct_means_a(tensors[0], tensors[1], torch.full((1, 1, 1, 1), 37.0))[0].numpy()
    # Averages are rounded in the codec: each step may add half a unit, and a symbol may tip over.
    difference = np.abs(got - means)
    assert np.median(difference[mask]) < 1
    assert difference.max() < 2 * 37
    latents = encoder(37)(means, target) * mask
    corrected = colors.correct_pass_b(mean, latents)
    got = correct_means_b(tensors[0], torch.from_numpy(latents.astype(np.float32))[None])[0].numpy()
    assert np.abs(got - corrected).max() <= 0.5
