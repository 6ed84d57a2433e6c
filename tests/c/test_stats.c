/* Levels, colour and their sums on every instruction set: integers against their definition, colour to the
 * same bits. */
#include "check.h"

#include "core/ganchroma.h"

enum { LENGTHS = 70, LONG = 9001 };

static int naive_level(double value, const struct gch_range *range, enum gch_rule rule)
{
    if (isnan(value)) return 0;
    double t = 255 * (value - range->low) / (range->high - range->low);
    if (!(t > 0)) return 0;
    if (t > 255) return 255;
    return (int)(rule == GCH_RULE_ROUND ? rint(t) : floor(t));
}

static double element(enum gch_real real, const void *array, ptrdiff_t at)
{
    return real == GCH_F32 ? (double)((const float *)array)[at] : ((const double *)array)[at];
}

static void set_element(enum gch_real real, void *array, ptrdiff_t at, double value)
{
    if (real == GCH_F32) {
        ((float *)array)[at] = (float)value;
    } else {
        ((double *)array)[at] = value;
    }
}

/* Values anywhere, or (`calm`) hardly outside the range, every fourth of them a hair from where two levels meet. */
static double some_value(const struct gch_range *range, int calm)
{
    const double span = range->high - range->low, share = 0.5 + (calm ? 0.51 : 0.6) * check_random();
    if (!calm && check_random() > 0.8) return check_random() > 0 ? NAN : INFINITY;
    if (check_random() < 0.5) return range->low + share * span;
    return range->low + (floor(255 * share) + 0.5 + 3e-5 * check_random()) / 255 * span;
}

static void check_quantize(const struct gch_isa *isa, enum gch_real real, enum gch_rule rule,
                           struct gch_range range, ptrdiff_t count, int calm)
{
    void *values = guarded((size_t)count * gch_real_size(real));
    uint8_t *levels = guarded((size_t)count);
    struct gch_value_extremes got = {{0, 0}, INFINITY, -INFINITY}, wanted = got;
    double exact[LONG];
    for (ptrdiff_t x = 0; x < count; ++x) {
        double value = some_value(&range, calm);
        set_element(real, values, x, value);
        exact[x] = element(real, values, x);
        if (!isfinite(exact[x])) continue;
        const double t = 255 * (exact[x] - range.low) / (range.high - range.low);
        wanted.near[0] += t <= 2.55;
        wanted.near[1] += t >= 252.45;
        wanted.least = fmin(wanted.least, exact[x]);
        wanted.most = fmax(wanted.most, exact[x]);
    }
    isa->stats[real].quantize(&range, rule, values, levels, count, &got);
    for (ptrdiff_t x = 0; x < count; ++x) {
        int level = naive_level(exact[x], &range, rule);
        CHECK(levels[x] == level, "%.17g became %d, not %d", exact[x], levels[x], level);
        got.near[0] += level <= 2;
        got.near[1] += level >= 253;
    }
    CHECK(memcmp(&got, &wanted, sizeof got) == 0, "extremes of %td values", count);
}

static void check_quantized(const struct gch_isa *isa, enum gch_real real, enum gch_rule rule)
{
    const struct gch_range ranges[] = {{-1, 1},      {0, 1},       {0, 255},
                                       {-0.1, 0.83}, {1000, 1001}, {-3e-39, 5e-39}};
    for (ptrdiff_t count = 0; count < LENGTHS; ++count)
        check_quantize(isa, real, rule, ranges[count % 2], count, 0);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; ++i) {
        check_quantize(isa, real, rule, ranges[i], LONG, 0);
        check_quantize(isa, real, rule, ranges[i], LONG, 1);
    }
}

