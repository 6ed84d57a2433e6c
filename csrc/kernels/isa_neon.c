/* The kernels for AArch64, where NEON and fused multiply-add are the baseline. */
#include "common.h"

#ifdef GCH_AARCH64
#    define ISA neon
#    include "kernels/simd/neon.h"
#    include "kernels/tables.inc.h"
#else
typedef int gch_isa_neon_is_for_aarch64;
#endif
