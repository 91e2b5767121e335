/* Coded weights (src/intact/packing/coding, docs/spec/weights_coding.md) in C: the same integers.

   Nothing here trusts the payload. Tables come from Python, which has validated them. */
#include "rans.h"

#include <string.h>

#define MAX_LANES 1024

/* A slot of a table that all symbols share: how the state goes on, and the value of its symbol. */
#define ESCAPE_SLOT (1ull << 60)
#define SLOT_FREQ(slot) ((uint32_t)(slot) & 0x3FFF)
#define SLOT_OFFSET(slot) ((uint32_t)((slot) >> 14) & 0x3FFF)
#define SLOT_VALUE(slot) ((uint32_t)((slot) >> 28))

typedef struct {
    const uint8_t *payload;
    int64_t size;
    int64_t position;
    const uint64_t *slots;
    const uint32_t *levels; /* what symbols low .. high stand for; NULL: themselves */
    int64_t minimum, above; /* of the table */
    int64_t low, high;
    uint32_t *values;
} StaticReader;

static int read_value(StaticReader *r, uint32_t *value) {
    int32_t symbol;
    const int error =
        intact_read_escape(r->payload, r->size, &r->position, r->minimum, r->above, &symbol);
    if (error) return error;
    if (symbol < r->low || symbol > r->high) return BAD_ESCAPE;
    *value = r->levels ? r->levels[symbol - r->low] : (uint32_t)symbol;
    return OK;
}

INTACT_INLINE int static_groups(StaticReader *reader, uint32_t *states, int32_t lanes,
                                int32_t width, int64_t *first, int64_t last) {
    const uint8_t *from = reader->payload + reader->position;
    const uint8_t *const end = reader->payload + reader->size;
    const uint64_t *const slots = reader->slots;
    uint32_t *const values = reader->values;
    uint32_t x[MAX_LANES]; /* a copy, which `values` cannot point to */
    int64_t row = *first;
    int error = OK;
    memcpy(x, states, (size_t)lanes * sizeof(uint32_t));
    while (last - row >= width && end - from >= (ptrdiff_t)MAX_SYMBOL_BYTES * width) {
        uint32_t *group = x + (row & (lanes - 1));
        INTACT_UNROLL
        for (int32_t lane = 0; lane < width; lane++) {
            const uint64_t slot = slots[group[lane] & (TOTAL - 1)];
            const uint32_t state =
                SLOT_FREQ(slot) * (group[lane] >> TOTAL_BITS) + SLOT_OFFSET(slot);
            const uint32_t need = state < LOWER;
            const uint32_t refilled = state << 16 | load16(from);
            group[lane] = need ? refilled : state;
            from += 2 * need;
            values[row + lane] = SLOT_VALUE(slot);
            if (INTACT_UNLIKELY(slot & ESCAPE_SLOT)) {
                reader->position = from - reader->payload;
                error = read_value(reader, &values[row + lane]);
                from = reader->payload + reader->position;
                if (error) {
                    row += lane;
                    goto end;
                }
            }
        }
        row += width;
    }
end:
    memcpy(states, x, (size_t)lanes * sizeof(uint32_t));
    reader->position = from - reader->payload;
    *first = row;
    return error;
}

/* Decode a part of which every symbol has the same table, as values[count]. slots[16384]: freq |
   offset << 14 | value << 28, and ESCAPE_SLOT. table: minimum, first symbol above, low and high
   of the symbols that are legal. cursor as for intact_rans_decode. */
INTACT_API int32_t intact_weights_static(const uint8_t *payload, int64_t size, int64_t *cursor,
                                         uint32_t *states, int32_t lanes, int64_t count,
                                         const uint64_t *slots, const int64_t *table,
                                         const uint32_t *levels, uint32_t *values) {
    if (lanes < 1 || lanes > MAX_LANES || (lanes & (lanes - 1)) || count < 0 || size < 0 ||
        cursor[0] < 0 || cursor[0] > size)
        return BAD_ARGUMENT;
    StaticReader reader = {payload,  size,     cursor[0], slots,    levels,
                           table[0], table[1], table[2],  table[3], values};
    int64_t first = 0;
    int error = OK;
    switch (lanes) {
        case 1: error = static_groups(&reader, states, 1, 1, &first, count); break;
        case 2: error = static_groups(&reader, states, 2, 2, &first, count); break;
        case 4: error = static_groups(&reader, states, 4, 4, &first, count); break;
        default: error = static_groups(&reader, states, lanes, 8, &first, count); break;
    }
    for (; !error && first < count; first++) { /* near the payload's end every read is checked */
        uint32_t *x = &states[first & (lanes - 1)];
        const uint64_t slot = slots[*x & (TOTAL - 1)];
        *x = SLOT_FREQ(slot) * (*x >> TOTAL_BITS) + SLOT_OFFSET(slot);
        if (*x < LOWER) {
            if (size - reader.position < 2) {
                error = TRUNCATED;
                break;
            }
            *x = *x << 16 | load16(payload + reader.position);
            reader.position += 2;
        }
        values[first] = SLOT_VALUE(slot);
        if (slot & ESCAPE_SLOT) error = read_value(&reader, &values[first]);
    }
    cursor[0] = reader.position;
    cursor[1] = first;
    return error;
}

