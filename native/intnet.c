/* Runs a segment of an integer network over a range of pixels, chunk by chunk. See intnet.h. */
#include "intnet.h"

#if INTNET_X86
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#include <xmmintrin.h>
#else
#include <fenv.h>
#endif

/* The state of the floating-point unit that the proofs assume: round to nearest, no traps. The
 * caller's may be another, since some libraries change it for good. It belongs to a thread. */
#if INTNET_X86
typedef unsigned int float_state;
static void take_float_state(float_state *before)
{
    *before = _mm_getcsr();
    _mm_setcsr(0x1f80); /* as a process begins */
}
static void give_float_state(const float_state *before) { _mm_setcsr(*before); }
#else
typedef fenv_t float_state;
static void take_float_state(float_state *before)
{
    fegetenv(before);
    fesetenv(FE_DFL_ENV);
}
static void give_float_state(const float_state *before) { fesetenv(before); }
#endif

#if INTNET_X86

static void cpuid(uint32_t leaf, uint32_t *out)
{
#ifdef _MSC_VER
    __cpuidex((int *)out, (int)leaf, 0);
#else
    __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]);
#endif
}

/* Which registers the operating system saves. */
static uint64_t saved_state(void)
{
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

/* By hand: __builtin_cpu_supports is missing from MSVC and says no in some static runtimes. */
static int best_isa(void)
{
    const uint32_t need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    uint32_t leaf[4];
    cpuid(0, leaf);
    if (leaf[0] < 7)
        return INTNET_PORTABLE;
    cpuid(1, leaf);
    if (!(leaf[2] & 1u << 27)) /* no xgetbv */
        return INTNET_PORTABLE;
    const uint64_t saved = saved_state();
    cpuid(7, leaf);
    if ((saved & 0x06) != 0x06 || !(leaf[1] & 1u << 5)) /* ymm, AVX2 */
        return INTNET_PORTABLE;
    if ((saved & 0xe6) != 0xe6 || (leaf[1] & need) != need || !(leaf[2] & 1u << 11)) /* zmm, VNNI */
        return INTNET_AVX2;
#if INTNET_AMX
    const uint32_t tiles = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    if ((saved & 0x60000) == 0x60000 && (leaf[3] & tiles) == tiles && intnet_amx_permitted())
        return INTNET_TILES;
#endif
    return INTNET_AVX512;
}
#else
static int best_isa(void) { return INTNET_PORTABLE; }
#endif

static const intnet_kernels *kernels_of(int isa)
{
#if INTNET_X86
#if INTNET_AMX
    if (isa == INTNET_TILES)
        return &intnet_amx;
#endif
    if (isa == INTNET_AVX512)
        return &intnet_avx512;
    if (isa == INTNET_AVX2)
        return &intnet_avx2;
#endif
    (void)isa;
    return &intnet_portable;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Bytes of one element moved; `xor` turns int8 into zero point 128 and back. */
static void copy(const intnet_op *op, const intnet_span *span)
{
    int64_t bytes = (int64_t)op->channels_in * op->bytes_in, rows = span->pixels;
    const uint8_t flip = (uint8_t)op->zero_out;
    if (span->source_stride == bytes && span->target_stride == bytes) {
        bytes *= rows; /* one long row: pixels of three bytes are slow one by one */
        rows = 1;
    }
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *source = span->source + span->source_stride * i;
        uint8_t *target = span->target + span->target_stride * i;
        for (int64_t c = 0; c < bytes; c++)
            target[c] = source[c] ^ flip;
    }
}

static void table(const intnet_op *op, const intnet_span *span)
{
    for (int64_t i = 0; i < span->pixels; i++) {
        const int16_t *source =
            (const int16_t *)(const void *)(span->source + span->source_stride * i);
        uint8_t *target = span->target + span->target_stride * i;
        for (int32_t c = 0; c < op->channels_in; c++) {
            const int16_t value = op->table[source[c] - op->low];
            if (op->bytes_out == 1)
                target[c] = (uint8_t)(value + op->zero_out);
            else
                memcpy(target + 2 * c, &value, 2);
        }
    }
}

/* One row (dy) of a pixel's r x r block: r * channels elements in a row, read from `order`. */
static void gather(uint8_t *target, const uint8_t *source, const int32_t *order, int32_t count,
                   int32_t bytes)
{
    if (bytes == 1) {
        for (int32_t c = 0; c < count; c++)
            target[c] = source[order[c]];
    } else {
        int16_t *wide = (int16_t *)(void *)target;
        const int16_t *from = (const int16_t *)(const void *)source;
        for (int32_t c = 0; c < count; c++)
            wide[c] = from[order[c]];
    }
}

static void scatter(uint8_t *target, const uint8_t *source, const int32_t *order, int32_t count,
                    int32_t bytes)
{
    if (bytes == 1) {
        for (int32_t c = 0; c < count; c++)
            target[order[c]] = source[c];
    } else {
        int16_t *wide = (int16_t *)(void *)target;
        const int16_t *from = (const int16_t *)(const void *)source;
        for (int32_t c = 0; c < count; c++)
            wide[order[c]] = from[c];
    }
}

/* Depth to space. `target` is the whole external value, one pixel every target.stride bytes. */
static void shuffle(const intnet_op *op, const intnet_span *span, const intnet_slot *target,
                    int64_t begin, int64_t width)
{
    const int32_t factor = op->step, channels = op->channels_out, bytes = op->bytes_in;
    const int packed = target->stride == (int64_t)channels * bytes;
    for (int64_t i = 0; i < span->pixels; i++) {
        const uint8_t *source = span->source + span->source_stride * i;
        const int64_t y = (begin + i) / width * factor, x = (begin + i) % width * factor;
        const int32_t *order = op->order;
        for (int32_t dy = 0; dy < factor; dy++) {
            uint8_t *row = target->data + ((y + dy) * target->width + x) * target->stride;
            if (order == NULL) { /* the producer already wrote dy, dx, channel */
                for (int32_t dx = 0; dx < factor; dx++)
                    memcpy(row + dx * target->stride,
                           source + (ptrdiff_t)(dy * factor + dx) * channels * bytes,
                           (size_t)(channels * bytes));
                continue;
            }
            if (packed) {
                gather(row, source, order, channels * factor, bytes);
                order += channels * factor;
                continue;
            }
            for (int32_t dx = 0; dx < factor; dx++, order += channels)
                gather(row + dx * target->stride, source, order, channels, bytes);
        }
    }
}

/* Space to depth. `source` is the whole external value; order: place of (dy, dx, channel). */
static void unshuffle(const intnet_op *op, const intnet_span *span, const intnet_slot *source,
                      int64_t begin, int64_t width)
{
    const int32_t factor = op->step, channels = op->channels_in, bytes = op->bytes_in;
    for (int64_t i = 0; i < span->pixels; i++) {
        uint8_t *target = span->target + span->target_stride * i;
        const int64_t y = (begin + i) / width * factor, x = (begin + i) % width * factor;
        const int32_t *order = op->order;
        for (int32_t dy = 0; dy < factor; dy++)
            for (int32_t dx = 0; dx < factor; dx++, order += channels)
                scatter(target,
                        source->data + ((y + dy) * source->width + x + dx) * source->stride,
                        order, channels, bytes);
    }
}

static void im2col(const intnet_op *op, const intnet_span *span, const intnet_slot *source,
                   int64_t begin, int64_t width)
{
    const size_t bytes = (size_t)(op->channels_in * op->bytes_in);
    const int32_t margin = op->size / 2;
    for (int64_t i = 0; i < span->pixels; i++) {
        uint8_t *target = span->target + span->target_stride * i;
        const int64_t y = (begin + i) / width * op->step - margin;
        const int64_t x = (begin + i) % width * op->step - margin;
        for (int32_t dy = 0; dy < op->size; dy++)
            for (int32_t dx = 0; dx < op->size; dx++, target += bytes) {
                const int64_t row = intnet_inside(y + dy, source->height);
                const int64_t column = intnet_inside(x + dx, source->width);
                if (op->edge || (row == y + dy && column == x + dx))
                    memcpy(target, source->data + (row * source->width + column) * source->stride,
                           bytes);
                else
                    memset(target, op->zero_in, bytes);
            }
    }
}

/* Depthwise layers see one row piece at a time. `zeros`: a pixel of zero points. */
static void depthwise(intnet_piece *kernel, const intnet_op *op, const intnet_span *span,
                      const intnet_slot *source, const uint8_t *zeros, int64_t begin,
                      int64_t width)
{
    const int32_t margin = op->size / 2;
    intnet_span part = *span;
    for (int64_t done = 0; done < span->pixels; done += part.pixels) {
        const int64_t y = (begin + done) / width, x = (begin + done) % width;
        intnet_rows rows = {.x = x, .width = source->width, .edge = op->edge};
        for (int32_t dy = 0; dy < op->size; dy++) {
            const int64_t wanted = y * op->step + dy - margin;
            const int64_t from = intnet_inside(wanted, source->height);
            const int inside = op->edge || from == wanted;
            rows.row[dy] = inside ? source->data + from * source->width * source->stride : zeros;
            rows.step[dy] = inside ? (ptrdiff_t)source->stride : 0;
        }
        part.pixels = least(width - x, span->pixels - done);
        part.target = span->target + span->target_stride * done;
        if (op->addend >= 0)
            part.addend = span->addend + span->addend_stride * done;
        kernel(op, &rows, &part);
    }
}

/* The best instruction set of this machine: 0 portable, 1 AVX2, 2 AVX-512 with VNNI, 3 AMX too. */
INTACT_API int32_t intact_intnet_isa(void) { return best_isa(); }

/* sizeof(intnet_op) and sizeof(intnet_slot), for the caller to compare with its own. */
INTACT_API int32_t intact_intnet_layout(void)
{
    return (int32_t)(sizeof(intnet_op) * 1024 + sizeof(intnet_slot));
}

static int32_t run(const intnet_op *ops, int32_t count, const intnet_slot *slots, int64_t width,
                   int64_t begin, int64_t end, int64_t chunk, uint8_t *scratch,
                   const uint8_t *zeros, const intnet_kernels *kernels)
{
    for (int64_t at = begin; at < end; at += chunk) {
        for (int32_t n = 0; n < count; n++) {
            const intnet_op *op = ops + n;
            const intnet_slot *source = slots + op->source, *target = slots + op->target;
            intnet_span span = {
                .source_stride = (ptrdiff_t)source->stride,
                .target_stride = (ptrdiff_t)target->stride,
                .pixels = least(chunk, end - at),
            };
            span.source = source->data != NULL ? source->data + at * source->stride
                                               : scratch + source->offset;
            span.target = target->data != NULL ? target->data + at * target->stride
                                               : scratch + target->offset;
            if (op->addend >= 0) {
                const intnet_slot *addend = slots + op->addend;
                span.addend = addend->data != NULL ? addend->data + at * addend->stride
                                                   : scratch + addend->offset;
                span.addend_stride = (ptrdiff_t)addend->stride;
            }
            intnet_pointwise *pointwise = NULL;
            switch (op->kind) {
            case INTNET_COPY: pointwise = copy; break;
            case INTNET_WIDEN: pointwise = kernels->widen; break;
            case INTNET_NARROW: pointwise = kernels->narrow; break;
            case INTNET_GEMM8: pointwise = kernels->gemm8; break;
            case INTNET_GEMM16: pointwise = kernels->gemm16; break;
            case INTNET_REQUANTIZE: pointwise = kernels->requantize; break;
            case INTNET_SCALE: pointwise = kernels->scale; break;
            case INTNET_ADD: pointwise = kernels->add; break;
            case INTNET_TABLE: pointwise = table; break;
            case INTNET_SHUFFLE: shuffle(op, &span, target, at, width); continue;
            case INTNET_UNSHUFFLE: unshuffle(op, &span, source, at, width); continue;
            case INTNET_IM2COL: im2col(op, &span, source, at, width); continue;
            case INTNET_DEPTHWISE8:
                if (kernels->depthwise8 == NULL)
                    return -1;
                depthwise(kernels->depthwise8, op, &span, source,
                          op->zero_in ? zeros + INTNET_ZEROS : zeros, at, width);
                continue;
            case INTNET_DEPTHWISE:
                depthwise(kernels->depthwise, op, &span, source, NULL, at, width);
                continue;
            default: break;
            }
            if (pointwise == NULL)
                return -1;
            pointwise(op, &span);
        }
    }
    return 0;
}

/* Run `count` operations on the pixels begin..end - 1 (rows times `width` in order) of a segment
 * whose resolution is `width` wide. Calls on disjoint ranges may run at the same time.
 *
 * chunk: pixels at a time; the local slots in `scratch` are laid out for that many.
 * zeros: INTNET_ZEROS bytes of 0, then as many of 128: the pixels around an image.
 * Returns 0, or -1 for an operation this instruction set does not have. */
INTACT_API int32_t intact_intnet_run(const intnet_op *ops, int32_t count, const intnet_slot *slots,
                                     int64_t width, int64_t begin, int64_t end, int64_t chunk,
                                     uint8_t *scratch, const uint8_t *zeros, int32_t isa)
{
    float_state before;
    take_float_state(&before);
#if INTNET_AMX
    if (isa == INTNET_TILES)
        intnet_amx_begin();
#endif
    const int32_t status =
        run(ops, count, slots, width, begin, end, chunk, scratch, zeros, kernels_of(isa));
#if INTNET_AMX
    if (isa == INTNET_TILES)
        intnet_amx_end();
#endif
    give_float_state(&before);
    return status;
}
