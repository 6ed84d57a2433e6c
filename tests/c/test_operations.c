/* Every public operation of the core, whatever memory fails, whichever set and however many threads: an error and
 * nothing held, or the same bits as ever. */
#include "operations.h"

#include "core/faults.h"

static unsigned char known[OUT_BYTES], known_fused[OUT_BYTES];
static long failures_swept;

static enum gch_status run(const struct operation *operation, enum gch_real real, int form, int threads)
{
    memset(out_memory, 0, sizeof out_memory);
    gch_faults_set(0);
    return operation->run(real, form, threads);
}

/* Fails each allocation in turn; after each failure the call must still work, by one thread: that is sooner done. */
static void sweep(const struct operation *operation, enum gch_real real, int form, int threads)
{
    CHECK(run(operation, real, form, threads) == GCH_OK, "%s, form %d, %d threads", operation->name, form,
          threads);
    const long all = gch_faults_asked(), held = gch_faults_held();
    memcpy(known, out_memory, sizeof known);
    CHECK(held == 0, "%s, form %d: %ld allocations are left", operation->name, form, held);
    for (long n = 1; n <= all; ++n) {
        gch_faults_set(n);
        enum gch_status status = operation->run(real, form, threads);
        CHECK(status == GCH_NO_MEMORY, "%s, form %d: status %d without allocation %ld of %ld",
              operation->name, form, (int)status, n, all);
        CHECK(gch_faults_held() == 0, "%s, form %d: %ld left without allocation %ld", operation->name, form,
              gch_faults_held(), n);
        CHECK(run(operation, real, form, 1) == GCH_OK, "%s, form %d", operation->name, form);
        CHECK(memcmp(out_memory, known, sizeof known) == 0, "%s, form %d: other bits after failure %ld",
              operation->name, form, n);
        ++failures_swept;
    }
}

/* The same bits for any number of threads, and on every set that fuses. */
static void compare(const struct operation *operation, enum gch_real real, int form)
{
    int seen = 0;
    for (FOR_EACH_ISA(isa)) {
        CHECK(gch_dispatch_select(isa->name) == 0, "%s", isa->name);
        CHECK(run(operation, real, form, 1) == GCH_OK, "%s, form %d", operation->name, form);
        memcpy(known, out_memory, sizeof known);
        run(operation, real, form, 3);
        CHECK(memcmp(out_memory, known, sizeof known) == 0, "%s, form %d: other bits from 3 threads",
              operation->name, form);
        if (!isa->fused && !operation->exact) continue;
        if (seen++ == 0) memcpy(known_fused, known, sizeof known);
        CHECK(memcmp(known, known_fused, sizeof known) == 0, "%s, form %d: other bits than the sets before",
              operation->name, form);
    }
    gch_dispatch_select(NULL);
}

int main(void)
{
    check_start();
    fill_inputs();
    for (int i = 0; i < OPERATIONS; ++i) {
        for (int real = GCH_F32; real <= GCH_F64; ++real) {
            for (int form = 0; form < operations[i].forms; ++form) {
                check_running = operations[i].name;
                sweep(&operations[i], (enum gch_real)real, form, 1);
                sweep(&operations[i], (enum gch_real)real, form, 3);
                compare(&operations[i], (enum gch_real)real, form);
            }
        }
    }
    CHECK(failures_swept > 500, "only %ld failures", failures_swept);
    printf("operations: %ld failed allocations swept\n", failures_swept);
    return check_end("operations");
}
