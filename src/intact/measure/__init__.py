"""How good and how large: PSNR, SSIM, MS-SSIM, BD-rate, bits per pixel. NumPy only.

Every figure the project publishes comes from here, so that two tables can be compared. Pictures
are uint8 arrays [h, w, c], sizes are real files.
"""

from intact.measure.bd_rate import bd_rate as bd_rate, pchip as pchip
from intact.measure.bpp import bpp as bpp, file_bpp as file_bpp
from intact.measure.psnr import mse as mse, psnr as psnr
from intact.measure.ssim import ms_ssim as ms_ssim, ssim as ssim

__all__ = ["bd_rate", "bpp", "file_bpp", "ms_ssim", "mse", "pchip", "psnr", "ssim"]
