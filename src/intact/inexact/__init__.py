"""Float networks: what is not the same on every machine. Above the line; nothing imports it.

`intact.codec.runtime` loads it by name after a caller has allowed it (``allow_inexact``). It runs
the float networks of models whose profile is `prior` or `float` (docs/spec/hyperprior.md), in
NumPy's float32: slow, plain, and good for comparing, not for archives.
"""

from intact.inexact.networks import FloatNetworks as FloatNetworks
