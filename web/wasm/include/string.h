/* What the kernels need of the C library, where there is none; the compiler has these as instructions. */
#ifndef INTACT_WEB_STRING_H
#define INTACT_WEB_STRING_H
#include <stddef.h>
void *memcpy(void *restrict target, const void *restrict source, size_t count);
void *memset(void *target, int value, size_t count);
#endif
