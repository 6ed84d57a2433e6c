/* Layers of which every output reads one input, at its own place: an image is one run of pixels. */
#include "core/conv_plan.h"

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

void gch_conv_run_points(const struct gch_conv_plan *plan, const struct gch_conv_worker *worker,
                         ptrdiff_t image, ptrdiff_t from, ptrdiff_t to, const char *packed)
{
    const struct gch_conv_call *call = &plan->call;
    const ptrdiff_t size = (ptrdiff_t)gch_real_size(call->real), width = call->size[1];
    const ptrdiff_t plane = call->size[0] * width, begin = from * width, end = to * width;
    const char *x = (const char *)call->x + image * call->channels * plane * size;
    struct gch_conv_points points = {.step = plane, .chain = worker->chain, .sum_filter = plan->sum_filter};
    for (ptrdiff_t at = begin; at < end; at += GCH_CONV_RUN) {
        points.count = least(GCH_CONV_RUN, end - at);
        for (ptrdiff_t channel = 0; channel < call->channels; channel += GCH_CONV_BLOCK) {
            points.channels = (int)least(GCH_CONV_BLOCK, call->channels - channel);
            points.x = x + (channel * plane + at) * size;
            points.add = channel > 0;
            const int last = channel + points.channels == call->channels;
            points.next =
                last ? x + (at + points.count) * size : x + ((channel + points.channels) * plane + at) * size;
            for (ptrdiff_t f = 0; f < call->filters; f += GCH_CONV_FILTERS) {
                points.filters = (int)least(GCH_CONV_FILTERS, call->filters - f);
                points.weight = packed + (f * call->channels + channel * points.filters) * size;
                points.sum = worker->sum + (f * plan->sum_filter + at - begin) * size;
                plan->kernels->points(&points);
            }
        }
    }
}
