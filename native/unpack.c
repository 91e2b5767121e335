/* Weights of a model file: the blob of src/intact/container/arrays.py, method 3, in one call. A
   model has hundreds of them, and Python's part in each took longer than the decoding.

   Nothing here trusts the blob, and nobody trusts this: a model's id is the hash of what comes out,
   and where this says no (a damaged blob, no memory) Python says what is wrong.
   docs/spec/container.md, "Blobs", and docs/spec/bits.md define every step. */
#include "intact.h"

#include <stdlib.h>
#include <string.h>

#define TOTAL_BITS 14
#define TOTAL (1u << TOTAL_BITS)
#define LOWER 65536u
#define MAX_LANES 1024
#define MAX_SPAN 4096 /* symbols of a table, without the escape */
#define MAX_TABLES 16
#define MAX_CODE 111
#define SYMBOL_LIMIT (1 << 29)
#define MAX_SYMBOL_BYTES 7
#define BLOCK 64 /* symbols between two looks at how much of the payload is left */

/* Symbols minimum .. minimum + size - 1, then the escape. */
typedef struct {
    int32_t minimum, size;
    uint32_t entries[MAX_SPAN + 1]; /* cum << 16 | freq */
    uint16_t slots[TOTAL];          /* which entry a slot is in */
} Table;

typedef struct {
    const uint8_t *from, *end;
    uint32_t states[MAX_LANES];
    uint32_t lanes;
} Reader;

typedef struct {
    uint64_t rest;
    int32_t slot;
} Rest;

/* All that a call needs. One block of memory, for a thread's stack may be small. */
typedef struct {
    Reader reader;
    uint64_t weights[MAX_SPAN];
    uint32_t freqs[MAX_SPAN + 1];
    Rest rests[MAX_SPAN + 1];
    uint8_t shares[MAX_SPAN + 1];
    int32_t steps[MAX_SPAN];
    int32_t minimums[MAX_TABLES], sizes[MAX_TABLES];
    Table other;    /* of what comes before the values */
    Table tables[]; /* of the values */
} Work;

/* A canonical LEB128 integer of at most 35 bits; 0 if it is none. */
static int read_varint(Reader *reader, uint64_t *value) {
    *value = 0;
    for (int count = 0; count < 5; count++) {
        if (reader->from == reader->end) return 0;
        const uint8_t byte = *reader->from++;
        *value |= (uint64_t)(byte & 0x7F) << (7 * count);
        if (byte < 0x80) return byte != 0 || count == 0;
    }
    return 0;
}

/* The larger rest first, of equal ones the earlier slot. */
static int compare_rests(const void *left, const void *right) {
    const Rest *a = left, *b = right;
    if (a->rest != b->rest) return a->rest > b->rest ? -1 : 1;
    return a->slot < b->slot ? -1 : 1;
}

/* `apportion` of src/intact/bits/tables.py: work->weights, below 2**32, not all 0, to a table. */
static void build(Work *work, Table *table, int32_t minimum, int32_t size) {
    const uint64_t *weights = work->weights;
    uint32_t *freqs = work->freqs;
    Rest *rests = work->rests;
    uint8_t *shares = work->shares;
    const int32_t count = size + 1; /* the escape's weight is 0 */
    int32_t sharing = count, before;
    uint64_t room, weight;
    memset(shares, 1, (size_t)count);
    do { /* who would get less than one slot gets one, the others share the rest */
        before = sharing;
        room = TOTAL - (uint32_t)(count - sharing);
        weight = 0;
        for (int32_t i = 0; i < size; i++) weight += shares[i] ? weights[i] : 0;
        for (int32_t i = 0; i < count; i++)
            if (shares[i] && (i == size ? 0 : weights[i]) * room < weight) {
                shares[i] = 0;
                sharing--;
            }
    } while (sharing != before);
    int32_t left = (int32_t)TOTAL, used = 0;
    for (int32_t i = 0; i < count; i++) {
        freqs[i] = 1;
        if (shares[i]) {
            freqs[i] = (uint32_t)(weights[i] * room / weight);
            rests[used++] = (Rest){weights[i] * room % weight, i};
        }
        left -= (int32_t)freqs[i];
    }
    qsort(rests, (size_t)used, sizeof *rests, compare_rests);
    for (int32_t i = 0; i < left; i++) freqs[rests[i].slot]++;
    table->minimum = minimum;
    table->size = size;
    uint32_t cum = 0;
    for (int32_t i = 0; i < count; i++) {
        table->entries[i] = cum << 16 | freqs[i];
        for (uint32_t k = 0; k < freqs[i]; k++) table->slots[cum + k] = (uint16_t)i;
        cum += freqs[i];
    }
}

