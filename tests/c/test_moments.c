/* Colour moments of a row on every instruction set against their definition, and their merging. */
#include <float.h>

#include "check.h"

#include "core/ganchroma.h"

enum { LENGTHS = 70, LONG = 5003 };

static const int first[6] = {0, 0, 0, 1, 1, 2}, second[6] = {0, 1, 2, 1, 2, 2};

/* The definition: two passes over finite pixels, in the widest type there is. */
static void naive(double *const plane[3], ptrdiff_t count, struct gch_moments *moments)
{
    long double mean[3] = {0}, scatter[6] = {0}, number = 0;
    memset(moments, 0, sizeof *moments);
    for (int pass = 0; pass < 2; ++pass) {
        for (ptrdiff_t x = 0; x < count; ++x) {
            if (!isfinite(plane[0][x]) || !isfinite(plane[1][x]) || !isfinite(plane[2][x])) continue;
            for (int i = 0; pass == 0 && i < 3; ++i)
                mean[i] += plane[i][x];
            for (int i = 0; pass == 1 && i < 6; ++i)
                scatter[i] += (plane[first[i]][x] - mean[first[i]]) * (plane[second[i]][x] - mean[second[i]]);
            number += pass == 0;
        }
        for (int i = 0; pass == 0 && i < 3; ++i)
            mean[i] = number > 0 ? mean[i] / number : 0;
    }
    for (int i = 0; i < 3; ++i)
        moments->mean[i] = (double)mean[i];
    for (int i = 0; i < 6; ++i)
        moments->scatter[i] = (double)scatter[i];
    moments->count = (double)number;
    moments->nonfinite = (double)(count - number);
}

/* Values are below 10 in size: `scale` bounds the rounding of sums of about `count` of them or of their products. */
static void compare(const struct gch_moments *got, const struct gch_moments *wanted, const char *what)
{
    double scale = 100 * (wanted->count + 1) * 0x1p-50;
    /* Under valgrind the widest type is no wider than double, and the definition itself rounds. */
    volatile long double one = 1;
    double mean = one + LDBL_EPSILON == one ? 1000 * 0x1p-48 : 10 * 0x1p-48;
    CHECK(got->count == wanted->count, "%s: count %g, not %g", what, got->count, wanted->count);
    CHECK(got->nonfinite == wanted->nonfinite, "%s: nonfinite %g", what, got->nonfinite);
    for (int i = 0; i < 3; ++i)
        CHECK(fabs(got->mean[i] - wanted->mean[i]) <= mean, "%s: mean[%d] %.17g", what, i, got->mean[i]);
    for (int i = 0; i < 6; ++i)
        CHECK(fabs(got->scatter[i] - wanted->scatter[i]) <= scale, "%s: scatter[%d] %.17g, not %.17g", what,
              i, got->scatter[i], wanted->scatter[i]);
}

static void check_rows(const struct gch_isa *isa, enum gch_real real, int with_nonfinite)
{
    for (ptrdiff_t count = 0; count < LENGTHS; ++count) {
        double values[3][LENGTHS], *exact[3] = {values[0], values[1], values[2]};
        void *plane[3];
        for (int i = 0; i < 3; ++i) {
            plane[i] = guarded((size_t)count * gch_real_size(real));
            for (ptrdiff_t x = 0; x < count; ++x) {
                double value = i + 5 * check_random();
                if (with_nonfinite && check_random() > 0.6) value = check_random() > 0 ? NAN : -INFINITY;
                if (real == GCH_F32)
                    values[i][x] = ((float *)plane[i])[x] = (float)value;
                else
                    values[i][x] = ((double *)plane[i])[x] = value;
            }
        }
        struct gch_moments got, wanted;
        isa->moments[real].row(plane[0], plane[1], plane[2], count, &got);
        naive(exact, count, &wanted);
        compare(&got, &wanted, "row");
    }
}

static void check_bits_and_merging(void)
{
    static double values[3][LONG];
    double *plane[3] = {values[0], values[1], values[2]};
    for (int i = 0; i < 3; ++i)
        for (ptrdiff_t x = 0; x < LONG; ++x)
            values[i][x] = 100 * (i == 1) + check_random(); /* far from zero: merging must stay centred */
    struct gch_moments known, wanted, pieces[7];
    int seen = 0;
    naive(plane, LONG, &wanted);
    for (FOR_EACH_ISA(isa)) {
        struct gch_moments row;
        isa->moments[GCH_F64].row(values[0], values[1], values[2], LONG, &row);
        if (isa->fused && !seen++) known = row;
        if (isa->fused) CHECK(memcmp(&row, &known, sizeof row) == 0, "other bits than another set");
        for (int piece = 0; piece < 7; ++piece) { /* unequal pieces, the fourth of them empty */
            ptrdiff_t from = LONG * piece * piece / 49, to = LONG * (piece + 1) * (piece + 1) / 49;
            if (piece == 3) to = from;
            if (piece == 4) from = LONG * 9 / 49;
            isa->moments[GCH_F64].row(values[0] + from, values[1] + from, values[2] + from, to - from,
                                      &pieces[piece]);
        }
        gch_moments_tree(pieces, 7);
        compare(&pieces[0], &wanted, "tree");
    }
    check_running = "merge";
    struct gch_moments nothing = {0}, one = wanted;
    gch_moments_merge(&one, &nothing);
    CHECK(memcmp(&one, &wanted, sizeof one) == 0, "merging nothing changes bits");
    gch_moments_merge(&nothing, &wanted);
    compare(&nothing, &wanted, "into nothing");
}

int main(void)
{
    check_start();
    for (FOR_EACH_ISA(isa))
        for (int real = GCH_F32; real <= GCH_F64; ++real)
            for (int with_nonfinite = 0; with_nonfinite < 2; ++with_nonfinite)
                check_rows(isa, (enum gch_real)real, with_nonfinite);
    check_bits_and_merging();
    return check_end("moments");
}
