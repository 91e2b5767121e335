/* The kernels that are always there: plain C, and 128-bit vectors where every machine has them.
 *
 * Only 16-bit products here: all activations are widened before a matrix product. One
 * instruction (pmaddwd on x86 and its like in WebAssembly) then gives two exact products. */
#include "intnet.h"
#include "intnet_generic.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
typedef __m128i vec;
#define LOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define SPREAD(word) _mm_set1_epi32(word)
#define MADD(acc, a, w) _mm_add_epi32(acc, _mm_madd_epi16(a, w))
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t vec;
#define LOAD(p) wasm_v128_load(p)
#define STORE(p, v) wasm_v128_store(p, v)
#define SPREAD_FROM(p) wasm_v128_load32_splat(p)
#define MADD(acc, a, w) wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(a, w))
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
typedef int32x4_t vec;
#define LOAD(p) vld1q_s32(p)
#define STORE(p, v) vst1q_s32(p, v)
#define SPREAD(word) vdupq_n_s32(word)
INTNET_INLINE vec intnet_madd(vec acc, vec a, vec w)
{
    const int16x8_t left = vreinterpretq_s16_s32(a), right = vreinterpretq_s16_s32(w);
    return vaddq_s32(acc, vpaddq_s32(vmull_s16(vget_low_s16(left), vget_low_s16(right)),
                                     vmull_high_s16(left, right)));
}
#define MADD(acc, a, w) intnet_madd(acc, a, w)
#else
typedef struct {
    int32_t lane[4];
} vec;
INTNET_INLINE vec intnet_load(const int32_t *source)
{
    vec v;
    memcpy(&v, source, sizeof v);
    return v;
}
INTNET_INLINE vec intnet_spread(int32_t word)
{
    vec v = {{word, word, word, word}};
    return v;
}
INTNET_INLINE vec intnet_madd(vec acc, vec a, vec w)
{
    int16_t left[8], right[8];
    memcpy(left, &a, sizeof left);
    memcpy(right, &w, sizeof right);
    for (int i = 0; i < 4; i++)
        acc.lane[i] = (int32_t)((uint32_t)acc.lane[i] +
                                (uint32_t)(left[2 * i] * right[2 * i]) +
                                (uint32_t)(left[2 * i + 1] * right[2 * i + 1]));
    return acc;
}
#define LOAD(p) intnet_load(p)
#define STORE(p, v) memcpy(p, &(v), 16)
#define SPREAD(word) intnet_spread(word)
#define MADD(acc, a, w) intnet_madd(acc, a, w)
#endif

#ifndef SPREAD_FROM
#define SPREAD_FROM(p) SPREAD(intnet_load32(p))
#endif

/* Two rows at a time share the weights' loads; V8's code for WebAssembly is faster with one. */
#if defined(__wasm_simd128__)
enum { BLOCK = 16, ROWS = 1 };
#else
enum { BLOCK = 16, ROWS = 2 };
#endif

INTNET_INLINE void tile(const int rows, const intnet_op *op, const intnet_span *span, int64_t i,
                        int32_t block)
{
    const int32_t words = op->words, first = block * BLOCK;
    const int32_t *weights = (const int32_t *)op->weights + (ptrdiff_t)block * words * BLOCK;
    const uint8_t *source = span->source + span->source_stride * i;
    const ptrdiff_t stride = span->source_stride;
    vec acc[ROWS][4];
    INTNET_UNROLL for (int r = 0; r < rows; r++)
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            acc[r][j] = LOAD(op->bias + first + 4 * j);
    for (int32_t k = 0; k < words; k++, weights += BLOCK) {
        INTNET_UNROLL for (int r = 0; r < rows; r++) {
            const vec a = SPREAD_FROM(source + r * stride + 4 * (ptrdiff_t)k);
            INTNET_UNROLL for (int j = 0; j < 4; j++)
                acc[r][j] = MADD(acc[r][j], a, LOAD(weights + 4 * j));
        }
    }
    const int32_t left = op->channels_out - first;
    for (int r = 0; r < rows; r++) {
        int32_t sums[BLOCK];
        INTNET_UNROLL for (int j = 0; j < 4; j++)
            STORE(sums + 4 * j, acc[r][j]);
        intnet_store_body(op, span, i + r, first, left < BLOCK ? left : BLOCK, sums);
    }
}

static void gemm16(const intnet_op *op, const intnet_span *span)
{
    const int32_t blocks = (op->channels_out + BLOCK - 1) / BLOCK;
    for (int32_t block = 0; block < blocks; block++) {
        int64_t i = 0;
        for (; i + ROWS <= span->pixels; i += ROWS)
            tile(ROWS, op, span, i, block);
        for (; i < span->pixels; i++)
            tile(1, op, span, i, block);
    }
}

static void requantize(const intnet_op *op, const intnet_span *span)
{
    intnet_requantize_body(op, span);
}
static void scale(const intnet_op *op, const intnet_span *span) { intnet_scale_body(op, span); }
static void add(const intnet_op *op, const intnet_span *span) { intnet_add_body(op, span); }
static void widen(const intnet_op *op, const intnet_span *span) { intnet_widen_body(op, span); }
static void narrow(const intnet_op *op, const intnet_span *span) { intnet_narrow_body(op, span); }
static void depthwise(const intnet_op *op, const intnet_rows *rows, const intnet_span *span)
{
    intnet_depthwise_body(op, rows, span);
}

const intnet_kernels intnet_portable = {
    NULL, gemm16, requantize, scale, add, widen, narrow, NULL, depthwise,
};
