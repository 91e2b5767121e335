/* What the kernels need of the C library, where there is none: the compiler has these as instructions. */
#ifndef INTACT_WEB_STRING_H
#define INTACT_WEB_STRING_H
#include <stddef.h>
#define memcpy(target, source, count) __builtin_memcpy(target, source, count)
#define memset(target, value, count) __builtin_memset(target, value, count)
#endif