/* The value behind an escape. */
static int read_escape(Reader *reader, const Table *table, int32_t *symbol) {
    uint64_t code;
    if (!read_varint(reader, &code) || code >> 34) return 0;
    const int64_t distance = (int64_t)(code >> 1), minimum = table->minimum;
    const int64_t value =
        code & 1 ? minimum - 1 - distance : minimum + table->size + distance;
    if (value < INT32_MIN || value > INT32_MAX) return 0;
    *symbol = (int32_t)value;
    return 1;
}

/* Take one symbol from state x; the caller refills. Returns its entry within the table. */
INTACT_INLINE uint32_t step(const Table *table, uint32_t *x) {
    const uint32_t slot = *x & (TOTAL - 1), within = table->slots[slot];
    const uint32_t entry = table->entries[within];
    *x = (entry & 0xFFFF) * (*x >> TOTAL_BITS) + slot - (entry >> 16);
    return within;
}

/* Symbols first .. last-1 of a block, with every read checked; 0 is on lane `lane`. */
static int decode_checked(Reader *reader, const Table *table, uint32_t lane, int32_t first,
                          int32_t last, int32_t *symbols) {
    for (int32_t i = first; i < last; i++) {
        uint32_t *x = &reader->states[(lane + (uint32_t)i) & (reader->lanes - 1)];
        const uint32_t within = step(table, x);
        if (*x < LOWER) {
            if (reader->end - reader->from < 2) return 0;
            *x = *x << 16 | (uint32_t)reader->from[0] | (uint32_t)reader->from[1] << 8;
            reader->from += 2;
        }
        symbols[i] = table->minimum + (int32_t)within;
        if (within == (uint32_t)table->size && !read_escape(reader, table, &symbols[i])) return 0;
    }
    return 1;
}

/* Groups of `width` symbols, which the payload surely holds: a constant that divides the number of
   lanes, so that the states can stay in registers. Returns how many symbols are done, or -1. */
INTACT_INLINE int32_t decode_groups(Reader *reader, const Table *table, uint32_t lane,
                                    int32_t first, int32_t last, int32_t width,
                                    int32_t *symbols) {
    const uint8_t *from = reader->from;
    uint32_t x[8];
    for (; last - first >= width; first += width) {
        uint32_t *states = &reader->states[(lane + (uint32_t)first) & (reader->lanes - 1)];
        memcpy(x, states, (size_t)width * sizeof *x);
        INTACT_UNROLL
        for (int32_t k = 0; k < width; k++) {
            const uint32_t within = step(table, &x[k]);
            const uint32_t word = (uint32_t)from[0] | (uint32_t)from[1] << 8;
            const uint32_t need = (uint32_t)(((uint64_t)x[k] - LOWER) >> 63); /* no branch */
            x[k] = (x[k] << (16 * need)) | (word & (0 - need));
            from += 2 * need;
            symbols[first + k] = table->minimum + (int32_t)within;
            if (INTACT_UNLIKELY(within == (uint32_t)table->size)) {
                reader->from = from;
                if (!read_escape(reader, table, &symbols[first + k])) return -1;
                from = reader->from;
            }
        }
        memcpy(states, x, (size_t)width * sizeof *x);
    }
    reader->from = from;
    return first;
}

