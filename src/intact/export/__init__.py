"""Models in forms that other programs read. Only exact models leave: nothing here rounds."""
