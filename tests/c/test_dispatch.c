/* Instruction sets: what is listed can be selected and has every kernel; nothing else can be. */
#include "check.h"

#include "cpu/features.h"

/* The one kernel that a set may lack: conv's pair needs more registers than some have. */
static int is_optional(size_t offset)
{
    size_t in_conv = offset - offsetof(struct gch_isa, conv);
    return in_conv < GCH_REALS * sizeof(struct gch_conv_kernels) &&
           in_conv % sizeof(struct gch_conv_kernels) == offsetof(struct gch_conv_kernels, pair);
}

int main(void)
{
    check_start();
    const struct gch_isa *tables[8];
    int count = gch_dispatch_available(tables, 8);
    struct gch_cpu_features cpu = gch_cpu_features();

    CHECK(count == 1 + cpu.avx2 + cpu.avx512 + cpu.neon, "%d sets", count);
    CHECK(count > 0 && tables[count - 1] == &gch_isa_scalar, "the plain set comes last");
    CHECK(!cpu.avx512 || cpu.avx2, "AVX-512 without AVX2");
    CHECK(gch_dispatch_available(tables, 0) == count, "counting needs no room");
    CHECK(gch_isa() == tables[0], "the best set is selected at first, not %s", gch_isa()->name);
    /* Who runs the checks on a certain processor wants to know that they ran there. */
    const char *best = getenv("CHECK_BEST");
    CHECK(best == NULL || strcmp(best, tables[0]->name) == 0, "%s is the best set, not %s", tables[0]->name,
          best);

    for (int i = 0; i < count; ++i) {
        check_running = tables[i]->name;
        CHECK(gch_dispatch_select(tables[i]->name) == 0, "can't be selected");
        CHECK(gch_isa() == tables[i], "%s is selected", gch_isa()->name);
        CHECK(tables[i] == &gch_isa_scalar || tables[i]->fused, "every vector set has fused multiply-adds");
        /* Between the first table and the end of the structure there are function pointers alone. */
        size_t first = offsetof(struct gch_isa, activation), size = sizeof(struct gch_isa) - first;
        void *pointers[sizeof(struct gch_isa) / sizeof(void *)];
        memcpy(pointers, (const char *)tables[i] + first, size);
        for (size_t p = 0; p < size / sizeof(void *); ++p)
            CHECK(pointers[p] != NULL || is_optional(first + p * sizeof(void *)), "kernel %zu is missing", p);
    }
    check_running = "select";
    const char *wrong[] = {"", "AVX2", "avx", "avx5120", "sse2", " scalar"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        const struct gch_isa *before = gch_isa();
        CHECK(gch_dispatch_select(wrong[i]) == -1, "\"%s\" was selected", wrong[i]);
        CHECK(gch_isa() == before, "\"%s\" changed the selection", wrong[i]);
    }
    CHECK(gch_dispatch_select(NULL) == 0 && gch_isa() == tables[0], "NULL selects the best");
    return check_end("dispatch");
}