/* `count` <= BLOCK symbols of one table. Returns 0 where the payload does not hold them. */
static int decode_block(Reader *reader, const Table *table, uint32_t lane, int32_t count,
                        int32_t *symbols) {
    int32_t first = 0;
    if (reader->end - reader->from >= (ptrdiff_t)MAX_SYMBOL_BYTES * BLOCK) {
        const uint32_t width = reader->lanes < 8 ? reader->lanes : 8;
        first = (int32_t)((0 - lane) & (width - 1)); /* to the first lane of a group */
        first = first < count ? first : count;
        if (!decode_checked(reader, table, lane, 0, first, symbols)) return 0;
        switch (width) {
            case 1: first = decode_groups(reader, table, lane, first, count, 1, symbols); break;
            case 2: first = decode_groups(reader, table, lane, first, count, 2, symbols); break;
            case 4: first = decode_groups(reader, table, lane, first, count, 4, symbols); break;
            default: first = decode_groups(reader, table, lane, first, count, 8, symbols); break;
        }
        if (first < 0) return 0;
    }
    return decode_checked(reader, table, lane, first, count, symbols);
}

/* `count` symbols of one table, narrowed to the `bits` of the target, 16 or 32. They are the
   symbols at, at + 1, ... of their part, which says on which lane each is. */
static int decode_run(Reader *reader, const Table *table, int64_t at, int64_t count, int32_t bits,
                      void *target) {
    int32_t symbols[BLOCK];
    for (int64_t done = 0; done < count; done += BLOCK) {
        const int32_t block = (int32_t)(count - done < BLOCK ? count - done : BLOCK);
        const uint32_t lane = (uint32_t)(at + done) & (reader->lanes - 1);
        if (!decode_block(reader, table, lane, block, symbols)) return 0;
        if (bits == 32) {
            memcpy((int32_t *)target + done, symbols, sizeof *symbols * (size_t)block);
            continue;
        }
        int16_t *narrow = (int16_t *)target + done;
        int fits = 1;
        for (int32_t i = 0; i < block; i++) {
            narrow[i] = (int16_t)symbols[i];
            fits &= narrow[i] == symbols[i];
        }
        if (!fits) return 0;
    }
    return 1;
}

/* Lane count and states. */
static int read_header(Reader *reader) {
    if (reader->from == reader->end || *reader->from > 10) return 0;
    reader->lanes = 1u << *reader->from++;
    if (reader->end - reader->from < 4 * (ptrdiff_t)reader->lanes) return 0;
    for (uint32_t lane = 0; lane < reader->lanes; lane++, reader->from += 4) {
        const uint8_t *at = reader->from;
        reader->states[lane] = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                               (uint32_t)at[3] << 24;
        if (reader->states[lane] < LOWER) return 0;
    }
    return 1;
}

/* Read `count` table codes, the first of which is the number `at` of all, and build the table. */
static int read_table(Work *work, int64_t at, int32_t minimum, int32_t count, Table *table) {
    static const uint8_t mantissas[4] = {16, 19, 23, 27};
    if (!decode_run(&work->reader, &work->other, at, count, 32, work->steps)) return 0;
    int64_t code = 0;
    int any = 0;
    for (int32_t i = 0; i < count; i++) {
        code += work->steps[i];
        if (code < 0 || code > MAX_CODE) return 0;
        any |= code > 0;
        work->weights[i] =
            code == 0 ? 0 : (uint64_t)mantissas[(code - 1) % 4] << ((code - 1) / 4);
    }
    if (any) build(work, table, minimum, count);
    return any;
}

/* How many tables, their smallest symbols and sizes; 0 where they are illegal. */
static int32_t read_head(Work *work, int32_t most_tables) {
    Reader *reader = &work->reader;
    uint64_t count, value;
    if (!read_varint(reader, &count) || count < 1 || count > (uint64_t)most_tables) return 0;
    for (uint64_t t = 0; t < count; t++) {
        if (!read_varint(reader, &value) || value > 2 * SYMBOL_LIMIT) return 0;
        work->minimums[t] = (int32_t)(value & 1 ? -(int64_t)(value >> 1) - 1 : (int64_t)(value >> 1));
        if (!read_varint(reader, &value) || value < 1 || value > MAX_SPAN) return 0;
        work->sizes[t] = (int32_t)value;
    }
    return (int32_t)count;
}

