#include <math.h>
#include <string.h>

#include "core/images.h"
#include "core/parallel.h"
#include "cpu/dispatch.h"

__extension__ typedef __int128 wide;

static const int first_channel[6] = {0, 0, 0, 1, 1, 2}, second_channel[6] = {0, 1, 2, 1, 2, 2};
static const double two32 = 4294967296.0;

/* -- levels -------------------------------------------------------------------------------------------------
 */

struct chunk_result {
    struct gch_level_sums sums;
    struct gch_value_extremes extremes;
};

struct level_job {
    const struct gch_images *images;
    struct gch_range range;
    enum gch_rule rule;
    ptrdiff_t every;              /* pixels, of which one has its chroma measured; 0: moments alone */
    struct chunk_result *results; /* one a chunk */
    struct gch_chunk *scratch;    /* one a worker */
};

/* Keeps the pixels of the chunk whose number in the image is a multiple of `every`. */
static ptrdiff_t every_nth(ptrdiff_t every, ptrdiff_t chunk, ptrdiff_t count, const uint8_t *bytes[3],
                           struct gch_chunk *scratch)
{
    ptrdiff_t first = (every - chunk * GCH_CHUNK % every) % every, kept = 0;
    for (int i = 0; i < 3; ++i) {
        uint8_t *some = (uint8_t *)scratch->plane[i];
        kept = 0;
        for (ptrdiff_t at = first; at < count; at += every)
            some[kept++] = bytes[i][at];
        bytes[i] = some;
    }
    return kept;
}

static void levels_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct level_job *job = context;
    const struct gch_isa *isa = gch_isa();
    struct gch_chunk *scratch = &job->scratch[worker];
    ptrdiff_t chunks = gch_images_chunks(job->images), image = index / chunks, chunk = index % chunks;
    ptrdiff_t count = gch_images_chunk_size(job->images, chunk);
    struct chunk_result result = {.extremes = {{0, 0}, INFINITY, -INFINITY}};
    struct gch_value_extremes of_levels = result.extremes; /* not the values' own */
    int is_bytes = job->images->pixel == GCH_PIXEL_U8, is_double = job->images->pixel == GCH_PIXEL_F64;
    const uint8_t *bytes[3];
    if (is_bytes) gch_images_load_bytes(job->images, image, chunk, scratch, bytes);
    for (int i = 0; i < 3 && !is_bytes; ++i) {
        const void *values = gch_images_load(job->images, image, i, chunk, scratch->plane[0]);
        isa->stats[is_double ? GCH_F64 : GCH_F32].quantize(&job->range, job->rule, values, scratch->bytes[i],
                                                           count, &result.extremes);
        bytes[i] = scratch->bytes[i];
    }
    if (job->every == 0) {
        isa->bytes_moments(bytes, count, result.sums.sum, result.sums.product);
        job->results[index] = result;
        return;
    }
    isa->bytes_sums(bytes, count, &result.sums, is_bytes ? &result.extremes : &of_levels);
    for (int i = 0; i < 2; ++i)
        result.extremes.near[i] += of_levels.near[i];
    if (job->every > 1) count = every_nth(job->every, chunk, count, bytes, scratch);
    isa->bytes_chroma(bytes, count, &result.sums);
    job->results[index] = result;
}

static void add_sums(struct gch_level_sums *into, const struct gch_level_sums *from)
{
    for (int i = 0; i < 3; ++i) {
        into->sum[i] += from->sum[i];
        into->gray[i] += from->gray[i];
    }
    for (int i = 0; i < 6; ++i)
        into->product[i] += from->product[i];
    for (int i = 0; i < 2; ++i) {
        into->opponent[i] += from->opponent[i];
        into->clipped[i] += from->clipped[i];
    }
    into->chroma += from->chroma;
}

static void add_extremes(struct gch_value_extremes *into, const struct gch_value_extremes *from)
{
    into->near[0] += from->near[0];
    into->near[1] += from->near[1];
    if (from->least < into->least) into->least = from->least;
    if (from->most > into->most) into->most = from->most;
}

/* Variance from integer sums: exact up to one division. */
static double variance(wide square, wide sum, wide pixels)
{
    double number = (double)pixels;
    return (double)(pixels * square - sum * sum) / (number * number);
}

static int64_t fixed_point(double value) { return (int64_t)rint(value * two32); }

/* Hasler and Suesstrunk's M3 from the variances and means of rg = R - G and yb = (R + G) / 2 - B, the latter
 * given doubled. Additions, multiplications, divisions and square roots only: the same on every machine. */
static double colorfulness(double rg_variance, double yb2_variance, double rg_mean, double yb2_mean)
{
    double spread = sqrt(rg_variance + yb2_variance * 0.25);
    return spread + 0.3 * sqrt(rg_mean * rg_mean + yb2_mean * yb2_mean * 0.25);
}

