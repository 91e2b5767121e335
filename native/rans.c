/* The entropy coder of src/intact/bits/rans.py (normative) in C: the same bytes, faster.

   Nothing here trusts the payload, the symbols or the indexes. The tables come from TableBank,
   which validates them: every table's frequencies are 1 .. 16383 and sum to 16384, and an entry
   for decoding packs escape << 31 | cum << 16 | freq. */
#include "rans.h"

#include <string.h>

#define MAX_LANES 1024
#define BUCKET_BITS 8

/* set in an entry's number where it is an escape; there are at most 2**30 entries */
#define ESCAPE (1u << 31)

/* descriptors[4 t ..] of table t */
enum { FIRST_ENTRY = 0, MINIMUM = 1, NUM_SYMBOLS = 2 };

static int indexes_are_legal(const uint16_t *indexes, int64_t count, int64_t num_tables) {
    uint32_t largest = 0;
    for (int64_t i = 0; i < count; i++) largest = indexes[i] > largest ? indexes[i] : largest;
    return (int64_t)largest < num_tables || count == 0;
}

static int lanes_are_legal(int32_t lanes) {
    return lanes >= 1 && lanes <= MAX_LANES && (lanes & (lanes - 1)) == 0;
}

typedef struct {
    const uint8_t *payload;
    int64_t size;
    int64_t position;
    const uint16_t *indexes;
    const uint32_t *buckets;
    const uint32_t *entries;
    const int32_t *values;
    const int32_t *descriptors;
    int32_t *symbols;
} Reader;

static int read_escape(Reader *reader, uint32_t table, int32_t above, int32_t *symbol) {
    return intact_read_escape(reader->payload, reader->size, &reader->position,
                              reader->descriptors[4 * table + MINIMUM], above, symbol);
}

/* Take one symbol from state x; the caller refills. Returns the packed entry. */
INTACT_INLINE uint32_t step(const Reader *reader, uint32_t table, uint32_t *x, int32_t *symbol) {
    const uint32_t slot = *x & (TOTAL - 1);
    uint32_t at = reader->buckets[(table << BUCKET_BITS) + (slot >> (TOTAL_BITS - BUCKET_BITS))];
    uint32_t entry = reader->entries[at];
    uint32_t freq = entry & 0x3FFF;
    uint32_t offset = slot - (entry >> 16 & 0x3FFF);
    while (offset >= freq) { /* ends in this table: its last entry ends at slot 16384 */
        entry = reader->entries[++at];
        offset -= freq;
        freq = entry & 0x3FFF;
    }
    *x = freq * (*x >> TOTAL_BITS) + offset;
    *symbol = reader->values[at];
    return entry;
}

/* Symbols first .. last-1, lane by lane, with every read checked. */
static int decode_checked(Reader *reader, uint32_t *states, int32_t lanes, int64_t *first,
                          int64_t last) {
    for (; *first < last; ++*first) {
        const int64_t i = *first;
        const uint32_t table = reader->indexes[i];
        uint32_t *x = &states[i & (lanes - 1)];
        const uint32_t entry = step(reader, table, x, &reader->symbols[i]);
        if (*x < LOWER) {
            if (reader->size - reader->position < 2) return TRUNCATED;
            *x = *x << 16 | load16(reader->payload + reader->position);
            reader->position += 2;
        }
        if (entry >> 31) {
            const int error = read_escape(reader, table, reader->symbols[i], &reader->symbols[i]);
            if (error) return error;
        }
    }
    return OK;
}

/* Groups of `width` symbols while the payload surely holds them. `width` is a constant that divides
   `lanes`, and the states are a local copy, so that they can stay in registers. */
