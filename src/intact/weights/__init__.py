"""Compressible weights, for any torch module: Agustsson et al. 2017, §5. Needs torch.

`quantize_weights` puts soft-to-hard quantization into a network while it trains:

    weights = quantize_weights(model)  # then the optimizer: the centers are parameters, too
    for x, y in batches:
        loss = task_loss(model(x), y) + beta * weights.entropy()  # bits per weight
        ...  # backward, step
        weights.quantizer.annealing.step()
    weights.harden()  # symbols stay; go on at a tenth of the learning rate

In evaluation the weights are hard; within `weights.soft_evaluation()` they are soft. `SoftToHard`
does the same around the steps of any loop, `lightning_callback` and `trainer_callback` in those
frameworks. `compress` needs a few batches and no training. `prune`, `cluster` and `fine_tune` are
the methods that the paper compares with.
"""

from intact.weights.assign import Clusters, ecsq, for_bits, k_means, uniform
from intact.weights.attach import quantize_weights, remove, weights_of
from intact.weights.callbacks import lightning_callback, trainer_callback
from intact.weights.coded import Coded
from intact.weights.compress import Compressed, compress, finish
from intact.weights.dead_zone import DeadZone, lead_to
from intact.weights.finetune import Settings, cross_entropy, distilled, fine_tune
from intact.weights.gptq import recalibrate
from intact.weights.methods import cluster, importance, prune, remove_masks
from intact.weights.norms import ChannelAffine, fold_batch_norm, give_channel_affines
from intact.weights.pieces import Scale
from intact.weights.quantized import QuantizedWeights
from intact.weights.schedule import Epoch, SoftToHard
from intact.weights.search import Trial, search_beta

__all__ = [
    "quantize_weights",
    "weights_of",
    "remove",
    "QuantizedWeights",
    "Scale",
    "SoftToHard",
    "Epoch",
    "lightning_callback",
    "trainer_callback",
    "search_beta",
    "Trial",
    "compress",
    "finish",
    "Compressed",
    "Coded",
    "recalibrate",
    "fold_batch_norm",
    "ChannelAffine",
    "give_channel_affines",
    "prune",
    "remove_masks",
    "cluster",
    "importance",
    "k_means",
    "uniform",
    "ecsq",
    "for_bits",
    "Clusters",
    "DeadZone",
    "lead_to",
    "fine_tune",
    "Settings",
    "distilled",
    "cross_entropy",
]
