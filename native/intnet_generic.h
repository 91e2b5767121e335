/* Operations in plain C, to be compiled once per instruction set by the file that includes this.
 *
 * Every function is inlined into a caller with its own target attribute, so the compiler's own
 * vectorizer does the rest. */
#ifndef INTACT_INTNET_GENERIC_H
#define INTACT_INTNET_GENERIC_H

#include "intnet.h"

/* The nearest integer to x, |x| < 2**31: adding 1.5 * 2**52 leaves it in the low 32 bits. Unlike
 * lrint this vectorizes everywhere. */
INTNET_INLINE int32_t intnet_round(double x)
{
    double shifted = x + 6755399441055744.0;
    uint64_t bits;
    memcpy(&bits, &shifted, 8);
    return (int32_t)(uint32_t)bits;
}

/* The same in float32, |x| < 2**22: twice as many at a time. */
INTNET_INLINE int32_t intnet_round32(float x)
{
    float shifted = x + 12582912.0f; /* 1.5 * 2**23 */
    int32_t bits;
    memcpy(&bits, &shifted, 4);
    return bits - 0x4b400000;
}

INTNET_INLINE int32_t intnet_clip(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

INTNET_INLINE const int16_t *intnet_in16(const uint8_t *data, ptrdiff_t stride, int64_t pixel)
{
    return (const int16_t *)(const void *)(data + stride * pixel);
}

INTNET_INLINE int16_t *intnet_out16(const intnet_span *span, int64_t pixel)
{
    return (int16_t *)(void *)(span->target + span->target_stride * pixel);
}

INTNET_INLINE void intnet_widen_body(const intnet_op *op, const intnet_span *span)
{
    const int32_t channels = op->channels_in, zero = op->zero_in;
    for (int64_t i = 0; i < span->pixels; i++) {
        const uint8_t *source = span->source + span->source_stride * i;
        int16_t *target = intnet_out16(span, i);
        for (int32_t c = 0; c < channels; c++)
            target[c] = (int16_t)(source[c] - zero);
    }
}

INTNET_INLINE void intnet_narrow_body(const intnet_op *op, const intnet_span *span)
{
    const int32_t channels = op->channels_in, zero = op->zero_out;
    for (int64_t i = 0; i < span->pixels; i++) {
        const int16_t *source = intnet_in16(span->source, span->source_stride, i);
        uint8_t *target = span->target + span->target_stride * i;
        for (int32_t c = 0; c < channels; c++)
            target[c] = (uint8_t)(source[c] + zero);
    }
}

INTNET_INLINE void intnet_add_body(const intnet_op *op, const intnet_span *span)
{
    const int32_t channels = op->channels_in;
    for (int64_t i = 0; i < span->pixels; i++) {
        const int16_t *left = intnet_in16(span->source, span->source_stride, i);
        const int16_t *right = intnet_in16(span->addend, span->addend_stride, i);
        int16_t *target = intnet_out16(span, i);
        for (int32_t c = 0; c < channels; c++)
            target[c] = (int16_t)intnet_clip(left[c] + right[c], -32768, 32767);
    }
}

INTNET_INLINE void intnet_scale_body(const intnet_op *op, const intnet_span *span)
{
    const int32_t channels = op->channels_in;
    for (int64_t i = 0; i < span->pixels; i++) {
        const int16_t *source = intnet_in16(span->source, span->source_stride, i);
        int16_t *target = intnet_out16(span, i);
        for (int32_t c = 0; c < channels; c++)
            target[c] = (int16_t)intnet_clip(source[c] * op->order[c], -32768, 32767);
    }
}

INTNET_INLINE void intnet_requantize_body(const intnet_op *op, const intnet_span *span)
{
    const int32_t channels = op->channels_in, low = op->low, high = op->high;
    for (int64_t i = 0; i < span->pixels; i++) {
        const int16_t *source = intnet_in16(span->source, span->source_stride, i);
        if (op->bytes_out == 1) {
            uint8_t *target = span->target + span->target_stride * i;
            for (int32_t c = 0; c < channels; c++) {
                int32_t v = intnet_round32((float)source[c] * op->reciprocal[c]);
                target[c] = (uint8_t)(intnet_clip(v, low, high) + op->zero_out);
            }
        } else {
            int16_t *target = intnet_out16(span, i);
            for (int32_t c = 0; c < channels; c++) {
                int32_t v = intnet_round32((float)source[c] * op->reciprocal[c]);
                target[c] = (int16_t)intnet_clip(v, low, high);
            }
        }
    }
}

/* Divide, clip and store `valid` accumulators of output channels first.. of pixel i; acc is lost. */
INTNET_INLINE void intnet_store_body(const intnet_op *op, const intnet_span *span, int64_t i,
                                     int32_t first, int32_t valid, int32_t *acc)
{
    const int32_t low = op->low, high = op->high;
    if (op->divide == INTNET_FLOAT) {
        const float *reciprocal = op->reciprocal + first;
        for (int32_t c = 0; c < valid; c++)
            acc[c] = intnet_clip(intnet_round32((float)acc[c] * reciprocal[c]), low, high);
    } else {
        const double *reciprocal = op->reciprocal64 + first;
        for (int32_t c = 0; c < valid; c++)
            acc[c] = intnet_clip(intnet_round((double)acc[c] * reciprocal[c]), low, high);
    }
    if (op->bytes_out == 1) {
        uint8_t *target = span->target + span->target_stride * i + first;
        for (int32_t c = 0; c < valid; c++)
            target[c] = (uint8_t)(acc[c] + op->zero_out);
        return;
    }
    if (span->addend != NULL) {
        const int16_t *addend = intnet_in16(span->addend, span->addend_stride, i) + first;
        for (int32_t c = 0; c < valid; c++)
            acc[c] = intnet_clip(acc[c] + addend[c], -32768, 32767);
    }
    int16_t *target = intnet_out16(span, i) + first;
    for (int32_t c = 0; c < valid; c++)
        target[c] = (int16_t)acc[c];
}

/* acc[c] += weight[c] * value[c], modulo 2**32. */
INTNET_INLINE void intnet_tap_body(uint32_t *acc, const uint8_t *source, const int32_t *weight,
                                   int32_t count, int32_t bytes, int32_t zero)
{
    if (bytes == 1) {
        for (int32_t c = 0; c < count; c++)
            acc[c] += (uint32_t)(weight[c] * (source[c] - zero));
    } else {
        const int16_t *wide = (const int16_t *)(const void *)source;
        for (int32_t c = 0; c < count; c++)
            acc[c] += (uint32_t)(weight[c] * wide[c]);
    }
}

/* Depthwise of any size and stride. weights: int32 [size * size][channels]. Taps outside the
 * image (a row of NULL, a column beyond it) are left out, or read its edge. */
INTNET_INLINE void intnet_depthwise_body(const intnet_op *op, const intnet_rows *rows,
                                         const intnet_span *span)
{
    const int32_t *weights = op->weights;
    const int32_t channels = op->channels_in, size = op->size, margin = op->size / 2;
    uint32_t acc[64];
    int32_t sums[64];
    for (int64_t i = 0; i < span->pixels; i++) {
        for (int32_t first = 0; first < channels; first += 64) {
            const int32_t count = channels - first < 64 ? channels - first : 64;
            for (int32_t c = 0; c < count; c++)
                acc[c] = (uint32_t)op->bias[first + c];
            for (int32_t dy = 0; dy < size; dy++)
                for (int32_t dx = 0; dx < size; dx++) {
                    const int64_t wanted = (rows->x + i) * op->step + dx - margin;
                    const int64_t x = intnet_inside(wanted, rows->width);
                    if (rows->row[dy] == NULL || (x != wanted && !rows->edge))
                        continue;
                    intnet_tap_body(acc,
                                    rows->row[dy] + rows->step[dy] * x + first * op->bytes_in,
                                    weights + (ptrdiff_t)(dy * size + dx) * channels + first,
                                    count, op->bytes_in, op->zero_in);
                }
            memcpy(sums, acc, (size_t)count * sizeof *sums);
            intnet_store_body(op, span, i, first, count, sums);
        }
    }
}

#endif
