/* The gradients of a convolution or transposed convolution, one after the other.
 *
 * The gradient of the input of one kind is a layer of the other kind with the same weights in the same memory. Where a
 * convolution pads with anything but zeros, it makes the gradient of the padded input, which is then folded.
 */
#include "core/conv_products.h"

#include <string.h>

#include "core/parallel.h"

struct gch_conv_backward_plan {
    struct gch_conv_call layer;
    struct gch_conv_gradients gradients;
    struct gch_conv_plan *input;
    char *padded;         /* (images, channels, padded size) or NULL */
    ptrdiff_t *copied[2]; /* per row and column of it: what the padding copied */
    struct gch_conv_products_plan *weight, *bias;
    ptrdiff_t items[4]; /* where input, folds, weight and bias end */
};

/* The layer that takes the gradient of the output and makes that of the (padded) input. */
static struct gch_conv_call adjoint(const struct gch_conv_gradients *gradients, const ptrdiff_t output[2],
                                    void *padded)
{
    const struct gch_conv_call *layer = gradients->layer;
    struct gch_conv_call call = *layer;
    struct gch_conv_geometry *g = &call.geometry;
    g->transposed = !layer->geometry.transposed;
    g->padding_mode = GCH_PAD_ZEROS;
    for (int i = 0; i < 2; ++i) {
        call.size[i] = output[i];
        const ptrdiff_t reach = (output[i] - 1) * g->stride[i] + g->dilation[i] * (call.kernel[i] - 1) + 1;
        if (!g->transposed) {
            g->pad[i][1] -= g->output_padding[i] / g->stride[i] * g->stride[i];
            g->output_padding[i] = 0;
            continue;
        }
        g->output_padding[i] = layer->size[i] + g->pad[i][0] + g->pad[i][1] - reach;
        if (padded != NULL) g->pad[i][0] = g->pad[i][1] = 0;
    }
    call.channels = layer->filters, call.filters = layer->channels;
    call.x = gradients->output, call.bias = NULL, call.moments = NULL;
    call.filter_scale = layer->channel_scale, call.channel_scale = NULL;
    call.activation = (struct gch_activation){GCH_LINEAR, 0, 0};
    call.out = padded != NULL ? padded : gradients->input;
    return call;
}

static int is_padded(const struct gch_conv_geometry *g)
{
    return g->padding_mode != GCH_PAD_ZEROS && g->pad[0][0] + g->pad[0][1] + g->pad[1][0] + g->pad[1][1] > 0;
}

static enum gch_status open_input(struct gch_conv_backward_plan *plan, const ptrdiff_t output[2])
{
    const struct gch_conv_call *layer = &plan->layer;
    const struct gch_conv_geometry *g = &layer->geometry;
    size_t count = (size_t)(layer->images * layer->channels);
    for (int i = 0; is_padded(g) && i < 2; ++i) {
        const ptrdiff_t before = g->pad[i][0], size = before + layer->size[i] + g->pad[i][1];
        if (__builtin_mul_overflow(count, (size_t)size, &count)) return GCH_TOO_LARGE;
        plan->copied[i] = gch_alloc((size_t)size, sizeof *plan->copied[i]);
        if (plan->copied[i] == NULL) return GCH_NO_MEMORY;
        for (ptrdiff_t k = 0; k < size; ++k)
            plan->copied[i][k] = gch_conv_pad_index(g->padding_mode, k - before, layer->size[i]);
    }
    if (is_padded(g) && (plan->padded = gch_alloc(count, gch_real_size(layer->real))) == NULL)
        return GCH_NO_MEMORY;
    const struct gch_conv_call call = adjoint(&plan->gradients, output, plan->padded);
    return gch_conv_open(&call, &plan->input);
}

