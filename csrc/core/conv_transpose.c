/* The geometry of a transposed convolution.
 *
 * Input i and tap k add to position i * stride + k * dilation of the full result, of which pad[0] positions
 * are cut off in front. So output o takes the taps for which o + pad[0] - k * dilation is a multiple of the
 * stride: the same taps for all o of one remainder, which is what a phase is, and with rising k the input
 * index falls.
 */
#include "core/conv_plan.h"

static ptrdiff_t greatest_common_divisor(ptrdiff_t a, ptrdiff_t b)
{
    while (b != 0) {
        ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

enum gch_status gch_conv_transpose_axis_size(const struct gch_conv_call *call, int which, ptrdiff_t *size)
{
    const struct gch_conv_geometry *g = &call->geometry;
    const ptrdiff_t stride = g->stride[which], dilation = g->dilation[which];
    if (g->padding_mode != GCH_PAD_ZEROS) return GCH_BAD_VALUE;
    if (g->output_padding[which] >= (stride > dilation ? stride : dilation)) return GCH_BAD_VALUE;
    const ptrdiff_t full = (call->size[which] - 1) * stride + dilation * (call->kernel[which] - 1) + 1;
    *size = full + g->output_padding[which] - g->pad[which][0] - g->pad[which][1];
    return *size < 1 ? GCH_BAD_VALUE : GCH_OK;
}

enum gch_status gch_conv_transpose_plan_axis(struct gch_conv_plan *plan, int which)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    struct gch_conv_axis *axis = &plan->axis[which];
    const ptrdiff_t stride = g->stride[which], dilation = g->dilation[which],
                    kernel = plan->call.kernel[which];
    const ptrdiff_t common = greatest_common_divisor(stride, dilation);
    axis->phases = stride < axis->output ? stride : axis->output;
    axis->stride = 1;
    axis->pitch = -(dilation / common);
    axis->tap_pitch = stride / common;
    axis->phase = gch_conv_take(plan, (size_t)axis->phases, sizeof *axis->phase);
    if (axis->phase == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t p = 0; p < axis->phases; ++p) {
        const ptrdiff_t position = p + g->pad[which][0];
        ptrdiff_t tap = 0;
        while (tap < kernel && tap < axis->tap_pitch && (position - tap * dilation) % stride != 0)
            ++tap;
        const int none = tap == kernel || tap == axis->tap_pitch;
        axis->phase[p].count = (axis->output - p + axis->phases - 1) / axis->phases;
        axis->phase[p].taps = none ? 0 : (kernel - tap + axis->tap_pitch - 1) / axis->tap_pitch;
        axis->phase[p].tap = none ? 0 : tap;
        axis->phase[p].first = none ? 0 : (position - tap * dilation) / stride;
    }
    return GCH_OK;
}
