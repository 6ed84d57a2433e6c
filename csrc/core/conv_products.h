/* Sums of products of maps over images: the gradients of weights and biases. Internal. */
#ifndef GCH_CORE_CONV_PRODUCTS_H
#define GCH_CORE_CONV_PRODUCTS_H

#include "core/conv_plan.h"

/* out (planes, maps, kernel) = scale * the sum over images and pixels of a(y, x) * b(y * stride + ky * dilation -
 * pad, ...), a (images, planes, size), b (images, maps, other). b NULL: a map of ones. */
struct gch_conv_product_sum {
    enum gch_real real;
    const struct gch_conv_geometry
        *geometry; /* of a layer that reads b and makes a; padding of zeros if transposed */
    ptrdiff_t images, planes, size[2], maps, other[2], kernel[2];
    const void *a, *b;
    const void *scale; /* (images, maps), or if the layer is transposed (images, planes); or NULL */
    double by;
    void *out;
    int threads;
};

/* Items before gch_conv_products_split sum images, those from there on add up what the first have summed. */
struct gch_conv_products_plan;
enum gch_status gch_conv_products_open(const struct gch_conv_product_sum *sum,
                                       struct gch_conv_products_plan **plan);
ptrdiff_t gch_conv_products_split(const struct gch_conv_products_plan *plan);
ptrdiff_t gch_conv_products_items(const struct gch_conv_products_plan *plan);
void gch_conv_products_run(struct gch_conv_products_plan *plan, ptrdiff_t first, ptrdiff_t last);
void gch_conv_products_close(struct gch_conv_products_plan *plan);

#endif
