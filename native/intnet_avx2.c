/* Kernels for AVX2. As intnet_avx512.c with registers half as wide: blocks of 32 channels.
 *
 * Without VNNI bytes are multiplied by pmaddubsw, which adds two products in 16 bits with
 * saturation. Python proves at load that no pair of weights can reach it (rule 2 of the design;
 * else the layer runs as GEMM16), and for each block how many sums of a pair still fit in 16 bits
 * together (`depth` 1, 2 or 4), because adding in 16 bits is cheaper than widening every time. */
#include "intnet.h"
#include "intnet_generic.h"

#if INTNET_X86
#include <immintrin.h>
#define TARGET INTNET_TARGET("avx2")

enum { BLOCK = 32, ROWS = 3 };

INTNET_INLINE TARGET __m256i load(const void *source)
{
    return _mm256_loadu_si256((const __m256i *)source);
}

INTNET_INLINE TARGET __m256i divide(const intnet_op *op, __m256i acc, int32_t at)
{
    if (op->divide == INTNET_DOUBLE) {
        const __m256d low = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_castsi256_si128(acc)),
                                          _mm256_loadu_pd(op->reciprocal64 + at));
        const __m256d high = _mm256_mul_pd(_mm256_cvtepi32_pd(_mm256_extracti128_si256(acc, 1)),
                                           _mm256_loadu_pd(op->reciprocal64 + at + 4));
        return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm256_cvtpd_epi32(low)),
                                       _mm256_cvtpd_epi32(high), 1);
    }
    return _mm256_cvtps_epi32(
        _mm256_mul_ps(_mm256_cvtepi32_ps(acc), _mm256_loadu_ps(op->reciprocal + at)));
}

INTNET_INLINE TARGET __m256i clip16(const intnet_op *op, __m256i v)
{
    return _mm256_min_epi16(_mm256_max_epi16(v, _mm256_set1_epi16((short)op->low)),
                            _mm256_set1_epi16((short)op->high));
}

INTNET_INLINE TARGET __m256i pack8(const intnet_op *op, __m256i left, __m256i right)
{
    const __m256i zero = _mm256_set1_epi16((short)op->zero_out);
    const __m256i packed =
        _mm256_packus_epi16(_mm256_adds_epi16(left, zero), _mm256_adds_epi16(right, zero));
    return _mm256_min_epu8(
        _mm256_max_epu8(packed, _mm256_set1_epi8((char)(op->low + op->zero_out))),
        _mm256_set1_epi8((char)(op->high + op->zero_out)));
}

INTNET_INLINE TARGET void put(uint8_t *target, __m256i v, int64_t valid_bytes, int64_t room)
{
    if (valid_bytes <= 0)
        return;
    if (room >= 32 || valid_bytes >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)target, v);
    } else {
        uint8_t bytes[32];
        _mm256_storeu_si256((__m256i *)(void *)bytes, v);
        memcpy(target, bytes, (size_t)valid_bytes);
    }
}

INTNET_INLINE TARGET void put16(uint8_t *target, const uint8_t *addend, __m256i v, int32_t valid,
                                int64_t room)
{
    if (valid <= 0)
        return;
    if (addend != NULL && valid >= 16) {
        v = _mm256_adds_epi16(v, load(addend));
    } else if (addend != NULL) {
        uint8_t bytes[32] = {0};
        memcpy(bytes, addend, (size_t)(2 * valid));
        v = _mm256_adds_epi16(v, load(bytes));
    }
    put(target, v, 2 * (int64_t)valid, room);
}

