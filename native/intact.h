/* Macros shared by all of the native code. No declarations: Python binds the functions by name. */
#ifndef INTACT_H
#define INTACT_H

#include <stddef.h>
#include <stdint.h>

/* Counts changes of what Python and C share: functions, their arguments, the fields of structures
 * and the numbers of operations. src/intact/native.py has the same number, and uses no library with
 * another. tests/contract/test_native_abi.py notices a change that did not count. */
#define INTACT_ABI 2

#if defined(_WIN32)
#define INTACT_API __declspec(dllexport)
#elif defined(__EMSCRIPTEN__) || defined(__wasm__)
#define INTACT_API __attribute__((visibility("default"))) /* web/build_wasm.sh exports some */
#elif defined(__GNUC__)
#define INTACT_API __attribute__((visibility("default")))
#else
#define INTACT_API
#endif

#if defined(_MSC_VER)
#define INTACT_INLINE static __forceinline
#elif defined(__GNUC__)
#define INTACT_INLINE static inline __attribute__((always_inline))
#else
#define INTACT_INLINE static inline
#endif

/* Before a loop with a short constant number of rounds. */
#if defined(__clang__)
#define INTACT_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define INTACT_UNROLL _Pragma("GCC unroll 8")
#else
#define INTACT_UNROLL
#endif

#if defined(__GNUC__)
#define INTACT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#else
#define INTACT_UNLIKELY(condition) (condition)
#endif

#endif
