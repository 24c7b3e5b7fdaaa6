// Checks and work partition of conv2d; the loops are in conv2d_simd.inc.
#include "kernels/conv2d_plan.h"

#include <utility>

#include "common/check.h"

namespace kerascnn {
namespace {

constexpr int64_t kLargest = int64_t{1} << 31;  // of any extent; keeps sums of a few products of two within 63 bits
constexpr int64_t kStripBytes = 512 << 10;      // of packed source: half of what a core's second-level cache holds
constexpr int64_t kChunkBytes = 96 << 10;       // of packed weights, which each range of tasks packs for itself
constexpr int64_t kSumBytes = 128 << 10;        // of one partial sum of the filter gradient, if fewer channels allow it
constexpr int64_t kPartialBytes = 8 << 20;      // of the filter gradient's partial sums
constexpr int64_t kTasks = 32;  // enough for threads to share evenly; a fixed number, as bits depend on it

}  // namespace

void Conv2DSetSamePadding(Conv2D* conv) {
  conv->pad_y = SamePadding(conv->height, conv->kernel_height, conv->stride_y, conv->dilation_y);
  conv->pad_x = SamePadding(conv->width, conv->kernel_width, conv->stride_x, conv->dilation_x);
}

std::string Conv2DCheckWindow(const Conv2D& c) {
  const auto positive = [](int64_t n) { return n >= 1 && n < kLargest; };
  const auto natural = [](int64_t n) { return n >= 0 && n < kLargest; };
  if (!positive(c.stride_y) || !positive(c.stride_x)) {
    return Say("Strides must be at least 1 and below 2^31.", {c.stride_y, c.stride_x});
  }
  if (!positive(c.dilation_y) || !positive(c.dilation_x)) {
    return Say("Dilations must be at least 1 and below 2^31.", {c.dilation_y, c.dilation_x});
  }
  if (!natural(c.pad_y.before) || !natural(c.pad_y.after) || !natural(c.pad_x.before) || !natural(c.pad_x.after)) {
    return Say("Padding must be at least 0 and below 2^31.",
               {c.pad_y.before, c.pad_y.after, c.pad_x.before, c.pad_x.after});
  }
  return "";
}

std::string Conv2DCheck(const Conv2D& c) {
  std::string window = Conv2DCheckWindow(c);
  if (!window.empty()) return window;
  for (int64_t n : {c.batch, c.height, c.width, c.channels}) {
    if (n < 0 || n >= kLargest) {
      return Say("The images' extents must be below 2^31.", {c.batch, c.height, c.width, c.channels});
    }
  }
  for (int64_t n : {c.kernel_height, c.kernel_width, c.group_channels, c.filters}) {
    if (n < 1 || n >= kLargest) {
      return Say("The filters' extents must be at least 1 and below 2^31.",
                 {c.kernel_height, c.kernel_width, c.group_channels, c.filters});
    }
  }
  if (c.channels % c.group_channels != 0 || c.channels == 0) {
    return Say("The images' channels must be groups * the filters' input channels.", {c.channels, c.group_channels});
  }
  if (c.filters % c.groups() != 0) {
    return Say("The groups must divide the filters' output channels.", {c.groups(), c.filters});
  }
  for (int64_t n : {EffectiveWindow(c.kernel_height, c.dilation_y), EffectiveWindow(c.kernel_width, c.dilation_x),
                    c.height + c.pad_y.before + c.pad_y.after, c.width + c.pad_x.before + c.pad_x.after}) {
    if (n >= kLargest) {
      return Say("The dilated filter and the padded image must be smaller than 2^31.",
                 {c.kernel_height, c.kernel_width, c.dilation_y, c.dilation_x, c.height, c.width});
    }
  }
  if (!Fits({c.batch, c.height, c.width, c.channels, 16}) ||
      !Fits({c.kernel_height, c.kernel_width, c.group_channels, c.filters, 16}) ||
      !Fits({c.batch, c.output_height(), c.output_width(), c.filters, 16})) {
    return Say("A tensor would be too large to address.", {c.batch, c.height, c.width, c.channels, c.filters});
  }
  return "";
}

std::string Conv2DCheckFit(const Conv2D& c) {
  if ((c.height == 0 || c.output_height() > 0) && (c.width == 0 || c.output_width() > 0)) return "";
  return Say("The dilated filters must fit into the padded images.",
             {c.height + c.pad_y.before + c.pad_y.after, c.width + c.pad_x.before + c.pad_x.after,
              EffectiveWindow(c.kernel_height, c.dilation_y), EffectiveWindow(c.kernel_width, c.dilation_x)});
}

ConvAxis ConvAxis::Make(int64_t x_size, int64_t y_size, int64_t kernel, int64_t stride, int64_t dilation,
                        int64_t before, bool gradient) {
  ConvAxis a;
  a.kernel = kernel, a.stride = stride, a.dilation = dilation, a.before = before, a.gather_gradient = gradient;
  if (gradient) {
    // Target i and source o are paired by tap k where o * stride = i + before - k * dilation.
    int64_t g = stride, rest = dilation;
    while (rest != 0) std::swap(g %= rest, rest);
    a.source_size = y_size, a.target_size = x_size, a.phases = std::min(stride, std::max<int64_t>(1, x_size));
    // With more phases than targets, each phase has one target; the phase number is then the target itself.
    a.source_stride = 1, a.source_step = dilation / g;
    a.lowest = FloorDiv(before - (kernel - 1) * dilation, stride);
    a.span = FloorDiv(stride - 1 + before, stride) - a.lowest + 1;
  } else {
    a.source_size = x_size, a.target_size = y_size, a.phases = 1;
    a.source_stride = stride, a.source_step = dilation;
    a.lowest = -before, a.span = EffectiveWindow(kernel, dilation);
  }
  a.packed_stride = std::min(a.source_stride, a.span);
  return a;
}

ConvPhase ConvAxis::Phase(int64_t p) const {
  if (!gather_gradient) return {target_size, -before, kernel, 0, 1};
  const int64_t targets = p < target_size ? CeilDiv(target_size - p, phases) : 0;
  const int64_t period = stride / (dilation / source_step);  // distance of the taps that hit whole sources
  for (int64_t k = 0; k < std::min(kernel, period); ++k) {
    const int64_t offset = p + before - k * dilation;
    if (offset % stride != 0) continue;
    const int64_t taps = (kernel - 1 - k) / period + 1;
    // The last tap reads the lowest source; ascending sources suit the packed rows.
    return {targets, offset / stride - (taps - 1) * source_step, taps, k + (taps - 1) * period, -period};
  }
  return {targets, lowest, 0, 0, 0};
}

ConvPlan ConvPlan::Make(const Conv2D& conv, Conv2DKind kind, int64_t element_bytes, int64_t vector_bytes) {
  ConvPlan p;
  p.conv = &conv;
  p.gradient = kind == Conv2DKind::kInputGradient;
  p.y = ConvAxis::Make(conv.height, conv.output_height(), conv.kernel_height, conv.stride_y, conv.dilation_y,
                       conv.pad_y.before, p.gradient);
  p.x = ConvAxis::Make(conv.width, conv.output_width(), conv.kernel_width, conv.stride_x, conv.dilation_x,
                       conv.pad_x.before, p.gradient);
  p.source_channels = p.gradient ? conv.filters : conv.channels;
  p.target_channels = p.gradient ? conv.channels : conv.filters;
  p.source_group = p.source_channels / conv.groups();
  p.target_group = p.target_channels / conv.groups();
  const int64_t computing_bytes = element_bytes == 8 ? 8 : 4;
  p.lanes = vector_bytes / computing_bytes;
  const int64_t group = p.source_group;
  p.narrow = group == p.target_group && group <= std::min<int64_t>(8, p.lanes) && (group & (group - 1)) == 0;
  p.fold = 1;
  if (p.narrow) {
    // Exchanging lanes takes group - 1 shuffles per source, folding one or two per target.
    if (computing_bytes == 4 && group == 8 && p.lanes == 16 && kind != Conv2DKind::kFilterGradient) p.fold = 2;
    p.block = p.lanes, p.blocks = CeilDiv(p.target_channels, p.lanes), p.group_blocks = 1;
    p.steps = group, p.depth = p.lanes;
  } else {
    p.block = p.target_group > p.lanes ? 2 * p.lanes : p.lanes;
    p.group_blocks = CeilDiv(p.target_group, p.block), p.blocks = conv.groups() * p.group_blocks;
    p.steps = p.source_group, p.depth = p.source_group;
  }
  p.in_place = p.narrow && computing_bytes == element_bytes && p.source_channels == p.target_channels &&
               p.target_channels % p.lanes == 0 && p.x.packed_stride == p.x.source_stride && p.x.phases == 1;
  // In floating point: with the largest extents these products do not fit 63 bits.
  const double block_bytes =
      std::max(1.0, double(conv.kernel_height) * conv.kernel_width * p.steps * p.block * computing_bytes);
  p.CutChannels(CeilDiv(p.blocks, std::max<int64_t>(1, kChunkBytes / block_bytes)));
  // Few rows would copy the overlap of windows too often.
  const double row = std::max(1.0, double(p.packed_columns()) * p.depth * p.planes * computing_bytes);
  const int64_t fit = (int64_t(kStripBytes / row) - p.y.span) / std::max<int64_t>(1, p.y.packed_stride) + 1;
  p.strip = std::max<int64_t>(1, std::min(p.y.rows(), std::max(fit, std::min<int64_t>(p.y.span, 64))));
  p.strips = CeilDiv(p.y.rows(), p.strip);
  p.strip = std::max<int64_t>(1, CeilDiv(p.y.rows(), std::max<int64_t>(1, p.strips)));
  p.strips = CeilDiv(p.y.rows(), p.strip);
  const int64_t items = std::max<int64_t>(1, p.items());
  p.CutChannels(std::max(p.chunks, CeilDiv(kTasks, items)));
  if (kind == Conv2DKind::kFilterGradient && block_bytes * p.blocks > kSumBytes) {
    // Long partial sums cost more than short pieces of pixels, as long as those fill a few cache lines.
    p.CutChannels(std::max(p.chunks, CeilDiv(p.target_channels * computing_bytes, 256)));
  }
  const int64_t sums = std::max(1.0, kPartialBytes / (block_bytes * p.blocks));
  p.parts = std::max<int64_t>(1, std::min({items, CeilDiv(kTasks, p.chunks), sums}));
  return p;
}

// At least `wanted` chunks where there are so many blocks; whole groups where a chunk holds one or more.
void ConvPlan::CutChannels(int64_t wanted) {
  chunk = CeilDiv(blocks, std::max<int64_t>(1, std::min(wanted, blocks)));
  if (chunk > group_blocks) chunk = chunk / group_blocks * group_blocks;
  chunks = CeilDiv(blocks, chunk);
  // A chunk that is not whole groups may begin and end inside a group.
  planes = narrow                      ? chunk
           : chunk % group_blocks == 0 ? chunk / group_blocks
                                       : (chunk + group_blocks - 2) / group_blocks + 1;
}

ConvBlock ConvPlan::Block(int64_t b) const {
  if (narrow) {
    const int64_t first = b * lanes, count = std::min(lanes, target_channels - first);
    return {first / steps, first, count, first, count};
  }
  const int64_t group = b / group_blocks, first = b % group_blocks * block;
  return {group, group * source_group, source_group, group * target_group + first,
          std::min(block, target_group - first)};
}

}  // namespace kerascnn