static void finish(struct gch_level_record *record, ptrdiff_t count, ptrdiff_t every)
{
    struct gch_level_sums *s = &record->sums;
    const wide pixels = count, measured = every > 0 ? (count - 1) / every + 1 : 0;
    if (every > 0) s->chroma = (int64_t)((s->chroma * pixels + measured / 2) / measured);
    const double number = (double)count;
    for (int i = 0; i < 6; ++i) {
        wide apart = (wide)s->sum[first_channel[i]] * s->sum[second_channel[i]];
        wide scatter = pixels * s->product[i] - apart; /* times the number of pixels */
        wide whole = scatter / pixels, rest = scatter % pixels;
        if (rest < 0) {
            whole -= 1;
            rest += pixels;
        }
        record->within[i] = (int64_t)whole;
        record->within_fraction[i] = (int64_t)(((rest << 32) + pixels / 2) / pixels);
    }
    const int64_t *p = s->product; /* RR RG RB GG GB BB */
    wide rg = s->sum[0] - s->sum[1], yb = s->sum[0] + s->sum[1] - 2 * s->sum[2];
    wide rg_square = (wide)p[0] - 2 * p[1] + p[3];
    wide yb_square = (wide)p[0] + p[3] + 4 * (wide)p[5] + 2 * (wide)p[1] - 4 * (wide)p[2] - 4 * (wide)p[4];
    double rg_variance = variance(rg_square, rg, pixels), yb_variance = variance(yb_square, yb, pixels);
    double m3 = colorfulness(rg_variance, yb_variance, (double)rg / number, (double)yb / number);
    record->colorfulness[0] = fixed_point(m3);
    rg_variance = variance(rg_square, s->opponent[0], pixels);
    yb_variance = variance(yb_square, s->opponent[1], pixels);
    m3 = colorfulness(rg_variance, yb_variance, (double)s->opponent[0] / number,
                      (double)s->opponent[1] / number);
    record->colorfulness[1] = fixed_point(m3);
}

enum gch_status gch_stats_levels(const struct gch_range *range, enum gch_rule rule,
                                 const struct gch_images *images, struct gch_level_record *records,
                                 ptrdiff_t every, struct gch_value_extremes *extremes, int threads)
{
    if (every < 0) return GCH_BAD_VALUE;
    enum gch_status status = gch_images_check(images);
    if (status != GCH_OK || images->count == 0) return status;
    ptrdiff_t chunks = gch_images_chunks(images), items = images->count * chunks;
    struct level_job job = {images, *range, rule, every, NULL, NULL};
    job.results = gch_alloc((size_t)items, sizeof *job.results);
    job.scratch = gch_alloc((size_t)threads, sizeof *job.scratch);
    if (job.results == NULL || job.scratch == NULL) {
        status = GCH_NO_MEMORY;
    } else {
        gch_parallel_for(0, items, threads, levels_chunk, &job);
        for (ptrdiff_t i = 0; i < images->count && !gch_runtime_stopped(); ++i) {
            const struct chunk_result *result = &job.results[i * chunks];
            records[i].sums = result->sums;
            extremes[i] = result->extremes;
            for (ptrdiff_t k = 1; k < chunks; ++k) {
                add_sums(&records[i].sums, &result[k].sums);
                add_extremes(&extremes[i], &result[k].extremes);
            }
            finish(&records[i], images->height * images->width, every);
        }
    }
    gch_free(job.results);
    gch_free(job.scratch);
    return status;
}

/* -- positions ----------------------------------------------------------------------------------------------
 */

struct position_job {
    const struct gch_images *images;
    struct gch_range range;
    const uint8_t *use;
    int64_t *sums;
    struct gch_chunk *scratch;
};

/* Bytes of an image that lie in one piece are added as they lie, in sums of 16 bits, which are added to the others
 * before they are full. */
struct flat_job {
    const struct position_job *job;
    int woven;
    ptrdiff_t run;  /* bytes of an item of work */
    uint16_t *sums; /* `run` of them a worker */
    uint8_t *none;  /* `run` zeros, in the place of images that are not there */
};

enum {
    LONGEST_RUN = 16 * GCH_CHUNK
}; /* sums stay in the second cache, and memory is read a while in one place */

static void add_run(const struct flat_job *flat, ptrdiff_t from, ptrdiff_t count, uint16_t *sums)
{
    const struct position_job *job = flat->job;
    ptrdiff_t plane = job->images->height * job->images->width;
    for (ptrdiff_t i = 0, at = from; i < count; ++i, ++at)
        job->sums[flat->woven ? at % 3 * plane + at / 3 : at] += sums[i];
    memset(sums, 0, (size_t)count * sizeof *sums);
}