#define MAX_LENGTH 24
#define SHORT_LENGTH 12

/* Decode canonical Huffman codes, as huffman.py does. cursor[0] counts bits. limits[25]: for each
   length the first 24-bit window of a longer word; firsts[25]: the rank of its first word; place:
   the escape's rank or -1, and the smallest and the largest legal symbol. */
INTACT_API int32_t intact_weights_huffman(const uint8_t *payload, int64_t size, int64_t *cursor,
                                          const int64_t *limits, const int64_t *firsts,
                                          const int32_t *values, const int64_t *place,
                                          int64_t count, int32_t *symbols) {
    if (size < 0 || count < 0 || cursor[0] < 0 || cursor[0] > 8 * size) return BAD_ARGUMENT;
    uint8_t lengths[1 << SHORT_LENGTH]; /* of the word that begins with these bits, or 0 */
    for (int64_t window = 0; window < 1 << SHORT_LENGTH; window++) {
        int length = 1;
        while (length <= SHORT_LENGTH && limits[length] <= window << (MAX_LENGTH - SHORT_LENGTH))
            length++;
        lengths[window] = (uint8_t)(length <= SHORT_LENGTH ? length : 0);
    }
    const int64_t end = 8 * size;
    int64_t at = cursor[0], done = 0;
    int error = OK;
    for (; done < count; done++) {
        uint64_t bytes = 0;
        const int64_t first = at >> 3;
        for (int k = 0; k < 8; k++)
            bytes = bytes << 8 | (first + k < size ? payload[first + k] : 0);
        const int64_t window = (int64_t)(bytes << (at & 7) >> (64 - MAX_LENGTH));
        int length = lengths[window >> (MAX_LENGTH - SHORT_LENGTH)];
        if (!length) {
            length = SHORT_LENGTH + 1;
            while (length <= MAX_LENGTH && limits[length] <= window) length++;
            if (length > MAX_LENGTH) {
                error = BAD_ESCAPE;
                break;
            }
        }
        const int64_t rank =
            firsts[length] + ((window - limits[length - 1]) >> (MAX_LENGTH - length));
        at += length;
        int64_t symbol = values[rank];
        if (rank == place[0]) {
            /* after at most 7 + 24 bits 32 more are in the 64 */
            const int used = (int)((at - length) & 7) + length;
            symbol = place[1] + (int64_t)(bytes << used >> 32);
            at += 32;
        }
        if (at > end) {
            error = TRUNCATED;
            break;
        }
        if (symbol > place[2]) {
            error = BAD_ESCAPE;
            break;
        }
        symbols[done] = (int32_t)symbol;
    }
    cursor[0] = at;
    cursor[1] = done;
    return error;
}

/* Method "best" (best.py is normative): weight after weight, every bit of it with a probability
   that a few contexts vote for. */
#define UNARY 20
#define INPUTS 6
#define SIGNS 4
#define SLOTS 1536
#define SET (INPUTS + 1)
#define EXPONENTS 32

typedef struct {
    uint16_t p, seen; /* probability of a 1 in 65536ths */
} Slot;

typedef struct {
    uint8_t *bytes;
    int64_t size, position;
    uint32_t low, high, code;
    int decoding, error;
    const int32_t *squash, *stretch;
} BitCoder;

static void next_byte(BitCoder *c) {
    if (c->decoding) {
        const int64_t at = c->position++;
        if (at >= c->size + 3) c->error = TRUNCATED;
        c->code = c->code << 8 | (at < c->size ? c->bytes[at] : 0);
    } else if (c->position < c->size) {
        c->bytes[c->position++] = (uint8_t)(c->high >> 24);
    } else {
        c->error = NO_SPACE;
    }
}

