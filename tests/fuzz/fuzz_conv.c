/* Convolutions and their gradients: any geometry at all is refused or has a size, and small ones are run. */
#include "fuzz.h"

static struct gch_conv_call take_extreme(struct bytes *in)
{
    struct gch_conv_call call = {.threads = 1, .output_scale = 1};
    call.geometry.transposed = take_byte(in) & 1;
    call.geometry.padding_mode = (enum gch_padding_mode)take_between(in, 0, 3);
    call.images = take_any(in), call.channels = take_any(in), call.filters = take_any(in);
    for (int i = 0; i < 2; ++i) {
        call.size[i] = take_any(in), call.kernel[i] = take_any(in);
        call.geometry.stride[i] = take_any(in), call.geometry.dilation[i] = take_any(in);
        call.geometry.pad[i][0] = take_any(in), call.geometry.pad[i][1] = take_any(in);
        call.geometry.output_padding[i] = take_any(in);
    }
    return call;
}

static struct gch_conv_call take_small(struct bytes *in)
{
    struct gch_conv_call call = {.threads = (int)take_between(in, 1, 3), .output_scale = take_double(in)};
    call.real = take_byte(in) & 1 ? GCH_F64 : GCH_F32;
    call.geometry.transposed = take_byte(in) & 1;
    call.geometry.padding_mode = (enum gch_padding_mode)take_between(in, 0, 3);
    call.images = take_between(in, 0, 3), call.channels = take_between(in, 1, 35);
    call.filters = take_between(in, 1, 9);
    for (int i = 0; i < 2; ++i) {
        call.size[i] = take_between(in, 1, 40), call.kernel[i] = take_between(in, 1, 8);
        call.geometry.stride[i] = take_between(in, 1, 5), call.geometry.dilation[i] = take_between(in, 1, 4);
        call.geometry.pad[i][0] = take_between(in, 0, 12), call.geometry.pad[i][1] = take_between(in, -3, 12);
        call.geometry.output_padding[i] = take_between(in, 0, 4);
    }
    call.x_last = take_byte(in) & 1, call.out_last = take_byte(in) & 1;
    call.activation = (struct gch_activation){(enum gch_activation_kind)take_between(in, 0, 5), -1, 1};
    return call;
}

static void run_gradients(struct bytes *in, struct gch_conv_call *call, const ptrdiff_t size[2])
{
    const size_t real = gch_real_size(call->real);
    const ptrdiff_t inputs = call->images * call->channels * call->size[0] * call->size[1];
    const ptrdiff_t weights = call->channels * call->filters * call->kernel[0] * call->kernel[1];
    struct gch_conv_gradients gradients = {
        .layer = call,
        .output = take_array(in, call->images * call->filters * size[0] * size[1], real),
        .input = take_array(in, inputs, real),
        .weight = take_array(in, weights, real),
        .bias = take_array(in, call->filters, real),
    };
    struct gch_conv_backward_plan *plan;
    call->x_last = call->out_last = 0;
    if (gch_conv_backward_open(&gradients, &plan) == GCH_OK) {
        gch_conv_backward_run(plan, 0, gch_conv_backward_items(plan));
        gch_conv_backward_close(plan);
    }
    free((void *)(size_t)gradients.output);
    free(gradients.input), free(gradients.weight), free(gradients.bias);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size};
    ptrdiff_t output[2];
    take_isa(&in);
    if (take_byte(&in) % 4 == 0) {
        const struct gch_conv_call call = take_extreme(&in);
        return gch_conv_output_size(&call, output) == GCH_OK && (output[0] < 1 || output[1] < 1) ? abort(),
               0                                                                                 : 0;
    }
    struct gch_conv_call call = take_small(&in);
    if (gch_conv_output_size(&call, output) != GCH_OK) return 0;
    const size_t real = gch_real_size(call.real);
    const ptrdiff_t outputs = call.images * call.filters * output[0] * output[1];
    const uint8_t parts = take_byte(&in);
    const int with_moments = call.filters == 3 && parts & 1;
    void *x = take_array(&in, call.images * call.channels * call.size[0] * call.size[1], real);
    void *weight = take_array(&in, call.channels * call.filters * call.kernel[0] * call.kernel[1], real);
    void *bias = parts & 2 ? take_array(&in, call.filters, real) : NULL;
    void *scale = parts & 4 ? take_array(&in, call.images * call.channels, real) : NULL;
    void *out = parts & 8 || !with_moments ? take_array(&in, outputs, real) : NULL;
    void *moments = with_moments ? take_array(&in, call.images, sizeof(struct gch_moments)) : NULL;
    call.x = x, call.weight = weight, call.bias = bias, call.channel_scale = scale;
    call.out = out, call.moments = moments;
    gch_conv(&call);
    if (parts & 16) run_gradients(&in, &call, output);
    free(x), free(weight), free(bias), free(scale), free(out), free(moments);
    return 0;
}