INTACT_INLINE int decode_groups(Reader *reader, uint32_t *states, int32_t lanes, int32_t width,
                                int64_t *first, int64_t last) {
    const Reader r = *reader;
    const uint8_t *from = r.payload + r.position;
    const uint8_t *const end = r.payload + r.size;
    uint32_t x[MAX_LANES];
    int error = OK;
    int64_t row = *first;
    memcpy(x, states, (size_t)lanes * sizeof(uint32_t));
    while (last - row >= width && end - from >= (ptrdiff_t)MAX_SYMBOL_BYTES * width) {
        uint32_t *group = x + (row & (lanes - 1));
        INTACT_UNROLL
        for (int32_t lane = 0; lane < width; lane++) {
            const uint32_t table = r.indexes[row + lane];
            int32_t symbol;
            const uint32_t entry = step(&r, table, &group[lane], &symbol);
            const uint32_t refilled = group[lane] << 16 | load16(from);
            const uint32_t need = group[lane] < LOWER;
            group[lane] = need ? refilled : group[lane];
            from += 2 * need;
            if (INTACT_UNLIKELY(entry >> 31)) {
                reader->position = from - r.payload;
                error = read_escape(reader, table, symbol, &symbol);
                from = r.payload + reader->position;
                if (error) {
                    row += lane;
                    goto end;
                }
            }
            r.symbols[row + lane] = symbol;
        }
        row += width;
    }
end:
    memcpy(states, x, (size_t)lanes * sizeof(uint32_t));
    reader->position = from - r.payload;
    *first = row;
    return error;
}

/* Decode the next part. `cursor[0]` is the position in the payload, updated; `cursor[1]` receives
   the number of symbols decoded (on an error: the one it happened in). Returns OK, TRUNCATED,
   BAD_ESCAPE or BAD_ARGUMENT. */
INTACT_API int32_t intact_rans_decode(
    const uint8_t *payload, int64_t size, int64_t *cursor, uint32_t *states, int32_t lanes,
    const uint16_t *indexes, int64_t count, const uint32_t *buckets, const uint32_t *entries,
    const int32_t *values, const int32_t *descriptors, int64_t num_tables, int32_t *symbols) {
    if (!lanes_are_legal(lanes) || count < 0 || size < 0 || cursor[0] < 0 || cursor[0] > size ||
        !indexes_are_legal(indexes, count, num_tables))
        return BAD_ARGUMENT;
    Reader reader = {payload, size, cursor[0], indexes, buckets, entries, values, descriptors,
                     symbols};
    int64_t first = 0;
    int error;
    switch (lanes) {
        case 1: error = decode_groups(&reader, states, 1, 1, &first, count); break;
        case 2: error = decode_groups(&reader, states, 2, 2, &first, count); break;
        case 4: error = decode_groups(&reader, states, 4, 4, &first, count); break;
        case 8: error = decode_groups(&reader, states, 8, 8, &first, count); break;
        default: error = decode_groups(&reader, states, lanes, 8, &first, count); break;
    }
    if (!error) error = decode_checked(&reader, states, lanes, &first, count);
    cursor[0] = reader.position;
    cursor[1] = first;
    return error;
}

/* Find the entry of each symbol, with ESCAPE set if it is its table's escape. Returns the part's
   ideal length in units of 2**-20 bit, or -1 for an illegal argument. */
INTACT_API int64_t intact_rans_look_up(const int32_t *symbols, const uint16_t *indexes,
                                       int64_t count, const uint32_t *costs,
                                       const int32_t *descriptors, int64_t num_tables,
                                       uint32_t *found) {
    if (count < 0 || !indexes_are_legal(indexes, count, num_tables)) return -1;
    int64_t cost = 0; /* below 2**25 a symbol: no overflow before 2**38 symbols */
    for (int64_t i = 0; i < count; i++) {
        const int32_t *table = descriptors + 4 * (size_t)indexes[i];
        const uint32_t num_symbols = (uint32_t)table[NUM_SYMBOLS];
        /* cannot wrap around into the table: its symbols are within 2**30 */
        const uint32_t offset = (uint32_t)symbols[i] - (uint32_t)table[MINIMUM];
        const uint32_t within = offset < num_symbols ? offset : num_symbols;
        const uint32_t entry = (uint32_t)table[FIRST_ENTRY] + within;
        found[i] = entry | (offset < num_symbols ? 0 : ESCAPE);
        cost += costs[entry];
    }
    return cost;
}

/* How to push an entry; TableBank.push_entries has the same layout.
   For every x < limit:  (x * multiplier + addend) >> 45 == x / freq  (proof there). */
typedef struct {
    uint64_t multiplier;
    uint64_t addend;
    uint32_t limit; /* freq << 18 */
    uint16_t rest;  /* 16384 - freq */
    uint16_t cum;
} PushEntry;

