// Checks and work partition of deform_conv2d.
#include "kernels/deform_conv2d_plan.h"

#include <algorithm>
#include <string>

#include "common/check.h"
#include "common/gemm.h"
#include "kernels/conv2d_plan.h"

namespace kerascnn {
namespace {

constexpr int64_t kBlockBytes = 1 << 20;  // of what is kept for each pixel of a block: half of a second-level cache
constexpr int64_t kSumsBytes = 24 << 20;  // of the filter gradient's sums, where there is more than one
constexpr int64_t kShareBytes = 8 << 20;  // of the slabs' shares of the offsets' gradients
constexpr int64_t kTileBytes = 16 << 20;  // of dx in the computing type
constexpr int64_t kSlabChannels = 64;     // enough to hide what is done once for a sample
constexpr int64_t kSlabColumns = 1152;    // keeps a block's columns in the second-level cache
constexpr int64_t kTasks = 8, kManyTasks = 32;  // fixed numbers, as bits depend on them

constexpr int64_t kRows = 14;  // of a tile of the product with AVX-512
constexpr int64_t kForwardPixels = 224, kGradientPixels = 168;

// How many of `bytes` each fit, at least 1. A double, so that no size overflows.
int64_t Fitting(int64_t budget, double bytes) {
  return std::max<int64_t>(1, static_cast<int64_t>(budget / std::max(1.0, bytes)));
}

// A multiple of a tile's height (of any instruction set, where it is large) that suits the cache.
int64_t BlockOf(double pixel_bytes, int64_t wanted) {
  const int64_t block = std::max<int64_t>(1, std::min(wanted, Fitting(kBlockBytes, pixel_bytes)));
  return block >= kRows ? block / kRows * kRows : block;
}

}  // namespace

std::string DeformConv2DCheck(const DeformConv2D& deform) {
  const Conv2D& conv = deform.conv;
  std::string wrong = Conv2DCheck(conv);
  if (!wrong.empty()) return wrong;
  if (deform.offset_groups < 1 || conv.channels % deform.offset_groups != 0) {
    return Say("The offset groups must be at least 1 and divide the images' channels.",
               {deform.offset_groups, conv.channels});
  }
  // Each factor is below 2^31 or was checked with the others, so a double cannot be misled.
  const double offsets = 2.0 * deform.offset_groups * conv.kernel_height * conv.kernel_width * conv.batch *
                         conv.output_height() * conv.output_width();
  if (offsets > 1e17) {
    return Say("A tensor would be too large to address.",
               {conv.batch, conv.output_height(), conv.output_width(), deform.offset_groups, conv.kernel_height,
                conv.kernel_width});
  }
  return "";
}

DeformPlan::DeformPlan(const DeformConv2D& d) : deform(&d) {
  const Conv2D& conv = d.conv;
  taps = d.taps(), groups = conv.groups();
  group_channels = conv.group_channels, group_filters = conv.filters / groups;
  channels = conv.channels, filters = conv.filters;
  offset_groups = d.offset_groups, offset_channels = d.offset_channels();
  image = conv.output_height() * conv.output_width(), pixels = image * conv.batch;
  depth = taps * group_channels;
}

DeformPlan DeformPlan::Forward(const DeformConv2D& deform, int64_t computing_bytes, int threads) {
  DeformPlan p(deform);
  const int64_t reads = 4 * (sizeof(void*) + computing_bytes);
  const double pixel_bytes =
      double(p.taps) * p.offset_groups * reads + 1088.0 + double(p.group_filters) * computing_bytes;
  // As many pixels as fit, but so that the threads finish together.
  int64_t least = p.pixels;
  for (int64_t block = kRows; block <= std::max(kRows, BlockOf(pixel_bytes, kForwardPixels)); block += kRows) {
    const int64_t busiest = CeilDiv(CeilDiv(p.pixels, block), threads) * block;
    if (block > kRows && busiest > least) continue;
    p.block = BlockOf(pixel_bytes, block), least = busiest;
  }
  return p;
}

DeformPlan DeformPlan::Gradient(const DeformConv2D& deform, int64_t element_bytes, int threads) {
  DeformPlan p(deform);
  const int64_t bytes = element_bytes == 8 ? 8 : 4, lanes = 64 / bytes, batch = deform.conv.batch;
  if (p.group_channels < kSlabChannels) {
    p.slab_run = p.group_channels, p.group_slabs = 1;
    p.slab_groups = std::min(p.groups, std::max<int64_t>(1, kSlabChannels / p.group_channels));
    while (p.slab_groups > 1 && p.slab_columns() > kSlabColumns) p.slab_groups = CeilDiv(p.slab_groups, 2);
    p.slabs = CeilDiv(p.groups, p.slab_groups);
  }
  if (p.group_channels >= kSlabChannels || (p.slab_groups == 1 && p.slab_columns() > kSlabColumns)) {
    p.slab_groups = 1, p.slab_run = std::min(kSlabChannels, CeilDiv(p.group_channels, lanes) * lanes);
    const auto small = [&] {
      p.group_slabs = CeilDiv(p.group_channels, p.slab_run), p.slabs = p.groups * p.group_slabs;
      return p.slab_columns() > kSlabColumns || p.slabs * std::max<int64_t>(1, batch) < kTasks;
    };
    while (small() && p.slab_run > lanes) p.slab_run = CeilDiv(p.slab_run / 2, lanes) * lanes;
  }
  const int64_t slab_channels = p.slab_run * p.slab_groups;
  p.local_offset_groups = std::min(p.offset_groups, CeilDiv(slab_channels - 1, p.offset_channels) + 1);
  p.block = BlockOf((2.0 * p.slab_columns() + 2.0 * p.group_filters + 4.0 * lanes) * bytes, kGradientPixels);
  const double sum_bytes = double(p.slabs) * p.slab_columns() * (p.group_filters + 2 * lanes) * bytes;
  p.parts = std::min({std::max<int64_t>(1, batch), CeilDiv(kManyTasks, p.slabs), Fitting(kSumsBytes, sum_bytes)});
  const int64_t kept = Fitting(kShareBytes, double(p.slabs) * p.share() * bytes);
  p.round_images = std::max<int64_t>(1, std::min(batch, kept / std::max<int64_t>(1, p.image)));
  p.round_pixels = kept >= p.image ? p.image : CeilDiv(kept, p.block) * p.block;
  p.tiles = element_bytes == bytes ? 0 : p.round_pixels >= p.image ? threads + 1 : p.slabs;
  p.tile_rows = deform.conv.height;
  if (p.tiles > 0) {
    const double row_bytes = double(deform.conv.width) * slab_channels * bytes * p.tiles;
    p.tile_rows = std::min(p.tile_rows, Fitting(kTileBytes, row_bytes));
  }
  return p;
}

DeformSlab DeformPlan::Slab(int64_t s) const {
  DeformSlab slab;
  if (group_slabs > 1) {
    const int64_t inside = s % group_slabs * slab_run;
    slab.group = s / group_slabs, slab.groups = 1;
    slab.run = std::min(slab_run, group_channels - inside);
    slab.first = slab.group * group_channels + inside;
  } else {
    slab.group = s * slab_groups, slab.groups = std::min(slab_groups, groups - slab.group);
    slab.run = group_channels;
    slab.first = slab.group * group_channels;
  }
  slab.count = slab.groups * slab.run;
  slab.offset_group = slab.first / offset_channels;
  slab.offset_groups = (slab.first + slab.count - 1) / offset_channels - slab.offset_group + 1;
  return slab;
}

}  // namespace kerascnn