/* `depth` 0: 16-bit products; else bytes, with as many 16-bit sums before they are widened. */
INTNET_INLINE TARGET void tile(const int rows, const int depth, const intnet_op *op,
                               const intnet_span *span, int64_t i, int32_t block)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const ptrdiff_t words = op->words, stride = span->source_stride;
    const int32_t first = block * BLOCK, valid = op->channels_out - first;
    const uint8_t *weights = (const uint8_t *)op->weights + block * words * 128;
    const uint8_t *source = span->source + stride * i;
    __m256i acc[ROWS][4];
    INTNET_UNROLL for (int r = 0; r < rows; r++)
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            acc[r][j] = load(op->bias + first + 8 * j);
    ptrdiff_t k = 0;
    if (depth > 1)
        for (; k + depth <= words; k += depth) {
            INTNET_UNROLL for (int r = 0; r < rows; r++) {
                __m256i a[4];
                INTNET_UNROLL for (int d = 0; d < depth; d++)
                    a[d] = _mm256_set1_epi32(intnet_load32(source + r * stride + 4 * (k + d)));
                INTNET_UNROLL for (int j = 0; j < 4; j++) {
                    const uint8_t *w = weights + 128 * k + 32 * j;
                    __m256i sum = _mm256_maddubs_epi16(a[0], load(w));
                    INTNET_UNROLL for (int d = 1; d < depth; d++)
                        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(a[d], load(w + 128 * d)));
                    acc[r][j] = _mm256_add_epi32(acc[r][j], _mm256_madd_epi16(sum, ones));
                }
            }
        }
    for (; k < words; k++) {
        INTNET_UNROLL for (int r = 0; r < rows; r++) {
            const __m256i a = _mm256_set1_epi32(intnet_load32(source + r * stride + 4 * k));
            INTNET_UNROLL for (int j = 0; j < 4; j++) {
                const __m256i w = load(weights + 128 * k + 32 * j);
                const __m256i sum = depth == 0
                                        ? _mm256_madd_epi16(a, w)
                                        : _mm256_madd_epi16(_mm256_maddubs_epi16(a, w), ones);
                acc[r][j] = _mm256_add_epi32(acc[r][j], sum);
            }
        }
    }
    INTNET_UNROLL for (int r = 0; r < rows; r++)
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            acc[r][j] = divide(op, acc[r][j], first + 8 * j);
    if (op->bytes_out == 1) {
        uint8_t *target = span->target + span->target_stride * i + first;
        INTNET_UNROLL for (int r = 0; r < rows; r++, target += span->target_stride)
            put(target,
                pack8(op, _mm256_packs_epi32(acc[r][0], acc[r][1]),
                      _mm256_packs_epi32(acc[r][2], acc[r][3])),
                valid, span->target_stride - first);
        return;
    }
    uint8_t *target = span->target + span->target_stride * i + 2 * first;
    const uint8_t *addend =
        span->addend == NULL ? NULL : span->addend + span->addend_stride * i + 2 * first;
    const int64_t room = span->target_stride - 2 * (int64_t)first;
    INTNET_UNROLL for (int r = 0; r < rows; r++, target += span->target_stride) {
        INTNET_UNROLL for (int half = 0; half < 2; half++)
            put16(target + 32 * half, addend == NULL ? NULL : addend + 32 * half,
                  clip16(op, _mm256_packs_epi32(acc[r][2 * half], acc[r][2 * half + 1])),
                  valid - 16 * half, room - 32 * half);
        if (addend != NULL)
            addend += span->addend_stride;
    }
}

INTNET_INLINE TARGET void pixels(const int depth, const intnet_op *op, const intnet_span *span,
                                 int32_t block)
{
    int64_t i = 0;
    for (; i + ROWS <= span->pixels; i += ROWS)
        tile(ROWS, depth, op, span, i, block);
    for (; i < span->pixels; i++)
        tile(1, depth, op, span, i, block);
}

static TARGET void gemm8(const intnet_op *op, const intnet_span *span)
{
    for (int32_t block = 0; block * BLOCK < op->channels_out; block++) {
        if (op->depth[block] >= 4)
            pixels(4, op, span, block);
        else if (op->depth[block] >= 2)
            pixels(2, op, span, block);
        else
            pixels(1, op, span, block);
    }
}

static TARGET void gemm16(const intnet_op *op, const intnet_span *span)
{
    for (int32_t block = 0; block * BLOCK < op->channels_out; block++)
        pixels(0, op, span, block);
}

/* Half of an input column of 32 channels: two registers of (row y - 1, y, y + 1, 0) per channel. */
INTNET_INLINE TARGET void column(const int half, const intnet_rows *rows, int64_t x, int32_t first,
                                 __m256i *out)
{
    const __m256i none = _mm256_setzero_si256();
    const __m256i above = load(rows->row[0] + rows->step[0] * x + first);
    const __m256i here = load(rows->row[1] + rows->step[1] * x + first);
    const __m256i below = load(rows->row[2] + rows->step[2] * x + first);
    const __m256i pair =
        half ? _mm256_unpackhi_epi8(above, here) : _mm256_unpacklo_epi8(above, here);
    const __m256i last =
        half ? _mm256_unpackhi_epi8(below, none) : _mm256_unpacklo_epi8(below, none);
    out[0] = _mm256_unpacklo_epi16(pair, last);
    out[1] = _mm256_unpackhi_epi16(pair, last);
}