typedef struct {
    const int32_t *symbols;
    const uint16_t *indexes;
    const uint32_t *found;
    const PushEntry *entries;
    const int32_t *descriptors;
} Writer;

/* The bytes of symbol i's escape, in front of `to`. */
static uint8_t *write_escape(const Writer *writer, int64_t i, uint8_t *to) {
    const int32_t *table = writer->descriptors + 4 * (size_t)writer->indexes[i];
    const int64_t symbol = writer->symbols[i], minimum = table[MINIMUM];
    const int64_t above = minimum + table[NUM_SYMBOLS];
    const uint64_t code = symbol >= above ? 2 * (uint64_t)(symbol - above)
                                          : 2 * (uint64_t)(minimum - 1 - symbol) + 1;
    int count = 1;
    while (code >> (7 * count)) count++;
    to -= count;
    for (int k = 0; k < count; k++)
        to[k] = (uint8_t)((code >> (7 * k) & 0x7F) | (k + 1 < count ? 0x80 : 0));
    return to;
}

/* Push symbol i onto state x, writing in front of `to`; returns the new front. */
INTACT_INLINE uint8_t *push(const Writer *writer, int64_t i, uint32_t *state, uint8_t *to) {
    uint32_t found = writer->found[i];
    if (INTACT_UNLIKELY(found & ESCAPE)) {
        to = write_escape(writer, i, to);
        found &= ~ESCAPE;
    }
    const PushEntry *entry = &writer->entries[found];
    uint32_t x = *state;
    const uint32_t full = x >= entry->limit;
    /* written in any case, kept if the state is full: a branch would be mispredicted often */
    to[-1] = (uint8_t)(x >> 8);
    to[-2] = (uint8_t)x;
    to -= 2 * full;
    x = full ? x >> 16 : x;
    const uint32_t quotient = (uint32_t)((x * entry->multiplier + entry->addend) >> 45);
    *state = x + quotient * entry->rest + entry->cum;
    return to;
}

/* As decode_groups: groups of `width` symbols, the last one first. */
INTACT_INLINE uint8_t *encode_groups(const Writer *writer, uint32_t *states, int32_t lanes,
                                     int32_t width, int64_t count, uint8_t *to) {
    const Writer w = *writer;
    uint32_t x[MAX_LANES];
    memcpy(x, states, (size_t)lanes * sizeof(uint32_t));
    for (int64_t row = count - width; row >= 0; row -= width) {
        uint32_t *group = x + (row & (lanes - 1));
        INTACT_UNROLL
        for (int32_t lane = width - 1; lane >= 0; lane--)
            to = push(&w, row + lane, &group[lane], to);
    }
    memcpy(states, x, (size_t)lanes * sizeof(uint32_t));
    return to;
}

/* Encode a part, the last one first, of which intact_rans_look_up has found the entries. Bytes are
   written backwards and end before buffer[*position]; *position is updated. It must be at least
   7 * count on entry. Returns OK, BAD_ARGUMENT or NO_SPACE. */
INTACT_API int32_t intact_rans_encode(const int32_t *symbols, const uint16_t *indexes,
                                      const uint32_t *found, int64_t count,
                                      const void *entries, const int32_t *descriptors,
                                      uint32_t *states, int32_t lanes, uint8_t *buffer,
                                      int64_t *position) {
    if (!lanes_are_legal(lanes) || count < 0) return BAD_ARGUMENT;
    if (*position / MAX_SYMBOL_BYTES < count) return NO_SPACE;
    const Writer writer = {symbols, indexes, found, entries, descriptors};
    const int64_t whole = count & ~(int64_t)((lanes < 8 ? lanes : 8) - 1);
    uint8_t *to = buffer + *position;
    for (int64_t i = count - 1; i >= whole; i--) to = push(&writer, i, &states[i & (lanes - 1)], to);
    switch (lanes) {
        case 1: to = encode_groups(&writer, states, 1, 1, whole, to); break;
        case 2: to = encode_groups(&writer, states, 2, 2, whole, to); break;
        case 4: to = encode_groups(&writer, states, 4, 4, whole, to); break;
        case 8: to = encode_groups(&writer, states, 8, 8, whole, to); break;
        default: to = encode_groups(&writer, states, lanes, 8, whole, to); break;
    }
    *position = to - buffer;
    return OK;
}
