"""Kinds of codec, trainable: what `intact.train.task` needs of them; `kinds` is their registry."""
