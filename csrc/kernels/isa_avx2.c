/* The kernels for AVX2 with FMA. The target region must open before <immintrin.h>. */
#include "common.h"

#ifdef GCH_X86_64
#    ifdef __clang__
#        include <immintrin.h>
#        pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#    else
#        pragma GCC push_options
#        pragma GCC target("avx2,fma")
#    endif
#    define ISA avx2
#    include "kernels/simd/avx2.h"
#    include "kernels/tables.inc.h"
#    ifdef __clang__
#        pragma clang attribute pop
#    else
#        pragma GCC pop_options
#    endif
#else
typedef int gch_isa_avx2_is_for_x86_64;
#endif
