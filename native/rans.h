/* What the coder of rans.c shares with code that reads its messages in its own way. */
#ifndef INTACT_RANS_H
#define INTACT_RANS_H

#include "intact.h"

#define TOTAL_BITS 14
#define TOTAL (1u << TOTAL_BITS)
#define LOWER 65536u

/* One symbol reads at most a word and an escape of five bytes. */
#define MAX_SYMBOL_BYTES 7

enum { OK = 0, TRUNCATED = 1, BAD_ESCAPE = 2, BAD_ARGUMENT = 3, NO_SPACE = 4 };

INTACT_INLINE uint32_t load16(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

/* The symbol behind an escape: a canonical LEB128 integer, see docs/spec/bits.md. `above` is the
   first symbol above the table. */
static inline int intact_read_escape(const uint8_t *payload, int64_t size, int64_t *position,
                                     int64_t minimum, int64_t above, int32_t *symbol) {
    uint64_t code = 0;
    for (int count = 0; count < 5; count++) {
        if (*position >= size) return TRUNCATED;
        const uint8_t byte = payload[(*position)++];
        code |= (uint64_t)(byte & 0x7F) << (7 * count);
        if (byte < 0x80) {
            if ((byte == 0 && count > 0) || code >> 34) return BAD_ESCAPE;
            const int64_t distance = (int64_t)(code >> 1);
            const int64_t value = code & 1 ? minimum - 1 - distance : above + distance;
            if (value < INT32_MIN || value > INT32_MAX) return BAD_ESCAPE;
            *symbol = (int32_t)value;
            return OK;
        }
    }
    return BAD_ESCAPE;
}

#endif
