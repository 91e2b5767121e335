"""Codecs compared: real files, decoded pixels, metrics, curves, BD-rates, plots, crops.

pictures --codecs--> files --metrics--> table (CSV) --bd, plot, crops--> what people read

`intact.evaluate.job` puts them together for ``intact eval``; ``benchmarks/rd_*.py`` call the parts.
Nothing here needs PyTorch; of other packages (the extra ``bench``) what is missing is left out and
named.
"""
