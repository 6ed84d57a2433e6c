/* The allocator: alignment, sizes that overflow, nothing at all; and the sentences for people. */
#include "check.h"

#include "core/ganchroma.h"

/* Hidden from the compiler, which warns of sizes that it can see to be too large. */
static volatile size_t most = SIZE_MAX;

int main(void)
{
    check_start();
    check_running = "alloc";
    for (size_t count = 0; count < 300; ++count) {
        unsigned char *memory = gch_alloc(count, 3);
        CHECK(memory != NULL, "%zu x 3 bytes", count);
        CHECK((uintptr_t)memory % GCH_ALIGNMENT == 0, "%zu x 3 bytes at %p", count, (void *)memory);
        if (memory != NULL) memset(memory, 0xff, 3 * count);
        gch_free(memory);
    }
    gch_free(NULL);
    const size_t pairs[][2] = {{most, 2},         {2, most},      {most, 1},
                               {most / 2 + 1, 2}, {most - 62, 1}, {most / 8, 9}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; ++i)
        CHECK(gch_alloc(pairs[i][0], pairs[i][1]) == NULL, "%zu x %zu bytes", pairs[i][0], pairs[i][1]);

    check_running = "status";
    for (int status = GCH_OK; status <= GCH_BAD_VALUE + 1; ++status) {
        const char *text = gch_status_text((enum gch_status)status);
        CHECK(text != NULL && strlen(text) > 5, "status %d has no sentence", status);
    }
    return check_end("memory");
}
