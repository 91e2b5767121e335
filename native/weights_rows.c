/* Decodes the method "rows" (src/intact/packing/coding/rows.py, contexts.py and adaptive.py are
   normative): what is expected of the symbols of a step, the step itself by rans.c, and tables that
   learn from it. */
#include "rans.h"

#include <string.h>

#define LEVELS 13
#define BUCKETS 256
#define SEEN 32

int32_t intact_rans_decode(const uint8_t *payload, int64_t size, int64_t *cursor, uint32_t *states,
                           int32_t lanes, const uint16_t *indexes, int64_t count,
                           const uint32_t *buckets, const uint32_t *entries, const int32_t *values,
                           const int32_t *descriptors, int64_t num_tables, int32_t *symbols);

typedef struct {
    int64_t rows, channels, kernel, side, mean, rows_per_step, reach, low, high, contexts;
    const int32_t *mantissas, *logs;
    const int64_t *levels; /* of the rows */
    int64_t *counts;       /* contexts x symbols */
    int64_t *channel_sums, *position_sums, *channel_logs, *position_logs, *wanted, *had;
    uint32_t *entries, *buckets;
    int32_t *values, *descriptors; /* of the tables */
    uint16_t *indexes;
    int32_t *coded;
    uint8_t *negated;
    int32_t *out;
} Rows;

static int64_t clip(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

static int64_t power(const Rows *r, int64_t e) {
    return ((int64_t)r->mantissas[e & 15] << (e >> 4)) >> 15;
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }

static void make_tables(const Rows *r) {
    const int64_t size = 2 * r->reach + 1;
    for (int64_t x = 0; x < r->contexts; x++) {
        const int64_t *counts = r->counts + x * size;
        uint32_t *entries = r->entries + x * (size + 1);
        int64_t total = 0, used = 1, largest = 0;
        for (int64_t s = 0; s < size; s++) total += counts[s];
        if (total < 1) total = 1;
        for (int64_t s = 0; s < size; s++) {
            const int64_t freq = 1 + counts[s] * (int64_t)(TOTAL - 1 - size) / total;
            entries[s] = (uint32_t)freq;
            used += freq;
            if (counts[s] > counts[largest]) largest = s;
        }
        entries[largest] += (uint32_t)(TOTAL - used);
        entries[size] = 1;
        uint32_t first = 0;
        int64_t bucket = 0;
        for (int64_t s = 0; s <= size; s++) {
            const uint32_t freq = entries[s];
            entries[s] = freq | first << 16;
            first += freq;
            for (; bucket < BUCKETS && bucket * (TOTAL / BUCKETS) < first; bucket++)
                r->buckets[x * BUCKETS + bucket] = (uint32_t)(x * (size + 1) + s);
        }
        entries[size] |= 1u << 31;
    }
}

static void begin(const Rows *r, int64_t seen, int64_t rows) {
    for (int64_t c = 0; c < r->channels; c++) {
        const int64_t mean =
            (r->channel_sums[c] + 20 * 64) * 16 / (seen * r->kernel + 20);
        r->channel_logs[c] = r->logs[clip(mean, 1, 65535)];
        r->wanted[c] = 192;
    }
    for (int64_t k = 0; k < r->kernel; k++) {
        const int64_t mean = (r->position_sums[k] + 40 * 64) * 16 / (seen * r->channels + 40);
        r->position_logs[k] = r->logs[clip(mean, 1, 65535)];
    }
    for (int64_t i = 0; i < rows * r->channels; i++) r->had[i] = 192;
}

/* The context of every symbol of a step, and whether it is negated. */
static void look(const Rows *r, int64_t first, int64_t rows, int64_t k) {
    const int64_t row = k / r->side, column = k % r->side;
    const int64_t middle = power(r, 2 * r->mean + 64);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t level = 8 * r->levels[first + i] + 4 + r->position_logs[k] - 320;
        const int32_t *v = r->out + (first + i) * r->channels * r->kernel + k;
        for (int64_t c = 0; c < r->channels; c++, v += r->kernel) {
            const int64_t at = i * r->channels + c;
            const int64_t log = level + r->channel_logs[c] + r->logs[clip(r->had[at], 1, 65535)] -
                                r->logs[clip(r->wanted[c], 1, 65535)];
            int64_t context = clip(log >> 3, -6, 6) + 6, foretold = 0;
            if (row && column)
                foretold = 13 * (int64_t)v[-1] + 11 * (int64_t)v[-r->side];
            else if (column)
                foretold = 15 * (int64_t)v[-1];
            else if (row)
                foretold = 14 * (int64_t)v[-r->side];
            const int64_t away = magnitude(foretold) << 7;
            context += LEVELS * ((away > 0) + (4 * away >= middle) + (2 * away >= middle) +
                                 (away >= middle) + (away / 2 >= middle));
            r->indexes[at] = (uint16_t)context;
            r->negated[at] = foretold < 0;
        }
    }
}