static int unpack(Work *work, int32_t *rows, int64_t num_rows, int32_t most_tables, int64_t count,
                  int32_t bits, void *target) {
    Reader *reader = &work->reader;
    const int32_t num_tables = read_head(work, most_tables);
    if (num_tables == 0 || !read_header(reader)) return 0;
    if (num_tables > 1) { /* which table each row has, under equal shares */
        for (int32_t t = 0; t < num_tables; t++) work->weights[t] = 1;
        build(work, &work->other, 0, num_tables);
        if (!decode_run(reader, &work->other, 0, num_rows, 32, rows)) return 0;
        for (int64_t row = 0; row < num_rows; row++)
            if (rows[row] < 0 || rows[row] >= num_tables) return 0;
    }
    /* differences of table codes, -16 .. 16: their weights fall by 2**(3/4) */
    for (int32_t i = 0; i <= 32; i++) work->weights[i] = 1u << (16 - abs(i - 16) * 3 / 4);
    build(work, &work->other, -16, 33);
    int64_t at = 0;
    for (int32_t t = 0; t < num_tables; at += work->sizes[t++])
        if (!read_table(work, at, work->minimums[t], work->sizes[t], &work->tables[t])) return 0;
    if (num_tables == 1) {
        if (!decode_run(reader, work->tables, 0, count, bits, target)) return 0;
    } else {
        const int64_t columns = count / num_rows;
        for (int64_t row = 0; row < num_rows; row++) {
            uint8_t *place = (uint8_t *)target + row * columns * (bits / 8);
            if (!decode_run(reader, &work->tables[rows[row]], row * columns, columns, bits, place))
                return 0;
        }
    }
    for (uint32_t lane = 0; lane < reader->lanes; lane++)
        if (reader->states[lane] != LOWER) return 0;
    return reader->from == reader->end;
}

/* Unpack a blob into `count` integers of `bits` bits, 16 or 32, row by row. `num_rows` divides
   `count`; `most_tables` is 1 where an array has no rows. Returns 1, or 0 where Python must say. */
INTACT_API int32_t intact_unpack(const uint8_t *blob, int64_t size, int64_t num_rows,
                                 int32_t most_tables, int64_t count, int32_t bits, void *target) {
    if (size < 1 || num_rows < 1 || count < num_rows || count % num_rows || most_tables < 1 ||
        most_tables > MAX_TABLES || (bits != 16 && bits != 32))
        return 0;
    Work *work = malloc(sizeof *work + (size_t)most_tables * sizeof(Table));
    int32_t *rows = malloc((size_t)num_rows * sizeof *rows);
    int done = 0;
    if (work != NULL && rows != NULL) {
        work->reader.from = blob;
        work->reader.end = blob + size;
        done = unpack(work, rows, num_rows, most_tables, count, bits, target);
    }
    free(work);
    free(rows);
    return done;
}

/* Read `count` zigzag varints that fill the data, narrowed to `bits` bits, 16 or 32. Returns 1, or 0
   where Python must say. */
INTACT_API int32_t intact_unpack_varints(const uint8_t *data, int64_t size, int64_t count,
                                         int32_t bits, void *target) {
    Reader reader; /* its states are not used */
    reader.from = data;
    reader.end = data + size;
    if (bits != 16 && bits != 32) return 0;
    const int64_t most = bits == 16 ? INT16_MAX : INT32_MAX;
    for (int64_t i = 0; i < count; i++) {
        uint64_t code;
        if (!read_varint(&reader, &code)) return 0;
        const int64_t value = code & 1 ? -(int64_t)(code >> 1) - 1 : (int64_t)(code >> 1);
        if (value < -most - 1 || value > most) return 0;
        if (bits == 16)
            ((int16_t *)target)[i] = (int16_t)value;
        else
            ((int32_t *)target)[i] = (int32_t)value;
    }
    return reader.from == reader.end;
}