static void flat_run(void *context, ptrdiff_t index, int worker)
{
    const struct flat_job *flat = context;
    const struct gch_images *images = flat->job->images;
    ptrdiff_t from = index * flat->run, rest = 3 * images->height * images->width - from;
    ptrdiff_t count = rest < flat->run ? rest : flat->run;
    uint16_t *sums = memset(flat->sums + worker * flat->run, 0, (size_t)count * sizeof *sums);
    const uint8_t *some[GCH_ADDED];
    int held = 0, added = 0;
    for (ptrdiff_t image = 0; image < images->count; ++image) {
        if (!flat->job->use[image]) continue;
        some[held++] = (const uint8_t *)images->data + image * images->stride[0] + from;
        if (held < GCH_ADDED) continue;
        gch_isa()->bytes_add(some, sums, count);
        held = 0;
        if ((added += GCH_ADDED) % GCH_MOST_ADDED == 0) add_run(flat, from, count, sums);
    }
    if (held > 0) {
        while (held < GCH_ADDED)
            some[held++] = flat->none;
        gch_isa()->bytes_add(some, sums, count);
    }
    add_run(flat, from, count, sums);
}

static enum gch_status flat_positions(const struct position_job *job, int woven, int threads)
{
    ptrdiff_t bytes = 3 * job->images->height * job->images->width, share = bytes / threads / 4;
    struct flat_job flat = {job, woven, LONGEST_RUN, NULL, NULL};
    enum gch_status status = GCH_NO_MEMORY;
    if (threads > 1 && share < LONGEST_RUN) flat.run = (share / GCH_CHUNK + 1) * GCH_CHUNK;
    flat.sums = gch_alloc((size_t)threads, (size_t)flat.run * sizeof *flat.sums);
    flat.none = gch_alloc(1, (size_t)flat.run);
    if (flat.sums != NULL && flat.none != NULL) {
        memset(flat.none, 0, (size_t)flat.run);
        gch_parallel_for(0, (bytes + flat.run - 1) / flat.run, threads, flat_run, &flat);
        status = GCH_OK;
    }
    gch_free(flat.sums);
    gch_free(flat.none);
    return status;
}

/* What the images' values at `count` positions come to, from `image` on: exact, so not of more than GCH_MOST_IMAGES. */
static void place_some(const struct position_job *job, ptrdiff_t image, ptrdiff_t last, int channel,
                       ptrdiff_t chunk, struct gch_chunk *scratch)
{
    const struct gch_images *images = job->images;
    const struct gch_stats_kernels *kernels =
        &gch_isa()->stats[images->pixel == GCH_PIXEL_F64 ? GCH_F64 : GCH_F32];
    ptrdiff_t count = gch_images_chunk_size(images, chunk);
    double *sums = memset(scratch->plane[1], 0, (size_t)count * sizeof *sums);
    int64_t *all = job->sums + channel * images->height * images->width + chunk * GCH_CHUNK;
    for (; image < last; ++image) {
        if (!job->use[image]) continue;
        const void *values = gch_images_load(images, image, channel, chunk, scratch->plane[0]);
        if (images->pixel == GCH_PIXEL_U8) {
            for (ptrdiff_t i = 0; i < count; ++i)
                sums[i] += ((const uint8_t *)values)[i];
        } else {
            kernels->place(&job->range, values, sums, count);
        }
    }
    for (ptrdiff_t i = 0; i < count; ++i)
        all[i] += (int64_t)sums[i];
}

static void positions_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct position_job *job = context;
    ptrdiff_t all = job->images->count;
    for (ptrdiff_t image = 0; image < all; image += GCH_MOST_IMAGES)
        place_some(job, image, all - image < GCH_MOST_IMAGES ? all : image + GCH_MOST_IMAGES,
                   (int)(index % 3), index / 3, &job->scratch[worker]);
}

enum gch_status gch_stats_positions(const struct gch_range *range, const struct gch_images *images,
                                    const uint8_t *use, int64_t *sums, int threads)
{
    enum gch_status status = gch_images_check(images);
    if (status != GCH_OK || images->count == 0) return status;
    struct position_job job = {images, *range, use, sums, NULL};
    int woven = gch_images_woven(images, 0, 0) != NULL;
    if (images->pixel == GCH_PIXEL_U8 && (woven || gch_images_planes(images)))
        return flat_positions(&job, woven, threads);
    job.scratch = gch_alloc((size_t)threads, sizeof *job.scratch);
    if (job.scratch == NULL) return GCH_NO_MEMORY;
    gch_parallel_for(0, 3 * gch_images_chunks(images), threads, positions_chunk, &job);
    gch_free(job.scratch);
    return GCH_OK;
}
