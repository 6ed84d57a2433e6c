#include "cpu/features.h"

#include "common.h"

#ifdef GCH_X86_64
#    include <cpuid.h>

/* The register state that the system saves at a task switch: a processor may have units that the system,
 * or an emulator, does not switch, and using them then loses data or dies. */
static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

struct gch_cpu_features gch_cpu_features(void)
{
    struct gch_cpu_features found = {0, 0, 0};
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
    const uint32_t needed = bit_FMA | bit_AVX | bit_OSXSAVE;
    if ((c & needed) != needed) return found;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    const uint64_t ymm = 0x06, zmm = 0xe6, state = saved_state();
    found.avx2 = (b & bit_AVX2) && (state & ymm) == ymm;
    const uint32_t wide = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    found.avx512 = found.avx2 && (b & wide) == wide && (state & zmm) == zmm;
    return found;
}
#else
struct gch_cpu_features gch_cpu_features(void)
{
    struct gch_cpu_features found = {0, 0, 0};
#    ifdef GCH_AARCH64
    found.neon = 1;
#    endif
    return found;
}
#endif
