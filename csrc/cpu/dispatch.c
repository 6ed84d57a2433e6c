#include "cpu/dispatch.h"

#include <stdatomic.h>
#include <string.h>

#include "cpu/features.h"

enum { MOST_TABLES = 4 };

static _Atomic(const struct gch_isa *) selected;

int gch_dispatch_available(const struct gch_isa **tables, int room)
{
    const struct gch_isa *found[MOST_TABLES];
    int count = 0;
    struct gch_cpu_features cpu = gch_cpu_features();
#ifdef GCH_X86_64
    if (cpu.avx512) found[count++] = &gch_isa_avx512;
    if (cpu.avx2) found[count++] = &gch_isa_avx2;
#endif
#ifdef GCH_AARCH64
    if (cpu.neon) found[count++] = &gch_isa_neon;
#endif
    found[count++] = &gch_isa_scalar;
    (void)cpu;
    for (int i = 0; i < count && i < room; ++i)
        tables[i] = found[i];
    return count;
}

int gch_dispatch_select(const char *name)
{
    const struct gch_isa *tables[MOST_TABLES];
    int count = gch_dispatch_available(tables, MOST_TABLES);
    for (int i = 0; i < count; ++i) {
        if (name == NULL || strcmp(name, tables[i]->name) == 0) {
            atomic_store(&selected, tables[i]);
            return 0;
        }
    }
    return -1;
}

const struct gch_isa *gch_isa(void)
{
    const struct gch_isa *table = atomic_load_explicit(&selected, memory_order_relaxed);
    if (table == NULL) {
        gch_dispatch_select(NULL);
        table = atomic_load_explicit(&selected, memory_order_relaxed);
    }
    return table;
}
