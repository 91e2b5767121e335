"""Integer networks: programs, their meaning, their proofs and the backends that run them."""
