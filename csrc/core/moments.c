#include "core/ganchroma.h"

void gch_moments_merge(struct gch_moments *into, const struct gch_moments *from)
{
    static const int first[6] = {0, 0, 0, 1, 1, 2}, second[6] = {0, 1, 2, 1, 2, 2};
    into->nonfinite += from->nonfinite;
    if (from->count == 0) return;
    double count = into->count + from->count;
    double share = from->count / count, weight = into->count * share, apart[3];
    for (int i = 0; i < 3; ++i)
        apart[i] = from->mean[i] - into->mean[i];
    for (int i = 0; i < 6; ++i)
        into->scatter[i] += from->scatter[i] + apart[first[i]] * apart[second[i]] * weight;
    for (int i = 0; i < 3; ++i)
        into->mean[i] += apart[i] * share;
    into->count = count;
}

void gch_moments_tree(struct gch_moments *sets, ptrdiff_t count)
{
    for (ptrdiff_t step = 1; step < count; step *= 2)
        for (ptrdiff_t i = 0; i + step < count; i += 2 * step)
            gch_moments_merge(&sets[i], &sets[i + step]);
}