/* Put a decoded step in its place, and learn from it. */
static int learn(const Rows *r, int64_t first, int64_t rows, int64_t k) {
    const int64_t scale = power(r, 448 - 2 * r->mean), size = 2 * r->reach + 1;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t shrink = power(r, 160 - 8 * r->levels[first + i]);
        int32_t *v = r->out + (first + i) * r->channels * r->kernel + k;
        int64_t sum = 0;
        for (int64_t c = 0; c < r->channels; c++, v += r->kernel) {
            const int64_t at = i * r->channels + c, coded = r->coded[at];
            const int64_t value = r->negated[at] ? -coded : coded;
            if (value < r->low || value > r->high) return BAD_ESCAPE;
            *v = (int32_t)value;
            if (magnitude(coded) <= r->reach)
                r->counts[r->indexes[at] * size + coded + r->reach] += SEEN;
            const int64_t m = clip(magnitude(value), 0, 4095);
            const int64_t a = clip(clip(m * scale >> 14, 0, 4095) * shrink >> 10, 0, 4095);
            r->had[at] += a;
            sum += a;
        }
        r->position_sums[k] += sum;
    }
    for (int64_t c = 0; c < r->channels; c++) {
        const int64_t expected = r->channel_logs[c] + r->position_logs[k] - 320;
        r->wanted[c] += power(r, clip(expected + 96, 0, 192));
    }
    return OK;
}

/* Decode the steps of a message whose rows' levels were read. sizes: rows, channels, kernel, side,
   mean, rows of a step, reach, low, high, contexts. numbers: int64[3 channels + 2 kernel + size of
   a step], 0 in the first channels + kernel; tables: uint32[contexts (2 reach + 2) + 256 contexts]; step: int32[size],
   uint16[size], uint8[size]. values and descriptors: those of TableBank. counts: those that the
   contexts begin with. out: int32[rows x channels x kernel]. cursor as for intact_rans_decode. */
INTACT_API int32_t intact_weights_rows(const uint8_t *payload, int64_t size, int64_t *cursor,
                                       uint32_t *states, int32_t lanes, const int64_t *sizes,
                                       const int64_t *levels, int64_t *counts, int64_t *numbers,
                                       uint32_t *tables, int32_t *values, int32_t *descriptors,
                                       void *step, const int32_t *mantissas, const int32_t *logs,
                                       int32_t *out) {
    Rows r = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7],
              sizes[8], sizes[9], mantissas, logs, levels, counts, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, values, descriptors, NULL, NULL, NULL, out};
    const int64_t step_size = r.rows_per_step * r.channels;
    r.channel_sums = numbers;
    r.position_sums = r.channel_sums + r.channels;
    r.channel_logs = r.position_sums + r.kernel;
    r.position_logs = r.channel_logs + r.channels;
    r.wanted = r.position_logs + r.kernel;
    r.had = r.wanted + r.channels;
    r.entries = tables;
    r.buckets = tables + r.contexts * (2 * r.reach + 2);
    r.coded = (int32_t *)step;
    r.indexes = (uint16_t *)(r.coded + step_size);
    r.negated = (uint8_t *)(r.indexes + step_size);
    int64_t total = 0, fresh = 0;
    make_tables(&r);
    for (int64_t first = 0; first < r.rows; first += r.rows_per_step) {
        const int64_t rows = r.rows - first < r.rows_per_step ? r.rows - first : r.rows_per_step;
        begin(&r, first, rows);
        for (int64_t k = 0; k < r.kernel; k++) {
            look(&r, first, rows, k);
            const int64_t count = rows * r.channels;
            int32_t error = intact_rans_decode(payload, size, cursor, states, lanes, r.indexes,
                                               count, r.buckets, r.entries, r.values,
                                               r.descriptors, r.contexts, r.coded);
            cursor[1] += total;
            if (!error) error = learn(&r, first, rows, k);
            if (error) return error;
            total += count;
            if (total - fresh >= total >> 3) {
                fresh = total;
                make_tables(&r);
            }
        }
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < r.channels; c++)
                r.channel_sums[c] += r.had[i * r.channels + c] - 192;
    }
    return OK;
}
