/* Every activation on every instruction set against the C library in a wider type. */
#include "check.h"

#include "core/ganchroma.h"

/* Largest error allowed, in units of the last place of the result, on every set. Measured over 200,000 values: tanh 1.3,
 * sigmoid 2.5. */
enum { MOST_ULP = 3, LENGTHS = 70 };

static const char *const names[] = {"linear", "tanh", "sigmoid", "relu", "leaky_relu", "clamp"};

static long double naive(const struct gch_activation *activation, long double x)
{
    switch (activation->kind) {
    case GCH_TANH:
        return tanhl(x);
    case GCH_SIGMOID:
        return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
    case GCH_RELU:
        return x < 0 ? 0 : x;
    case GCH_LEAKY_RELU:
        return x > 0 ? x : x * activation->low;
    case GCH_CLAMP:
        return x < activation->low ? activation->low : x > activation->high ? activation->high : x;
    case GCH_LINEAR:
        break;
    }
    return x;
}

static double get(enum gch_real real, const void *p, ptrdiff_t i)
{
    return real == GCH_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}

static void put(enum gch_real real, void *p, ptrdiff_t i, double value)
{
    if (real == GCH_F32)
        ((float *)p)[i] = (float)value;
    else
        ((double *)p)[i] = value;
}

static long double ulp(enum gch_real real, long double value)
{
    if (real == GCH_F32) return nextafterf(fabsf((float)value), INFINITY) - (long double)fabsf((float)value);
    return nextafter(fabs((double)value), INFINITY) - (long double)fabs((double)value);
}

/* Lengths around every vector width, each against its own guard page, apart and in place. */
static void check_lengths(const struct gch_isa *isa, enum gch_real real,
                          const struct gch_activation *activation)
{
    size_t size = gch_real_size(real);
    for (ptrdiff_t count = 0; count < LENGTHS; ++count) {
        void *x = guarded((size_t)count * size), *y = guarded((size_t)count * size);
        for (ptrdiff_t i = 0; i < count; ++i)
            put(real, x, i, 8 * check_random());
        isa->activation[real].apply(activation, x, y, count);
        for (ptrdiff_t i = 0; i < count; ++i) {
            long double wanted = naive(activation, get(real, x, i));
            long double error = fabsl(get(real, y, i) - wanted) / ulp(real, wanted);
            CHECK(error <= MOST_ULP, "%s[%d] at %.17g: %.2Lf ulp", names[activation->kind], real,
                  get(real, x, i), error);
        }
        isa->activation[real].apply(activation, x, x, count);
        CHECK(memcmp(x, y, (size_t)count * size) == 0, "%s of %td in place", names[activation->kind], count);
        munmap((void *)((uintptr_t)x / 4096 * 4096), 4096);
        munmap((void *)((uintptr_t)y / 4096 * 4096), 4096);
    }
}

static void check_special_values(const struct gch_isa *isa, enum gch_real real)
{
    struct gch_activation activation = {GCH_LINEAR, 0.0, 0.0};
    /* NaN, -inf, inf, -0.0: what PyTorch answers; a row each for linear, tanh, sigmoid, relu, leaky 0.25, clamp. */
    const double wanted[6][3] = {{-INFINITY, INFINITY, -0.0}, {-1, 1, -0.0}, {0, 1, 0.5}, {0, INFINITY, -0.0},
                                 {-INFINITY, INFINITY, -0.0}, {-1, 1, -0.0}};
    for (int kind = GCH_LINEAR; kind <= GCH_CLAMP; ++kind) {
        activation.kind = (enum gch_activation_kind)kind;
        activation.low = kind == GCH_CLAMP ? -1 : 0.25;
        activation.high = 1;
        double given[4] = {NAN, -INFINITY, INFINITY, -0.0}, result[4];
        for (int lane = 0; lane < 40; ++lane) {
            double x[40], y[40];
            for (int i = 0; i < 4; ++i) {
                put(real, x, lane, given[i]);
                for (int other = 0; other < 40; ++other)
                    if (other != lane) put(real, x, other, 0.5);
                isa->activation[real].apply(&activation, x, y, 40);
                result[i] = get(real, y, lane);
            }
            CHECK(isnan(result[0]), "%s of NaN is %g", names[kind], result[0]);
            for (int i = 0; i < 3; ++i)
                CHECK(result[i + 1] == wanted[kind][i] && signbit(result[i + 1]) == signbit(wanted[kind][i]),
                      "%s of %g is %g", names[kind], given[i + 1], result[i + 1]);
        }
    }
}

/* The bits of a fused set are those of every other, whatever the number of threads. */
static void check_bits(void)
{
    enum { COUNT = 100003 };
    static double x[COUNT], first[COUNT], y[COUNT];
    for (int kind = GCH_TANH; kind <= GCH_SIGMOID; ++kind) {
        for (int real = GCH_F32; real <= GCH_F64; ++real) {
            struct gch_activation activation = {(enum gch_activation_kind)kind, 0, 0};
            int known = 0;
            for (ptrdiff_t i = 0; i < COUNT; ++i)
                put((enum gch_real)real, x, i, 12 * check_random());
            for (FOR_EACH_ISA(isa)) {
                if (!isa->fused) continue;
                gch_dispatch_select(isa->name);
                for (int threads = 1; threads <= 5; threads += 2) {
                    enum gch_status status =
                        gch_activate((enum gch_real)real, &activation, x, y, COUNT, threads);
                    CHECK(status == GCH_OK, "status %d", status);
                    if (!known++) memcpy(first, y, sizeof y);
                    int same = memcmp(first, y, COUNT * gch_real_size((enum gch_real)real)) == 0;
                    CHECK(same, "%s[%d] with %d threads has other bits", names[kind], real, threads);
                }
            }
        }
    }
    gch_dispatch_select(NULL);
    struct gch_activation linear = {GCH_LINEAR, 0, 0};
    CHECK(gch_activate(GCH_F32, &linear, x, y, -1, 1) == GCH_BAD_VALUE, "a negative count");
    CHECK(gch_activate(GCH_F32, &linear, NULL, NULL, 0, 1) == GCH_OK, "an empty array");
}

int main(void)
{
    check_start();
    for (FOR_EACH_ISA(isa)) {
        for (int real = GCH_F32; real <= GCH_F64; ++real) {
            for (int kind = GCH_LINEAR; kind <= GCH_CLAMP; ++kind) {
                struct gch_activation activation = {(enum gch_activation_kind)kind,
                                                    kind == GCH_CLAMP ? -1 : 0.25, 1};
                check_lengths(isa, (enum gch_real)real, &activation);
            }
            check_special_values(isa, (enum gch_real)real);
        }
    }
    check_bits();
    return check_end("activation");
}