/* One bit with probability p / 65536 of a 1; `bit` is what to encode. */
static int code_bit(BitCoder *c, uint32_t p, int bit) {
    const uint32_t range = c->high - c->low;
    const uint32_t middle = c->low + (range >> 16) * p + ((range & 0xFFFF) * p >> 16);
    if (c->decoding) bit = c->code <= middle;
    if (bit)
        c->high = middle;
    else
        c->low = middle + 1;
    while (!((c->low ^ c->high) >> 24)) {
        next_byte(c);
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
    return bit;
}

static void learn(Slot *slot, int bit) {
    const int32_t step = (bit ? 65535 : 0) - slot->p;
    slot->p = (uint16_t)(slot->p + ((int64_t)step * (131072 / (2 * slot->seen + 5)) >> 16));
    if (slot->seen < 255) slot->seen++;
}

/* One bit by vote: of `count` slots, new ones saying `prior`, and of the prior if asked for. */
static int vote(BitCoder *c, Slot **slots, int count, uint32_t prior, int asks, int32_t *weights,
                int bit) {
    int32_t votes[SET];
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (!slots[i]->seen) slots[i]->p = (uint16_t)prior;
        votes[i] = c->stretch[slots[i]->p >> 4];
    }
    if (asks) votes[count] = c->stretch[prior >> 4];
    for (int i = 0; i < count + asks; i++) sum += (int64_t)weights[i] * votes[i];
    sum >>= 16;
    sum = sum > 2047 ? 2047 : sum < -2047 ? -2047 : sum;
    int32_t p = c->squash[sum + 2048];
    p = p < 48 ? 48 : p > 65488 ? 65488 : p;
    bit = code_bit(c, (uint32_t)p, bit);
    const int64_t error = (bit ? 65536 : 0) - p;
    for (int i = 0; i < count + asks; i++)
        weights[i] += (int32_t)((votes[i] * error * 3 + 131072) >> 18);
    for (int i = 0; i < count; i++) learn(slots[i], bit);
    return bit;
}

static int coded(BitCoder *c, Slot *slot, int bit) {
    if (!slot->seen) slot->p = 32768;
    const uint32_t p = slot->p < 48 ? 48 : slot->p > 65488 ? 65488 : slot->p;
    bit = code_bit(c, p, bit);
    learn(slot, bit);
    return bit;
}

/* A magnitude of UNARY + rest, rest >= 0: an exponent, its two highest bits, and the others. */
static int64_t code_rest(BitCoder *c, Slot *slots, int64_t rest) {
    int exponent = 0;
    while (coded(c, &slots[exponent], (rest + 1) >> (exponent + 1) != 0)) {
        if (++exponent == EXPONENTS - 1) {
            c->error = BAD_ESCAPE;
            return 0;
        }
    }
    int64_t found = 1;
    for (int k = exponent - 1; k >= 0; k--) {
        const int bit = (int)((rest + 1) >> k & 1);
        const int coarse = exponent - 1 - k;
        const int node = coarse == 0 ? 0 : 1 + (int)(found & 1);
        found = found << 1 | (coarse < 2 ? coded(c, &slots[EXPONENTS * (1 + node) + exponent], bit)
                                         : code_bit(c, 32768, bit));
    }
    return found - 1;
}

