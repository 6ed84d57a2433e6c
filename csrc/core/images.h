/* Pixels of images of any strides as contiguous planes: what every loop over images in the core goes through.
 */
#ifndef GCH_CORE_IMAGES_H
#define GCH_CORE_IMAGES_H

#include "core/ganchroma.h"

enum { GCH_CHUNK = 4096 }; /* pixels of an item of work: three planes of doubles stay in the cache */

/* Scratch of one worker. */
struct gch_chunk {
    double plane[3][GCH_CHUNK];
    float level[3][GCH_CHUNK];
    uint8_t bytes[3][GCH_CHUNK];
} GCH_ALIGNED;

/* 0 if all sizes can be counted, else GCH_TOO_LARGE or GCH_BAD_VALUE. */
enum gch_status gch_images_check(const struct gch_images *images);

/* Chunks of one image. */
ptrdiff_t gch_images_chunks(const struct gch_images *images);

/* The size of chunk number `chunk` of an image. */
ptrdiff_t gch_images_chunk_size(const struct gch_images *images, ptrdiff_t chunk);

/* The pixels of one channel in one chunk, contiguous: in place where they are, else copied to scratch of
 * GCH_CHUNK elements. */
const void *gch_images_load(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                            void *scratch);

/* The same of the three channels of bytes. */
void gch_images_load_bytes(const struct gch_images *images, ptrdiff_t image, ptrdiff_t chunk,
                           struct gch_chunk *scratch, const uint8_t *plane[3]);

/* Where a chunk's pixels of three elements lie one after another; NULL if the images' do not. */
void *gch_images_woven(const struct gch_images *images, ptrdiff_t image, ptrdiff_t chunk);

/* Whether an image's three planes lie one after another. */
int gch_images_planes(const struct gch_images *images);

/* Where to put contiguous elements that go to gch_images_store: their place itself or scratch. */
void *gch_images_place(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                       void *scratch);

/* The reverse of loading: writes contiguous elements to where they belong. */
void gch_images_store(const struct gch_images *images, ptrdiff_t image, int channel, ptrdiff_t chunk,
                      const void *elements);

#endif
