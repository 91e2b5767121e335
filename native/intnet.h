/* Fast exact kernels for integer networks: what the files native/intnet*.c share.
 *
 * A network runs as *segments*: short lists of operations on one resolution that pass a chunk of
 * some dozens of pixels through all of them while it is in the cache. Python plans them
 * (src/intact/intnet/backends/native/), docs/spec/intnet.md defines every result.
 *
 * Storage of values, channels last, one pixel every `stride` bytes:
 *   8 bits   uint8, value + zero, with zero 0 (unsigned values) or 128 (signed values)
 *   16 bits  int16
 *
 * Exactness. Accumulators are taken modulo 2**32: the true sum is proven below 2**31 by
 * intact.intnet.bounds, so wrapping on the way (the zero point's correction is in the bias) is
 * harmless. Divisors are odd, so acc / c is never nearer than 1 / (2 c) to a half and rounding
 * acc * (1 / c) to the nearest integer is exact in float32 up to (|v| + 1) * c <= 2**22 (and
 * monotone beyond, where the result saturates) and in float64 up to |acc| < 2**31. All of it needs
 * round to nearest, which intact_intnet_run sees to, and no -ffast-math.
 */
#ifndef INTACT_INTNET_H
#define INTACT_INTNET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "intact.h"

#ifdef __FAST_MATH__
#error "-ffast-math breaks the exact rounding division"
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define INTNET_X86 1
#else
#define INTNET_X86 0
#endif

/* Tiles need the kernel's leave, which is asked for in Linux's way, and a compiler that has them. */
#if defined(__x86_64__) && defined(__linux__) &&                                                  \
    ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
#define INTNET_AMX 1
#else
#define INTNET_AMX 0
#endif

#if defined(__GNUC__) || defined(__clang__)
#define INTNET_TARGET(features) __attribute__((target(features)))
#define INTNET_INLINE static inline __attribute__((always_inline))
#define INTNET_UNROLL _Pragma("GCC unroll 8")
#elif defined(_MSC_VER)
#define INTNET_TARGET(features)
#define INTNET_INLINE static __forceinline
#define INTNET_UNROLL
#else
#define INTNET_TARGET(features)
#define INTNET_INLINE static inline
#define INTNET_UNROLL
#endif

/* Instruction sets, in order of preference; a machine has all those up to its best. */
enum { INTNET_PORTABLE = 0, INTNET_AVX2 = 1, INTNET_AVX512 = 2, INTNET_TILES = 3 };

enum {
    INTNET_COPY = 0,       /* bytes, each xor `zero_out` */
    INTNET_WIDEN = 1,      /* 8 bits -> 16 bits */
    INTNET_NARROW = 2,     /* 16 bits -> 8 bits, values known to fit */
    INTNET_GEMM8 = 3,      /* 1x1 convolution, 8-bit inputs, 8-bit weights [+ addend] */
    INTNET_GEMM16 = 4,     /* 1x1 convolution, 16-bit inputs, 16-bit weights [+ addend] */
    INTNET_DEPTHWISE8 = 5, /* 3x3, stride 1, 8 bits in and out */
    INTNET_DEPTHWISE = 6,  /* any depthwise */
    INTNET_REQUANTIZE = 7, /* 16 bits in */
    INTNET_SCALE = 8,      /* 16 bits in and out */
    INTNET_ADD = 9,        /* 16 bits in and out */
    INTNET_TABLE = 10,     /* 16 bits in */
    INTNET_SHUFFLE = 11,   /* the target is external, `order` says where each channel goes */
    INTNET_UNSHUFFLE = 12, /* the source is external */
    INTNET_IM2COL = 13     /* the source is external; taps in the order dy, dx, channel */
};

/* A pixel of padding: the most channels a program may have, and a vector more. */
enum { INTNET_ZEROS = 4096 + 64 };

/* How acc becomes v: in float32 where rule 1 holds and |acc / c| < 2**22, else in float64. */
enum { INTNET_FLOAT = 0, INTNET_DOUBLE = 1 };

/* One operation. Kept in step with `OpStruct` in backends/native/pack.py. Arrays with one entry
 * per output channel are padded to whole blocks of 16, 32 or 64 channels (one vector register of
 * int32 times four); those of GEMM8, GEMM16 and DEPTHWISE8 are in the order of the accumulators. */
typedef struct {
    int32_t kind;
    int32_t source, addend, target; /* slots; addend -1 where there is none */
    int32_t channels_in, channels_out;
    int32_t size, step;             /* kernel size and stride; shuffle factor in `step` */
    int32_t bytes_in, bytes_out;    /* of an element: 1 or 2 */
    int32_t zero_in, zero_out;
    int32_t low, high;              /* of the result, or of v where a table follows */
    int32_t divide;
    int32_t words;                  /* GEMM: 4-byte words of a pixel's inputs, the K dimension */
    int32_t edge;                   /* taps outside read the nearest pixel inside, not zero */
    int32_t unused;                 /* pointers are 8 bytes wide */
    const void *weights;
    const int32_t *bias;
    const float *reciprocal;
    const double *reciprocal64;
    const int32_t *order;           /* shuffles: channel for each place; scale: factors */
    const int16_t *table;           /* of values from `low` on */
    const uint8_t *depth;           /* GEMM8 on AVX2: words per 16-bit sum, for each block */
} intnet_op;

/* Where a value is. `data` is NULL for a local slot: chunk by chunk at scratch + offset. */
typedef struct {
    uint8_t *data;
    int64_t offset, stride;
    int64_t height, width; /* a side may have 2**32 - 1 pixels */
} intnet_slot;

/* A run of pixels of the source, of the addend and of the target. */
typedef struct {
    const uint8_t *source, *addend;
    uint8_t *target;
    ptrdiff_t source_stride, addend_stride, target_stride;
    int64_t pixels;
} intnet_span;

/* One row piece of a depthwise layer: the three input rows (stride 0: a constant row), x of the
 * first output, width of the row. */
typedef struct {
    const uint8_t *row[3];
    ptrdiff_t step[3];
    int64_t x, width;
    int32_t edge;
} intnet_rows;

typedef void intnet_pointwise(const intnet_op *op, const intnet_span *span);
typedef void intnet_piece(const intnet_op *op, const intnet_rows *rows, const intnet_span *span);
typedef struct {
    intnet_pointwise *gemm8, *gemm16, *requantize, *scale, *add, *widen, *narrow;
    intnet_piece *depthwise8, *depthwise;
} intnet_kernels;

extern const intnet_kernels intnet_portable;
#if INTNET_X86
extern const intnet_kernels intnet_avx2, intnet_avx512;
#endif
#if INTNET_AMX
extern const intnet_kernels intnet_amx;
int intnet_amx_permitted(void);
void intnet_amx_begin(void), intnet_amx_end(void);
#endif

INTNET_INLINE int64_t intnet_inside(int64_t at, int64_t length)
{
    return at < 0 ? 0 : at >= length ? length - 1 : at;
}

INTNET_INLINE int32_t intnet_load32(const uint8_t *source)
{
    int32_t word;
    memcpy(&word, source, 4);
    return word;
}

#endif