static int64_t clip(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

typedef struct {
    const int32_t *mantissas, *logs; /* 16, 65536 */
    int64_t rows, channels, kernel, side, mean, low, high;
    int64_t *channel_sums, *position_sums, *sizes; /* channels, kernel, columns */
    int32_t *values;                               /* rows x columns */
    Slot *slots, *signs, *rests;
    int32_t *weights, *sign_weights;
} Best;

static int64_t power(const Best *b, int64_t e) {
    return ((int64_t)b->mantissas[e & 15] << (e >> 4)) >> 15;
}

static int64_t ratio_log(const Best *b, int64_t x, int64_t y) {
    while (x > 65535 || y > 65535) {
        x >>= 1;
        y >>= 1;
    }
    return b->logs[x < 1 ? 1 : x] - b->logs[y < 1 ? 1 : y];
}

static int64_t magnitude(int64_t v) { return v < 0 ? -v : v; }
static int sign_of(int64_t v) { return v > 0 ? 2 : v < 0 ? 0 : 1; }
static int64_t isqrt(int64_t n) { /* of at most 2**59 */
    int64_t root = 0;
    for (int64_t bit = (int64_t)1 << 30; bit; bit >>= 1)
        if ((root + bit) * (root + bit) <= n) root += bit;
    return root;
}

/* What is expected of a weight: the numbers that its contexts are made from. */
typedef struct {
    int64_t u, expected, row, channel_log, kernel_size, foretold, size;
    int64_t position;
} View;

static int64_t best_weight(BitCoder *c, const Best *b, const View *view, const int32_t *v,
                           int64_t r, int64_t n, int64_t k, int64_t value) {
    const int64_t columns = b->channels * b->kernel;
    const int64_t row = b->kernel > 1 ? k / b->side : 0, column = b->kernel > 1 ? k % b->side : 0;
    const int64_t left = column ? v[-1] : 0, above = row ? v[-b->side] : 0;
    const int64_t near = b->kernel > 1 ? magnitude(left) : n > 0 ? magnitude(v[-1]) : 0;
    const int64_t far = b->kernel > 1 ? magnitude(above) : n > 1 ? magnitude(v[-2]) : 0;
    const int64_t up1 = r > 0 ? v[-columns] : 0, up2 = r > 1 ? v[-2 * columns] : 0;
    const int64_t before = n > 0 ? v[-b->kernel] : 0;
    const int64_t u = view->u + 64, size = magnitude(value);
    const int64_t spread = 2 * b->mean + 64 + view->u;
    const int64_t m = power(b, spread);
    const uint64_t odds = ((uint64_t)(2 * m) << 16) /
                          (uint64_t)(4096 + isqrt((int64_t)4096 * 4096 + 4 * m * m));
    const int64_t likely[2] = {clip((int64_t)odds, 64, 65472),
                               clip((int64_t)(odds * odds >> 16), 64, 65472)};
    const int direction = view->foretold > 0 ? 1 : view->foretold < 0 ? -1 : 0;
    const int64_t away = magnitude(view->foretold);
    int agrees = 0, positive = value > 0;
    int64_t bin = 0;
    for (; bin < UNARY; bin++) {
        const int64_t contexts[INPUTS] = {
            (u >> 2) + 32 * (view->size + 6 * agrees),
            clip(near, 0, 4) + 5 * clip(far, 0, 4) + 25 * (u >> 4) + 200 * agrees,
            view->kernel_size + 16 * view->position + 144 * agrees,
            clip((view->channel_log - 112) >> 2, 0, 23) + 24 * clip((view->row + 32) >> 3, 0, 7) +
                192 * agrees,
            clip(magnitude(up1), 0, 3) + 4 * clip(magnitude(up2), 0, 3) +
                16 * clip(magnitude(before), 0, 3) + 64 * (u >> 5) + 256 * agrees,
            clip(away >> 3, 0, 63) + 64 * agrees + 192 * (u >> 4)};
        Slot *slots[INPUTS];
        for (int i = 0; i < INPUTS; i++)
            slots[i] = &b->slots[(i * UNARY + bin) * SLOTS + contexts[i]];
        int32_t *weights = &b->weights[((bin < 3 ? bin : 3) * 3 + agrees) * SET];
        const uint32_t prior = (uint32_t)likely[bin > 0];
        if (!vote(c, slots, INPUTS, prior, 1, weights, size > bin)) break;
        if (bin == 0) {
            const int64_t corner1 = row && column ? v[-b->side - 1] : 0;
            const int64_t corner2 = row && column < b->side - 1 ? v[-b->side + 1] : 0;
            const int64_t left2 = column > 1 ? v[-2] : 0, above2 = row > 1 ? v[-2 * b->side] : 0;
            const int s1 = sign_of(left), s2 = sign_of(above);
            const int64_t places[SIGNS] = {
                s1 + 3 * s2 + 9 * sign_of(corner1) + 27 * sign_of(corner2),
                s1 + 3 * sign_of(left2) + 9 * s2 + 27 * sign_of(above2) + 81 * view->position,
                (view->foretold < 0 ? 0 : 32) + clip(away >> 3, 0, 31) + 64 * (u >> 4),
                2 * view->size + (direction > 0) + 12 * clip(u >> 3, 0, 15)};
            Slot *signs[SIGNS];
            for (int i = 0; i < SIGNS; i++) signs[i] = &b->signs[i * SLOTS + places[i]];
            positive = vote(c, signs, SIGNS, 32768, 0, b->sign_weights, positive);
            agrees = direction == 0 ? 0 : positive == (direction > 0) ? 1 : 2;
        }
    }
    if (bin == UNARY) bin += code_rest(c, b->rests, size - UNARY);
    return positive ? bin : -bin;
}

/* Encode (decoding = 0) or decode a segment. sizes: rows, channels, kernel, side, mean, low, high
   (of values less the center), bytes of the buffer. work: int64[channels + kernel + columns], 0;
   slots: uint16[2 (INPUTS UNARY SLOTS + SIGNS SLOTS + 4 EXPONENTS)], 0; weights: as best.py.
   cursor[0] receives the number of bytes written or read. */
INTACT_API int32_t intact_weights_best(uint8_t *bytes, int64_t *cursor, int32_t decoding,
                                       const int64_t *sizes, int32_t *values, int64_t *work,
                                       void *slots, int32_t *weights, const int32_t *mantissas,
                                       const int32_t *logs, const int32_t *squash,
                                       const int32_t *stretch) {
    Best b = {mantissas, logs, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5],
              sizes[6], work, work + sizes[1], work + sizes[1] + sizes[2], values,
              (Slot *)slots, (Slot *)slots + INPUTS * UNARY * SLOTS,
              (Slot *)slots + (INPUTS * UNARY + SIGNS) * SLOTS, weights, weights + 12 * SET};
    BitCoder c = {bytes, sizes[7], 0, 0, 0xFFFFFFFFu, 0, decoding, OK, squash, stretch};
    const int64_t scale = power(&b, 448 - 2 * b.mean), middle = power(&b, 2 * b.mean + 64);
    const int64_t columns = b.channels * b.kernel;
    int64_t done = 0;
    if (decoding)
        for (int k = 0; k < 4; k++) next_byte(&c);
    for (int64_t r = 0; r < b.rows && !c.error; r++) {
        int64_t row_had = 6400, row_wanted = 6400;
        for (int64_t n = 0; n < b.channels && !c.error; n++) {
            View view;
            const int64_t channel =
                clip((b.channel_sums[n] + 40 * 64) * 16 / (r * b.kernel + 40), 1, 65535);
            int64_t had = 256, wanted = 256, sum = 0;
            view.channel_log = logs[channel];
            view.row = ratio_log(&b, row_had, row_wanted);
            for (int64_t k = 0; k < b.kernel; k++, done++) {
                int32_t *v = values + done;
                const int64_t position =
                    clip((b.position_sums[k] + 40 * 64) * 16 / (r * b.channels + 40), 1, 65535);
                const int64_t row = k / b.side, column = k % b.side;
                view.expected = view.channel_log + logs[position] - 320;
                view.u = view.expected + view.row;
                if (b.kernel > 1) view.u += ratio_log(&b, had, wanted);
                view.u = clip(view.u, -64, 63);
                view.kernel_size = b.kernel > 1 ? clip(logs[clip(sum + 1, 1, 65535)] / 6, 0, 15) : 0;
                view.position = clip(k, 0, 8);
                view.foretold = 0;
                if (b.kernel > 1) {
                    if (row && column)
                        view.foretold = 13 * (int64_t)v[-1] + 11 * (int64_t)v[-b.side];
                    else if (column)
                        view.foretold = 15 * (int64_t)v[-1];
                    else if (row)
                        view.foretold = 14 * (int64_t)v[-b.side];
                }
                const int64_t away = magnitude(view.foretold) << 7;
                view.size = (away > 0) + (4 * away >= middle) + (2 * away >= middle) +
                            (away >= middle) + (away / 2 >= middle);
                const int64_t value = best_weight(&c, &b, &view, v, r, n, k, decoding ? 0 : *v);
                if (!c.error && (value < b.low || value > b.high)) c.error = BAD_ESCAPE;
                if (c.error) goto end;
                *v = (int32_t)value;
                const int64_t m = clip(magnitude(value), 0, 4095);
                const int64_t size = clip(m * scale >> 14, 0, 4095);
                b.sizes[n * b.kernel + k] = size;
                row_had += size;
                row_wanted += power(&b, clip(view.expected + 96, 0, 192));
                had += size;
                wanted += power(&b, clip(view.expected + view.row + 96, 0, 192));
                sum += magnitude(value);
            }
        }
        const int64_t shrink =
            power(&b, 160 - clip(ratio_log(&b, row_had, row_wanted), -48, 48));
        for (int64_t at = 0; at < columns; at++) {
            const int64_t size = clip(b.sizes[at] * shrink >> 10, 0, 4095);
            b.channel_sums[at / b.kernel] += size;
            b.position_sums[at % b.kernel] += size;
        }
    }
    if (!decoding && !c.error) {
        if (c.position < c.size)
            bytes[c.position++] = (uint8_t)((c.low >> 24) + 1);
        else
            c.error = NO_SPACE;
    }
end:
    cursor[0] = c.position;
    cursor[1] = done;
    return c.error;
}
