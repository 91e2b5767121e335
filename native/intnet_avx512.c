/* Kernels for AVX-512 with VNNI: 64 products of bytes, or 32 of 16-bit words, an instruction.
 *
 * Blocks of 64 output channels are four registers of accumulators. Their lanes are ordered so that
 * packing 32 -> 16 -> 8 bits, which works within each 128-bit lane, leaves the channels in order:
 * register j, lane i, element e is channel 16 i + 4 j + e of an 8-bit result, and channel
 * 32 (j / 2) + 8 i + 4 (j % 2) + e of a 16-bit one. Python packs the weights that way. */
#include "intnet.h"
#include "intnet_generic.h"

#if INTNET_X86
#include <immintrin.h>
#define TARGET INTNET_TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

enum { BLOCK = 64, ROWS = 6 };

INTNET_INLINE TARGET __m512i load(const void *source) { return _mm512_loadu_si512(source); }

/* acc -> v for the 16 channels from `at` on, in the order of the per-channel arrays. */
INTNET_INLINE TARGET __m512i divide(const intnet_op *op, __m512i acc, int32_t at)
{
    if (op->divide == INTNET_DOUBLE) {
        const __m512d low = _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_castsi512_si256(acc)),
                                          _mm512_loadu_pd(op->reciprocal64 + at));
        const __m512d high = _mm512_mul_pd(_mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(acc, 1)),
                                           _mm512_loadu_pd(op->reciprocal64 + at + 8));
        return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(low)),
                                  _mm512_cvtpd_epi32(high), 1);
    }
    return _mm512_cvtps_epi32(
        _mm512_mul_ps(_mm512_cvtepi32_ps(acc), _mm512_loadu_ps(op->reciprocal + at)));
}

INTNET_INLINE TARGET __m512i clip16(const intnet_op *op, __m512i v)
{
    return _mm512_min_epi16(_mm512_max_epi16(v, _mm512_set1_epi16((short)op->low)),
                            _mm512_set1_epi16((short)op->high));
}

/* Saturating at every step is exact: v + zero is clipped to 0..255, which holds low..high. */
INTNET_INLINE TARGET __m512i pack8(const intnet_op *op, __m512i left, __m512i right)
{
    const __m512i zero = _mm512_set1_epi16((short)op->zero_out);
    const __m512i packed =
        _mm512_packus_epi16(_mm512_adds_epi16(left, zero), _mm512_adds_epi16(right, zero));
    return _mm512_min_epu8(
        _mm512_max_epu8(packed, _mm512_set1_epi8((char)(op->low + op->zero_out))),
        _mm512_set1_epi8((char)(op->high + op->zero_out)));
}

/* Whole registers where the pixel has room for them: masked stores are slow on some machines. */
INTNET_INLINE TARGET void put8(uint8_t *target, __m512i v, int32_t valid, int64_t room)
{
    if (room >= 64)
        _mm512_storeu_si512(target, v);
    else
        _mm512_mask_storeu_epi8(target, valid >= 64 ? ~0ull : (1ull << valid) - 1, v);
}

INTNET_INLINE TARGET void put16(uint8_t *target, const uint8_t *addend, __m512i v, int32_t valid,
                                int64_t room)
{
    if (valid <= 0)
        return;
    const __mmask32 mask = valid >= 32 ? ~0u : (1u << valid) - 1;
    if (addend != NULL)
        v = _mm512_adds_epi16(v, _mm512_maskz_loadu_epi16(mask, addend));
    if (room >= 64)
        _mm512_storeu_si512(target, v);
    else
        _mm512_mask_storeu_epi16(target, mask, v);
}

