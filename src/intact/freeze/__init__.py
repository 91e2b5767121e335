"""The bridge: a trained codec becomes a frozen `intact.codec.model.Model`. Data flows down only."""
