"""Weights of networks in small files: safetensors in and out, `.intactw`. NumPy alone, no torch.

`coding` turns symbols and floats into bytes, `index` and `file` are the file (normative, with
docs/spec/weights.md), `quantize` and `choose` are the packer's own choices: a reader needs neither.
"""
