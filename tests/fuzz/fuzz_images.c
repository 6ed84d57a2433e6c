/* Images of any strides, any values, any range, through everything that reads pictures. */
#include "fuzz.h"

static const ptrdiff_t pixel_size[] = {1, sizeof(float), sizeof(double)};

struct batch {
    struct gch_images images;
    char *memory;
};

/* Axes in any order, steps of any sign, gaps, and axes that repeat (input only). */
static struct batch take_images(struct bytes *in, enum gch_pixel pixel, const ptrdiff_t shape[4], int output)
{
    struct batch batch = {.images = {pixel, NULL, shape[0], shape[2], shape[3], {0}}};
    ptrdiff_t length = 1, offset = 0;
    for (int left = 0xf; left != 0;) {
        int axis = take_byte(in) & 3;
        while (!(left >> axis & 1))
            axis = (axis + 1) & 3;
        left &= ~(1 << axis);
        const uint8_t kind = take_byte(in);
        if (!output && kind % 8 == 0) continue; /* every element along it is the same one */
        const ptrdiff_t step = (kind & 16 ? 2 : 1) * length, size = shape[axis] > 0 ? shape[axis] : 1;
        batch.images.stride[axis] = (kind & 32 ? -step : step) * pixel_size[pixel];
        if (kind & 32) offset += step * (size - 1);
        length = length + step * (size - 1);
    }
    batch.memory = take_array(in, length, (size_t)pixel_size[pixel]);
    batch.images.data = batch.memory + offset * pixel_size[pixel];
    return batch;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size};
    take_isa(&in);
    const enum gch_pixel pixel = (enum gch_pixel)take_between(&in, 0, 2);
    const int threads = (int)take_between(&in, 1, 3), what = (int)take_between(&in, 0, 5);
    const ptrdiff_t shape[4] = {take_between(&in, 0, 3), 3, take_between(&in, 0, 90),
                                take_between(&in, 0, 90)};
    const ptrdiff_t every = take_any(&in);
    const struct gch_range range = {take_double(&in), take_double(&in)};
    const enum gch_rule rule = take_byte(&in) & 1 ? GCH_RULE_ROUND : GCH_RULE_FLOOR;
    const struct batch from = take_images(&in, pixel, shape, 0);
    const struct batch to = take_images(&in, what == 2 ? GCH_PIXEL_U8 : pixel, shape, 1);
    struct gch_moments *moments = take_array(&in, shape[0], sizeof *moments);
    struct gch_level_record *records = take_array(&in, shape[0], sizeof *records);
    struct gch_value_extremes *extremes = take_array(&in, shape[0], sizeof *extremes);
    int64_t *sums = calloc((size_t)(3 * shape[2] * shape[3]) + 1, sizeof *sums);
    const uint8_t use[3] = {1, take_byte(&in), 1};
    if (what < 2) gch_color_convert(what ? GCH_HSV : GCH_LAB, &range, &from.images, &to.images, threads);
    if (what == 2) gch_color_quantize(&range, rule, &from.images, &to.images, threads);
    if (what == 3) gch_color_moments(&from.images, rule == GCH_RULE_ROUND, moments, threads);
    if (what == 4) gch_stats_levels(&range, rule, &from.images, records, every, extremes, threads);
    if (what == 5 && sums != NULL) gch_stats_positions(&range, &from.images, use, sums, threads);
    free(from.memory), free(to.memory), free(moments), free(records), free(extremes), free(sums);
    return 0;
}
