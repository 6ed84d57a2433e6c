/* The geometry of a convolution, and of the padding that only it has. */
#include "core/conv_plan.h"

ptrdiff_t gch_conv_pad_index(enum gch_padding_mode mode, ptrdiff_t index, ptrdiff_t size)
{
    if (index >= 0 && index < size) return index;
    switch (mode) {
    case GCH_PAD_REFLECT:
        index = index < 0 ? -index : 2 * (size - 1) - index;
        break;
    case GCH_PAD_REPLICATE:
        index = index < 0 ? 0 : size - 1;
        break;
    case GCH_PAD_CIRCULAR:
        index = index < 0 ? index + size : index - size;
        break;
    case GCH_PAD_ZEROS:
        return -1;
    }
    return index >= 0 && index < size ? index : -1;
}

enum gch_status gch_conv_axis_size(const struct gch_conv_call *call, int which, ptrdiff_t *size)
{
    const struct gch_conv_geometry *g = &call->geometry;
    const ptrdiff_t input = call->size[which];
    for (int side = 0; side < 2; ++side) {
        const ptrdiff_t pad = g->pad[which][side];
        if (g->padding_mode == GCH_PAD_REFLECT && pad >= input) return GCH_BAD_VALUE;
        if (g->padding_mode == GCH_PAD_CIRCULAR && pad > input) return GCH_BAD_VALUE;
    }
    if (g->output_padding[which] != 0) return GCH_BAD_VALUE;
    const ptrdiff_t reach = g->dilation[which] * (call->kernel[which] - 1) + 1;
    const ptrdiff_t room = input + g->pad[which][0] + g->pad[which][1] - reach;
    if (room < 0) return GCH_BAD_VALUE;
    *size = room / g->stride[which] + 1;
    return GCH_OK;
}

enum gch_status gch_conv_plan_axis(struct gch_conv_plan *plan, int which)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    struct gch_conv_axis *axis = &plan->axis[which];
    axis->phases = 1;
    axis->stride = g->stride[which];
    axis->pitch = g->dilation[which];
    axis->tap_pitch = 1;
    axis->phase = gch_conv_take(plan, 1, sizeof *axis->phase);
    if (axis->phase == NULL) return GCH_NO_MEMORY;
    *axis->phase = (struct gch_conv_phase){axis->output, plan->call.kernel[which], 0, -g->pad[which][0]};
    return GCH_OK;
}
