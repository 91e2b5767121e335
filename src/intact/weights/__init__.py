"""Compressible weights: small files of any network's, and training that makes them small.

`load` and `save` need NumPy alone; the rest needs torch and is loaded when it is asked for.

`quantize_weights` puts soft-to-hard quantization (Agustsson et al. 2017, §5) into a network while
it trains:

    weights = quantize_weights(model)  # then the optimizer: the centers are parameters, too
    for x, y in batches:
        loss = task_loss(model(x), y) + beta * weights.rate()  # bits per weight
        ...  # backward, step
        weights.quantizer.annealing.step()
    weights.harden()  # symbols stay; go on at a tenth of the learning rate
    save_module(model, "model.intactw")

In evaluation the weights are hard; within `weights.soft_evaluation()` they are soft. `SoftToHard`
does the same around the steps of any loop, `lightning_callback` and `trainer_callback` in those
frameworks. `compress` needs a few batches and no training. `prune`, `cluster` and `fine_tune` are
the methods that the paper compares with.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intact.packing.save import save as save
from intact.packing.state import Raw as Raw, Symbols as Symbols, load as load

if TYPE_CHECKING:
    from intact.weights.assign import (
        Clusters as Clusters,
        ecsq as ecsq,
        for_bits as for_bits,
        k_means as k_means,
        uniform as uniform,
    )
    from intact.weights.attach import (
        quantize_weights as quantize_weights,
        remove as remove,
        weights_of as weights_of,
    )
    from intact.weights.callbacks import (
        lightning_callback as lightning_callback,
        trainer_callback as trainer_callback,
    )
    from intact.weights.coded import (
        Coded as Coded,
    )
    from intact.weights.compressed import (
        Compressed as Compressed,
        compress as compress,
        finish as finish,
    )
    from intact.weights.dead_zone import (
        DeadZone as DeadZone,
        lead_to as lead_to,
    )
    from intact.weights.finetune import (
        Settings as Settings,
        cross_entropy as cross_entropy,
        distilled as distilled,
        fine_tune as fine_tune,
    )
    from intact.weights.gptq import (
        recalibrate as recalibrate,
        second_moments as second_moments,
    )
    from intact.weights.methods import (
        cluster as cluster,
        importance as importance,
        prune as prune,
        refit as refit,
        remove_masks as remove_masks,
    )
    from intact.weights.module import (
        load_into as load_into,
        save_module as save_module,
    )
    from intact.weights.norms import (
        ChannelAffine as ChannelAffine,
        fold_batch_norm as fold_batch_norm,
        give_channel_affines as give_channel_affines,
    )
    from intact.weights.pieces import (
        Scale as Scale,
    )
    from intact.weights.quantized import (
        QuantizedWeights as QuantizedWeights,
    )
    from intact.weights.schedule import (
        Epoch as Epoch,
        SoftToHard as SoftToHard,
    )
    from intact.weights.search import (
        Trial as Trial,
        search_beta as search_beta,
    )

__all__ = [
    "load",
    "save",
    "Symbols",
    "Raw",
    "load_into",
    "save_module",
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
    "second_moments",
    "fold_batch_norm",
    "ChannelAffine",
    "give_channel_affines",
    "prune",
    "refit",
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

# Loaded when first asked for (PEP 562): `load` and `save` then work where torch is not.
_HOMES = {
    "Clusters": "intact.weights.assign",
    "ecsq": "intact.weights.assign",
    "for_bits": "intact.weights.assign",
    "k_means": "intact.weights.assign",
    "uniform": "intact.weights.assign",
    "quantize_weights": "intact.weights.attach",
    "remove": "intact.weights.attach",
    "weights_of": "intact.weights.attach",
    "lightning_callback": "intact.weights.callbacks",
    "trainer_callback": "intact.weights.callbacks",
    "Coded": "intact.weights.coded",
    "Compressed": "intact.weights.compressed",
    "compress": "intact.weights.compressed",
    "finish": "intact.weights.compressed",
    "DeadZone": "intact.weights.dead_zone",
    "lead_to": "intact.weights.dead_zone",
    "Settings": "intact.weights.finetune",
    "cross_entropy": "intact.weights.finetune",
    "distilled": "intact.weights.finetune",
    "fine_tune": "intact.weights.finetune",
    "recalibrate": "intact.weights.gptq",
    "second_moments": "intact.weights.gptq",
    "cluster": "intact.weights.methods",
    "importance": "intact.weights.methods",
    "prune": "intact.weights.methods",
    "refit": "intact.weights.methods",
    "remove_masks": "intact.weights.methods",
    "load_into": "intact.weights.module",
    "save_module": "intact.weights.module",
    "ChannelAffine": "intact.weights.norms",
    "fold_batch_norm": "intact.weights.norms",
    "give_channel_affines": "intact.weights.norms",
    "Scale": "intact.weights.pieces",
    "QuantizedWeights": "intact.weights.quantized",
    "Epoch": "intact.weights.schedule",
    "SoftToHard": "intact.weights.schedule",
    "Trial": "intact.weights.search",
    "search_beta": "intact.weights.search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'intact.weights' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
