#include "core/images.h"
#include "core/parallel.h"
#include "cpu/dispatch.h"

__extension__ typedef __int128 wide;

struct byte_sums {
    int64_t sum[3], product[6];
};

struct job {
    const struct gch_images *images, *out;
    struct gch_range range;
    gch_color_kernel convert;
    gch_woven_kernel convert_woven;
    enum gch_rule rule;
    int opponent;
    struct gch_moments *moments; /* one a chunk */
    struct byte_sums *sums;      /* likewise, of bytes */
    struct gch_chunk *scratch;   /* one a worker */
};

static enum gch_real real_of(enum gch_pixel pixel) { return pixel == GCH_PIXEL_F64 ? GCH_F64 : GCH_F32; }

/* Runs `task` over all chunks of all images. */
static enum gch_status run(struct job *job, gch_task task, int threads)
{
    enum gch_status status = gch_images_check(job->images);
    if (status != GCH_OK || job->images->count == 0) return status;
    job->scratch = gch_alloc((size_t)threads, sizeof *job->scratch);
    if (job->scratch == NULL) return GCH_NO_MEMORY;
    gch_parallel_for(0, job->images->count * gch_images_chunks(job->images), threads, task, job);
    gch_free(job->scratch);
    return GCH_OK;
}

static void convert_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    struct gch_chunk *scratch = &job->scratch[worker];
    ptrdiff_t chunks = gch_images_chunks(job->images), image = index / chunks, chunk = index % chunks;
    ptrdiff_t count = gch_images_chunk_size(job->images, chunk);
    const void *woven = gch_images_woven(job->images, image, chunk);
    void *woven_out = gch_images_woven(job->out, image, chunk);
    if (woven != NULL && woven_out != NULL) {
        job->convert_woven(&job->range, woven, woven_out, count);
        return;
    }
    const void *rgb[3];
    void *out[3];
    for (int i = 0; i < 3; ++i) {
        rgb[i] = gch_images_load(job->images, image, i, chunk, scratch->plane[i]);
        out[i] = gch_images_place(job->out, image, i, chunk, scratch->plane[i]);
    }
    job->convert(&job->range, rgb, out, count);
    for (int i = 0; i < 3; ++i)
        gch_images_store(job->out, image, i, chunk, out[i]);
}

enum gch_status gch_color_convert(enum gch_space space, const struct gch_range *range,
                                  const struct gch_images *rgb, const struct gch_images *out, int threads)
{
    if (rgb->pixel == GCH_PIXEL_U8 || rgb->pixel != out->pixel) return GCH_BAD_VALUE;
    const struct gch_color_kernels *kernels = &gch_isa()->color[real_of(rgb->pixel)];
    struct job job = {.images = rgb, .out = out, .range = *range};
    job.convert = space == GCH_LAB ? kernels->lab : kernels->hsv;
    job.convert_woven = space == GCH_LAB ? kernels->lab_woven : kernels->hsv_woven;
    return run(&job, convert_chunk, threads);
}

static void measure_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    const struct gch_isa *isa = gch_isa();
    struct gch_chunk *scratch = &job->scratch[worker];
    ptrdiff_t chunks = gch_images_chunks(job->images), image = index / chunks, chunk = index % chunks;
    ptrdiff_t count = gch_images_chunk_size(job->images, chunk);
    enum gch_real real = real_of(job->images->pixel);
    const void *rgb[3];
    for (int i = 0; i < 3; ++i) {
        if (job->images->pixel == GCH_PIXEL_U8) {
            isa->levels_from_bytes(gch_images_load(job->images, image, i, chunk, scratch->bytes[i]),
                                   scratch->level[i], count);
            rgb[i] = scratch->level[i];
        } else {
            rgb[i] = gch_images_load(job->images, image, i, chunk, scratch->plane[i]);
        }
    }
    if (job->opponent) {
        void *const out[3] = {scratch->plane[0], scratch->plane[1], scratch->plane[2]};
        isa->color[real].opponent(&job->range, rgb, out, count);
        for (int i = 0; i < 3; ++i)
            rgb[i] = out[i];
    }
    isa->moments[real].row(rgb[0], rgb[1], rgb[2], count, &job->moments[index]);
}