INTNET_INLINE TARGET void tile(const int rows, const int wide, const intnet_op *op,
                               const intnet_span *span, int64_t i, int32_t block)
{
    const ptrdiff_t words = op->words, stride = span->source_stride;
    const int32_t first = block * BLOCK, valid = op->channels_out - first;
    const uint8_t *weights = (const uint8_t *)op->weights + block * words * 256;
    const uint8_t *source = span->source + stride * i;
    __m512i acc[ROWS][4];
    INTNET_UNROLL for (int r = 0; r < rows; r++)
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            acc[r][j] = load(op->bias + first + 16 * j);
    for (ptrdiff_t k = 0; k < words; k++) {
        __m512i w[4];
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            w[j] = load(weights + 256 * k + 64 * j);
        INTNET_UNROLL for (int r = 0; r < rows; r++) {
            const __m512i a = _mm512_set1_epi32(intnet_load32(source + r * stride + 4 * k));
            INTNET_UNROLL for (int j = 0; j < 4; j++)
                acc[r][j] = wide ? _mm512_dpwssd_epi32(acc[r][j], a, w[j])
                                 : _mm512_dpbusd_epi32(acc[r][j], a, w[j]);
        }
    }
    INTNET_UNROLL for (int r = 0; r < rows; r++)
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            acc[r][j] = divide(op, acc[r][j], first + 16 * j);
    if (op->bytes_out == 1) {
        uint8_t *target = span->target + span->target_stride * i + first;
        const int64_t room = span->target_stride - first;
        INTNET_UNROLL for (int r = 0; r < rows; r++, target += span->target_stride)
            put8(target,
                 pack8(op, _mm512_packs_epi32(acc[r][0], acc[r][1]),
                       _mm512_packs_epi32(acc[r][2], acc[r][3])),
                 valid, room);
        return;
    }
    uint8_t *target = span->target + span->target_stride * i + 2 * first;
    const uint8_t *addend =
        span->addend == NULL ? NULL : span->addend + span->addend_stride * i + 2 * first;
    const int64_t room = span->target_stride - 2 * (int64_t)first;
    INTNET_UNROLL for (int r = 0; r < rows; r++, target += span->target_stride) {
        INTNET_UNROLL for (int half = 0; half < 2; half++)
            put16(target + 64 * half, addend == NULL ? NULL : addend + 64 * half,
                  clip16(op, _mm512_packs_epi32(acc[r][2 * half], acc[r][2 * half + 1])),
                  valid - 32 * half, room - 64 * half);
        if (addend != NULL)
            addend += span->addend_stride;
    }
}

INTNET_INLINE TARGET void gemm(const int wide, const intnet_op *op, const intnet_span *span)
{
    const int32_t blocks = (op->channels_out + BLOCK - 1) / BLOCK;
    for (int32_t block = 0; block < blocks; block++) {
        int64_t i = 0;
        for (; i + ROWS <= span->pixels; i += ROWS)
            tile(ROWS, wide, op, span, i, block);
        for (; i + 2 <= span->pixels; i += 2)
            tile(2, wide, op, span, i, block);
        if (i < span->pixels)
            tile(1, wide, op, span, i, block);
    }
}

static TARGET void gemm8(const intnet_op *op, const intnet_span *span) { gemm(0, op, span); }
static TARGET void gemm16(const intnet_op *op, const intnet_span *span) { gemm(1, op, span); }

/* One input column of 64 channels as four registers of (row y - 1, y, y + 1, 0) per channel. */
INTNET_INLINE TARGET void column(const intnet_rows *rows, int64_t x, int32_t first, __m512i *out)
{
    const __m512i none = _mm512_setzero_si512();
    const __m512i above = load(rows->row[0] + rows->step[0] * x + first);
    const __m512i here = load(rows->row[1] + rows->step[1] * x + first);
    const __m512i below = load(rows->row[2] + rows->step[2] * x + first);
    const __m512i low = _mm512_unpacklo_epi8(above, here), high = _mm512_unpackhi_epi8(above, here);
    const __m512i low2 = _mm512_unpacklo_epi8(below, none);
    const __m512i high2 = _mm512_unpackhi_epi8(below, none);
    out[0] = _mm512_unpacklo_epi16(low, low2);
    out[1] = _mm512_unpackhi_epi16(low, low2);
    out[2] = _mm512_unpacklo_epi16(high, high2);
    out[3] = _mm512_unpackhi_epi16(high, high2);
}