static enum gch_status open_products(struct gch_conv_backward_plan *plan, const ptrdiff_t output[2])
{
    const struct gch_conv_call *layer = &plan->layer;
    const struct gch_conv_gradients *gradients = &plan->gradients;
    enum gch_status status = GCH_OK;
    const struct gch_conv_product_sum bias = {
        .real = layer->real,
        .geometry = &layer->geometry,
        .images = layer->images,
        .planes = layer->filters,
        .size = {output[0], output[1]},
        .maps = 1,
        .kernel = {1, 1},
        .a = gradients->output,
        .by = 1.0,
        .out = gradients->bias,
        .threads = layer->threads,
    };
    struct gch_conv_product_sum weight = bias;
    weight.maps = layer->channels, weight.b = layer->x;
    if (layer->geometry.transposed) {
        weight.planes = layer->channels, weight.a = layer->x;
        weight.maps = layer->filters, weight.b = gradients->output;
    }
    for (int i = 0; i < 2; ++i) {
        weight.size[i] = layer->geometry.transposed ? layer->size[i] : output[i];
        weight.other[i] = layer->geometry.transposed ? output[i] : layer->size[i];
        weight.kernel[i] = layer->kernel[i];
    }
    weight.scale = layer->channel_scale, weight.by = layer->output_scale, weight.out = gradients->weight;
    if (gradients->weight != NULL) status = gch_conv_products_open(&weight, &plan->weight);
    if (status == GCH_OK && gradients->bias != NULL) status = gch_conv_products_open(&bias, &plan->bias);
    return status;
}

enum gch_status gch_conv_backward_open(const struct gch_conv_gradients *gradients,
                                       struct gch_conv_backward_plan **opened)
{
    ptrdiff_t output[2];
    *opened = NULL;
    enum gch_status status = gch_conv_output_size(gradients->layer, output);
    if (status != GCH_OK) return status;
    struct gch_conv_backward_plan *plan = gch_alloc(1, sizeof *plan);
    if (plan == NULL) return GCH_NO_MEMORY;
    memset(plan, 0, sizeof *plan);
    plan->layer = *gradients->layer;
    plan->gradients = *gradients;
    plan->gradients.layer = &plan->layer;
    if (gradients->input != NULL) status = open_input(plan, output);
    if (status == GCH_OK) status = open_products(plan, output);
    if (status != GCH_OK) {
        gch_conv_backward_close(plan);
        return status;
    }
    plan->items[0] = plan->input != NULL ? gch_conv_items(plan->input) : 0;
    plan->items[1] = plan->items[0] + (plan->padded != NULL ? plan->layer.images * plan->layer.channels : 0);
    plan->items[2] = plan->items[1] + (plan->weight != NULL ? gch_conv_products_items(plan->weight) : 0);
    plan->items[3] = plan->items[2] + (plan->bias != NULL ? gch_conv_products_items(plan->bias) : 0);
    *opened = plan;
    return GCH_OK;
}

static void fold_plane(void *context, ptrdiff_t index, int worker)
{
    const struct gch_conv_backward_plan *plan = context;
    const struct gch_conv_call *layer = &plan->layer;
    const struct gch_conv_geometry *g = &layer->geometry;
    const ptrdiff_t size = (ptrdiff_t)gch_real_size(layer->real);
    (void)worker;
    struct gch_conv_fold fold = {.row = plan->copied[0], .column = plan->copied[1]};
    ptrdiff_t padded = size, plane = size;
    for (int i = 0; i < 2; ++i) {
        fold.size[i] = layer->size[i], fold.pad[i][0] = g->pad[i][0], fold.pad[i][1] = g->pad[i][1];
        plane *= layer->size[i];
        padded *= layer->size[i] + g->pad[i][0] + g->pad[i][1];
    }
    fold.padded = plan->padded + index * padded;
    fold.out = (char *)plan->gradients.input + index * plane;
    gch_isa()->conv[layer->real].fold(&fold);
}

ptrdiff_t gch_conv_backward_items(const struct gch_conv_backward_plan *plan) { return plan->items[3]; }

void gch_conv_backward_run(struct gch_conv_backward_plan *plan, ptrdiff_t first, ptrdiff_t last)
{
    ptrdiff_t begin = 0;
    for (int stage = 0; stage < 4; ++stage) {
        const ptrdiff_t from = (first > begin ? first : begin) - begin;
        const ptrdiff_t to = (last < plan->items[stage] ? last : plan->items[stage]) - begin;
        begin = plan->items[stage];
        if (from >= to) continue;
        if (stage == 0)
            gch_conv_run(plan->input, from, to);
        else if (stage == 1)
            gch_parallel_for(from, to, plan->layer.threads, fold_plane, plan);
        else
            gch_conv_products_run(stage == 2 ? plan->weight : plan->bias, from, to);
    }
}

void gch_conv_backward_close(struct gch_conv_backward_plan *plan)
{
    if (plan == NULL) return;
    gch_conv_close(plan->input);
    gch_conv_products_close(plan->weight);
    gch_conv_products_close(plan->bias);
    gch_free(plan->padded);
    gch_free(plan->copied[0]);
    gch_free(plan->copied[1]);
    gch_free(plan);
}