/* Three images' values on top of what is there; in whole numbers, so without an error. */
static void check_place(const struct gch_isa *isa, enum gch_real real, ptrdiff_t count)
{
    const struct gch_range range = {-1, 3};
    double *sums = guarded((size_t)count * sizeof *sums), wanted[LENGTHS];
    for (ptrdiff_t x = 0; x < count; ++x)
        wanted[x] = sums[x] = (double)x;
    for (int image = 0; image < 3; ++image) {
        void *values = guarded((size_t)count * gch_real_size(real));
        for (ptrdiff_t x = 0; x < count; ++x) {
            double value = check_random(), share;
            if (value > 0.9) value = value > 0.95 ? 1e30 : NAN;
            set_element(real, values, x, value);
            share = (element(real, values, x) + 1) / 4;
            wanted[x] += isnan(share) ? -0x1p40 : rint(fmin(share, 256) * 0x1p32);
        }
        isa->stats[real].place(&range, values, sums, count);
    }
    CHECK(memcmp(sums, wanted, (size_t)count * sizeof *sums) == 0, "sums at %td positions", count);
}

static void naive_sums(const uint8_t *const plane[3], ptrdiff_t count, struct gch_level_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    for (ptrdiff_t x = 0; x < count; ++x) {
        int c[3] = {plane[0][x], plane[1][x], plane[2][x]}, most = 0, least = 255;
        for (int i = 0, k = 0; i < 3; ++i) {
            sums->sum[i] += c[i];
            sums->clipped[0] += c[i] == 0;
            sums->clipped[1] += c[i] == 255;
            for (int j = i; j < 3; ++j)
                sums->product[k++] += c[i] * c[j];
            most = c[i] > most ? c[i] : most;
            least = c[i] < least ? c[i] : least;
        }
        sums->opponent[0] += abs(c[0] - c[1]);
        sums->opponent[1] += abs(c[0] + c[1] - 2 * c[2]);
        for (int tolerance = 0; tolerance < 3; ++tolerance)
            sums->gray[tolerance] += most - least <= tolerance;
    }
}

/* `chroma` has no integer definition; it must be one number on all instruction sets. */
static void check_sums(ptrdiff_t count, int extreme)
{
    uint8_t *bytes[3];
    float *levels[3];
    for (int i = 0; i < 3; ++i) {
        bytes[i] = guarded((size_t)count);
        levels[i] = guarded((size_t)count * sizeof(float));
    }
    for (ptrdiff_t x = 0; x < count; ++x) {
        int gray = (int)(127.5 + 127 * check_random()),
            near = gray > 252 ? 0 : (int)(1.5 + 1.5 * check_random());
        for (int i = 0; i < 3; ++i)
            bytes[i][x] = (uint8_t)(extreme ? 255 : check_random() > 0.5 ? gray : gray + near);
    }
    struct gch_level_sums wanted;
    naive_sums((const uint8_t *const *)bytes, count, &wanted);
    int64_t chroma = -1;
    for (FOR_EACH_ISA(isa)) {
        struct gch_level_sums got = {0};
        struct gch_value_extremes extremes = {{0, 0}, INFINITY, -INFINITY};
        for (int i = 0; i < 3; ++i) {
            isa->levels_from_bytes(bytes[i], levels[i], count);
            for (ptrdiff_t x = 0; x < count; ++x)
                CHECK(levels[i][x] == (float)bytes[i][x], "byte %d as %g", bytes[i][x], (double)levels[i][x]);
        }
        isa->bytes_sums((const uint8_t *const *)bytes, count, &got, &extremes);
        isa->bytes_chroma((const uint8_t *const *)bytes, count, &got);
        if (chroma < 0) chroma = got.chroma;
        CHECK(got.chroma == chroma, "chroma of %td pixels: %lld, elsewhere %lld", count,
              (long long)got.chroma, (long long)chroma);
        wanted.chroma = chroma;
        CHECK(memcmp(&got, &wanted, sizeof got) == 0, "sums of %td pixels", count);
        int64_t sum[3] = {0}, product[6] = {0};
        isa->bytes_moments((const uint8_t *const *)bytes, count, sum, product);
        CHECK(memcmp(sum, wanted.sum, sizeof sum) == 0, "sums alone of %td pixels", count);
        CHECK(memcmp(product, wanted.product, sizeof product) == 0, "products of %td pixels", count);
        uint16_t *words = guarded((size_t)count * sizeof *words);
        for (ptrdiff_t x = 0; x < count; ++x)
            words[x] = (uint16_t)(64000 - x % 7);
        const uint8_t *const some[GCH_ADDED] = {bytes[1], bytes[0], bytes[1], bytes[2]};
        isa->bytes_add(some, words, count);
        for (ptrdiff_t x = 0; x < count; ++x)
            CHECK(words[x] == 64000 - x % 7 + bytes[0][x] + 2 * bytes[1][x] + bytes[2][x],
                  "byte %td added: %d", x, words[x]);
    }
}

