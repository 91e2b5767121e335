/* WebAssembly has one state of the floating-point unit: round to nearest, no traps. */
#ifndef INTACT_WEB_FENV_H
#define INTACT_WEB_FENV_H
typedef int fenv_t;
#define FE_DFL_ENV ((const fenv_t *)0)
static inline int fegetenv(fenv_t *state) { *state = 0; return 0; }
static inline int fesetenv(const fenv_t *state) { (void)state; return 0; }
#endif
