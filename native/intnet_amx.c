/* Matrix products of bytes in tiles (AMX, Linux on x86-64): 16,384 products an instruction.
 *
 * All but GEMM8 is AVX-512's. A tile of A is 16 pixels of 64 input bytes as they lie in memory, a
 * tile of B 64 inputs of 16 output channels, packed by Python ([block][k][column][16 words][16
 * channels][4 bytes], block of 64 channels, k of 64 inputs). Sums of four tiles go through a
 * buffer in the first cache, since tiles cannot be divided. Pixels that fill no tile go AVX-512's
 * way through the same weights.
 *
 * A process must ask the kernel for the tiles' 8 kB of state, a thread must load a configuration;
 * both happen in intnet_amx_begin, and end in intnet_amx_end, so that no other code pays for it. */
#define _DEFAULT_SOURCE 1 /* syscall */
#include "intnet.h"
#include "intnet_generic.h"

#if INTNET_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TARGET                                                                                    \
    INTNET_TARGET("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

enum { BLOCK = 64, COLUMN = 16, PIXELS = 16, DEPTH = 64, TILE_BYTES = 1024 };
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

int intnet_amx_permitted(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} configuration;

/* In memory for good: compilers do not see that all of it is read. */
static const configuration whole = {
    .palette = 1,
    .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

TARGET void intnet_amx_begin(void) { _tile_loadconfig(&whole); }

TARGET void intnet_amx_end(void) { _tile_release(); }

/* acc of 64 channels of a pixel, in their natural order, to the target. */
INTNET_INLINE TARGET void finish(const intnet_op *op, const intnet_span *span, int64_t i,
                                 int32_t first, const __m512i *sums)
{
    const int32_t valid = op->channels_out - first;
    __m512i v[4];
    INTNET_UNROLL for (int j = 0; j < 4; j++) {
        const int32_t at = first + 16 * j;
        const __m512i acc = _mm512_add_epi32(sums[j], _mm512_loadu_si512(op->bias + at));
        if (op->divide == INTNET_DOUBLE) {
            const __m512d low =
                _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(acc)),
                              _mm512_loadu_pd(op->reciprocal64 + at));
            const __m512d high =
                _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(acc, 1)),
                              _mm512_loadu_pd(op->reciprocal64 + at + 8));
            v[j] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(low)),
                                      _mm512_cvtpd_epi32(high), 1);
        } else {
            v[j] = _mm512_cvtps_epi32(
                _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(op->reciprocal + at)));
        }
        v[j] = _mm512_min_epi32(_mm512_max_epi32(v[j], _mm512_set1_epi32(op->low)),
                                _mm512_set1_epi32(op->high));
    }
    if (op->bytes_out == 1) {
        uint8_t *target = span->target + span->target_stride * i + first;
        const __m512i zero = _mm512_set1_epi32(op->zero_out);
        INTNET_UNROLL for (int j = 0; j < 4; j++) {
            const int32_t left = valid - 16 * j;
            if (left > 0)
                _mm_mask_storeu_epi8(target + 16 * j, left >= 16 ? 0xffff : (1u << left) - 1,
                                     _mm512_cvtepi32_epi8(_mm512_add_epi32(v[j], zero)));
        }
        return;
    }
    uint8_t *target = span->target + span->target_stride * i + 2 * first;
    const uint8_t *addend =
        span->addend == NULL ? NULL : span->addend + span->addend_stride * i + 2 * first;
    INTNET_UNROLL for (int j = 0; j < 4; j++) {
        const int32_t left = valid - 16 * j;
        if (left <= 0)
            continue;
        const __mmask16 mask = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        __m256i wide = _mm512_cvtsepi32_epi16(v[j]);
        if (addend != NULL)
            wide = _mm256_adds_epi16(wide, _mm256_maskz_loadu_epi16(mask, addend + 32 * j));
        _mm256_mask_storeu_epi16(target + 32 * j, mask, wide);
    }
}