/* Outputs at the very end of memory, and the bits of the first instruction set; of planes and of pixels woven. */
static void check_color(enum gch_real real, int kernel)
{
    const struct gch_range range = {-1, 1};
    size_t size = gch_real_size(real);
    for (ptrdiff_t count = 0; count < LENGTHS; ++count) {
        void *rgb[3], *out[3], *known[3], *woven = guarded(3 * (size_t)count * size),
                                          *woven_out = guarded(3 * (size_t)count * size);
        for (int i = 0; i < 3; ++i) {
            rgb[i] = guarded((size_t)count * size);
            out[i] = guarded((size_t)count * size);
            known[i] = guarded((size_t)count * size);
            for (ptrdiff_t x = 0; x < count; ++x) {
                double value = check_random() > 0.98 ? NAN : 1.1 * check_random();
                set_element(real, rgb[i], x, value);
                set_element(real, woven, 3 * x + i, value);
            }
        }
        int seen = 0;
        for (FOR_EACH_ISA(isa)) {
            const struct gch_color_kernels *kernels = &isa->color[real];
            gch_color_kernel convert = kernel == 0   ? kernels->lab
                                       : kernel == 1 ? kernels->hsv
                                                     : kernels->opponent;
            convert(&range, (const void *const *)rgb, seen ? out : known, count);
            for (ptrdiff_t k = 0; k < 3 * count && seen; ++k) {
                double a = element(real, out[k / count], k % count);
                double b = element(real, known[k / count], k % count);
                CHECK(a == b || (isnan(a) && isnan(b)), "kernel %d: %.17g, elsewhere %.17g", kernel, a, b);
            }
            seen = 1;
            if (kernel == 2) continue;
            (kernel == 0 ? kernels->lab_woven : kernels->hsv_woven)(&range, woven, woven_out, count);
            for (ptrdiff_t k = 0; k < 3 * count; ++k) {
                double a = element(real, woven_out, k), b = element(real, known[k % 3], k / 3);
                CHECK(a == b || (isnan(a) && isnan(b)), "woven %d: %.17g, planes %.17g", kernel, a, b);
            }
        }
    }
}

int main(void)
{
    check_start();
    for (FOR_EACH_ISA(isa))
        for (int real = GCH_F32; real <= GCH_F64; ++real) {
            for (int rule = GCH_RULE_ROUND; rule <= GCH_RULE_FLOOR; ++rule)
                check_quantized(isa, (enum gch_real)real, (enum gch_rule)rule);
            for (ptrdiff_t count = 0; count < LENGTHS; ++count)
                check_place(isa, (enum gch_real)real, count);
        }
    for (ptrdiff_t count = 0; count < LENGTHS; ++count)
        check_sums(count, 0);
    check_sums(LONG, 0);
    check_sums(LONG, 1);
    for (int real = GCH_F32; real <= GCH_F64; ++real)
        for (int kernel = 0; kernel < 3; ++kernel)
            check_color((enum gch_real)real, kernel);
    return check_end("stats");
}
