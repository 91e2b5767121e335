/* Which version of the calls and structures this library has; see INTACT_ABI. */
#include "intact.h"

INTACT_API int32_t intact_abi(void) { return INTACT_ABI; }