/* Up to 15 pixels, with the tiles' weights. */
INTNET_INLINE TARGET void rest(const intnet_op *op, const intnet_span *span, int64_t i,
                               int32_t first, const uint8_t *weights, int32_t steps)
{
    const uint8_t *source = span->source + span->source_stride * i;
    __m512i sums[4];
    INTNET_UNROLL for (int j = 0; j < 4; j++)
        sums[j] = _mm512_setzero_si512();
    for (int32_t k = 0; k < steps; k++) {
        const uint8_t *tiles = weights + (ptrdiff_t)k * 4 * TILE_BYTES;
        for (int word = 0; word < 16; word++) {
            const __m512i a = _mm512_set1_epi32(intnet_load32(source + DEPTH * k + 4 * word));
            INTNET_UNROLL for (int j = 0; j < 4; j++)
                sums[j] = _mm512_dpbusd_epi32(
                    sums[j], a, _mm512_loadu_si512(tiles + j * TILE_BYTES + 64 * word));
        }
    }
    finish(op, span, i, first, sums);
}

/* 32 pixels, or 16, of 64 channels. */
INTNET_INLINE TARGET void tiles(const int both, const intnet_op *op, const intnet_span *span,
                                int64_t i, int32_t first, const uint8_t *weights, int32_t steps)
{
    __m512i sums[2 * PIXELS][4];
    const size_t stride = (size_t)span->source_stride;
    const uint8_t *source = span->source + span->source_stride * i;
    INTNET_UNROLL for (int half = 0; half < 2; half++) {
        const uint8_t *w = weights + 2 * half * TILE_BYTES;
        _tile_zero(0);
        _tile_zero(1);
        if (both) {
            _tile_zero(2);
            _tile_zero(3);
        }
        for (int32_t k = 0; k < steps; k++, w += 4 * TILE_BYTES) {
            _tile_loadd(6, w, 64);
            _tile_loadd(7, w + TILE_BYTES, 64);
            _tile_loadd(4, source + DEPTH * k, stride);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            if (both) {
                _tile_loadd(5, source + DEPTH * k + PIXELS * stride, stride);
                _tile_dpbusd(2, 5, 6);
                _tile_dpbusd(3, 5, 7);
            }
        }
        _tile_stored(0, &sums[0][2 * half], sizeof sums[0]);
        _tile_stored(1, &sums[0][2 * half + 1], sizeof sums[0]);
        if (both) {
            _tile_stored(2, &sums[PIXELS][2 * half], sizeof sums[0]);
            _tile_stored(3, &sums[PIXELS][2 * half + 1], sizeof sums[0]);
        }
    }
    for (int r = 0; r < (both ? 2 * PIXELS : PIXELS); r++)
        finish(op, span, i + r, first, sums[r]);
}

/* `words` counts those of whole tiles: a multiple of 16. */
static TARGET void gemm8(const intnet_op *op, const intnet_span *span)
{
    const int32_t blocks = (op->channels_out + BLOCK - 1) / BLOCK, steps = op->words / 16;
    const uint8_t *weights = op->weights;
    for (int32_t block = 0; block < blocks; block++) {
        int64_t i = 0;
        for (; i + 2 * PIXELS <= span->pixels; i += 2 * PIXELS)
            tiles(1, op, span, i, block * BLOCK, weights, steps);
        if (i + PIXELS <= span->pixels) {
            tiles(0, op, span, i, block * BLOCK, weights, steps);
            i += PIXELS;
        }
        for (; i < span->pixels; i++)
            rest(op, span, i, block * BLOCK, weights, steps);
        weights += (ptrdiff_t)steps * 4 * TILE_BYTES;
    }
}

static void TARGET gemm16(const intnet_op *op, const intnet_span *span)
{
    intnet_avx512.gemm16(op, span);
}
static void requantize(const intnet_op *op, const intnet_span *span)
{
    intnet_avx512.requantize(op, span);
}
static void scale(const intnet_op *op, const intnet_span *span) { intnet_avx512.scale(op, span); }
static void add(const intnet_op *op, const intnet_span *span) { intnet_avx512.add(op, span); }
static void widen(const intnet_op *op, const intnet_span *span) { intnet_avx512.widen(op, span); }
static void narrow(const intnet_op *op, const intnet_span *span)
{
    intnet_avx512.narrow(op, span);
}
static void depthwise8(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    intnet_avx512.depthwise8(op, rows, span);
}
static void depthwise(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    intnet_avx512.depthwise(op, rows, span);
}

const intnet_kernels intnet_amx = {
    gemm8, gemm16, requantize, scale, add, widen, narrow, depthwise8, depthwise,
};
#endif
