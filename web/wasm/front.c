/* The browser decoder's memory. The kernels beside it are those of native/, compiled for WebAssembly.
 *
 * One block after the other, from the end of what the linker laid out. The caller gives back all that
 * came after a mark; nothing is freed alone. */
#include "intact.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 65536u

extern unsigned char __heap_base;
static uint32_t top;

/* `count` bytes on a border of 16; 0 where the machine has no more. */
INTACT_API uint32_t web_alloc(uint32_t count)
{
    if (top == 0)
        top = (uint32_t)(uintptr_t)&__heap_base;
    const uint32_t place = (top + 15u) & ~15u;
    const uint64_t end = (uint64_t)place + count;
    const uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * PAGE;
    if (end > have) {
        const uint64_t pages = (end - have + PAGE - 1) / PAGE;
        if (end > 0xffff0000u || __builtin_wasm_memory_grow(0, (uint32_t)pages) == (size_t)-1)
            return 0;
    }
    top = (uint32_t)end;
    return place;
}

/* Where the next block would begin; `web_reset` gives back all from there on. */
INTACT_API uint32_t web_mark(void) { return web_alloc(0); }
INTACT_API void web_reset(uint32_t mark) { top = mark; }

void *malloc(size_t count) { return (void *)(uintptr_t)web_alloc((uint32_t)count); }
void free(void *block) { (void)block; }

/* The compiler may call these where it could have used an instruction, and must not do so here. */
void *(memcpy)(void *restrict target, const void *restrict source, size_t count)
{
    return __builtin_memcpy(target, source, count);
}
void *(memset)(void *target, int value, size_t count)
{
    return __builtin_memset(target, value, count);
}

int abs(int value) { return value < 0 ? -value : value; }

static void swap(unsigned char *a, unsigned char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

/* A heapsort: no bad cases, whatever a model file holds. */
void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    unsigned char *items = base;
    size_t start = count / 2, end = count;
    while (end > 1) {
        if (start > 0) {
            start--;
        } else {
            end--;
            swap(items, items + end * size, size);
        }
        for (size_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && compare(items + child * size, items + (child + 1) * size) < 0)
                child++;
            if (compare(items + root * size, items + child * size) >= 0)
                break;
            swap(items + root * size, items + child * size, size);
        }
    }
}