static void measure_bytes(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    ptrdiff_t chunks = gch_images_chunks(job->images), image = index / chunks, chunk = index % chunks;
    ptrdiff_t count = gch_images_chunk_size(job->images, chunk);
    const uint8_t *bytes[3];
    struct byte_sums sums = {{0}, {0}};
    gch_images_load_bytes(job->images, image, chunk, &job->scratch[worker], bytes);
    gch_isa()->bytes_moments(bytes, count, sums.sum, sums.product);
    job->sums[index] = sums;
}

/* From integers, each number rounded once or twice. */
static void finish_bytes(const struct byte_sums *sums, ptrdiff_t chunks, ptrdiff_t pixels,
                         struct gch_moments *moments)
{
    struct byte_sums all = {{0}, {0}};
    for (ptrdiff_t chunk = 0; chunk < chunks; ++chunk) {
        for (int i = 0; i < 3; ++i)
            all.sum[i] += sums[chunk].sum[i];
        for (int i = 0; i < 6; ++i)
            all.product[i] += sums[chunk].product[i];
    }
    moments->count = (double)pixels;
    moments->nonfinite = 0;
    for (int i = 0, k = 0; i < 3; ++i) {
        moments->mean[i] = (double)all.sum[i] / (double)pixels;
        for (int j = i; j < 3; ++j, ++k) {
            wide scatter = (wide)pixels * all.product[k] - (wide)all.sum[i] * all.sum[j];
            moments->scatter[k] = (double)scatter / (double)pixels;
        }
    }
}

static enum gch_status moments_of_bytes(struct job *job, struct gch_moments *moments, int threads)
{
    ptrdiff_t chunks = gch_images_chunks(job->images), count = job->images->count;
    job->sums = gch_alloc((size_t)(count * chunks), sizeof *job->sums);
    if (job->sums == NULL) return GCH_NO_MEMORY;
    enum gch_status status = run(job, measure_bytes, threads);
    for (ptrdiff_t i = 0; i < count && status == GCH_OK; ++i)
        finish_bytes(&job->sums[i * chunks], chunks, job->images->height * job->images->width, &moments[i]);
    gch_free(job->sums);
    return status;
}

enum gch_status gch_color_moments(const struct gch_images *images, int opponent, struct gch_moments *moments,
                                  int threads)
{
    struct job job = {.images = images, .opponent = opponent};
    enum gch_status status = gch_images_check(images);
    if (status != GCH_OK) return status;
    if (images->pixel == GCH_PIXEL_U8 && !opponent) return moments_of_bytes(&job, moments, threads);
    ptrdiff_t chunks = gch_images_chunks(images);
    job.moments = gch_alloc((size_t)(images->count * chunks), sizeof *job.moments);
    if (job.moments == NULL) return GCH_NO_MEMORY;
    status = run(&job, measure_chunk, threads);
    for (ptrdiff_t i = 0; i < images->count && status == GCH_OK; ++i) {
        gch_moments_tree(&job.moments[i * chunks], chunks);
        moments[i] = job.moments[i * chunks];
    }
    gch_free(job.moments);
    return status;
}

static void quantize_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    struct gch_chunk *scratch = &job->scratch[worker];
    ptrdiff_t chunks = gch_images_chunks(job->images), image = index / chunks, chunk = index % chunks;
    ptrdiff_t count = gch_images_chunk_size(job->images, chunk);
    struct gch_value_extremes unused = {{0, 0}, 0, 0};
    for (int i = 0; i < 3; ++i) {
        const void *values = gch_images_load(job->images, image, i, chunk, scratch->plane[i]);
        gch_isa()->stats[real_of(job->images->pixel)].quantize(&job->range, job->rule, values,
                                                               scratch->bytes[i], count, &unused);
        gch_images_store(job->out, image, i, chunk, scratch->bytes[i]);
    }
}

enum gch_status gch_color_quantize(const struct gch_range *range, enum gch_rule rule,
                                   const struct gch_images *images, const struct gch_images *out, int threads)
{
    if (images->pixel == GCH_PIXEL_U8 || out->pixel != GCH_PIXEL_U8) return GCH_BAD_VALUE;
    struct job job = {.images = images, .out = out, .range = *range, .rule = rule};
    return run(&job, quantize_chunk, threads);
}
