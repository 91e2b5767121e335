"""Compressible weights, for any torch module: Agustsson et al. 2017, §5. Needs torch.

`quantize_weights` puts soft-to-hard quantization into a network while it trains.
"""

from intact.weights.attach import quantize_weights, remove, weights_of
from intact.weights.quantized import QuantizedWeights, Scale

__all__ = ["quantize_weights", "weights_of", "remove", "QuantizedWeights", "Scale"]
