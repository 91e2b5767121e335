/* Memory for one call: web/wasm/front.c. */
#ifndef INTACT_WEB_STDLIB_H
#define INTACT_WEB_STDLIB_H
#include <stddef.h>
void *malloc(size_t count);
void free(void *block);
int abs(int value);
void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
#endif
