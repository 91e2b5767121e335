"""Compressible weights, for any torch module: Agustsson et al. 2017, §5. Needs torch.

`quantize_weights` puts soft-to-hard quantization into a network while it trains:

    weights = quantize_weights(model)  # then the optimizer: the centers are parameters, too
    for x, y in batches:
        loss = task_loss(model(x), y) + beta * weights.entropy()  # bits per weight
        ...  # backward, step
        weights.quantizer.annealing.step()
    weights.harden()  # symbols stay; go on at a tenth of the learning rate

In evaluation the weights are hard; within `weights.soft_evaluation()` they are soft.
"""

from intact.weights.attach import quantize_weights, remove, weights_of
from intact.weights.quantized import QuantizedWeights, Scale
from intact.weights.search import Trial, search_beta

__all__ = [
    "quantize_weights",
    "weights_of",
    "remove",
    "QuantizedWeights",
    "Scale",
    "search_beta",
    "Trial",
]