/* Each half of a block's registers on its own, to stay within 16 registers; `sums` keeps the
 * first half's results of up to 64 pixels. */
INTNET_INLINE TARGET void depthwise_half(const int half, const intnet_op *op,
                                         const intnet_rows *rows, const intnet_rows *outside,
                                         int64_t begin, int64_t count, int32_t first,
                                         __m256i *sums)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const uint8_t *weights = (const uint8_t *)op->weights + (ptrdiff_t)first * 12 + 64 * half;
    __m256i taps[3][2];
    if (begin > 0)
        column(half, rows, begin - 1, first, taps[0]);
    else if (rows->edge)
        column(half, rows, 0, first, taps[0]);
    else
        column(half, outside, 0, 0, taps[0]);
    column(half, rows, begin, first, taps[1]);
    for (int64_t i = 0; i < count; i++) {
        __m256i v[2];
        if (begin + i + 1 < rows->width)
            column(half, rows, begin + i + 1, first, taps[2]);
        else if (rows->edge)
            column(half, rows, rows->width - 1, first, taps[2]);
        else
            column(half, outside, 0, 0, taps[2]);
        INTNET_UNROLL for (int j = 0; j < 2; j++) {
            const int32_t at = first + 16 * half + 8 * j;
            v[j] = load(op->bias + at);
            INTNET_UNROLL for (int dx = 0; dx < 3; dx++)
                v[j] = _mm256_add_epi32(
                    v[j], _mm256_madd_epi16(_mm256_maddubs_epi16(
                                                taps[dx][j], load(weights + 128 * dx + 32 * j)),
                                            ones));
            v[j] = divide(op, v[j], at);
            taps[0][j] = taps[1][j];
            taps[1][j] = taps[2][j];
        }
        sums[i] = _mm256_packs_epi32(v[0], v[1]);
    }
}

static TARGET void depthwise8(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    uint8_t pad[32];
    intnet_rows outside = {.row = {NULL}};
    __m256i left[64], right[64];
    memset(pad, op->zero_in, sizeof pad);
    outside.row[0] = outside.row[1] = outside.row[2] = pad;
    for (int64_t done = 0; done < span->pixels; done += 64) {
        const int64_t count = span->pixels - done < 64 ? span->pixels - done : 64;
        for (int32_t first = 0; first < op->channels_out; first += BLOCK) {
            uint8_t *target = span->target + span->target_stride * done + first;
            depthwise_half(0, op, rows, &outside, rows->x + done, count, first, left);
            depthwise_half(1, op, rows, &outside, rows->x + done, count, first, right);
            for (int64_t i = 0; i < count; i++, target += span->target_stride)
                put(target, pack8(op, left[i], right[i]), op->channels_out - first,
                    span->target_stride - first);
        }
    }
}

static TARGET void requantize(const intnet_op *op, const intnet_span *span)
{
    const __m256i by_bytes = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int64_t i = 0; i < span->pixels; i++) {
        const uint8_t *source = span->source + span->source_stride * i;
        uint8_t *target = span->target + span->target_stride * i;
        for (int32_t first = 0; first < op->channels_in; first += BLOCK) {
            const int32_t valid = op->channels_in - first;
            __m256i v[4];
            INTNET_UNROLL for (int j = 0; j < 4; j++) {
                const int32_t at = first + 8 * j;
                const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(source + 2 * at));
                v[j] = _mm256_cvtps_epi32(_mm256_mul_ps(
                    _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(half)),
                    _mm256_loadu_ps(op->reciprocal + at)));
            }
            const __m256i left = _mm256_packs_epi32(v[0], v[1]);
            const __m256i right = _mm256_packs_epi32(v[2], v[3]);
            if (op->bytes_out == 1) {
                put(target + first,
                    _mm256_permutevar8x32_epi32(pack8(op, left, right), by_bytes), valid,
                    span->target_stride - first);
                continue;
            }
            const int64_t room = span->target_stride - 2 * (int64_t)first;
            put16(target + 2 * first, NULL, clip16(op, _mm256_permute4x64_epi64(left, 0xd8)),
                  valid, room);
            put16(target + 2 * first + 32, NULL, clip16(op, _mm256_permute4x64_epi64(right, 0xd8)),
                  valid - 16, room - 32);
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

const intnet_kernels intnet_avx2 = {
    gemm8, gemm16, requantize, scale, add, widen, narrow, depthwise8, depthwise,
};
#endif
