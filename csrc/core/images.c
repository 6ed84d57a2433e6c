#include "core/images.h"

#include <string.h>

#include "cpu/dispatch.h"

static const ptrdiff_t element_size[] = {1, sizeof(float), sizeof(double)};

enum gch_status gch_images_check(const struct gch_images *images)
{
    const ptrdiff_t most_pixels = (ptrdiff_t)1 << 36;
    ptrdiff_t pixels, items;
    if (images->count < 0 || images->height < 1 || images->width < 1) return GCH_BAD_VALUE;
    if (__builtin_mul_overflow(images->height, images->width, &pixels) || pixels > most_pixels)
        return GCH_TOO_LARGE;
    if (__builtin_mul_overflow(images->count, gch_images_chunks(images), &items)) return GCH_TOO_LARGE;
    return GCH_OK;
}

ptrdiff_t gch_images_chunks(const struct gch_images *images)
{
    return (images->height * images->width + GCH_CHUNK - 1) / GCH_CHUNK;
}

ptrdiff_t gch_images_chunk_size(const struct gch_images *images, ptrdiff_t chunk)
{
    ptrdiff_t rest = images->height * images->width - chunk * GCH_CHUNK;
    return rest < GCH_CHUNK ? rest : GCH_CHUNK;
}

static char *channel_data(const struct gch_images *images, ptrdiff_t image, int channel)
{
    return images->data + image * images->stride[0] + channel * images->stride[1];
}

static char *place(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk)
{
    return channel_data(images, image, channel) + chunk * GCH_CHUNK * element_size[images->pixel];
}

static int is_contiguous(const struct gch_images *images)
{
    ptrdiff_t size = element_size[images->pixel];
    int rows = images->width == 1 || images->stride[3] == size;
    return rows && (images->height == 1 || images->stride[2] == images->width * size);
}

/* `count` elements of `size` bytes; with the size a constant at each call, memcpy is one move. */
GCH_INLINE void copy_elements(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step,
                              ptrdiff_t count, size_t size)
{
    for (ptrdiff_t i = 0; i < count; ++i)
        memcpy(to + i * to_step, from + i * from_step, size);
}

static void copy_run(char *to, ptrdiff_t to_step, const char *from, ptrdiff_t from_step, ptrdiff_t count,
                     enum gch_pixel pixel)
{
    switch (pixel) {
    case GCH_PIXEL_U8:
        copy_elements(to, to_step, from, from_step, count, 1);
        break;
    case GCH_PIXEL_F32:
        copy_elements(to, to_step, from, from_step, count, sizeof(float));
        break;
    case GCH_PIXEL_F64:
        copy_elements(to, to_step, from, from_step, count, sizeof(double));
        break;
    }
}

/* Walks the rows that a chunk touches; `store` says which way the elements go. */
static void transfer(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                     char *elements, int store)
{
    char *data = channel_data(images, image, channel);
    ptrdiff_t size = element_size[images->pixel], rest = gch_images_chunk_size(images, chunk);
    ptrdiff_t y = chunk * GCH_CHUNK / images->width, x = chunk * GCH_CHUNK % images->width;
    while (rest > 0) {
        ptrdiff_t run = images->width - x < rest ? images->width - x : rest;
        char *row = data + y * images->stride[2] + x * images->stride[3];
        if (store) {
            copy_run(row, images->stride[3], elements, size, run, images->pixel);
        } else {
            copy_run(elements, size, row, images->stride[3], run, images->pixel);
        }
        elements += run * size;
        rest -= run;
        x = 0;
        ++y;
    }
}

const void *gch_images_load(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                            void *scratch)
{
    if (is_contiguous(images)) return place(images, image, channel, chunk);
    transfer(images, image, channel, chunk, scratch, 0);
    return scratch;
}

void *gch_images_woven(const struct gch_images *images, ptrdiff_t image, ptrdiff_t chunk)
{
    ptrdiff_t size = element_size[images->pixel], pixel = 3 * size;
    int pixels = images->stride[1] == size && (images->stride[3] == pixel || images->width == 1);
    int rows = images->stride[2] == pixel * images->width || images->height == 1;
    return pixels && rows ? channel_data(images, image, 0) + pixel * chunk * GCH_CHUNK : NULL;
}

int gch_images_planes(const struct gch_images *images)
{
    return is_contiguous(images) &&
           images->stride[1] == images->height * images->width * element_size[images->pixel];
}

void gch_images_load_bytes(const struct gch_images *images, ptrdiff_t image, ptrdiff_t chunk,
                           struct gch_chunk *scratch, const uint8_t *plane[3])
{
    const uint8_t *pixels = gch_images_woven(images, image, chunk);
    if (pixels != NULL) {
        uint8_t *const planes[3] = {scratch->bytes[0], scratch->bytes[1], scratch->bytes[2]};
        gch_isa()->bytes_split(pixels, planes, gch_images_chunk_size(images, chunk));
        for (int i = 0; i < 3; ++i)
            plane[i] = planes[i];
    } else {
        for (int i = 0; i < 3; ++i)
            plane[i] = gch_images_load(images, image, i, chunk, scratch->bytes[i]);
    }
}

void *gch_images_place(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                       void *scratch)
{
    return is_contiguous(images) ? place(images, image, channel, chunk) : scratch;
}

void gch_images_store(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                      const void *elements)
{
    if (is_contiguous(images)) {
        char *to = place(images, image, channel, chunk);
        if (to == elements) return;
        memcpy(to, elements, (size_t)(gch_images_chunk_size(images, chunk) * element_size[images->pixel]));
    } else {
        transfer(images, image, channel, chunk, (char *)elements, 1);
    }
}
