// How the CPU kernels of deform_conv2d cut their work; the loops are in deform_conv2d_simd.inc.
//
// Forward: blocks of pixels. The columns of a block (samples of all taps and channels of one group) are made as many at
// a time as a block of the matrix product is deep.
//
// Gradient: slabs of channels, each several whole groups or a piece of one. A slab owns its channels of dx and its rows
// of dw, so nothing is shared but the gradients of offsets and mask, which are added up from the slabs' shares. Images
// are dealt out to `parts` sums of dw. Slabs and parts do not depend on threads, and so bits do not.
#ifndef KERASCNN_KERNELS_DEFORM_CONV2D_PLAN_H_
#define KERASCNN_KERNELS_DEFORM_CONV2D_PLAN_H_

#include <cstdint>

#include "common/types.h"
#include "kernels/deform_conv2d.h"

namespace kerascnn {

// Where one tap of one pixel reads, and the blend's weights times the mask.
template <typename T>
struct DeformReads {
  const T* from[4];
  Compute<T> weight[4];
};

struct DeformSlab {
  int64_t first, count;                 // channels
  int64_t group, groups, run;           // groups, and the channels of it in each
  int64_t offset_group, offset_groups;  // that its channels belong to
};

// What a task of the gradient works on: some pixels of one image, one slab.
template <typename T>
struct DeformTask {
  using R = Compute<T>;
  DeformSlab slab;
  const T *x, *offset, *mask, *dy;
  const R* packed;    // this slab's filters, transposed
  R* sums;            // of dw, this slab's
  bool add;           // to the sums
  R* share;           // of the first pixel
  bool first_window;  // whether sums and shares are wanted
  R* dx;              // the image's first pixel that may be written, first channel of the slab
  int64_t dx_step;    // from pixel to pixel
  int64_t from, to;   // pixels of x that may be written
  // Working memory of one thread.
  R *columns, *gradient, *rows, *panels, *lines, *spare;
  const T* zeros;
  int64_t row;  // of columns and gradient
};

struct DeformPlan {
  const DeformConv2D* deform;
  int64_t taps, groups, group_channels, group_filters, channels, filters, offset_groups, offset_channels;
  int64_t image, pixels;  // pixels of y, in one image and in all
  int64_t depth;          // of the product: taps * group_channels
  int64_t block;          // pixels

  // Gradient only.
  int64_t slabs, slab_groups, slab_run;  // groups in a slab, channels in each
  int64_t group_slabs;                   // slabs in a group, or 1
  int64_t local_offset_groups;           // in a slab, at most
  int64_t parts;                         // sums of dw
  int64_t round_images, round_pixels;    // whose shares are kept: whole images, or some pixels of one
  int64_t tile_rows;                     // rows of dx that a tile in the computing type holds
  int64_t tiles;                         // 0 where dx itself is of the computing type

  static DeformPlan Forward(const DeformConv2D& deform, int64_t computing_bytes, int threads);
  static DeformPlan Gradient(const DeformConv2D& deform, int64_t element_bytes, int threads);

  DeformSlab Slab(int64_t s) const;
  int64_t SlabOf(int64_t channel) const {
    return channel / (group_channels * slab_groups) * group_slabs +
           channel % group_channels / slab_run * (group_slabs > 1);
  }
  int64_t slab_columns() const { return taps * slab_run * slab_groups; }
  int64_t share() const { return local_offset_groups * taps * 3; }  // of a pixel: offset y, offset x, mask

 private:
  explicit DeformPlan(const DeformConv2D& deform);
};

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_DEFORM_CONV2D_PLAN_H_
