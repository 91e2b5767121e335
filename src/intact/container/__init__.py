"""Files: bytes in, values out. Nothing here opens a file, decodes a payload, or runs a model.

`intact.container.image_file` and `intact.container.model_file` are the two formats; `chunks`,
`framing`, `header`, `tree` and `arrays` their parts; `limits` the one table of limits; `cursor` the
only reader.
"""
