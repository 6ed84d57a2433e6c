/* The one allocator of the core. */
#include <stdlib.h>

#include "core/ganchroma.h"

#ifdef GCH_FAULTS
#    include <stdatomic.h>

#    include "core/faults.h"

static atomic_long failing, asked, held;

void gch_faults_set(long n)
{
    atomic_store(&asked, 0);
    atomic_store(&failing, n);
}

long gch_faults_asked(void) { return atomic_load(&asked); }
long gch_faults_held(void) { return atomic_load(&held); }
#endif

void *gch_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    if (__builtin_add_overflow(bytes, GCH_ALIGNMENT - 1, &bytes)) return NULL;
    bytes -= bytes % GCH_ALIGNMENT;
#ifdef GCH_FAULTS
    if (atomic_fetch_add(&asked, 1) + 1 == atomic_load(&failing)) return NULL;
#endif
    void *memory = aligned_alloc(GCH_ALIGNMENT, bytes ? bytes : GCH_ALIGNMENT);
#ifdef GCH_FAULTS
    if (memory != NULL) atomic_fetch_add(&held, 1);
#endif
    return memory;
}

void gch_free(void *memory)
{
#ifdef GCH_FAULTS
    if (memory != NULL) atomic_fetch_sub(&held, 1);
#endif
    free(memory);
}
