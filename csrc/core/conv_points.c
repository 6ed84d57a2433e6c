/* Layers of which every output reads one input, at its own place: an image is one run of pixels. */
#include "core/conv_plan.h"

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Where a block of channels of a run of pixels lies in the input. */
static const char *input_at(const struct gch_conv_call *call, ptrdiff_t image, ptrdiff_t channel,
                            ptrdiff_t pixel)
{
    const ptrdiff_t plane = call->size[0] * call->size[1];
    const ptrdiff_t at = call->x_last ? pixel * call->channels + channel : channel * plane + pixel;
    return (const char *)call->x +
           (image * call->channels * plane + at) * (ptrdiff_t)gch_real_size(call->real);
}

void gch_conv_run_points(const struct gch_conv_plan *plan, struct gch_conv_worker *worker, ptrdiff_t image,
                         ptrdiff_t from, ptrdiff_t to, const char *packed)
{
    const struct gch_conv_call *call = &plan->call;
    const ptrdiff_t size = (ptrdiff_t)gch_real_size(call->real), begin = from * call->size[1];
    const ptrdiff_t end = to * call->size[1], run = call->x_last ? GCH_CONV_LAST_RUN : GCH_CONV_RUN;
    struct gch_conv_points points = {
        .step = call->x_last ? plan->planes_step : call->size[0] * call->size[1],
        .chain = worker->chain,
        .sum_filter = plan->sum_filter,
    };
    for (ptrdiff_t at = begin; at < end; at += run) {
        points.count = least(run, end - at);
        for (ptrdiff_t channel = 0; channel < call->channels; channel += GCH_CONV_BLOCK) {
            points.channels = (int)least(GCH_CONV_BLOCK, call->channels - channel);
            points.add = channel > 0;
            const int last = channel + points.channels == call->channels;
            if (call->x_last) {
                plan->kernels->planes(&(struct gch_conv_planes){
                    .x = input_at(call, image, channel, at),
                    .pixel = call->channels,
                    .count = points.count,
                    .channels = points.channels,
                    .out = worker->planes,
                    .step = plan->planes_step,
                    .next = input_at(call, image, channel * run, at + run),
                });
                points.x = points.next = worker->planes;
            } else {
                points.x = input_at(call, image, channel, at);
                points.next = last ? input_at(call, image, 0, at + points.count)
                                   : input_at(call, image, channel + points.channels, at);
            }
            for (ptrdiff_t f = 0; f < call->filters; f += plan->kernels->filters) {
                points.filters = (int)least(plan->kernels->filters, call->filters - f);
                points.weight = packed + (f * call->channels + channel * points.filters) * size;
                points.sum = worker->sum + (f * plan->sum_filter + at - begin) * size;
                plan->kernels->points(&points);
                if (gch_conv_stopped(worker, points.count * points.channels * points.filters)) return;
            }
        }
    }
}
