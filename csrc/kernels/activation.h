/* Pointwise activations. SERIAL: no allocation, no threads, no errors. */
#ifndef GCH_KERNELS_ACTIVATION_H
#define GCH_KERNELS_ACTIVATION_H

#include "common.h"

enum gch_activation_kind { GCH_LINEAR, GCH_TANH, GCH_SIGMOID, GCH_RELU, GCH_LEAKY_RELU, GCH_CLAMP };

/* low and high: the slope (in low) of GCH_LEAKY_RELU, the limits of GCH_CLAMP; otherwise unused. */
struct gch_activation {
    enum gch_activation_kind kind;
    double low, high;
};

struct gch_activation_kernels {
    /* y[i] = activation(x[i]) for i < count. Elements have the table's type; any alignment; y may be x.
     * NaN and infinities go through as in PyTorch; relu(-0.0) is -0.0.
     * Tanh is within 1.55 units in the last place; sigmoid within 2.45 in float, 2.85 in double; leaky_relu rounds
     * its product once, the others are exact. */
    void (*apply)(const struct gch_activation *activation, const void *x, void *y, ptrdiff_t count);
    /* out[i] = grad[i] * activation'(x[i]); out may be grad or x. At the kinks and for NaN as in PyTorch: relu is flat
     * at 0, leaky_relu has its slope there, clamp has slope 1 at its limits; a NaN in x passes grad on through relu,
     * passes slope * grad through leaky_relu and nothing through clamp. */
    void (*backward)(const struct gch_activation *activation, const void *grad, const void *x, void *out,
                     ptrdiff_t count);
};

#endif
