/* The one allocator of the core. */
#include <stdlib.h>

#include "core/ganchroma.h"

void *gch_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    if (__builtin_add_overflow(bytes, GCH_ALIGNMENT - 1, &bytes)) return NULL;
    bytes -= bytes % GCH_ALIGNMENT;
    return aligned_alloc(GCH_ALIGNMENT, bytes ? bytes : GCH_ALIGNMENT);
}

void gch_free(void *memory) { free(memory); }