/* weights: [block][dx][j][lane i, element e, row], bytes; the fourth row is 0. */
static TARGET void depthwise8(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    const __m512i padding = _mm512_set1_epi8((char)op->zero_in);
    intnet_rows outside = {.row = {NULL}};
    uint8_t pad[64];
    _mm512_storeu_si512(pad, padding);
    outside.row[0] = outside.row[1] = outside.row[2] = pad;
    for (int32_t first = 0; first < op->channels_out; first += BLOCK) {
        const uint8_t *weights = (const uint8_t *)op->weights + (ptrdiff_t)first * 12;
        const int32_t valid = op->channels_out - first;
        const int64_t room = span->target_stride - first;
        uint8_t *target = span->target + first;
        __m512i w[3][4], taps[3][4];
        INTNET_UNROLL for (int dx = 0; dx < 3; dx++)
            INTNET_UNROLL for (int j = 0; j < 4; j++)
                w[dx][j] = load(weights + 256 * dx + 64 * j);
        if (rows->x > 0)
            column(rows, rows->x - 1, first, taps[0]);
        else if (rows->edge)
            column(rows, 0, first, taps[0]);
        else
            column(&outside, 0, 0, taps[0]);
        column(rows, rows->x, first, taps[1]);
        for (int64_t i = 0; i < span->pixels; i++, target += span->target_stride) {
            __m512i v[4];
            const int64_t next = rows->x + i + 1;
            if (next < rows->width)
                column(rows, next, first, taps[2]);
            else if (rows->edge)
                column(rows, rows->width - 1, first, taps[2]);
            else
                column(&outside, 0, 0, taps[2]);
            INTNET_UNROLL for (int j = 0; j < 4; j++) {
                v[j] = load(op->bias + first + 16 * j);
                INTNET_UNROLL for (int dx = 0; dx < 3; dx++)
                    v[j] = _mm512_dpbusd_epi32(v[j], taps[dx][j], w[dx][j]);
                v[j] = divide(op, v[j], first + 16 * j);
                taps[0][j] = taps[1][j];
                taps[1][j] = taps[2][j];
            }
            put8(target,
                 pack8(op, _mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])), valid,
                 room);
        }
    }
}

/* Channels in their natural order here, so packed results are put back into it at the end. */
static TARGET void requantize(const intnet_op *op, const intnet_span *span)
{
    const __m512i by_bytes =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i by_words = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    for (int64_t i = 0; i < span->pixels; i++) {
        const uint8_t *source = span->source + span->source_stride * i;
        uint8_t *target = span->target + span->target_stride * i;
        for (int32_t first = 0; first < op->channels_in; first += BLOCK) {
            const int32_t valid = op->channels_in - first;
            __m512i v[4];
            INTNET_UNROLL for (int j = 0; j < 4; j++) {
                const int32_t at = first + 16 * j;
                const __m256i half =
                    _mm256_loadu_si256((const __m256i *)(const void *)(source + 2 * at));
                v[j] = _mm512_cvtps_epi32(_mm512_mul_ps(
                    _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(half)),
                    _mm512_loadu_ps(op->reciprocal + at)));
            }
            const __m512i left = _mm512_packs_epi32(v[0], v[1]);
            const __m512i right = _mm512_packs_epi32(v[2], v[3]);
            if (op->bytes_out == 1) {
                put8(target + first,
                     _mm512_permutexvar_epi32(by_bytes, pack8(op, left, right)), valid,
                     span->target_stride - first);
                continue;
            }
            const int64_t room = span->target_stride - 2 * (int64_t)first;
            put16(target + 2 * first, NULL,
                  clip16(op, _mm512_permutexvar_epi64(by_words, left)), valid, room);
            put16(target + 2 * first + 64, NULL,
                  clip16(op, _mm512_permutexvar_epi64(by_words, right)), valid - 32, room - 64);
        }
    }
}

static TARGET void scale(const intnet_op *op, const intnet_span *span)
{
    intnet_scale_body(op, span);
}
static TARGET void add(const intnet_op *op, const intnet_span *span) { intnet_add_body(op, span); }
static TARGET void widen(const intnet_op *op, const intnet_span *span)
{
    intnet_widen_body(op, span);
}
static TARGET void narrow(const intnet_op *op, const intnet_span *span)
{
    intnet_narrow_body(op, span);
}
static TARGET void depthwise(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    intnet_depthwise_body(op, rows, span);
}

const intnet_kernels intnet_avx512 = {
    gemm8, gemm16, requantize, scale, add, widen, narrow, depthwise8, depthwise,
};
#endif
