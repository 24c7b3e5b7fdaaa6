// Where the pixels of tile_conv2d.h lie: lines, phases, taps as distances, and the pieces that fit a cache.
#ifndef KERASCNN_KERNELS_TILE_CONV2D_PLAN_H_
#define KERASCNN_KERNELS_TILE_CONV2D_PLAN_H_

#include <cstdint>
#include <vector>

#include "kernels/conv2d.h"
#include "kernels/conv2d_plan.h"

namespace kerascnn {

// One spatial axis. Target t of this job sees, by the taps, positions t + [low, high] of each plane; position j of the
// plane of phase p is source j * step + p.
struct TileAxis {
  int64_t source = 0, step = 1;                            // pixels of the source, and between those of a plane
  int64_t targets = 0, target_first = 0, target_step = 1;  // pixels of the result that this job writes
  int64_t low = 0, high = 0;
  int64_t lead = 0;    // positions before the first pixel: zeros, or pixels that only other strips have as targets
  int64_t period = 0;  // positions from one row to the next, or from one image to the next

  // Positions of a plane that hold pixels which some target sees.
  int64_t Used(int64_t phase) const;
};

struct TileTap {
  int64_t plane, y, x, weight;  // which plane, how far along each axis, which of the filters' taps
};

struct TilePlane {
  int64_t y, x;  // phases
};

// The forward pass and the filter gradient are one job; the input gradient is one for each phase of the stride.
struct TileJob {
  TileAxis y, x;
  int64_t source_channels = 0, target_channels = 0, batch = 0;
  std::vector<TilePlane> planes;
  std::vector<TileTap> taps;
  int64_t strip = 0, strips = 0;  // rows of targets of an item, items of an image
  int64_t group = 0, chunks = 0;  // items that lie on one line (of whole images only), and lines
  int64_t depth = 0;              // channels of a position on the line, rounded up: all, or a slice of them

  static std::vector<TileJob> Make(const Conv2D& conv, Conv2DKind kind);
  int64_t items() const { return batch * strips; }
  int64_t first() const { return y.lead * x.period + x.lead; }  // position of the first pixel
  // Positions of the targets of a line, rounded up to whole tiles.
  int64_t length() const { return ((group - 1) * y.period + strip) * x.period; }
  int64_t padded() const { return (length() + 31) / 32 * 32; }
  int64_t positions() const;  // of a plane
  int64_t Distance(const TileTap& tap) const { return tap.y * x.period + tap.x; }

  // The filter gradient is made in slices of 16 * in_slice channels by 16 * out_slice filters, whose sums a cache
  // holds.
  int64_t in_blocks() const { return CeilDiv(source_channels, 16); }
  int64_t out_blocks() const { return CeilDiv(target_channels, 16); }
  int64_t in_slice = 0, out_slice = 0;

 private:
  void Cut(bool filter);
};

}  // namespace kerascnn

#endif  // KERASCNN_KERNELS_TILE_CONV2D_PLAN_H_
