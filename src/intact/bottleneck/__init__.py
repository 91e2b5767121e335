"""How latents become symbols and which tables code them: what differs from codec to codec."""
