"""Quantize the features of somebody else's autoencoder, which has an encoder and a decoder."""

import torch
from torch.nn.functional import mse_loss

from intact import quantize


def quantize_features(autoencoder, batches, steps, size=64, beta=1e-5):
    layout = quantize.Patches(2, 2)  # a symbol stands for 2x2 numbers of one channel
    images = next(batches)
    points = quantize.to_points(layout.split(autoencoder.encoder(images).detach()))
    fit = quantize.fit_centers(points, size, steps=100, batch=256)
    gain, lowest = 100 * fit.sigma, fit.sigma / 1000
    annealing = quantize.GapControlled(fit.sigma, gain, halving=steps / 4, lowest=lowest)
    quantizer = quantize.Quantizer(fit.centers, layout, annealing)
    histogram = quantize.MovingHistogram(len(points), size, images=200, batch=len(images), every=2)
    optimizer = torch.optim.Adam([*autoencoder.parameters(), *quantizer.parameters()], lr=1e-3)
    for _ in range(steps):
        images = next(batches)
        z = quantizer(autoencoder.encoder(images))  # soft while training
        histogram.update(z.rows)
        soft_error = mse_loss(autoencoder.decoder(z.values), images)
        loss = soft_error + beta * z.bits(histogram.p())
        optimizer.zero_grad()
        loss.backward()
        with torch.no_grad():
            hard_error = mse_loss(autoencoder.decoder(quantizer.decode(z.symbols)), images)
        optimizer.step()
        annealing.step(soft_error, hard_error)
    return quantizer.eval(), histogram  # hard from now on
